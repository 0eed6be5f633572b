/* SPDX-License-Identifier: MIT */
/* What the files of a rebuild share. */
#ifndef BM_REBUILD_PRIVATE_H
#define BM_REBUILD_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

struct bm_replay;
struct bm_segment;
struct bm_store;

struct rebuild {
        struct bm_store *store;
        struct bm_replay *replay;
        struct bm_segment **list; /* data segments, log ones by ascending number */
        uint64_t *ends;           /* of the same, bytes: behind the last record but a seal */
        size_t n, n_log;
        uint64_t told; /* the highest position of which the log says that it was durable */
};

/* The data segments in order, and how much of each counts. The list and the ends are the caller's
 * to free, also after an error. BM_E_DAMAGED with the problem set. */
int bm_rebuild_collect(struct rebuild *rb);

#endif
