/* SPDX-License-Identifier: MIT */
/*
 * Looks at many states of many stores. A round is a store, work on it, and
 * states as accidents at random moments would leave them; some of these are
 * opened and worked on, and have accidents of their own. All follows from
 * the round's seed; a state is known by seed and path ("12.3": the third
 * state of what came of the twelfth).
 */
#ifndef EXPLORER_H
#define EXPLORER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bucketmap.h"
#include "io_record.h"

/* States that were looked at, shared by several processes. */
struct seen;
struct seen *seen_new(void);
/* Whether it was not there yet; zero is. */
bool seen_add(struct seen *seen, uint64_t hash);
size_t seen_count(const struct seen *seen);

struct explorer {
        const char *paths[DRIVES_MAX];
        uint64_t seed; /* of the present round */
        size_t n_states, n_failed;
        size_t limit;       /* distinct states, of all processes that share SEEN */
        size_t max_reports; /* failures to be told of */
        struct seen *seen;
        const _Atomic bool *stop; /* NULL: nobody says so */
        /* what a mutant does to a trace; NULL: nothing */
        void (*mutate)(struct trace *trace, const struct disk *before);
        bool stream;      /* all work is such (WORK_STREAM) */
        const char *only; /* BM_STATE: nothing but this state is looked at */
        char state[40];   /* path of the present one */
        char trail[400];  /* how it came to be */
        char problem[400];
};

/* Directories of its own, on a memory filesystem if there is one. */
void explorer_init(struct explorer *x, uint64_t seed);
void explorer_deinit(struct explorer *x);

/* For a store in its directories, on the drives of IO, with no thread but the caller's. */
struct bm_config explorer_config(const struct explorer *x, const struct record_io *io);

/* For processes with an explorer each: before the first is made, when one has
 * ended, perhaps by a signal, and after the last. They end with this one. */
void explorers_begin(void);
void explorers_child(void);
void explorers_clean(pid_t child);
void explorers_end(void);

bool explorer_done(const struct explorer *x);
/* The present state is the one that was asked for. */
bool explorer_watches(const struct explorer *x);
/* Counts a bad state, and says which and how to repeat it. */
void explorer_report(struct explorer *x);

/* One round. Accidents of every kind; */
void explore_round(struct explorer *x);
/* the same where the log turns over, its files being used again; */
void explore_stream(struct explorer *x);
/* and those of processes that recover what another one left. */
void explore_recovery(struct explorer *x);

#endif
