/* SPDX-License-Identifier: MIT */
/* The pages that stand alone: superblock, segment header, manifest root. Golden bytes,
 * every flipped bit, every field outside its range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/le.h"
#include "bucketmap.h"
#include "format.h"
#include "hash.h"

/* A page as FORMAT.md has it: what stands at its start and, for the
 * superblock, at 272; the checksum; zeros between. */
static const uint8_t superblock_start[] = {
        0x89, 0x62, 0x6d, 0x53, 0x55, 0x50, 0x45, 0x52, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
        0x02, 0x00, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab,
        0xac, 0xad, 0xae, 0xaf, 0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9,
        0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x03, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x01, 0x01, 0x03, 0x1a, 0x04, 0x00, 0x20, 0x00,
};
static const uint8_t superblock_created[] = {
        0x15, 0xcd, 0x85, 0x3d, 0xfe, 0x9c, 0x97, 0x17,
};
static const uint8_t superblock_checksum[] = {
        0x5f, 0xa3, 0x54, 0x0c, 0x32, 0xc6, 0x0a, 0x11,
};
static const uint8_t segment_start[] = {
        0x89, 0x62, 0x6d, 0x53, 0x45, 0x47, 0x4d, 0x54, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6,
        0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x01, 0x14, 0x01, 0x00, 0x2b, 0x1a,
        0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00, 0x10, 0x00, 0x30,
        0x00, 0x00, 0x00, 0x00, 0x15, 0xcd, 0x85, 0x3d, 0xfe, 0x9c, 0x97, 0x17,
};
static const uint8_t segment_checksum[] = {
        0x23, 0xc8, 0xc5, 0xbd, 0x88, 0xdb, 0xfa, 0x1e,
};
static const uint8_t manifest_start[] = {
        0x89, 0x62, 0x6d, 0x4d, 0x41, 0x4e, 0x49, 0x46, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6,
        0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x38, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x38,
        0x00, 0x00, 0x00, 0x00, 0xd2, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x11, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x65, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x12, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x66, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x13, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x67, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x14,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x68, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55,
        0x55, 0xe8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0xfa, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t manifest_checksum[] = {
        0x75, 0xea, 0xf8, 0x72, 0x7a, 0xa4, 0xf1, 0xf4,
};

static void store_uuids(uint8_t store[BM_UUID], uint8_t drive[BM_UUID])
{
        for (unsigned i = 0; i < BM_UUID; i++) {
                store[i] = (uint8_t)(0xa0 + i);
                if (drive)
                        drive[i] = (uint8_t)(0xb0 + i);
        }
}

static void assert_zero(const uint8_t *p, size_t len)
{
        for (size_t i = 0; i < len; i++)
                assert_int_equal(p[i], 0);
}

/* Puts VALUE (WIDTH bytes) at AT of a good page and the checksum in order. */
static void forge(uint8_t *page, size_t len, size_t at, unsigned width, uint64_t value)
{
        for (unsigned i = 0; i < width; i++)
                page[at + i] = (uint8_t)(value >> 8 * i);
        bm_store_le64(page + len - 8, bm_checksum(page, len - 8));
}

struct forged {
        size_t at;
        unsigned width;
        uint64_t value;
        int result;
};

/* Superblock */

static struct bm_superblock a_superblock(void)
{
        struct bm_superblock sb = {
                .major = 1,
                .drive_number = 1,
                .n_drives = 2,
                .incompat = BM_INCOMPAT_ALL,
                .ro_compat = 0x0102,
                .compat = 0x0304,
                .hash_algorithm = BM_HASH_XXH3_64_SECRET,
                .checksum_algorithm = BM_CHECKSUM_XXH3,
                .unit_log2 = BM_UNIT_LOG2,
                .segment_log2_max = 26,
                .buckets_log2 = 4,
                .max_search = 32,
                .created_ns = INT64_C(1700000000123456789),
        };

        store_uuids(sb.store_uuid, sb.drive_uuid);
        for (unsigned i = 0; i < BM_HASH_SECRET; i++)
                sb.hash_secret[i] = (uint8_t)(i * 31 + 5);
        return sb;
}

static void superblock_golden(void **state)
{
        const struct bm_superblock sb = a_superblock();
        uint8_t page[BM_SUPERBLOCK];
        struct bm_superblock back;

        memset(page, 0xee, sizeof(page));
        bm_superblock_encode(&sb, page);
        assert_memory_equal(page, superblock_start, sizeof(superblock_start));
        assert_memory_equal(page + 80, sb.hash_secret, BM_HASH_SECRET);
        assert_memory_equal(page + 272, superblock_created, 8);
        assert_zero(page + 280, 4088 - 280);
        assert_memory_equal(page + 4088, superblock_checksum, 8);

        memset(&back, 0, sizeof(back));
        assert_int_equal(bm_superblock_decode(&back, page), 0);
        bm_superblock_encode(&back, page);
        assert_memory_equal(page, superblock_start, sizeof(superblock_start));
        assert_memory_equal(page + 4088, superblock_checksum, 8);
        assert_true(back.created_ns == sb.created_ns);
}

static void superblock_flips(void **state)
{
        const struct bm_superblock sb = a_superblock();
        uint8_t page[BM_SUPERBLOCK];
        struct bm_superblock back;

        bm_superblock_encode(&sb, page);
        for (unsigned at = 0; at < BM_SUPERBLOCK; at++) {
                page[at] ^= (uint8_t)(1 << at % 8);
                assert_int_equal(bm_superblock_decode(&back, page),
                                 at < 8 ? BM_E_NOT_A_STORE : BM_E_DAMAGED);
                page[at] ^= (uint8_t)(1 << at % 8);
        }
        assert_int_equal(bm_superblock_decode(&back, page), 0);
        memset(page, 0, sizeof(page));
        assert_int_equal(bm_superblock_decode(&back, page), BM_E_NOT_A_STORE);
}

static void superblock_fields(void **state)
{
        static const struct forged cases[] = {
                {8, 2, 2, BM_E_NEWER_FORMAT}, /* major */
                {8, 2, 0, BM_E_DAMAGED},
                {10, 2, 7, 0},            /* a newer minor can be read */
                {12, 2, 2, BM_E_DAMAGED}, /* drive number of two drives */
                {12, 2, 0, 0},
                {14, 2, 0, BM_E_DAMAGED}, /* drives */
                {14, 2, 64, 0},
                {14, 2, 65, BM_E_DAMAGED},
                {48, 8, 0, BM_E_OLDER_FORMAT}, /* incompat */
                {48, 8, BM_INCOMPAT_PATCHES, BM_E_OLDER_FORMAT},
                {48, 8, 4, BM_E_NEWER_FORMAT},
                {48, 8, UINT64_C(1) << 63, BM_E_NEWER_FORMAT},
                {56, 8, UINT64_MAX, 0}, /* ro_compat: the caller's to judge */
                {64, 8, UINT64_MAX, 0},
                {72, 1, 2, BM_E_NEWER_FORMAT}, /* hash algorithm */
                {72, 1, 0, BM_E_DAMAGED},
                {73, 1, 2, BM_E_NEWER_FORMAT}, /* checksum algorithm */
                {73, 1, 0, BM_E_DAMAGED},
                {74, 1, 4, BM_E_DAMAGED},  /* unit */
                {75, 1, 17, BM_E_DAMAGED}, /* segment size */
                {75, 1, 27, BM_E_DAMAGED},
                {76, 1, 16, 0}, /* buckets */
                {76, 1, 17, BM_E_DAMAGED},
                {78, 2, 0, BM_E_DAMAGED}, /* max_search */
                {78, 2, 4, 0},
                {78, 2, 6, BM_E_DAMAGED},
                {78, 2, 1024, 0},
                {78, 2, 1028, BM_E_DAMAGED},
        };
        const struct bm_superblock sb = a_superblock();

        for (size_t i = 0; i < bm_array_size(cases); i++) {
                uint8_t page[BM_SUPERBLOCK];
                struct bm_superblock back;

                bm_superblock_encode(&sb, page);
                forge(page, sizeof(page), cases[i].at, cases[i].width, cases[i].value);
                assert_int_equal(bm_superblock_decode(&back, page), cases[i].result);
        }
}

/* Segment header */

static struct bm_segment_header a_header(void)
{
        struct bm_segment_header h = {
                .kind = BM_SEGMENT_LOG,
                .size_log2 = 20,
                .drive = 1,
                .file_id = 0x1a2b,
                .number = 7,
                .epoch = 3,
                .salt = UINT64_C(0x1122334455667788),
                .durable = bm_pos(6, 4096),
                .base_time = INT64_C(1700000000123456789),
        };

        store_uuids(h.store_uuid, NULL);
        return h;
}

static void segment_golden(void **state)
{
        const struct bm_segment_header h = a_header();
        uint8_t page[BM_SEGMENT_HEADER];
        struct bm_segment_header back;

        memset(page, 0xee, sizeof(page));
        bm_segment_header_encode(&h, page);
        assert_memory_equal(page, segment_start, sizeof(segment_start));
        assert_zero(page + 72, 504 - 72);
        assert_memory_equal(page + 504, segment_checksum, 8);

        assert_int_equal(bm_segment_header_decode(&back, page), 0);
        assert_memory_equal(back.store_uuid, h.store_uuid, BM_UUID);
        assert_true(back.kind == h.kind && back.size_log2 == h.size_log2);
        assert_true(back.drive == h.drive && back.file_id == h.file_id);
        assert_true(back.number == h.number && back.epoch == h.epoch && back.salt == h.salt);
        assert_true(back.durable == h.durable && back.base_time == h.base_time);
}

static void segment_flips(void **state)
{
        const struct bm_segment_header h = a_header();
        uint8_t page[BM_SEGMENT_HEADER];
        struct bm_segment_header back;

        bm_segment_header_encode(&h, page);
        for (unsigned bit = 0; bit < BM_SEGMENT_HEADER * 8; bit++) {
                page[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(bm_segment_header_decode(&back, page), BM_E_DAMAGED);
                page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        memset(page, 0, sizeof(page));
        assert_int_equal(bm_segment_header_decode(&back, page), BM_E_NOT_FOUND);
}

static void segment_fields(void **state)
{
        static const struct forged cases[] = {
                {24, 1, 0, BM_E_DAMAGED}, /* kind */
                {24, 1, BM_SEGMENT_COLD, 0},
                {24, 1, BM_SEGMENT_INDEX, BM_E_DAMAGED}, /* has no size */
                {24, 2, BM_SEGMENT_INDEX, 0},
                {24, 1, 4, BM_E_DAMAGED},
                {25, 1, 17, BM_E_DAMAGED}, /* size */
                {25, 1, 18, 0},
                {25, 1, 26, 0},
                {25, 1, 27, BM_E_DAMAGED},
                {26, 2, 63, 0}, /* drive */
                {26, 2, 64, BM_E_DAMAGED},
                {28, 4, (1 << 21) - 1, 0}, /* file id */
                {28, 4, 1 << 21, BM_E_DAMAGED},
                {32, 8, (UINT64_C(1) << 37) - 1, 0}, /* number */
                {32, 8, UINT64_C(1) << 37, BM_E_DAMAGED},
        };
        const struct bm_segment_header h = a_header();

        for (size_t i = 0; i < bm_array_size(cases); i++) {
                uint8_t page[BM_SEGMENT_HEADER];
                struct bm_segment_header back;

                bm_segment_header_encode(&h, page);
                forge(page, sizeof(page), cases[i].at, cases[i].width, cases[i].value);
                assert_int_equal(bm_segment_header_decode(&back, page), cases[i].result);
        }
}

/* Manifest root */

static struct bm_manifest a_manifest(void)
{
        struct bm_manifest m = {
                .generation = 9,
                .epoch = 3,
                .clean = true,
                .replay_from = bm_pos(7, 8192),
                .covered = bm_pos(7, 8192),
                .next_record = 1234,
                .next_map = 17,
                .next_data = 5,
                .next_segment = 8,
                .keys = 1000,
                .maps = 2,
                .value_bytes = 64000,
        };

        store_uuids(m.store_uuid, NULL);
        for (unsigned i = 0; i < BM_TABLES; i++)
                m.tables[i] = (struct bm_extent){
                        .file_id = 0x10 + i,
                        .offset = 4096 * i,
                        .length = 100 + i,
                        .checksum = UINT64_C(0x1111111111111111) * (i + 1),
                };
        return m;
}

static void manifest_golden(void **state)
{
        const struct bm_manifest m = a_manifest();
        uint8_t page[BM_MANIFEST_ROOT];
        struct bm_manifest back;

        memset(page, 0xee, sizeof(page));
        bm_manifest_encode(&m, page);
        assert_memory_equal(page, manifest_start, sizeof(manifest_start));
        assert_zero(page + 280, 4088 - 280);
        assert_memory_equal(page + 4088, manifest_checksum, 8);

        assert_int_equal(bm_manifest_decode(&back, page), 0);
        assert_true(back.clean);
        memset(page, 0, sizeof(page));
        bm_manifest_encode(&back, page);
        assert_memory_equal(page, manifest_start, sizeof(manifest_start));

        back.clean = false;
        bm_manifest_encode(&back, page);
        assert_int_equal(bm_manifest_decode(&back, page), 0);
        assert_false(back.clean);
}

static void manifest_flips(void **state)
{
        const struct bm_manifest m = a_manifest();
        uint8_t page[BM_MANIFEST_ROOT];
        struct bm_manifest back;

        bm_manifest_encode(&m, page);
        for (unsigned at = 0; at < BM_MANIFEST_ROOT; at++) {
                page[at] ^= (uint8_t)(1 << at % 8);
                assert_int_equal(bm_manifest_decode(&back, page), BM_E_DAMAGED);
                page[at] ^= (uint8_t)(1 << at % 8);
        }
        memset(page, 0, sizeof(page));
        assert_int_equal(bm_manifest_decode(&back, page), BM_E_NOT_FOUND);
}

static void manifest_fields(void **state)
{
        static const struct forged cases[] = {
                {40, 8, 3, BM_E_DAMAGED}, /* flags */
                {40, 8, 0, 0},
                {48, 8, UINT64_C(7) << 27, BM_E_DAMAGED}, /* clean, but something to replay */
                {48, 8, UINT64_C(8) << 27, BM_E_DAMAGED}, /* replay from behind what is covered */
                {64, 8, 1, BM_E_DAMAGED},                 /* next record: 1 is the root's */
                {72, 8, 15, BM_E_DAMAGED},                /* next map */
                {80, 8, 0, BM_E_DAMAGED},                 /* next data id */
                {88, 8, UINT64_C(1) << 37, BM_E_DAMAGED}, /* next segment number */
                {96, 4, 1 << 21, BM_E_DAMAGED},           /* a table's file id */
                {96 + 4 * 32, 4, 1 << 21, BM_E_DAMAGED},
                {104, 8, UINT64_MAX - 50, BM_E_DAMAGED}, /* offset + length wraps */
                {112, 8, UINT64_MAX, BM_E_DAMAGED},
        };
        const struct bm_manifest m = a_manifest();

        for (size_t i = 0; i < bm_array_size(cases); i++) {
                uint8_t page[BM_MANIFEST_ROOT];
                struct bm_manifest back;

                bm_manifest_encode(&m, page);
                forge(page, sizeof(page), cases[i].at, cases[i].width, cases[i].value);
                assert_int_equal(bm_manifest_decode(&back, page), cases[i].result);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(superblock_golden), cmocka_unit_test(superblock_flips),
                cmocka_unit_test(superblock_fields), cmocka_unit_test(segment_golden),
                cmocka_unit_test(segment_flips),     cmocka_unit_test(segment_fields),
                cmocka_unit_test(manifest_golden),   cmocka_unit_test(manifest_flips),
                cmocka_unit_test(manifest_fields),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
