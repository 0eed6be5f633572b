/* SPDX-License-Identifier: MIT */
/* Special values and the rows of the manifest's tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/le.h"
#include "bucketmap.h"
#include "format.h"

static const uint8_t seal_bytes[] = {
        0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xee, 0xdd,
        0xcc, 0xbb, 0xaa, 0x99, 0x2c, 0x1a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t head_bytes[] = {
        0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x4d, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
        0x0f, 0x02, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t entry_bytes[] = {
        0x34, 0x12, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t drop_key[] = {
        0x4d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
};
static const uint8_t drop_value[] = {
        0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t chunk_key[] = {
        0x4d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x05, 0x04, 0x03, 0x02, 0x01, 0x00, 0x00, 0x00,
};
static const uint8_t segment_row[] = {
        0x2b, 0x1a, 0x00, 0x00, 0x01, 0x00, 0x02, 0x14, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55,
        0x44, 0x33, 0x22, 0x11, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x9c,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x2c, 0x01, 0x00, 0x00, 0xc8, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x28, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x04, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0xfb, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t map_row[] = {
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0xd2, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x88, 0x13, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x15, 0xcd, 0x85, 0x3d,
        0xfe, 0x9c, 0x97, 0x17, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t bucket_row[] = {
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* map id */
        0xe8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* value bytes */
        0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* maps */
        0x00, 0x02, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, /* applied */
        0x0f, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, /* bucket, blocks */
};
static const uint8_t block_row[] = {
        0x2b, 0x1a, 0x00, 0x00, 0x41, 0x00, 0x00, 0x00,
        0x00, 0x01, 0xe8, 0x03, 0x07, 0x01, 0xef, 0xbe,
};
static const uint8_t count_row[] = {
        0xd2, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f,
};

/* Rejects GOOD with each of the given bytes put in. */
#define FORGED(good, at_, byte, decode)                                                            \
        do {                                                                                       \
                uint8_t forged_[sizeof(good)];                                                     \
                                                                                                   \
                memcpy(forged_, good, sizeof(good));                                               \
                assert_int_not_equal(forged_[at_], byte);                                          \
                forged_[at_] = byte;                                                               \
                assert_int_equal(decode(forged_), BM_E_DAMAGED);                                   \
        } while (0)

static int decode_seal(const uint8_t *in)
{
        struct bm_seal s;

        return bm_seal_decode(&s, in, BM_SEAL_BYTES);
}

static void seal(void **state)
{
        const struct bm_seal s = {8, UINT64_C(0x99aabbccddeeff00), 0x1a2c};
        uint8_t out[BM_SEAL_BYTES];
        struct bm_seal back;

        memset(out, 0xee, sizeof(out));
        bm_seal_encode(&s, out);
        assert_memory_equal(out, seal_bytes, sizeof(out));
        assert_int_equal(bm_seal_decode(&back, out, sizeof(out)), 0);
        assert_true(back.next_number == 8 && back.next_salt == s.next_salt);
        assert_int_equal(back.next_file_id, 0x1a2c);

        assert_int_equal(bm_seal_decode(&back, out, sizeof(out) - 1), BM_E_DAMAGED);
        FORGED(seal_bytes, 7, 1, decode_seal);  /* segment number beyond a position */
        FORGED(seal_bytes, 19, 1, decode_seal); /* file id */
        FORGED(seal_bytes, 23, 1, decode_seal); /* not zero */
}

static int decode_head(const uint8_t *in)
{
        struct bm_head h;

        return bm_head_decode(&h, in, sizeof(head_bytes));
}

