/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bucketmap.h"

static const struct {
        uint64_t min, max;
        const char *wanted;
} kinds[] = {
        [NUMBER_BUCKETS] = {1, 65536, "a power of two from 1 to 65536"},
        [NUMBER_MAX_SEARCH] = {4, 1024, "a multiple of 4 from 4 to 1024"},
        [NUMBER_KEYS] = {1, UINT64_C(1) << 40, "a number from 1 to 2^40"},
        [NUMBER_SECONDS] = {1, 86400, "a number of seconds from 1 to 86400"},
        [NUMBER_READ_BYTES] = {4096, 1048576, "a number of bytes from 4096 to 1048576"},
        [NUMBER_COUNT] = {0, BM_COUNT_MAX, "a number from 0 to 2^62 - 1"},
};

const char *number_wanted(enum number_kind kind)
{
        return kinds[kind].wanted;
}

int number_parse(const char *text, enum number_kind kind, uint64_t *number)
{
        unsigned long long n;
        char *end;

        /* strtoull takes signs and blanks */
        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno || *end || n < kinds[kind].min || n > kinds[kind].max)
                return -EINVAL;
        if (kind == NUMBER_BUCKETS && (n & (n - 1)))
                return -EINVAL;
        if (kind == NUMBER_MAX_SEARCH && n % 4)
                return -EINVAL;
        *number = n;
        return 0;
}
