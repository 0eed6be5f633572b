/* SPDX-License-Identifier: MIT */
/*
 * Every state that a store passed through, with the part of the trace in
 * which it came to be, and every sync with what it made durable.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <stddef.h>
#include <stdint.h>

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

#endif
