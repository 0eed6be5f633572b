/* SPDX-License-Identifier: MIT */
/*
 * The states that a store passed through, in the order in which the log has
 * them, and what was to be durable from when on.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

/* The state after an operation, or after a part that a crash may leave. */
struct step {
        uint64_t hash; /* the model's; before history_settle what it differs by */
        size_t at;     /* event that logs it: it may be there behind that */
        size_t end;    /* events: from here on the caller had its answer */
        uint64_t end_ns;
        const char *what;
};

struct ack {
        size_t at;    /* events: from here on */
        size_t since; /* is durable what was logged before this event */
        size_t step;  /* which is up to this step */
};

struct history {
        struct step *steps;
        size_t n_steps, cap_steps, n_settled;
        struct ack *acks;
        size_t n_acks, cap_acks;
        uint64_t interval_ns; /* what is older than this is durable; 0: not by itself */
};

/* The steps that may be there after an accident. */
struct bounds {
        size_t lo, hi;
        size_t durable; /* what a power cut in what follows must spare; at most lo */
};

/* A state that there was before anything that is noted here. */
void history_base(struct history *h, uint64_t hash, const char *what);
/* Operations may be noted in any order. */
void history_step(struct history *h, const struct step *step);
void history_ack(struct history *h, size_t at, size_t since);
/* After the last: brings it all into order. */
void history_settle(struct history *h);

/* After the first CUT events of TRACE, of which the next may have been done
 * in PART. KILLED: the process alone ended. */
void history_bounds(const struct history *h, const struct trace *trace, size_t cut, bool part,
                    bool killed, struct bounds *b);
/* The last step from LO to HI with that hash, or -1. */
long history_find(const struct history *h, uint64_t hash, size_t lo, size_t hi);
void history_deinit(struct history *h);

#endif
