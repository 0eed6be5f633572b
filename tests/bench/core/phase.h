/* SPDX-License-Identifier: MIT */
/* Runs one slice of a phase on an open store, in the calling process. */
#pragma once

#include "data.h"
#include "latency.h"
#include "peer.h"

enum phase {
        PHASE_INSERT,
        PHASE_HIT,
        PHASE_HIT_MANY,
        PHASE_MISS,
        PHASE_SCAN,
        PHASE_REF,
        PHASE_REF_MANY,
        PHASE_OVERWRITE_SAME,
        PHASE_OVERWRITE_OTHER,
        PHASE_DELETE,
        N_PHASES
};

extern const char *const phase_names[N_PHASES];

struct slice {
        enum phase phase;
        uint64_t first, n; /* keys; PHASE_SCAN is one operation */
};

/* What does not change between slices. */
struct load {
        enum workload workload;
        enum durability durability;
        uint64_t n_keys;
        unsigned threads;
};

struct result {
        int error;
        uint64_t wall_ns, cpu_ns; /* CPU of the whole process, the store's own threads included */
        struct latency latency;   /* of this slice */
};

/* Every value that is read is compared with what was written: wrong bytes are an error. */
void phase_run(const struct peer *peer, void *db, const struct load *load,
               const struct slice *slice, struct result *result);
