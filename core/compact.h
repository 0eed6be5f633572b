/* SPDX-License-Identifier: MIT */
/*
 * Compaction: what lives in a segment is copied to a cold segment beside the
 * log, and its index slots are pointed there. Nothing of that is logged: it
 * becomes durable with the next checkpoint, and until then the old place is
 * still there. The emptied segment is freed by the checkpoint after that.
 */
#ifndef BM_COMPACT_H
#define BM_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

struct bm_store;

/*
 * Empties the segment that wins most, if at least one in LEAST_SHARE of its
 * bytes is dead. *DONE: there was one. Takes checkpoint_lock.
 */
int bm_compact_one(struct bm_store *store, unsigned least_share, bool *done);

/*
 * Copies whatever lives, but what stands in segments from log number LOG and
 * cold number COLD on, and leaves all others empty: for a repair, alone.
 */
int bm_compact_all(struct bm_store *store, uint64_t log, uint64_t cold);

/* Whether enough is dead, of all that is used, to be worth the copying. BUSY: others write; then
 * what is little can wait until they do not. */
bool bm_compact_due(struct bm_store *store, bool busy);

/* Bytes that do not live, and the tombstones that must be kept for some of them. */
uint64_t bm_compact_left(struct bm_store *store);

/* Whether emptied segments wait for a checkpoint to be freed. */
bool bm_compact_pending(struct bm_store *store);

#endif
