/* SPDX-License-Identifier: MIT */
/* Little-endian loads and stores at any alignment: the only place where bytes are swapped. */
#ifndef BM_BASE_LE_H
#define BM_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t bm_load_le16(const void *p)
{
        uint16_t v;

        memcpy(&v, p, sizeof(v));
        return le16toh(v);
}
static inline uint32_t bm_load_le32(const void *p)
{
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return le32toh(v);
}
static inline uint64_t bm_load_le64(const void *p)
{
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return le64toh(v);
}

static inline void bm_store_le16(void *p, uint16_t v)
{
        v = htole16(v);
        memcpy(p, &v, sizeof(v));
}
static inline void bm_store_le32(void *p, uint32_t v)
{
        v = htole32(v);
        memcpy(p, &v, sizeof(v));
}
static inline void bm_store_le64(void *p, uint64_t v)
{
        v = htole64(v);
        memcpy(p, &v, sizeof(v));
}

#endif
