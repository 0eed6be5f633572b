/* SPDX-License-Identifier: MIT */
/*
 * What removing, renaming and linking share: a record that stays as it is but
 * for its meta, the orphan that is left of what loses its name while it is
 * open, and a map that must be empty to go. All from within a transaction's
 * FILL, with the locks held, unless a line says otherwise.
 */
#ifndef BM_NAMES_H
#define BM_NAMES_H

#include "bucketmap.h"
#include "large.h"

/* Between a transaction and its starter: start over, */
enum {
        BM_E_LOOK_AGAIN = BM_E_AGAIN + 1,       /* with the map that is there now */
        BM_E_NEED_RENAME_LOCK = BM_E_AGAIN + 2, /* with the rename lock: a map moves */
};

/* Meta */

/* The new meta of a record that stays under another name. */
struct bm_new_meta {
        size_t len;
        uint8_t bytes[BM_META_MAX];
};

/* NEXT's meta becomes what FN (NULL: nothing) makes of FOUND's, in META. */
int bm_change_meta(bm_meta_fn fn, void *ctx, const struct bm_found *found, struct bm_new_meta *meta,
                   struct bm_record *next);

/* The same record without its meta, to be put under another key. */
struct bm_record bm_same_record(const struct bm_found *found);

/* Orphans */

/* What keeping a removed record needs; lives until the transaction is done. */
struct bm_orphaning {
        uint64_t held; /* data id that this attempt holds; 0: none. To begin with: 0 */
        struct bm_drop_step drop;
        struct bm_new_meta meta;
};

/*
 * The record of STEP, which is being removed, moves to the orphans. Nothing
 * is logged for that, unless its meta changes: an orphan dies with the
 * process. Its chunks get their drop at once, and are held.
 */
int bm_orphan_keep(struct bm_txn *txn, size_t step, struct bm_orphaning *o, bm_meta_fn fn,
                   void *ctx);

/* Gives up what an attempt held that failed, or before the next, which may
 * meet another record. Needs no lock. */
void bm_orphan_let_go(struct bm_store *store, struct bm_orphaning *o);

/* Maps */

/* The map under a key in *MAPP, to be put back, so that its buckets can be
 * locked with the key; NULL if the key is no map's. Takes the key's lock. */
int bm_map_peek(struct bm_map *parent, const void *key, size_t key_len, struct bm_map **mapp);

/* LOCKED's buckets are locked too: whether the map that FOUND names may go.
 * BM_E_NOT_EMPTY; BM_E_LOOK_AGAIN: it is another map than LOCKED. */
int bm_map_check_empty(struct bm_store *store, const struct bm_found *found,
                       const struct bm_map *locked);

#endif
