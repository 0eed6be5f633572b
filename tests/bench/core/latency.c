/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <time.h>

uint64_t latency_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Each power of two is divided into LATENCY_SUB steps; below that a slot a nanosecond. */
static unsigned slot_of(uint64_t ns)
{
        unsigned shift;

        if (ns < LATENCY_SUB)
                return (unsigned)ns;
        shift = 63 - (unsigned)__builtin_clzll(ns) - 5;
        return (shift + 1) * LATENCY_SUB + (unsigned)(ns >> shift) % LATENCY_SUB;
}

static uint64_t slot_end(unsigned slot)
{
        unsigned shift = slot / LATENCY_SUB;

        if (shift == 0)
                return slot;
        return ((uint64_t)(LATENCY_SUB + slot % LATENCY_SUB + 1) << (shift - 1)) - 1;
}

void latency_add(struct latency *l, uint64_t ns)
{
        l->n++;
        l->slots[slot_of(ns)]++;
        if (ns > l->max_ns)
                l->max_ns = ns;
}

void latency_merge(struct latency *into, const struct latency *from)
{
        into->n += from->n;
        if (from->max_ns > into->max_ns)
                into->max_ns = from->max_ns;
        for (int i = 0; i < LATENCY_SLOTS; i++)
                into->slots[i] += from->slots[i];
}

uint64_t latency_quantile(const struct latency *l, double q)
{
        uint64_t wanted = (uint64_t)((double)l->n * q), seen = 0;

        for (unsigned i = 0; i < LATENCY_SLOTS; i++) {
                seen += l->slots[i];
                if (seen > wanted)
                        return slot_end(i) < l->max_ns ? slot_end(i) : l->max_ns;
        }
        return l->max_ns;
}
