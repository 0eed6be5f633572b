/* SPDX-License-Identifier: MIT */
/*
 * A scene: a disk as it was, a store opened on it, and everything that the
 * store did until it was closed. The store must open, be whole, and equal the
 * state after some prefix of the operations that has all that was durable
 * (and after the end of the process alone: all that had returned).
 */
#ifndef SCENE_H
#define SCENE_H

#include "explorer.h"
#include "history.h"
#include "work.h"

struct scene {
        unsigned depth;
        struct disk disk; /* before; what is pending of it may still be lost */
        struct trace trace;
        struct history history;
        size_t opened;     /* events of the trace until then */
        uint64_t clock_ns; /* when it ended */
};

/* What comes next on a store that may have had an accident. */
struct plan {
        uint64_t seed;
        unsigned n_ops;
        unsigned n_workers; /* 0: one, and nothing is done in the background */
        unsigned interval;  /* seconds */
        enum sort_of_work sort;
        bool look; /* is opened read-only first */
};

/* What was there before: VISIBLE, one of the steps B of HISTORY. */
struct past {
        const struct disk *visible;
        const struct history *history;
        struct bounds bounds;
        uint64_t clock_ns;
};

/* A new store for such work, on one drive or two. False: x->problem. */
bool scene_create(struct explorer *x, struct disk *disk, uint64_t *rng, enum sort_of_work sort);
/* All of the scene but its disk, which the caller sets. False: x->problem. */
bool scene_play(struct explorer *x, struct scene *scene, const struct past *past,
                const struct plan *plan);
void scene_deinit(struct scene *scene);

#endif