static void head(void **state)
{
        const struct bm_head h = {
                .size = UINT64_C(1) << 40,
                .data_id = 77,
                .allocated = 98304,
                .generation = 3,
                .chunk_log2 = BM_CHUNK_LOG2,
                .n_cuts = 2,
                .cuts = {{32, UINT64_MAX, 2}, {4, 9, 3}},
        };
        uint8_t out[BM_HEAD_BYTES_MAX];
        struct bm_head back;

        memset(out, 0xee, sizeof(out));
        assert_int_equal(bm_head_encode(&h, out), sizeof(head_bytes));
        assert_memory_equal(out, head_bytes, sizeof(head_bytes));
        assert_int_equal(bm_head_decode(&back, head_bytes, sizeof(head_bytes)), 0);
        assert_true(back.size == h.size && back.data_id == 77 && back.allocated == 98304);
        assert_true(back.generation == 3 && back.chunk_log2 == BM_CHUNK_LOG2 && back.n_cuts == 2);
        for (unsigned i = 0; i < 2; i++) {
                assert_true(back.cuts[i].from == h.cuts[i].from);
                assert_true(back.cuts[i].to == h.cuts[i].to);
                assert_int_equal(back.cuts[i].generation, h.cuts[i].generation);
        }

        FORGED(head_bytes, 5, 0x10, decode_head);  /* size 2^44 + */
        FORGED(head_bytes, 8, 0, decode_head);     /* data id 0 */
        FORGED(head_bytes, 23, 0x80, decode_head); /* allocated */
        FORGED(head_bytes, 28, 16, decode_head);   /* chunk size */
        FORGED(head_bytes, 30, 30, decode_head);   /* reach */
        FORGED(head_bytes, 31, 1, decode_head);    /* not zero */
        FORGED(head_bytes, 29, 1, decode_head);    /* fewer cuts than bytes */
        FORGED(head_bytes, 29, 3, decode_head);    /* more cuts than bytes */
        FORGED(head_bytes, 29, 255, decode_head);
        FORGED(head_bytes, 31, 1, decode_head); /* not zero */
        FORGED(head_bytes, 48, 4, decode_head); /* a cut above the generation */
        FORGED(head_bytes, 54, 1, decode_head); /* not zero */
        FORGED(head_bytes, 56, 9, decode_head); /* an empty cut */
}

static void head_lengths(void **state)
{
        struct bm_head h = {.data_id = 1, .chunk_log2 = BM_CHUNK_LOG2}, back;
        uint8_t out[BM_HEAD_BYTES_MAX];

        for (unsigned n = 0; n <= BM_CUTS_MAX; n++) {
                uint32_t len;

                h.n_cuts = (uint8_t)n;
                if (n)
                        h.cuts[n - 1] = (struct bm_cut){n, n + 1, 0};
                len = bm_head_encode(&h, out);
                assert_int_equal(len, BM_HEAD_FIXED + n * BM_CUT_SIZE);
                for (size_t cut = 0; cut <= sizeof(out); cut++) {
                        /* of its own, so that a step beyond it is seen */
                        bm_autofree uint8_t *copy = malloc(cut ? cut : 1);

                        assert_non_null(copy);
                        memcpy(copy, out, cut);
                        assert_int_equal(bm_head_decode(&back, copy, cut),
                                         cut == len ? 0 : BM_E_DAMAGED);
                }
        }
        h.generation = UINT32_MAX;
        assert_int_equal(bm_head_decode(&back, out, bm_head_encode(&h, out)), BM_E_DAMAGED);
        h.generation = UINT32_MAX - 1;
        h.size = BM_VALUE_MAX;
        assert_int_equal(bm_head_decode(&back, out, bm_head_encode(&h, out)), 0);
}

static int decode_entry(const uint8_t *in)
{
        struct bm_map_entry e;

        return bm_map_entry_decode(&e, in, BM_MAP_ENTRY_BYTES);
}

static void map_entry(void **state)
{
        struct bm_map_entry e = {.map_id = 0x1234, .buckets_log2 = 3}, back;
        uint8_t out[BM_MAP_ENTRY_BYTES];

        memset(out, 0xee, sizeof(out));
        bm_map_entry_encode(&e, out);
        assert_memory_equal(out, entry_bytes, sizeof(out));
        assert_int_equal(bm_map_entry_decode(&back, out, sizeof(out)), 0);
        assert_true(back.map_id == 0x1234 && back.buckets_log2 == 3);
        assert_int_equal(bm_map_entry_decode(&back, out, sizeof(out) - 1), BM_E_DAMAGED);
        FORGED(entry_bytes, 8, 17, decode_entry);
        FORGED(entry_bytes, 9, 1, decode_entry);
        for (unsigned id = 0; id <= BM_MAP_FIRST; id++) {
                bool good = id == BM_MAP_ROOT || id == BM_MAP_FIRST;

                e.map_id = id;
                bm_map_entry_encode(&e, out);
                assert_int_equal(decode_entry(out), good ? 0 : BM_E_DAMAGED);
        }
}

