/* SPDX-License-Identifier: MIT */
/*
 * A change of one or several records in one step: the one way by which data
 * goes into the store.
 *
 *      add the keys -> lock their stripes and find what is there ->
 *      FILL decides what shall be there -> slots are reserved in the indexes ->
 *      one frame is logged -> the slots are set -> unlock
 *
 * Where an index or the log has no room nothing has happened yet; the runner
 * unlocks, grows, and starts over. Readers never see a part: the stripes are
 * held exclusively throughout.
 */
#ifndef BM_TXN_H
#define BM_TXN_H

#include "bucket.h"
#include "log.h"

enum bm_action {
        BM_ACT_LOOK,   /* change nothing */
        BM_ACT_PUT,    /* next becomes the key's record */
        BM_ACT_DELETE, /* the key goes */
        BM_ACT_COUNT,  /* next.count becomes the record's count */
        BM_ACT_ADOPT,  /* take over the slot that step `from` gives up (orphans; not logged) */
};

/* Not an outcome for callers: the transaction starts over with more locks. */
enum { BM_E_AGAIN = 1000 };

struct bm_step {
        struct bm_target target;
        struct bm_found found; /* set by locking */
        enum bm_action action; /* set by FILL, with what follows */
        struct bm_record next; /* PUT: type, count, record_id, meta, value; the rest is filled in */
        bool moved; /* DELETE, PUT: what was there goes on under another key of the same frame */
        uint64_t replaced_map; /* DELETE, moved: id of the empty map whose name it took; 0: none */
        size_t from;           /* ADOPT: the step whose record it is */
        uint8_t key_bytes[8];  /* what is logged where the target has no key, or a hash */
        bool inserted;         /* a slot was reserved by the commit */
        bool entered;          /* a map was entered by the commit */
};

enum { BM_STRIPES_NONE = -1, BM_STRIPES_SEVERAL = -2 };

struct bm_txn {
        struct bm_store *store;
        enum bm_claim claim; /* on the reserve */
        bool no_grow;        /* say so instead of growing: bm_try_write */
        struct bm_step *steps;
        size_t n_steps, cap_steps;
        size_t n_base;         /* those that were there before the first attempt */
        struct bm_step few[6]; /* steps, as long as they suffice */
        uint64_t stripes[4];   /* bit set: exclusively locked by this */
        int only_stripe;       /* the one, or BM_STRIPES_* */
        uint64_t wanted[4];    /* to be locked after BM_E_AGAIN */
        /* after BM_E_INDEX_NO_SPACE or BM_E_DATA_NO_SPACE */
        const struct bm_target *full;
        uint64_t capacity;
};

void bm_txn_init(struct bm_txn *txn, struct bm_store *store);
void bm_txn_deinit(struct bm_txn *txn);

/* Adds a key, each at most once in a transaction; it must outlive it. The
 * step's address holds until the next add: afterwards use txn->steps[i]. */
int bm_txn_add(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
               size_t *step);
/* The same, of a record that is believed so much. */
int bm_txn_add_trusted(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                       enum bm_trust trust, size_t *step);
/*
 * The same from within FILL, when what is found leads to further keys. The
 * first time it gives BM_E_AGAIN, to be passed on: the runner then locks that
 * key's stripe too and calls FILL afresh. Before that others may be asked for,
 * which gives the same, and are locked with it.
 */
int bm_txn_more(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                size_t *step);
/* The same, of a record that is believed so much. */
int bm_txn_more_trusted(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                        enum bm_trust trust, size_t *step);
/* The same for the record of that id in a hidden map that goes by ids. Unlike the others it may be
 * there already: then that step is given. */
int bm_txn_more_id(struct bm_txn *txn, struct bm_map *map, uint64_t record_id, size_t *step);
/* Locks all of an (other) map's buckets too: for changes that need it empty. */
void bm_txn_add_map(struct bm_txn *txn, struct bm_map *map);

/*
 * Decides under the locks, from txn->steps[i].found, what is to be done. Any
 * result but 0 ends the transaction without a change and is returned.
 */
typedef int (*bm_fill_fn)(struct bm_txn *txn, void *ctx);
int bm_txn_run(struct bm_txn *txn, bm_fill_fn fill, void *ctx);

/* Logs and applies what FILL decided (txn_commit.c). The stripes are locked; after any result but 0
 * nothing has changed. */
int bm_txn_commit(struct bm_txn *txn);

/* The record FROM, whose key was deleted, goes on under TARGET, an orphan's. */
int bm_apply_adopt(struct bm_store *store, const struct bm_target *target, struct bm_found *found,
                   const struct bm_found *from);

/*
 * Sets index, counters and maps to what RECORD at WHERE says: the last step of
 * a commit, and all of a replay. FOUND is what is there under TARGET.
 */
int bm_apply(struct bm_store *store, const struct bm_target *target, struct bm_found *found,
             const struct bm_record *record, const struct bm_location *where);

#endif
