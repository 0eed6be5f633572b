/* SPDX-License-Identifier: MIT */
/* Numbers in options, and which of them a setting takes. */
#ifndef FS_NUMBER_H
#define FS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

enum number_kind {
        NUMBER_BUCKETS,    /* power of two, 1..65536 */
        NUMBER_MAX_SEARCH, /* multiple of 4, 4..1024 */
        NUMBER_KEYS,       /* 1..2^40 */
        NUMBER_SECONDS,    /* 1..86400 */
        NUMBER_READ_BYTES, /* 4096..2^20 */
        NUMBER_COUNT,      /* 0..2^62 - 1 */
};

/* 0, or -EINVAL if TEXT is no decimal number of that kind. */
int number_parse(const char *text, enum number_kind kind, uint64_t *number);

/* "a power of two from 1 to 65536" */
const char *number_wanted(enum number_kind kind);

#endif
