/* SPDX-License-Identifier: MIT */
/*
 * A scene: a disk as it was, a store opened on it, and everything that the
 * store did until it was closed. From it states are made as an accident at
 * any moment would leave them; each must open, be whole, and equal the state
 * after some prefix of the operations that has all that was made durable (and
 * after the end of the process alone: all that had returned).
 */
#ifndef SCENE_H
#define SCENE_H

#include "disk.h"
#include "work.h"

struct hash_set {
        uint64_t *list;
        size_t n, cap;
};

struct explorer {
        const char *paths[DRIVES_MAX];
        uint64_t rng;
        uint64_t seed; /* of the present round, for messages */
        size_t n_states, n_failed;
        size_t limit;       /* states */
        size_t max_reports; /* failures to be told of */
        struct hash_set seen;
        /* what a mutant does to a trace; NULL: nothing */
        void (*mutate)(struct trace *trace, const struct disk *before);
        char trail[400]; /* how the present state came to be */
        char problem[400];
};

/* One round: a store of N_DRIVES and all that is made of it. */
void explore_round(struct explorer *x, unsigned n_drives, unsigned n_ops, unsigned n_cuts);
void explorer_deinit(struct explorer *x);

/* A directory of its own, on a memory filesystem if there is one. */
void explorer_init(struct explorer *x, uint64_t seed);

#endif