static int decode_drop_key(const uint8_t *in)
{
        struct bm_drop d;

        return bm_drop_decode(&d, in, BM_DROP_KEY, drop_value, BM_DROP_BYTES);
}

static int decode_drop_value(const uint8_t *in)
{
        struct bm_drop d;

        return bm_drop_decode(&d, drop_key, BM_DROP_KEY, in, BM_DROP_BYTES);
}

static void drop(void **state)
{
        const struct bm_drop d = {.data_id = 77, .from = 4, .to = 9, .generation = 3};
        uint8_t key[BM_DROP_KEY], value[BM_DROP_BYTES];
        struct bm_drop back;

        bm_drop_encode(&d, key, value);
        assert_memory_equal(key, drop_key, sizeof(key));
        assert_memory_equal(value, drop_value, sizeof(value));
        assert_int_equal(bm_drop_decode(&back, key, sizeof(key), value, sizeof(value)), 0);
        assert_true(back.data_id == 77 && back.from == 4 && back.to == 9 && back.generation == 3);
        assert_int_equal(bm_drop_decode(&back, key, sizeof(key) - 1, value, sizeof(value)),
                         BM_E_DAMAGED);
        assert_int_equal(bm_drop_decode(&back, key, sizeof(key), value, sizeof(value) - 1),
                         BM_E_DAMAGED);
        FORGED(drop_key, 0, 0, decode_drop_key);
        FORGED(drop_value, 0, 9, decode_drop_value);
}

static void key_of_a_chunk(void **state)
{
        uint8_t out[BM_CHUNK_KEY];

        bm_chunk_key(77, UINT64_C(0x0102030405), out);
        assert_memory_equal(out, chunk_key, sizeof(out));
}

/* Rows */

static int decode_segment_row(const uint8_t *in)
{
        struct bm_segment_row r;

        return bm_segment_row_decode(&r, in);
}

static void row_of_a_segment(void **state)
{
        const struct bm_segment_row r = {
                .file_id = 0x1a2b,
                .drive = 1,
                .kind = BM_SEGMENT_COLD,
                .size_log2 = 20,
                .state = 2,
                .number = 7,
                .salt = UINT64_C(0x1122334455667788),
                .used = 65536,
                .live_bytes = 40000,
                .kept_bytes = 128,
                .n_puts = 300,
                .n_live = 200,
                .lowest_version = bm_pos(5, 512),
                .kept_version = bm_pos(6, 1024),
                .base_time = -5,
        };
        uint8_t out[BM_SEGMENT_ROW];
        struct bm_segment_row back;

        memset(out, 0xee, sizeof(out));
        bm_segment_row_encode(&r, out);
        assert_memory_equal(out, segment_row, sizeof(out));
        assert_int_equal(bm_segment_row_decode(&back, segment_row), 0);
        memset(out, 0xee, sizeof(out));
        bm_segment_row_encode(&back, out);
        assert_memory_equal(out, segment_row, sizeof(out));
        assert_true(back.base_time == -5 && back.state == 2 && back.n_live == 200);

        FORGED(segment_row, 2, 0x20, decode_segment_row); /* file id */
        FORGED(segment_row, 5, 1, decode_segment_row);    /* drive */
        FORGED(segment_row, 6, 0, decode_segment_row);    /* kind */
        FORGED(segment_row, 6, BM_SEGMENT_INDEX, decode_segment_row);
        FORGED(segment_row, 7, 27, decode_segment_row);    /* size */
        FORGED(segment_row, 23, 1, decode_segment_row);    /* number */
        FORGED(segment_row, 34, 0x11, decode_segment_row); /* more used than there is */
        FORGED(segment_row, 39, 0x80, decode_segment_row);
}

static int decode_map_row(const uint8_t *in)
{
        struct bm_map_row r;

        return bm_map_row_decode(&r, in);
}

