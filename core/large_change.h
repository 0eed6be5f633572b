/* SPDX-License-Identifier: MIT */
/*
 * A change of one value on its way: what writing, truncating and freeing a
 * part of it have in common. A value that is written in parts is kept inline
 * up to BM_WRITE_INLINE bytes and takes chunks when it grows beyond that
 * (large.h); one that is cut is inline again from BM_VALUE_INLINE on.
 *
 * All but new and run is called from a transaction's FILL, with the locks held.
 */
#ifndef BM_LARGE_CHANGE_H
#define BM_LARGE_CHANGE_H

#include "large.h"

/* Chunks that one transaction takes away by themselves; more are a cut. */
enum { BM_CHANGE_DELETES_MAX = 64 };

/* A write that ends beyond this makes a value large, though it could be inline up to
 * BM_VALUE_INLINE: each change of its meta would log it again. */
enum { BM_WRITE_INLINE = 4 << 10 };

struct bm_patches;

struct bm_change {
        const struct bm_ref *ref;
        bm_meta_fn fn;
        void *ctx;
        size_t main; /* the step of the record */
        /* a part of the value: from offset, and how much this transaction took of it */
        uint64_t offset;
        const uint8_t *buf;
        uint64_t len, taken;
        bool zero, keep_size; /* an allocation: whatever is there; only up to the end */
        uint64_t size;        /* a truncation: the new size */
        uint64_t pays;       /* what a longer meta may take of what dies beside the record, bytes */
        bool inline_again;   /* and chunks are no longer needed */
        enum bm_trust trust; /* in the record */
        uint64_t new_data_id;
        bool held;          /* the new data id, which an orphan got */
        uint64_t n_covered; /* chunks that an orphan's drop covers already */
        struct bm_head head;
        uint8_t head_bytes[BM_HEAD_BYTES_MAX];
        uint8_t first_key[BM_CHUNK_KEY], chunk_key[BM_CHUNK_KEY];
        /* of chunks beside the first: deleted, or written */
        uint8_t more_keys[BM_CHANGE_DELETES_MAX][BM_CHUNK_KEY];
        struct bm_drop_step drop, orphan_drop;
        uint8_t patch_keys[BM_CHUNK_PIECES][BM_CHUNK_KEY];
        struct bm_patches *patches; /* of the chunks that are written as a whole */
        uint8_t cut_keys[BM_CUTS_MAX][BM_DROP_KEY];
        size_t meta_len;
        uint8_t *chunk; /* BM_CHUNK bytes, if they were asked for */
        uint8_t meta[BM_META_MAX];
};

/* CHUNK: with room for one. NULL: no memory. */
struct bm_change *bm_change_new(const struct bm_ref *ref, bm_meta_fn fn, void *ctx, bool chunk);
void bm_change_free(struct bm_change *c);

/*
 * Runs FILL in a transaction, and the sweeper first if the head has no room for a cut. FILL may set
 * txn->claim where what is written frees as much: each time, for it may be called again. A
 * head keeps its cuts, up to eight, so one that gets a further one must have a value of BM_CUT_PAYS
 * bytes, which outweighs them all, and BM_META_PAID bytes by which the meta grows. That is as far
 * as is known: after a hole of more than 128 MiB less may be there than the head says.
 */
enum { BM_CUT_PAYS = 16 << 10, BM_META_PAID = 64 };
int bm_change_run(struct bm_change *c, bm_fill_fn fill);

/* Finds the step of the record, a map's too. BM_E_NOT_FOUND, BM_E_STALE, -EIO. */
int bm_change_find(struct bm_txn *txn, struct bm_change *c);

/* What every change of a value starts with: finds the record and takes its
 * head apart. BM_E_NOT_FOUND, BM_E_STALE, BM_E_IS_MAP, -EIO. */
int bm_change_look(struct bm_txn *txn, struct bm_change *c);

static inline const struct bm_record *bm_change_record(const struct bm_txn *txn,
                                                       const struct bm_change *c)
{
        return &txn->steps[c->main].found.record;
}

/* The record becomes a put of TYPE with that value, and meta as the callback has it. One that is
 * longer for its meta has no claim on the reserve any more. */
int bm_change_put(struct bm_txn *txn, struct bm_change *c, uint8_t type, const uint8_t *value,
                  uint32_t len);
/* The same with c->head. */
int bm_change_put_head(struct bm_txn *txn, struct bm_change *c);

/* From inline to large: a fresh head; then the inline value as chunk 0, as it is. */
int bm_change_start_large(struct bm_txn *txn, struct bm_change *c, uint64_t size);
int bm_change_move_first(struct bm_txn *txn, struct bm_change *c);

/* Adds the steps of one chunk and of its patches; KEY must last as long as the transaction. */
int bm_change_add_chunk(struct bm_txn *txn, struct bm_change *c, uint64_t chunk,
                        uint8_t key[BM_CHUNK_KEY], size_t *step);
/* The same, of one that was added by its key alone. */
int bm_change_take_chunk(struct bm_txn *txn, struct bm_change *c, uint64_t chunk, size_t step);
/* The living content of it, verified: *LEN, 0 if there is none. -EIO. */
int bm_change_chunk(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk,
                    const uint8_t **bytes, uint32_t *len);
/* The length alone: nothing is read. */
uint32_t bm_change_chunk_len(const struct bm_txn *txn, const struct bm_change *c, size_t step,
                             uint64_t chunk);
/* Its new content, where OLD_LEN bytes lived; or none. What patches it had go. */
void bm_change_put_chunk(struct bm_txn *txn, struct bm_change *c, size_t step, const uint8_t *value,
                         uint32_t len, uint32_t old_len);
void bm_change_delete_chunk(struct bm_txn *txn, struct bm_change *c, size_t step, uint32_t old_len);

/* The chunks [from, to) die, however many: a cut in the head, and a drop. */
int bm_change_cut(struct bm_txn *txn, struct bm_change *c, uint64_t from, uint64_t to);

#endif
