/* SPDX-License-Identifier: MIT */
/* The store's random numbers and its clock. */
#ifndef SAME_LUCK_H
#define SAME_LUCK_H

#include <stdint.h>
#include <time.h>

/* From here on random numbers and times follow from SEED. */
void same_luck(uint64_t seed);

/* Nanoseconds since then; each look at the clock takes one microsecond. */
uint64_t same_luck_now(void);
void same_luck_pass(uint64_t ns);
/* A time that the clock showed, or will. */
uint64_t same_luck_moment(const struct timespec *t);

#endif
