/* SPDX-License-Identifier: MIT */
/* The long numbers: varint.h has the one-byte case inline. */
#include "base/varint.h"

const uint8_t *bm_varint_get_long(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
        uint64_t value = 0;

        for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
                uint8_t byte = *p++;

                if (shift == 63 && byte > 1)
                        return NULL; /* beyond 64 bits */
                value |= (uint64_t)(byte & 0x7f) << shift;
                if (byte < 0x80) {
                        if (byte == 0 && shift > 0)
                                return NULL; /* a shorter encoding exists */
                        *v = value;
                        return p;
                }
        }
        return NULL;
}
