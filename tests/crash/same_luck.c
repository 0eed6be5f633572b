/* SPDX-License-Identifier: MIT */
/*
 * The linker puts these in the place of what differs from run to run, so that
 * a seed repeats everything.
 */
#include "same_luck.h"

#include "trace.h"

int __wrap_bm_random(void *buf, size_t len);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

enum { START = 1700000000, SECOND = 1000000000 };

static uint64_t luck, now_ns;

uint64_t same_luck_now(void)
{
        return now_ns;
}

void same_luck_pass(uint64_t ns)
{
        now_ns += ns;
}

uint64_t same_luck_moment(const struct timespec *t)
{
        return (uint64_t)(t->tv_sec - START) * SECOND + (uint64_t)t->tv_nsec;
}

void same_luck(uint64_t seed)
{
        luck = seed;
        now_ns = 0;
}

int __wrap_bm_random(void *buf, size_t len)
{
        uint8_t *at = buf;
        for (size_t i = 0; i < len; i++)
                at[i] = (uint8_t)rnd(&luck);
        return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
        now_ns += 1000;
        *t = (struct timespec){.tv_sec = START + (time_t)(now_ns / SECOND),
                               .tv_nsec = (long)(now_ns % SECOND)};
        return 0;
}
