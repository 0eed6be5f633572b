/* SPDX-License-Identifier: MIT */
/*
 * Room on the disks: how large the next segment shall be, and the reserve.
 *
 * The reserve is a file of really allocated bytes in parts, which ordinary
 * writes never touch:
 *
 *      log         for the tombstones of deletions
 *      cold        for what compaction moves out of one segment
 *      checkpoint  for all of the index and its tables, written anew
 *      growth      for what ordinary writes add to that before they look again
 *
 * On a full disk the first three draw on it: it is cut down, and what it gave back
 * is allocated anew, under one lock, so that nobody else of this process gets
 * between. Each leaves the parts of those behind it, so whatever deletions
 * have taken, the next step that frees something can be done to its end.
 * Until the reserve is whole again ordinary writes are refused. What shortens values
 * leaves the log's part too, for whether it frees anything is not always known. Why that is
 * enough: DESIGN.md, "Space".
 */
#ifndef BM_SPACE_H
#define BM_SPACE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "log.h"

struct bm_store;

/*
 * Makes the log segment that follows the one numbered CAPACITY. On a full
 * disk it waits for the keeper as long as that frees something; who has a CLAIM
 * gets it from the reserve before. Holds no lock when called. -ENOSPC.
 */
int bm_space_grow(struct bm_store *store, uint64_t capacity, enum bm_claim claim);

/* The same as far as it goes without the reserve and without waiting: the
 * helper's. -ENOSPC. */
int bm_space_prepare(struct bm_store *store, uint64_t capacity);

/* Notes what lives, for the size of segments; QUIET: what lived before no longer counts. For the
 * keeper alone. */
void bm_space_note(struct bm_store *store, bool quiet);

/* Size for the next data segment, bytes, from what lives, or did since it was last quiet: whoever
 * emptied a store may fill it again, with spares of that size. */
uint64_t bm_space_segment_size(struct bm_store *store);

/* The same if so many bytes MORE lived. */
uint64_t bm_space_segment_size_with(struct bm_store *store, uint64_t more);

/* Allocates SIZE bytes of whatever it is; 0 or a negative errno. */
typedef int (*bm_space_make_fn)(void *ctx, uint64_t size);

/* Makes a cold segment of a size of this function's choice. -ENOSPC. */
int bm_space_make_cold(struct bm_store *store, bm_space_make_fn fn, void *ctx);
/* Bytes that compaction may fill now beyond the open cold segment. */
uint64_t bm_space_for_cold(struct bm_store *store);

/* Bytes that a checkpoint may take. */
uint64_t bm_space_for_checkpoint(struct bm_store *store);

/* Calls FN, which takes the smallest segment's size for what must not fail, and
 * on a full disk again with ever more of the reserve given back. */
int bm_space_spend(struct bm_store *store, bm_space_make_fn fn, void *ctx);

/* Whether the reserve is not whole: then ordinary writes are refused. */
bool bm_space_is_short(struct bm_store *store);
/* Whether deletions would have to wait: its part for the log is used up. */
bool bm_space_is_exhausted(struct bm_store *store);
/* What an ordinary writer may still hope for of FREE bytes on the disks. */
uint64_t bm_space_available(struct bm_store *store, uint64_t free);
/* What a piece of the reserve is for, and so what must be left of it. */
enum bm_space_use {
        BM_SPACE_CUT,  /* what tombstones, compaction and a checkpoint take */
        BM_SPACE_LOG,  /* what compaction and a checkpoint take */
        BM_SPACE_COLD, /* what a checkpoint takes */
        BM_SPACE_ALL,  /* nothing */
};

/* What is drawn where a segment is there, but the filesystem wants room to write to it. */
enum { BM_SPACE_PIECE = 256 << 10 };

/* Gives NEED bytes of the reserve back to the disk. False if there are not so many. */
bool bm_space_draw(struct bm_store *store, uint64_t need, enum bm_space_use use);
/* Whether to try again what gave R, and has to be written so that a full store
 * can be opened, or frees space in the end: a piece of the reserve was given up. */
static inline bool bm_space_helps(struct bm_store *store, int r)
{
        return r == -ENOSPC && bm_space_draw(store, BM_SPACE_PIECE, BM_SPACE_ALL);
}

/* Fills it up again, as far as the disk allows. True if it is whole. */
bool bm_space_refill(struct bm_store *store);
/* The index has grown: whether the reserve is still whole, if that was a lot. */
void bm_space_look(struct bm_store *store);
/* Bytes in it. */
uint64_t bm_space_reserved(struct bm_store *store);
/* Cuts it to what a store without unsaved changes needs; on a disk that is
 * nearly full it is filled up: the store is being closed, and must open again. */
void bm_space_settle(struct bm_store *store);

#endif
