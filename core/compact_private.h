/* SPDX-License-Identifier: MIT */
/* What the files of the compaction share. */
#ifndef BM_COMPACT_PRIVATE_H
#define BM_COMPACT_PRIVATE_H

struct bm_segment;
struct bm_store;

/* Copies what lives in VICTIM, and leaves it for the next checkpoints to free. checkpoint_lock is
 * held. */
int bm_compact_segment(struct bm_store *store, struct bm_segment *victim);

#endif
