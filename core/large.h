/* SPDX-License-Identifier: MIT */
/*
 * Large values: a head under the key, and chunks in the hidden map of chunks.
 *
 * Chunks that nobody needs any more are named by a drop, a record of the
 * hidden map of drops that is logged in the same frame as the change that
 * freed them, and are deleted later by the sweeper. A chunk carries the
 * generation of its value at its writing; a cut in the head says that in a
 * range those below a generation are dead, so that old chunks do not come
 * back when a value that was cut grows again.
 */
#ifndef BM_LARGE_H
#define BM_LARGE_H

#include "txn.h"

/* Chunks that one transaction writes or sweeps at most: with the record, or the drop, they are the
 * steps that it has at hand. */
enum { BM_CHUNKS_A_FRAME = 4 };

/* How many of N chunks the next frame shall have: no more of a segment stays empty than with a
 * frame for each. At least one. */
unsigned bm_large_a_frame(const struct bm_store *store, uint64_t n);

/* Generation of a drop that spares no chunk. */
#define BM_DROP_WHOLE UINT32_MAX

/* Room for one drop's key and value; lives until the transaction is done. */
struct bm_drop_step {
        uint8_t key[BM_DROP_KEY], value[BM_DROP_BYTES];
};

/* Adds to a running transaction (from FILL): the chunks [from, to) of DATA_ID
 * below GENERATION are dead. */
int bm_large_drop(struct bm_txn *txn, const struct bm_drop *drop, struct bm_drop_step *room);
/* The same for all chunks of what RECORD heads; nothing if it is no head. */
int bm_large_drop_all(struct bm_txn *txn, const struct bm_record *record,
                      struct bm_drop_step *room);

/*
 * Stores VALUE in chunks under a new data id, ahead of the head that will
 * commit it: *HEAD. Until then a drop stands for them, which
 * bm_large_commit takes away in the head's frame, and the sweeper keeps off.
 * Call bm_large_done afterwards in any case.
 */
int bm_large_store(struct bm_store *store, const void *value, uint64_t len, struct bm_head *head);
int bm_large_commit(struct bm_txn *txn, const struct bm_head *head, uint8_t drop_key[BM_DROP_KEY]);
void bm_large_done(struct bm_store *store, const struct bm_head *head);

/* No chunk of the head has that number, or a higher one. */
uint64_t bm_head_chunks(const struct bm_head *head);
/* Whether chunk number CHUNK written in GENERATION is still the head's. */
bool bm_head_has(const struct bm_head *head, uint64_t chunk, uint32_t generation);

/* Keeps the sweeper off a data id for as long as there are holds. */
int bm_large_hold(struct bm_store *store, uint64_t data_id);
void bm_large_release(struct bm_store *store, uint64_t data_id);

/* Lets every orphan go: the store is being closed. */
int bm_orphans_clear(struct bm_store *store);

/*
 * Deletes what drops name, except what is held. *SWEPT (may be NULL) counts
 * the chunks. The keeper's.
 */
int bm_large_sweep(struct bm_store *store, uint64_t *swept);

#endif
