/* SPDX-License-Identifier: MIT */
/* A histogram of latencies with an error of at most 1/32. Not locked: one a thread, then merged. */
#pragma once

#include <stdint.h>

enum { LATENCY_SUB = 32, LATENCY_SLOTS = 64 * LATENCY_SUB };

struct latency {
        uint64_t n, max_ns;
        uint32_t slots[LATENCY_SLOTS];
};

/* The clock that latencies are taken with, nanoseconds. */
uint64_t latency_now(void);

void latency_add(struct latency *l, uint64_t ns);
void latency_merge(struct latency *into, const struct latency *from);

/* The latency, ns, that a share Q (0..1) of the operations stayed below; 0 if there were none. */
uint64_t latency_quantile(const struct latency *l, double q);
