/* SPDX-License-Identifier: MIT */
/* What the files of the checkpoint share: one in the making. checkpoint_lock is held throughout. */
#ifndef BM_CHECKPOINT_PRIVATE_H
#define BM_CHECKPOINT_PRIVATE_H

#include "index.h"
#include "store.h"
#include "tables.h"

struct bm_writer {
        struct bm_store *store;
        struct bm_segment *file;     /* index segment that takes the changed blocks and tables */
        uint64_t at;                 /* bytes of it in use */
        uint64_t durable;            /* for its header: what was copied before is synced */
        bool alone;                  /* may draw on the reserve */
        uint32_t rewrite;            /* index file whose blocks are all written anew, too */
        uint64_t index_bytes;        /* of all blocks, changed or not */
        struct bm_buffer blocks;     /* images to be written at `at` */
        struct bm_buffer pages;      /* the pages table */
        struct bm_manifest manifest; /* in the making */
};

/* Copying (checkpoint_copy.c) */

/* Makes the index file. -ENOSPC: the reserve, too, is used up. */
int bm_checkpoint_make_file(struct bm_writer *w);
/* Writes the changed blocks of all buckets and, behind them, the tables. */
int bm_checkpoint_copy(struct bm_writer *w);
/* After a failure: blocks that were to stand in its file are changed blocks again. */
void bm_checkpoint_take_back(struct bm_writer *w);

/* Files that come and go with checkpoints (checkpoint_files.c) */

/* Leaves out, from this manifest on, data segments that a compaction emptied. */
void bm_checkpoint_exclude_data(struct bm_writer *w);
/* The same for index files that nothing in the new tables refers to. */
void bm_checkpoint_exclude_index(struct bm_writer *w);
/* Frees what neither of the two kept manifests refers to. */
void bm_checkpoint_free_unreferenced(struct bm_store *store, bool at_once);
/* Which index file is mostly garbage and shall be written anew: BM_REWRITE_NONE, a file id, or
 * BM_REWRITE_ALL for a checkpoint that leaves no other. */
uint32_t bm_checkpoint_rewrite(struct bm_store *store, bool alone);

#endif
