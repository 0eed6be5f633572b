/* SPDX-License-Identifier: MIT */
/*
 * Random work on a store, done to a model too; what came of it is noted in a
 * history.
 */
#ifndef WORK_H
#define WORK_H

#include "frames.h"
#include "history.h"
#include "model.h"

enum { ORPHANS_MAX = 4 };

enum sort_of_work {
        WORK_ANY,
        WORK_MANY,   /* small keys: the index grows and splits */
        WORK_CHURN,  /* what there is is soon replaced: the log turns over, and is compacted */
        WORK_STREAM, /* large values over and over: log segments are filled, emptied, and used again
                      */
        WORK_SORTS
};

struct orphan {
        uint64_t record_id;
        uint8_t *value;
        size_t size;
};

struct work {
        struct bm_store *store;
        struct model *model; /* of the keys whose names begin with NAME */
        struct history *history;
        const struct trace *trace;
        char name; /* one worker's keys are not another's */
        uint64_t rng;
        bool faults;     /* calls may fail; then nothing may have happened */
        int first_error; /* of those that did */
        bool loud;       /* every step is printed */
        enum sort_of_work sort;
        unsigned n_orphans; /* removed records that are kept */
        struct orphan orphans[ORPHANS_MAX];
        char problem[200]; /* what the store should not have answered */

        /* of the operation under way */
        struct frames frames;
        size_t n_told;  /* of its frames that are in the history */
        uint64_t shown; /* the model's hash in the history */
        size_t end;     /* events when it had its answer */
        uint64_t end_ns;
};

/* NAME, RNG and so on are set; the model shows what there is. */
void work_begin(struct work *w);
/* Does N operations. False: the store gave a wrong answer, PROBLEM says which. */
bool work_run(struct work *w, unsigned n);
/* Lets go of what is kept for nobody. */
void work_end(struct work *w);

#endif
