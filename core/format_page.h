/* SPDX-License-Identifier: MIT */
/*
 * The pages that stand alone on disk (superblock, segment header, manifest
 * root) have one frame: an 8-byte magic first, a checksum of all before it
 * last, zeros where nothing is said. Internal to format_*.c.
 */
#ifndef BM_FORMAT_PAGE_H
#define BM_FORMAT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/le.h"
#include "bucketmap.h"
#include "format.h"
#include "hash.h"

enum { BM_PAGE_MAGIC = 8, BM_PAGE_CHECKSUM = 8 };

/* Not text in any encoding, and each differs from the others in many bits. */
#define BM_MAGIC_SUPERBLOCK "\211bmSUPER"
#define BM_MAGIC_SEGMENT    "\211bmSEGMT"
#define BM_MAGIC_MANIFEST   "\211bmMANIF"

static inline void bm_page_begin(uint8_t *out, size_t len, const char *magic)
{
        memset(out, 0, len);
        memcpy(out, magic, BM_PAGE_MAGIC);
}

static inline void bm_page_seal(uint8_t *out, size_t len)
{
        bm_store_le64(out + len - BM_PAGE_CHECKSUM, bm_checksum(out, len - BM_PAGE_CHECKSUM));
}

static inline bool bm_page_has_magic(const uint8_t *in, const char *magic)
{
        return memcmp(in, magic, BM_PAGE_MAGIC) == 0;
}

static inline bool bm_page_is_sound(const uint8_t *in, size_t len)
{
        return bm_load_le64(in + len - BM_PAGE_CHECKSUM) == bm_checksum(in, len - BM_PAGE_CHECKSUM);
}

static inline bool bm_all_zero(const uint8_t *in, size_t len)
{
        uint8_t any = 0;

        for (size_t i = 0; i < len; i++)
                any |= in[i];
        return any == 0;
}

/* Kind, size, drive and file id as segment headers and segment rows have them. */
static inline bool bm_segment_fields_ok(uint8_t kind, uint8_t size_log2, uint16_t drive,
                                        uint32_t file_id)
{
        if (drive >= BM_DRIVES_MAX || file_id > BM_FILE_ID_MAX)
                return false;
        if (kind == BM_SEGMENT_INDEX)
                return size_log2 == 0;
        return (kind == BM_SEGMENT_LOG || kind == BM_SEGMENT_COLD) &&
               size_log2 >= BM_SEGMENT_LOG2_MIN && size_log2 <= BM_SEGMENT_LOG2_MAX;
}

#endif
