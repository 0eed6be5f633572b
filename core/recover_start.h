/* SPDX-License-Identifier: MIT */
/*
 * The parts of an opening (recover.c): which manifest counts, and the four
 * ways to start, by what was found. All run alone on a store that nobody else
 * has yet.
 */
#ifndef BM_RECOVER_START_H
#define BM_RECOVER_START_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

struct bm_replay;
struct bm_segment;
struct bm_store;

/* Manifests */

struct bm_manifests_read {
        struct bm_manifest list[2]; /* newest first */
        unsigned n;
        bool any_bytes; /* a place held something, good or not */
        bool any_bad;   /* and one what is no manifest of this store */
        bool followed;  /* after the load: one that is newer may have begun to write to the log */
};

/* Both places of the store's open manifest file. Negative errno only. */
int bm_manifests_read(struct bm_store *store, struct bm_manifests_read *mr);
/* Loads the newest whose tables verify and makes it the store's. BM_E_DAMAGED, with the problem
 * set, if there is none. */
int bm_manifests_load(struct bm_store *store, struct bm_manifests_read *mr);

/* Steps of several */

/* The maps that every store has, and handles to them. */
int bm_start_maps(struct bm_store *store);
/* Ids from which on new ones are given out. */
void bm_start_ids(struct bm_store *store, const struct bm_replay *replay);
/* FN for each segment until it gives something else than 0, which is returned. Takes no lock, and
 * FN may remove the one that it is given. */
int bm_start_each(struct bm_store *store, int (*fn)(void *ctx, struct bm_segment *s), void *ctx);
/* The log segment of that number, or NULL. */
struct bm_segment *bm_start_segment(struct bm_store *store, uint64_t number);
/* Makes a log segment to go on in: step 11. */
int bm_start_log(struct bm_store *store, uint64_t number, uint64_t durable,
                 struct bm_segment **segment);
/* The log goes on in SEGMENT, USED bytes from its start. */
void bm_start_at(struct bm_store *store, struct bm_segment *segment, uint64_t used,
                 uint64_t durable);

/* The root map's own record, where there is none: a store whose creation was cut short. */
int bm_start_root(struct bm_store *store);

/* Starts. BM_E_DAMAGED with the problem set. */

int bm_start_fresh(struct bm_store *store);
/* Without the root's record nobody gets in: BM_E_DAMAGED, before anything is written. */
int bm_start_look(struct bm_store *store);
int bm_start_clean(struct bm_store *store);
int bm_start_crashed(struct bm_store *store);
/* GENERATION: at least that of any manifest that was read. */
int bm_start_rebuilt(struct bm_store *store, uint64_t generation);

#endif
