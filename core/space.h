/* SPDX-License-Identifier: MIT */
/*
 * Room on the disks: how large the next segment shall be, and the reserve.
 *
 * The reserve is a file of really allocated bytes that ordinary writes never
 * touch. On a full disk deletions, compaction and checkpoints draw on it (it
 * is cut down, and what it gave back is allocated anew as a segment); until
 * it is whole again ordinary writes are refused. It pays for some segments and
 * for all of the index that the next checkpoint writes; segments get smaller
 * as it does.
 */
#ifndef BM_SPACE_H
#define BM_SPACE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct bm_store;

/*
 * Makes the log segment that follows the one numbered CAPACITY. On a full
 * disk it waits for the keeper as long as that wins space; a PRIVILEGED
 * caller gets it from the reserve. Holds no lock when called. -ENOSPC.
 */
int bm_space_grow(struct bm_store *store, uint64_t capacity, bool privileged);

/* The same as far as it goes without that: the helper's. -ENOSPC. */
int bm_space_prepare(struct bm_store *store, uint64_t capacity);

/* Size for the next data segment, bytes, from what lives now. */
uint64_t bm_space_segment_size(struct bm_store *store);

/* What a piece of the reserve is for, and what must be left of it. */
enum bm_space_use {
        BM_SPACE_LOG,  /* what compaction and a checkpoint take */
        BM_SPACE_COLD, /* what a checkpoint takes */
        BM_SPACE_ALL,  /* nothing */
};

/* What is drawn where a segment is there, but the filesystem wants room to write to it. */
enum { BM_SPACE_PIECE = 256 << 10 };

/* Gives NEED bytes of the reserve back to the disk, for what frees space in
 * the end. False if there are not so many. */
bool bm_space_draw(struct bm_store *store, uint64_t need, enum bm_space_use use);
/* Whether to try again what gave R, and has to be written so that a full store
 * can be opened, or frees space in the end: a piece of the reserve was given up. */
static inline bool bm_space_helps(struct bm_store *store, int r)
{
        return r == -ENOSPC && bm_space_draw(store, BM_SPACE_PIECE, BM_SPACE_ALL);
}
/* Fills it up again, as far as the disk allows. True if it is whole. */
bool bm_space_refill(struct bm_store *store);
/* Cuts it to what a store without unsaved changes needs: it is being closed. */
void bm_space_settle(struct bm_store *store);

#endif
