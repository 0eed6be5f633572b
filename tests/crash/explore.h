/* SPDX-License-Identifier: MIT */
/* What the kinds of rounds share: a scene, and states as accidents leave them. */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "scene.h"

enum rot { ROT_NONE, ROT_NEWEST, ROT_BOTH }; /* of manifests */

/* An accident, and what comes behind it. */
struct accident {
        enum cut_style style;
        bool killed;   /* the process alone: nothing written is lost */
        uint64_t part; /* bytes of the next write that were done all the same */
        enum rot rot;
        uint64_t seed;
        struct plan plan;
        /* what befalls those who work on it; NULL: nothing does */
        void (*deeper)(struct explorer *x, struct scene *s, uint64_t rng);
};

struct plan explore_plan(uint64_t *rng, unsigned n_ops);
/* Bytes of a write that was under way; whole sectors, but for memory. */
uint64_t explore_part(const struct event *e, uint64_t luck);

/* A store, N_OPS of work on it, and then DEEPER. */
void explore_first(struct explorer *x, unsigned n_ops,
                   void (*deeper)(struct explorer *x, struct scene *s, uint64_t rng));
/* State number I of DISK, which is scene S after CUT events. */
void explore_state(struct explorer *x, const struct scene *s, const struct disk *disk, size_t cut,
                   unsigned i, const struct accident *a, uint64_t rng);

#endif
