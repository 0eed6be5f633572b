/* SPDX-License-Identifier: MIT */
/*
 * Opening: the newest good manifest, then whatever the log says behind it.
 *
 * Steps and their argument stand in DESIGN.md, "Recovery"; the functions in
 * recover.c carry the same numbers.
 */
#ifndef BM_RECOVER_H
#define BM_RECOVER_H

#include <stdint.h>

struct bm_store;

/*
 * Brings an opened, locked store (superblock read, nothing else) to where
 * operations may run. A read-only one is recovered in memory, nothing is written.
 * BM_E_DAMAGED with the problem set.
 */
int bm_recover(struct bm_store *store);

/* What a replay found (replay.c). */
struct bm_replay {
        uint64_t end;     /* X: start of the first incomplete or invalid frame */
        uint64_t durable; /* D: the highest position known to be durable */
        uint64_t records;
        uint64_t next_record, next_map, next_data; /* lowest free ids */
};

/* Applies the log from position FROM on. 0, -EIO (index), -ENOMEM, BM_E_DAMAGED (FROM leads
 * nowhere). */
int bm_replay(struct bm_store *store, uint64_t from, struct bm_replay *replay);

/* Counts anew, from the index, what lives in each segment. */
int bm_recount(struct bm_store *store);

#endif
