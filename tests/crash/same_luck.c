/* SPDX-License-Identifier: MIT */
/*
 * The linker puts these in the place of what differs from run to run, so that
 * a seed repeats everything.
 */
#include "same_luck.h"

#include <string.h>
#include <time.h>

#include "trace.h"

int __wrap_bm_random(void *buf, size_t len);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

static uint64_t luck, now_ns;

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
        *t = (struct timespec){.tv_sec = 1700000000 + (time_t)(now_ns / 1000000000),
                               .tv_nsec = (long)(now_ns % 1000000000)};
        return 0;
}
