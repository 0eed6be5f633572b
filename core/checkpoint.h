/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: the index as it is, written beside the log, so that an open
 * replays only what came later.
 *
 * Bucket after bucket is copied under its lock, changed blocks only, with the
 * log position that the copy includes. Then the log is synced as far as any
 * copy reaches, the copies and tables are synced, and last the manifest that
 * names them all. Two manifests are kept; what only older ones refer to is
 * freed.
 */
#ifndef BM_CHECKPOINT_H
#define BM_CHECKPOINT_H

#include <stdbool.h>

struct bm_store;

enum bm_checkpoint_kind {
        BM_CHECKPOINT_USUAL, /* the one before is kept, unless the disk is full */
        BM_CHECKPOINT_ALONE, /* it is not, for room is wanted: what it alone refers to is freed */
        BM_CHECKPOINT_CLEAN, /* nothing follows: the store is being closed */
};

/* Takes checkpoint_lock. A failure leaves the older manifests in force. */
int bm_checkpoint_write(struct bm_store *store, enum bm_checkpoint_kind kind);

/*
 * Writes the manifest that was read once more, in its place. A process killed
 * before it had synced it leaves it in the page cache only, and the next one
 * would overwrite the other place while this one is not on the disk.
 */
int bm_checkpoint_settle(struct bm_store *store);

/* Writes the newest manifest once more, without its clean flag: before the
 * first append after a clean open. */
int bm_checkpoint_unclean(struct bm_store *store);

/* Whether, on a full disk, dead blocks in index files are worth a checkpoint. */
bool bm_checkpoint_wasteful(struct bm_store *store);

/* Frees what no manifest refers to any more and no view pins any longer. */
void bm_checkpoint_free(struct bm_store *store);

/* Whether so much was logged since the last one that it is time. */
bool bm_checkpoint_due(struct bm_store *store);

#endif
