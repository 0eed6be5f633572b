/* SPDX-License-Identifier: MIT */
/*
 * Random work on a store, done to a model too. Every state that the store
 * passes through is noted with the part of the trace in which it came to be,
 * and every sync with what it made durable.
 */
#ifndef WORK_H
#define WORK_H

#include "model.h"
#include "trace.h"

struct step {
        uint64_t hash;     /* the model's */
        size_t begin, end; /* events: it may be there from the one on, must after the other */
        const char *what;
};

struct ack {
        size_t at;   /* events */
        size_t step; /* that is durable from there on */
};

struct history {
        struct step *steps;
        size_t n_steps, cap_steps;
        struct ack *acks;
        size_t n_acks, cap_acks;
};

void history_step(struct history *h, uint64_t hash, size_t begin, size_t end, const char *what);
void history_ack(struct history *h, size_t at, size_t step);
void history_deinit(struct history *h);

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
