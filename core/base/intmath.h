/* SPDX-License-Identifier: MIT */
/* Integers that come from disk or from the kernel: checked, rounded, measured. */
#ifndef BM_BASE_INTMATH_H
#define BM_BASE_INTMATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True and *(OUT) = A op B where the result fits OUT's type; false else. */
#define bm_add_ok(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define bm_sub_ok(a, b, out) (!__builtin_sub_overflow((a), (b), (out)))
#define bm_mul_ok(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

/* Whether [OFFSET, OFFSET+LEN) lies within [0, SIZE). */
static inline bool bm_range_ok(uint64_t offset, uint64_t len, uint64_t size)
{
        return offset <= size && len <= size - offset;
}

static inline bool bm_is_pow2(uint64_t v)
{
        return v && !(v & (v - 1));
}

/* STEP is a power of two; the caller knows that V is far from the end. */
static inline uint64_t bm_round_up(uint64_t v, uint64_t step)
{
        return (v + step - 1) & ~(step - 1);
}
static inline uint64_t bm_round_down(uint64_t v, uint64_t step)
{
        return v & ~(step - 1);
}
/* The same for a V that nobody vouches for: false on overflow. */
static inline bool bm_round_up_ok(uint64_t v, uint64_t step, uint64_t *out)
{
        if (!bm_add_ok(v, step - 1, &v))
                return false;
        *out = bm_round_down(v, step);
        return true;
}

/* Pieces of STEP bytes (not 0) that V bytes take. */
static inline uint64_t bm_div_up(uint64_t v, uint64_t step)
{
        return v / step + (v % step != 0);
}

/* Of V > 0. */
static inline unsigned bm_log2_floor(uint64_t v)
{
        return 63 - (unsigned)__builtin_clzll(v);
}
/* Smallest n with 2^n >= V; 0 for V = 0. */
static inline unsigned bm_log2_ceil(uint64_t v)
{
        return v <= 1 ? 0 : bm_log2_floor(v - 1) + 1;
}

static inline uint64_t bm_min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}
static inline uint64_t bm_max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

#endif
