/* SPDX-License-Identifier: MIT */
/* Records: golden bytes, round trips, and everything that must be refused. */
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
#include "test_record.h"

#define SALT UINT64_C(0x1122334455667788)

enum { BASE = 1000000 };

/* FORMAT.md's worked example: PUT build42 -> hello, at offset 512. */
static const uint8_t put_bytes[] = {
        0x08, 0x39, 0xe2, 0x75, 0x04, 0x00, 0x00, 0x16, 0x07, 0x00, 0x02,
        0xac, 0x02, 0x01, 0x62, 0x75, 0x69, 0x6c, 0x64, 0x34, 0x32, 0x68,
        0x65, 0x6c, 0x6c, 0x6f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
/* MAP with every field, at offset 4096. */
static const uint8_t map_bytes[] = {
        0xda, 0xc3, 0xe4, 0x9f, 0x06, 0x00, 0x00, 0x4c, 0x03, 0x0f, 0x05, 0x02,
        0x03, 0x80, 0xa0, 0x80, 0xc0, 0x03, 0x09, 0xcf, 0x0f, 0x03, 0x01, 0x02,
        0x03, 0x64, 0x69, 0x72, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
/* SYNC at offset 520. */
static const uint8_t sync_bytes[] = {
        0xd2, 0x66, 0x63, 0xef, 0x03, 0x00, 0x00, 0xa6, 0x00, 0x02, 0x00, 0x00,
        0x00, 0x80, 0xc0, 0x80, 0xc0, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const struct bm_record put_record = {
        .type = BM_REC_PUT,
        .map_id = 2,
        .record_id = 300,
        .count = 1,
        .key = (const uint8_t *)"build42",
        .key_len = 7,
        .value = (const uint8_t *)"hello",
        .value_len = 5,
};
static const struct bm_record map_record = {
        .type = BM_REC_MAP,
        .flags = BM_RECF_META | BM_RECF_VERSION | BM_RECF_TIME | BM_RECF_DISC,
        .more = true,
        .map_id = 5,
        .record_id = 2,
        .count = 3,
        .version = UINT64_C(7) << BM_POS_OFFSET_BITS | 4096,
        .disc = 9,
        .time_ns = BASE - 1000,
        .meta = (const uint8_t *)"\1\2\3",
        .meta_len = 3,
        .key = (const uint8_t *)"dir",
        .key_len = 3,
        .value = (const uint8_t *)"\x10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0",
        .value_len = BM_MAP_ENTRY_BYTES,
};
static const struct bm_record sync_record = {
        .type = BM_REC_SYNC,
        .flags = BM_RECF_VERSION,
        .version = UINT64_C(3) << BM_POS_OFFSET_BITS | 8192,
};

static void assert_same(const struct bm_record *a, const struct bm_record *b)
{
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->flags, b->flags);
        assert_int_equal(a->more, b->more);
        assert_int_equal(a->disc, b->disc);
        assert_true(a->map_id == b->map_id && a->record_id == b->record_id);
        assert_true(a->count == b->count && a->version == b->version && a->links == b->links);
        assert_true(a->time_ns == b->time_ns);
        assert_int_equal(a->key_len, b->key_len);
        assert_int_equal(a->meta_len, b->meta_len);
        assert_int_equal(a->value_len, b->value_len);
        if (a->key_len)
                assert_memory_equal(a->key, b->key, a->key_len);
        if (a->meta_len)
                assert_memory_equal(a->meta, b->meta, a->meta_len);
        if (a->value_len)
                assert_memory_equal(a->value, b->value, a->value_len);
}

/* Encodes into exactly as much memory as was measured, so that the address sanitizer sees any
 * step beyond; the caller frees it. */
static uint8_t *encode(struct bm_record *r, int64_t base, uint64_t offset)
{
        uint32_t length = bm_record_measure(r, base);
        uint8_t *out;

        assert_int_not_equal(length, 0);
        assert_int_equal(length % BM_UNIT, 0);
        out = malloc(length);
        assert_non_null(out);
        memset(out, 0xee, length);
        bm_record_encode(r, base, out);
        bm_record_seal(out, r->checked, SALT, offset);
        return out;
}

static void check_golden(const struct bm_record *record, uint64_t offset, const uint8_t *bytes,
                         uint32_t length)
{
        struct bm_record r = *record, back;
        bm_autofree uint8_t *out = encode(&r, BASE, offset);

        assert_int_equal(r.length, length);
        assert_memory_equal(out, bytes, length);
        assert_int_equal(bm_record_length(bytes, length), length);
        assert_int_equal(bm_record_decode(&back, bytes, length, SALT, offset, BASE), 0);
        assert_int_equal(back.length, length);
        assert_same(&back, record);
}

static void golden(void **state)
{
        check_golden(&put_record, 512, put_bytes, sizeof(put_bytes));
        check_golden(&map_record, 4096, map_bytes, sizeof(map_bytes));
        check_golden(&sync_record, 520, sync_bytes, sizeof(sync_bytes));
}

static void plain_put_has_16_bytes_before_its_key(void **state)
{
        struct bm_record r = put_record, back;
        bm_autofree uint8_t *out = NULL;

        r.record_id = 1 << 27; /* four bytes, a store of some hundred million records */
        r.record_id -= 1;
        out = encode(&r, 0, 512);
        assert_int_equal(bm_record_parse(&back, out, r.length, 0), 0);
        assert_int_equal(back.key - out, 16);
}

static void check_flips(const uint8_t *bytes, uint32_t length, uint64_t offset)
{
        bm_autofree uint8_t *copy = malloc(length);
        struct bm_record r;

        assert_non_null(copy);
        for (uint32_t bit = 0; bit < length * 8; bit++) {
                memcpy(copy, bytes, length);
                copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(bm_record_decode(&r, copy, length, SALT, offset, BASE),
                                 BM_E_DAMAGED);
        }
}

static void each_flipped_bit_is_seen(void **state)
{
        check_flips(put_bytes, sizeof(put_bytes), 512);
        check_flips(map_bytes, sizeof(map_bytes), 4096);
        check_flips(sync_bytes, sizeof(sync_bytes), 520);
}

static void another_place_or_life_is_seen(void **state)
{
        struct bm_record r;

        assert_int_equal(bm_record_decode(&r, put_bytes, sizeof(put_bytes), SALT, 520, BASE),
                         BM_E_DAMAGED);
        assert_int_equal(bm_record_decode(&r, put_bytes, sizeof(put_bytes), SALT + 1, 512, BASE),
                         BM_E_DAMAGED);
}

static void what_is_cut_is_refused(void **state)
{
        for (size_t len = 0; len < sizeof(map_bytes); len++) {
                bm_autofree uint8_t *cut = malloc(len ? len : 1);
                struct bm_record r;

                assert_non_null(cut);
                memcpy(cut, map_bytes, len);
                assert_int_equal(bm_record_length(cut, len), 0);
                assert_int_equal(bm_record_parse(&r, cut, len, BASE), BM_E_DAMAGED);
                assert_int_equal(bm_record_decode(&r, cut, len, SALT, 4096, BASE), BM_E_DAMAGED);
        }
}

/* Lengths within the record that point behind its end, with no checksum to help. */
static void parse_stays_inside(void **state)
{
        unsigned seed = 20240611;

        for (int round = 0; round < 200000; round++) {
                bm_autofree uint8_t *bytes = malloc(sizeof(map_bytes));
                struct bm_record r;

                assert_non_null(bytes);
                memcpy(bytes, map_bytes, sizeof(map_bytes));
                for (int i = 0; i < 1 + round % 4; i++)
                        bytes[8 + (unsigned)rand_r(&seed) % (sizeof(map_bytes) - 8)] =
                                (uint8_t)rand_r(&seed);
                if (bm_record_parse(&r, bytes, sizeof(map_bytes), BASE) != 0)
                        continue;
                assert_true(r.key >= bytes && r.key + r.key_len == r.value);
                assert_true(r.value + r.value_len <= bytes + sizeof(map_bytes));
                if (r.meta_len)
                        assert_true(r.meta >= bytes && r.meta + r.meta_len <= r.key);
        }
}

static void garbage_is_parsed_safely(void **state)
{
        unsigned seed = 7;

        for (int round = 0; round < 200000; round++) {
                size_t len = 16 + (unsigned)rand_r(&seed) % 6 * 8;
                bm_autofree uint8_t *bytes = malloc(len);
                struct bm_record r;

                assert_non_null(bytes);
                for (size_t i = 0; i < len; i++)
                        bytes[i] = (uint8_t)rand_r(&seed);
                /* so that most get as far as the varints */
                bm_store_le32(bytes + 4, (uint32_t)len / 8 | (unsigned)rand_r(&seed) << 24);
                bytes[9] &= 15;
                if (bm_record_parse(&r, bytes, len, 0) == 0) {
                        /* one record has one encoding */
                        bm_autofree uint8_t *again = malloc(len);

                        assert_non_null(again);
                        assert_int_equal(bm_record_measure(&r, 0), len);
                        bm_record_encode(&r, 0, again);
                        assert_memory_equal(again + 4, bytes + 4, len - 4);
                }
        }
}

/* Changes one thing of a good record, checksum in order, and wants it refused. */
static void refused(const struct bm_record *record, size_t at, uint8_t byte)
{
        struct bm_record r = *record, back;
        bm_autofree uint8_t *out = encode(&r, BASE, 512);

        assert_int_not_equal(out[at], byte);
        out[at] = byte;
        bm_record_seal(out, r.checked, SALT, 512);
        assert_int_equal(bm_record_decode(&back, out, r.length, SALT, 512, BASE), BM_E_DAMAGED);
}

static void bad_fields_are_refused(void **state)
{
        refused(&put_record, 4, 3);    /* shorter than its parts */
        refused(&put_record, 4, 1);    /* shorter than any record */
        refused(&put_record, 4, 5);    /* longer than what is there */
        refused(&put_record, 7, 0x06); /* type 0 */
        refused(&put_record, 7, 0xe6); /* type 14 */
        refused(&put_record, 7, 0xf6); /* type 15 */
        refused(&put_record, 8, 0);    /* no key */
        refused(&put_record, 8, 13);   /* a key longer than what is there */
        refused(&put_record, 9, 128);  /* unknown flag */
        refused(&put_record, 9, 1);    /* a meta longer than what is there */
        refused(&put_record, 26, 1);   /* padding that is not zero */
        refused(&put_record, 31, 0x80);
        refused(&map_record, 7, 0x4d); /* padding more, value shorter than an entry */
        refused(&sync_record, 9, 0);   /* no version */
        refused(&sync_record, 8, 1);   /* a key */
}

static void shapes_of_types(void **state)
{
        static const struct {
                uint8_t type, key_len;
                uint32_t value_len;
                bool good;
        } cases[] = {
                {BM_REC_PUT, 255, 0, true},
                {BM_REC_PUT, 1, BM_VALUE_INLINE, true},
                {BM_REC_PUT, 1, BM_VALUE_INLINE + 1, false},
                {BM_REC_PUT, 0, 1, false},
                {BM_REC_DEL, 1, 0, true},
                {BM_REC_DEL, 1, 1, false},
                {BM_REC_DEL, 0, 0, false},
                {BM_REC_COUNT, 8, 0, true},
                {BM_REC_COUNT, 7, 0, false},
                {BM_REC_COUNT, 9, 0, false},
                {BM_REC_COUNT, 8, 1, false},
                {BM_REC_MAP, 1, BM_MAP_ENTRY_BYTES, true},
                {BM_REC_MAP, 1, BM_MAP_ENTRY_BYTES - 1, false},
                {BM_REC_MAP, 0, BM_MAP_ENTRY_BYTES, false},
                {BM_REC_HEAD, 1, BM_HEAD_FIXED, true},
                {BM_REC_HEAD, 1, BM_HEAD_BYTES_MAX, true},
                {BM_REC_HEAD, 1, BM_HEAD_FIXED - 1, false},
                {BM_REC_HEAD, 1, BM_HEAD_BYTES_MAX + 1, false},
                {BM_REC_CHUNK, BM_CHUNK_KEY, BM_CHUNK, true},
                {BM_REC_CHUNK, BM_CHUNK_KEY, BM_CHUNK + 1, false},
                {BM_REC_CHUNK, BM_CHUNK_KEY - 1, 1, false},
                {BM_REC_PATCH, BM_CHUNK_KEY, BM_PATCH, true},
                {BM_REC_PATCH, BM_CHUNK_KEY, 1, true},
                {BM_REC_PATCH, BM_CHUNK_KEY, 0, false},
                {BM_REC_PATCH, BM_CHUNK_KEY, BM_PATCH + 1, false},
                {BM_REC_PATCH, BM_CHUNK_KEY + 1, 1, false},
                {BM_REC_NAME, 255, 0, true},
                {BM_REC_NAME, 0, 0, false},
                {BM_REC_NAME, 1, 1, false},
                {BM_REC_SYNC, 0, 0, false}, /* has no version here */
                {BM_REC_SEAL, 0, BM_SEAL_BYTES, true},
                {BM_REC_SEAL, 0, BM_SEAL_BYTES + 1, false},
                {BM_REC_SEAL, 1, BM_SEAL_BYTES, false},
                {BM_REC_PAD, 0, 0, true},
                {BM_REC_PAD, 0, 200 << 10, true},
                {BM_REC_PAD, 1, 0, false},
        };
        uint8_t key[BM_KEY_MAX];

        memset(key, 'k', sizeof(key));
        for (size_t i = 0; i < bm_array_size(cases); i++) {
                struct bm_record r = {.type = cases[i].type,
                                      .map_id = cases[i].type == BM_REC_PATCH ? BM_MAP_PATCHES
                                                                              : BM_MAP_ROOT,
                                      .key = key,
                                      .key_len = cases[i].key_len,
                                      .value_len = cases[i].value_len};
                bm_autofree uint8_t *out = encode(&r, 0, 512);
                struct bm_record back;

                assert_int_equal(bm_record_decode(&back, out, r.length, SALT, 512, 0),
                                 cases[i].good ? 0 : BM_E_DAMAGED);
        }
}

/* The record says how many names it has where, and only where, it is kept by its id. */
static void links_stand_with_ids(void **state)
{
        static const struct {
                uint8_t type, flags;
                uint64_t map_id;
                uint32_t links;
                bool good;
        } cases[] = {
                {BM_REC_PUT, BM_RECF_LINKS, BM_MAP_INODES, 1, true},
                {BM_REC_HEAD, BM_RECF_LINKS, BM_MAP_INODES, BM_LINKS_MAX, true},
                {BM_REC_PUT, BM_RECF_LINKS, BM_MAP_INODES, 0, false},
                {BM_REC_PUT, 0, BM_MAP_INODES, 0, false},
                {BM_REC_HEAD, 0, BM_MAP_INODES, 0, false},
                {BM_REC_PUT, BM_RECF_LINKS, BM_MAP_ROOT, 1, false},
                {BM_REC_PUT, BM_RECF_LINKS, BM_MAP_ORPHANS, 1, false},
                {BM_REC_DEL, 0, BM_MAP_INODES, 0, true},
                {BM_REC_DEL, BM_RECF_LINKS, BM_MAP_INODES, 1, false},
                {BM_REC_COUNT, 0, BM_MAP_INODES, 0, true},
                {BM_REC_NAME, 0, BM_MAP_ROOT, 0, true},
                {BM_REC_NAME, BM_RECF_LINKS, BM_MAP_ROOT, 1, false},
                {BM_REC_NAME, 0, BM_MAP_FIRST, 0, true},
                {BM_REC_NAME, 0, BM_MAP_INODES, 0, false},
                {BM_REC_NAME, 0, BM_MAP_TOP, 0, false},
                {BM_REC_NAME, 0, BM_MAP_DROPS, 0, false},
                {BM_REC_PUT, 0, BM_MAP_PATCHES, 0, false},
                {BM_REC_COUNT, 0, BM_MAP_PATCHES, 0, false},
                {BM_REC_DEL, 0, BM_MAP_PATCHES, 0, true},
        };
        for (size_t i = 0; i < bm_array_size(cases); i++) {
                struct bm_record r = {.type = cases[i].type,
                                      .flags = cases[i].flags,
                                      .map_id = cases[i].map_id,
                                      .links = cases[i].links,
                                      .key = (const uint8_t *)"8 bytes.",
                                      .key_len = 8,
                                      .value_len =
                                              cases[i].type == BM_REC_HEAD ? BM_HEAD_FIXED : 0};
                bm_autofree uint8_t *out = encode(&r, 0, 512);
                struct bm_record back;

                assert_int_equal(bm_record_decode(&back, out, r.length, SALT, 512, 0),
                                 cases[i].good ? 0 : BM_E_DAMAGED);
                if (cases[i].good)
                        assert_int_equal(back.links, r.links);
        }
}

/* A record with a long value, and what it says to be the value's check. */
struct apart {
        struct bm_record record, back;
        uint8_t *out, *value, *check;
};

static void make_apart(struct apart *a, uint32_t value_len)
{
        static uint8_t value[BM_VALUE_INLINE];

        for (uint32_t i = 0; i < value_len; i++)
                value[i] = (uint8_t)(i * 7 + 1);
        a->record = map_record;
        a->record.type = BM_REC_PUT;
        a->record.value = value;
        a->record.value_len = value_len;
        a->out = encode(&a->record, BASE, 4096);
        a->value = a->out + a->record.checked;
        a->check = a->value - a->record.key_len - 4;
}

static int decode_apart(struct apart *a)
{
        return bm_record_decode(&a->back, a->out, a->record.length, SALT, 4096, BASE);
}

static int decode_head_apart(struct apart *a)
{
        return bm_record_decode_head(&a->back, a->out, a->record.length, SALT, 4096, BASE);
}

static void a_long_value_has_a_check_of_its_own(void **state)
{
        static const uint32_t lengths[] = {BM_VALUE_CHECK_MIN, BM_VALUE_CHECK_MIN + 1, 4096,
                                           BM_VALUE_INLINE};

        for (size_t i = 0; i < bm_array_size(lengths); i++) {
                struct apart a;

                make_apart(&a, lengths[i]);
                assert_true(a.record.flags & BM_RECF_VALUE_CHECK);
                assert_true(a.record.length - a.record.checked - lengths[i] < BM_UNIT);
                assert_int_equal(bm_load_le32(a.check), bm_checksum_seeded(a.value, lengths[i], 0));
                assert_int_equal(decode_apart(&a), 0);
                assert_same(&a.back, &a.record);
                assert_true(bm_record_value_verified(&a.back));
                assert_int_equal(decode_head_apart(&a), 0);
                assert_same(&a.back, &a.record);
                free(a.out);
        }
}

/* Up to the value each bit is the record's check's; from there on each is the value's, which is
 * all that is not found out by who does not want it. */
static void each_check_covers_its_part(void **state)
{
        struct apart a;

        make_apart(&a, BM_VALUE_CHECK_MIN + 3); /* with padding */
        assert_true(a.value + a.record.value_len < a.out + a.record.length);
        for (uint32_t i = 0; i < a.record.length * 8; i++) {
                const bool in_value = i / 8 >= a.record.checked;

                a.out[i / 8] ^= (uint8_t)(1 << i % 8);
                assert_int_equal(decode_apart(&a), BM_E_DAMAGED);
                assert_int_equal(decode_head_apart(&a), in_value ? 0 : BM_E_DAMAGED);
                if (in_value)
                        assert_false(bm_record_value_verified(&a.back));
                a.out[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        assert_int_equal(decode_apart(&a), 0);
        free(a.out);
}

/* Of two records that differ in the value alone neither takes the other's. */
static void a_value_belongs_to_its_record(void **state)
{
        struct apart a, b;

        make_apart(&a, 4096);
        make_apart(&b, 4096);
        b.out[b.record.checked] ^= 1;
        test_record_seal(b.out, b.record.length, SALT, 4096);
        assert_int_equal(decode_apart(&b), 0);
        memcpy(a.value, b.value, 4096);
        assert_int_equal(decode_apart(&a), BM_E_DAMAGED);
        free(a.out);
        free(b.out);
}

static void a_check_stands_where_it_must(void **state)
{
        struct apart a;

        make_apart(&a, BM_VALUE_CHECK_MIN);
        a.out[9] &= (uint8_t)~BM_RECF_VALUE_CHECK; /* its four bytes would be the key's */
        test_record_seal(a.out, a.record.length, SALT, 4096);
        assert_int_equal(decode_apart(&a), BM_E_DAMAGED);
        free(a.out);

        make_apart(&a, BM_VALUE_CHECK_MIN - 1);
        assert_false(a.record.flags & BM_RECF_VALUE_CHECK);
        assert_int_equal(a.record.checked, a.record.length);
        assert_int_equal(decode_head_apart(&a), 0);
        a.out[a.record.length - 9] ^= 1; /* its value is the record's check's */
        assert_int_equal(decode_head_apart(&a), BM_E_DAMAGED);
        a.out[9] |= BM_RECF_VALUE_CHECK;
        test_record_seal(a.out, a.record.length, SALT, 4096);
        assert_int_equal(decode_apart(&a), BM_E_DAMAGED);
        free(a.out);
}

static void limits(void **state)
{
        static uint8_t meta[BM_META_MAX + 1];
        struct bm_record r = put_record, back;
        uint8_t *out;

        r.flags = BM_RECF_KNOWN & ~BM_RECF_LINKS;
        r.map_id = r.record_id = r.version = UINT64_MAX;
        r.count = BM_COUNT_MAX;
        r.disc = 255;
        r.meta = meta;
        r.meta_len = BM_META_MAX;
        for (int i = 0; i < 4; i++) {
                /* the difference wraps both ways */
                int64_t base = i & 1 ? INT64_MIN : INT64_MAX;

                r.time_ns = i & 2 ? INT64_MIN : INT64_MAX;
                out = encode(&r, base, 512);
                assert_int_equal(bm_record_decode(&back, out, r.length, SALT, 512, base), 0);
                assert_same(&back, &r);
                free(out);
        }

        r.count = BM_COUNT_MAX + 1;
        out = encode(&r, 0, 512);
        assert_int_equal(bm_record_decode(&back, out, r.length, SALT, 512, 0), BM_E_DAMAGED);
        free(out);

        r.count = 1;
        r.meta_len = BM_META_MAX + 1;
        out = encode(&r, 0, 512);
        assert_int_equal(bm_record_decode(&back, out, r.length, SALT, 512, 0), BM_E_DAMAGED);
        free(out);
}

static void too_long_is_not_measured(void **state)
{
        struct bm_record r = {.type = BM_REC_PAD};

        r.value_len = BM_RECORD_LENGTH_MAX - BM_RECORD_FIXED - 3 -
                      4; /* three varints, the value's check */
        assert_int_equal(bm_record_measure(&r, 0), BM_RECORD_LENGTH_MAX);
        r.value_len++;
        assert_int_equal(bm_record_measure(&r, 0), 0);
        r.value_len = UINT32_MAX;
        assert_int_equal(bm_record_measure(&r, 0), 0);
        assert_int_equal(r.length, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(golden),
                cmocka_unit_test(plain_put_has_16_bytes_before_its_key),
                cmocka_unit_test(each_flipped_bit_is_seen),
                cmocka_unit_test(another_place_or_life_is_seen),
                cmocka_unit_test(what_is_cut_is_refused),
                cmocka_unit_test(parse_stays_inside),
                cmocka_unit_test(garbage_is_parsed_safely),
                cmocka_unit_test(bad_fields_are_refused),
                cmocka_unit_test(shapes_of_types),
                cmocka_unit_test(links_stand_with_ids),
                cmocka_unit_test(a_long_value_has_a_check_of_its_own),
                cmocka_unit_test(each_check_covers_its_part),
                cmocka_unit_test(a_value_belongs_to_its_record),
                cmocka_unit_test(a_check_stands_where_it_must),
                cmocka_unit_test(limits),
                cmocka_unit_test(too_long_is_not_measured),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
