/* SPDX-License-Identifier: MIT */
#ifndef SAME_LUCK_H
#define SAME_LUCK_H

#include <stdint.h>

/* From here on the store's random numbers and times follow from SEED. */
void same_luck(uint64_t seed);

#endif