static void row_of_a_map(void **state)
{
        const struct bm_map_row r = {
                .map_id = 20,
                .parent_id = 2,
                .record_id = 1234,
                .n_keys = 10,
                .n_maps = 3,
                .value_bytes = 5000,
                .changed_ns = INT64_C(1700000000123456789),
                .buckets_log2 = 4,
        };
        uint8_t out[BM_MAP_ROW];
        struct bm_map_row back;

        memset(out, 0xee, sizeof(out));
        bm_map_row_encode(&r, out);
        assert_memory_equal(out, map_row, sizeof(out));
        assert_int_equal(bm_map_row_decode(&back, map_row), 0);
        memset(out, 0xee, sizeof(out));
        bm_map_row_encode(&back, out);
        assert_memory_equal(out, map_row, sizeof(out));
        FORGED(map_row, 0, 0, decode_map_row);
        FORGED(map_row, 56, 17, decode_map_row);
}

static int decode_bucket_row(const uint8_t *in)
{
        struct bm_bucket_row r;

        return bm_bucket_row_decode(&r, in);
}

static int decode_block_row(const uint8_t *in)
{
        struct bm_block_row r;

        return bm_block_row_decode(&r, in);
}

static int decode_count_row(const uint8_t *in)
{
        struct bm_count_row r;

        return bm_count_row_decode(&r, in);
}

static void small_rows(void **state)
{
        const struct bm_bucket_row bucket = {
                .map_id = 20,
                .value_bytes = 1000,
                .n_maps = 2,
                .applied = bm_pos(1, 512),
                .bucket = 15,
                .n_blocks = 9,
        };
        const struct bm_block_row block = {
                .file_id = 0x1a2b,
                .offset_units = 65,
                .lines = 256,
                .live = 1000,
                .depth = 7,
                .flags = BM_BLOCK_CHAINED,
                .check = 0xbeef,
        };
        const struct bm_count_row count = {.record_id = 1234, .count = BM_COUNT_MAX};
        struct bm_bucket_row bucket_back;
        struct bm_block_row block_back;
        struct bm_count_row count_back;
        uint8_t out[BM_BUCKET_ROW];

        bm_bucket_row_encode(&bucket, out);
        assert_memory_equal(out, bucket_row, sizeof(out));
        assert_int_equal(bm_bucket_row_decode(&bucket_back, out), 0);
        assert_true(bucket_back.map_id == 20 && bucket_back.bucket == 15);
        assert_int_equal(bucket_back.n_blocks, 9);
        FORGED(bucket_row, 0, 0, decode_bucket_row);
        FORGED(bucket_row, 34, 1, decode_bucket_row);

        bm_block_row_encode(&block, out);
        assert_memory_equal(out, block_row, sizeof(block_row));
        assert_int_equal(bm_block_row_decode(&block_back, out), 0);
        assert_true(block_back.file_id == 0x1a2b && block_back.offset_units == 65);
        assert_true(block_back.lines == 256 && block_back.live == 1000 && block_back.depth == 7);
        assert_true(block_back.flags == BM_BLOCK_CHAINED && block_back.check == 0xbeef);
        FORGED(block_row, 2, 0x20, decode_block_row); /* file id */
        FORGED(block_row, 9, 0, decode_block_row);    /* no lines */
        FORGED(block_row, 11, 5, decode_block_row);   /* more live than slots */
        FORGED(block_row, 12, 65, decode_block_row);  /* depth */
        FORGED(block_row, 13, 3, decode_block_row);   /* flags */

        bm_count_row_encode(&count, out);
        assert_memory_equal(out, count_row, sizeof(count_row));
        assert_int_equal(bm_count_row_decode(&count_back, out), 0);
        assert_true(count_back.record_id == 1234 && count_back.count == BM_COUNT_MAX);
        FORGED(count_row, 15, 0x40, decode_count_row);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(seal),
                cmocka_unit_test(head),
                cmocka_unit_test(head_lengths),
                cmocka_unit_test(map_entry),
                cmocka_unit_test(drop),
                cmocka_unit_test(key_of_a_chunk),
                cmocka_unit_test(row_of_a_segment),
                cmocka_unit_test(row_of_a_map),
                cmocka_unit_test(small_rows),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
