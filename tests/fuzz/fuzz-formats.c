/* SPDX-License-Identifier: MIT */
/*
 * Every decoder of what stands on disk. The first byte chooses, the second
 * says whether checksums are to be put right, so that what comes behind them
 * is reached. What can be decoded is encoded again and must mean the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "format.h"
#include "format_page.h"
#include "fuzz.h"
#include "test_record.h"

enum { ROOM = 4096 };

#define check(condition) ((condition) ? (void)0 : fail(#condition))

static void fail(const char *what)
{
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
}

static void superblock(uint8_t *in, bool right)
{
        struct bm_superblock a, b;
        uint8_t out[BM_SUPERBLOCK];
        if (right) {
                memcpy(in, BM_MAGIC_SUPERBLOCK, BM_PAGE_MAGIC);
                bm_page_seal(in, BM_SUPERBLOCK);
        }
        if (bm_superblock_decode(&a, in) != 0)
                return;
        bm_superblock_encode(&a, out);
        check(bm_superblock_decode(&b, out) == 0 && a.n_drives == b.n_drives &&
              a.max_search == b.max_search && a.max_search >= 4 && a.buckets_log2 <= 16);
}

static void header(uint8_t *in, bool right)
{
        struct bm_segment_header a, b;
        uint8_t out[BM_SEGMENT_HEADER];
        if (right) {
                memcpy(in, BM_MAGIC_SEGMENT, BM_PAGE_MAGIC);
                bm_page_seal(in, BM_SEGMENT_HEADER);
        }
        if (bm_segment_header_decode(&a, in) != 0)
                return;
        bm_segment_header_encode(&a, out);
        check(bm_segment_header_decode(&b, out) == 0 && a.number == b.number && a.salt == b.salt &&
              a.file_id == b.file_id && a.size_log2 <= BM_SEGMENT_LOG2_MAX);
}

static void manifest(uint8_t *in, bool right)
{
        struct bm_manifest a, b;
        uint8_t out[BM_MANIFEST_ROOT];
        if (right) {
                memcpy(in, BM_MAGIC_MANIFEST, BM_PAGE_MAGIC);
                bm_page_seal(in, BM_MANIFEST_ROOT);
        }
        if (bm_manifest_decode(&a, in) != 0)
                return;
        bm_manifest_encode(&a, out);
        check(bm_manifest_decode(&b, out) == 0 && a.generation == b.generation &&
              a.covered == b.covered && a.replay_from <= a.covered);
}

static void look_at(const struct bm_record *r, const uint8_t *in, size_t len)
{
        uint8_t any = 0;
        check(r->length >= BM_RECORD_FIXED && r->length <= len && r->length % BM_UNIT == 0);
        check(r->key >= in && r->key + r->key_len <= in + len);
        check(r->value >= in && r->value + r->value_len <= in + len);
        check(!r->meta_len || (r->meta >= in && r->meta + r->meta_len <= in + len));
        for (size_t i = 0; i < r->key_len; i++)
                any ^= r->key[i];
        for (size_t i = 0; i < r->meta_len; i++)
                any ^= r->meta[i];
        for (size_t i = 0; i < r->value_len; i++)
                any ^= r->value[i];
        __asm__ volatile("" : : "r"(any));
}

static void record(uint8_t *in, size_t len, bool right)
{
        struct bm_record r;
        uint32_t claimed = bm_record_length(in, len);
        check(claimed <= len);
        if (bm_record_parse(&r, in, len, 0) == 0)
                look_at(&r, in, len);
        if (right && claimed >= BM_RECORD_FIXED)
                test_record_seal(in, claimed, 7, BM_SEGMENT_HEADER);
        if (bm_record_decode(&r, in, len, 7, BM_SEGMENT_HEADER, 0) != 0)
                return;
        look_at(&r, in, len);
        uint32_t length = r.length;
        check(bm_record_measure(&r, 0) <= length);
}

static void values(const uint8_t *in, size_t len)
{
        struct bm_head head;
        struct bm_map_entry entry;
        struct bm_seal seal;
        struct bm_drop drop;
        uint64_t data_id, chunk;
        uint8_t out[BM_HEAD_BYTES_MAX];
        if (bm_head_decode(&head, in, len) == 0)
                check(head.n_cuts <= BM_CUTS_MAX && bm_head_encode(&head, out) <= len);
        if (bm_map_entry_decode(&entry, in, len) == 0)
                check(entry.buckets_log2 <= 16);
        (void)!bm_seal_decode(&seal, in, len);
        if (len >= BM_DROP_KEY &&
            bm_drop_decode(&drop, in, BM_DROP_KEY, in + BM_DROP_KEY, len - BM_DROP_KEY) == 0)
                check(drop.from < drop.to);
        (void)!bm_chunk_key_decode(in, len, &data_id, &chunk);
}

static void rows(const uint8_t *in)
{
        struct bm_segment_row segment;
        struct bm_map_row map;
        struct bm_bucket_row bucket;
        struct bm_block_row block;
        struct bm_count_row count;
        if (bm_segment_row_decode(&segment, in) == 0)
                check(segment.file_id <= BM_FILE_ID_MAX);
        if (bm_map_row_decode(&map, in) == 0)
                check(map.buckets_log2 <= 16);
        (void)!bm_bucket_row_decode(&bucket, in);
        if (bm_block_row_decode(&block, in) == 0)
                check(block.lines > 0);
        (void)!bm_count_row_decode(&count, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        /* malloc'd to the byte for those of a length of their own: the sanitizer sees the end */
        uint8_t page[ROOM] = {0};
        if (len < 2)
                return 0;
        const bool right = bytes[1] & 1;
        const size_t rest = len - 2;
        uint8_t *exact = malloc(rest + 1);
        if (!exact)
                return 0;
        memcpy(exact, bytes + 2, rest);
        memcpy(page, bytes + 2, rest < ROOM ? rest : ROOM);
        switch (bytes[0] % 6) {
        case 0:
                superblock(page, right);
                break;
        case 1:
                header(page, right);
                break;
        case 2:
                manifest(page, right);
                break;
        case 3:
                record(exact, rest, right);
                break;
        case 4:
                values(exact, rest);
                break;
        default:
                rows(page);
                break;
        }
        free(exact);
        return 0;
}
