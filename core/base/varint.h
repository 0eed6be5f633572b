/* SPDX-License-Identifier: MIT */
/*
 * Unsigned LEB128: seven bits a byte, the low ones first, bit 7 says that more
 * follow. One number has one encoding: a longer one than needed is refused, so
 * that what was decoded encodes to the same bytes.
 */
#ifndef BM_BASE_VARINT_H
#define BM_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

enum { BM_VARINT_MAX = 10 }; /* bytes that a u64 can take */

/* Bytes that V takes: 1 to BM_VARINT_MAX. */
static inline unsigned bm_varint_size(uint64_t v)
{
        unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);

        return (bits + 6) / 7;
}

/* Writes V at P, which has room for it; returns where it ends. */
static inline uint8_t *bm_varint_put(uint8_t *p, uint64_t v)
{
        while (v >= 0x80) {
                *p++ = (uint8_t)(v | 0x80);
                v >>= 7;
        }
        *p++ = (uint8_t)v;
        return p;
}

const uint8_t *bm_varint_get_long(const uint8_t *p, const uint8_t *end, uint64_t *v);

/*
 * Reads from P what lies before END; returns where the number ends, or NULL
 * if it does not end in time, does not fit 64 bits or is longer than needed.
 */
static inline const uint8_t *bm_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
        if (bm_likely(p < end && *p < 0x80)) {
                *v = *p;
                return p + 1;
        }
        return bm_varint_get_long(p, end, v);
}

/* Signed numbers: 0, -1, 1, -2, 2 ... become 0, 1, 2, 3, 4 ... */
static inline uint64_t bm_zigzag(int64_t v)
{
        return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}
static inline int64_t bm_unzigzag(uint64_t v)
{
        return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

#endif
