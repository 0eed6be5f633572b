/* SPDX-License-Identifier: MIT */
/*
 * Random work on a store, done to a model too; what came of it is noted in a
 * history.
 */
#ifndef WORK_H
#define WORK_H

#include "history.h"
#include "model.h"

enum { ORPHANS_MAX = 4 };

struct work {
        struct bm_store *store;
        struct model *model;
        struct history *history;
        const struct trace *trace;
        uint64_t rng;
        bool faults;        /* calls may fail; then nothing may have happened */
        int first_error;    /* of those that did */
        bool loud;          /* every step is printed */
        unsigned n_orphans; /* record ids of removed records that are kept */
        uint64_t orphans[ORPHANS_MAX];
        char problem[200]; /* what the store should not have answered */
};

/* Does N operations. False: the store gave a wrong answer, PROBLEM says which. */
bool work_run(struct work *w, unsigned n);
/* Lets go of what is kept for nobody. */
void work_end(struct work *w);

#endif
