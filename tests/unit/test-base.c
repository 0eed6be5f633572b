/* SPDX-License-Identifier: MIT */
/* base/: the varint, integer and byte-order helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/intmath.h"
#include "base/le.h"
#include "base/varint.h"

static const struct {
        uint64_t value;
        unsigned len;
        uint8_t bytes[BM_VARINT_MAX];
} varints[] = {
        {0, 1, {0x00}},
        {1, 1, {0x01}},
        {127, 1, {0x7f}},
        {128, 2, {0x80, 0x01}},
        {300, 2, {0xac, 0x02}},
        {16383, 2, {0xff, 0x7f}},
        {16384, 3, {0x80, 0x80, 0x01}},
        {UINT32_MAX, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
        {(UINT64_C(1) << 63) - 1, 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
        {UINT64_C(1) << 63, 10, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}},
        {UINT64_MAX, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
};

static void varint_golden(void **state)
{
        for (size_t i = 0; i < bm_array_size(varints); i++) {
                uint8_t out[BM_VARINT_MAX];
                uint64_t v = ~varints[i].value;

                assert_int_equal(bm_varint_size(varints[i].value), varints[i].len);
                assert_ptr_equal(bm_varint_put(out, varints[i].value), out + varints[i].len);
                assert_memory_equal(out, varints[i].bytes, varints[i].len);
                assert_ptr_equal(bm_varint_get(out, out + varints[i].len, &v),
                                 out + varints[i].len);
                assert_true(v == varints[i].value);
        }
}

static void varint_sizes(void **state)
{
        for (unsigned bits = 0; bits < 64; bits++) {
                uint64_t v = UINT64_C(1) << bits;
                uint8_t out[BM_VARINT_MAX];

                assert_int_equal(bm_varint_put(out, v) - out, bm_varint_size(v));
                assert_int_equal(bm_varint_put(out, v - 1) - out, bm_varint_size(v - 1));
        }
}

static void varint_refuses_what_is_cut(void **state)
{
        for (size_t i = 0; i < bm_array_size(varints); i++)
                for (unsigned len = 0; len < varints[i].len; len++) {
                        uint64_t v;

                        assert_null(bm_varint_get(varints[i].bytes, varints[i].bytes + len, &v));
                }
}

static void varint_refuses_other_encodings(void **state)
{
        static const uint8_t zero_in_two[] = {0x80, 0x00};
        static const uint8_t one_in_three[] = {0x81, 0x80, 0x00};
        static const uint8_t bits_65[] = {0x80, 0x80, 0x80, 0x80, 0x80,
                                          0x80, 0x80, 0x80, 0x80, 0x02};
        static const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                         0x80, 0x80, 0x80, 0x81, 0x00};
        uint64_t v;

        assert_null(bm_varint_get(zero_in_two, zero_in_two + sizeof(zero_in_two), &v));
        assert_null(bm_varint_get(one_in_three, one_in_three + sizeof(one_in_three), &v));
        assert_null(bm_varint_get(bits_65, bits_65 + sizeof(bits_65), &v));
        assert_null(bm_varint_get(eleven, eleven + sizeof(eleven), &v));
}

static void zigzag(void **state)
{
        static const int64_t values[] = {0, -1, 1, -2, 2, INT64_MAX, INT64_MIN, -1234567890123};

        for (size_t i = 0; i < 5; i++)
                assert_true(bm_zigzag(values[i]) == i);
        assert_true(bm_zigzag(INT64_MIN) == UINT64_MAX);
        for (size_t i = 0; i < bm_array_size(values); i++)
                assert_true(bm_unzigzag(bm_zigzag(values[i])) == values[i]);
}

static void little_endian(void **state)
{
        static const uint8_t bytes[] = {0x00, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};
        uint8_t out[9] = {0};

        assert_int_equal(bm_load_le16(bytes + 1), 0x0708);
        assert_int_equal(bm_load_le32(bytes + 1), 0x05060708);
        assert_true(bm_load_le64(bytes + 1) == UINT64_C(0x0102030405060708));
        bm_store_le64(out + 1, UINT64_C(0x0102030405060708));
        assert_memory_equal(out, bytes, sizeof(out));
        bm_store_le32(out + 1, 0x0d0e0f10);
        bm_store_le16(out + 5, 0x1112);
        assert_memory_equal(out, "\x00\x10\x0f\x0e\x0d\x12\x11\x02\x01", sizeof(out));
}

static void checked_arithmetic(void **state)
{
        uint32_t small;
        uint64_t n;

        assert_true(bm_add_ok(UINT64_MAX - 1, 1, &n) && n == UINT64_MAX);
        assert_false(bm_add_ok(UINT64_MAX, 1, &n));
        assert_false(bm_add_ok(UINT64_C(1) << 32, 0, &small));
        assert_false(bm_mul_ok(UINT64_C(1) << 32, UINT64_C(1) << 32, &n));
        assert_true(bm_mul_ok(UINT64_C(1) << 32, UINT64_C(1) << 31, &n));
        assert_false(bm_sub_ok(UINT64_C(1), UINT64_C(2), &n));

        assert_true(bm_range_ok(0, 0, 0));
        assert_true(bm_range_ok(5, 5, 10));
        assert_false(bm_range_ok(5, 6, 10));
        assert_false(bm_range_ok(11, 0, 10));
        assert_false(bm_range_ok(2, UINT64_MAX, 10));

        assert_true(bm_round_up_ok(UINT64_MAX - 7, 8, &n) && n == UINT64_MAX - 7);
        assert_false(bm_round_up_ok(UINT64_MAX - 6, 8, &n));
}

static void rounding(void **state)
{
        assert_true(bm_round_up(0, 8) == 0 && bm_round_up(1, 8) == 8 && bm_round_up(8, 8) == 8);
        assert_true(bm_round_down(15, 8) == 8);
        assert_true(bm_div_up(0, 7) == 0 && bm_div_up(7, 7) == 1 && bm_div_up(8, 7) == 2);
        assert_true(bm_div_up(UINT64_MAX, 2) == UINT64_C(1) << 63);
        assert_true(bm_is_pow2(1) && bm_is_pow2(UINT64_C(1) << 63));
        assert_false(bm_is_pow2(0) || bm_is_pow2(12));
        assert_int_equal(bm_log2_floor(1), 0);
        assert_int_equal(bm_log2_floor(1023), 9);
        assert_int_equal(bm_log2_floor(UINT64_MAX), 63);
        assert_int_equal(bm_log2_ceil(0), 0);
        assert_int_equal(bm_log2_ceil(1), 0);
        assert_int_equal(bm_log2_ceil(1024), 10);
        assert_int_equal(bm_log2_ceil(1025), 11);
        assert_int_equal(bm_log2_ceil(UINT64_MAX), 64);
}

struct outer {
        int before;
        int member;
};

static int cleaned;
static void *note(void *p)
{
        cleaned += p != NULL;
        return NULL;
}
BM_DEFINE_CLEANUP(void *, note);

static void compiler_helpers(void **state)
{
        struct outer o;
        int x = 0;

        assert_ptr_equal(bm_container_of(&o.member, struct outer, member), &o);
        {
                bm_cleanup(note) void *kept = &x;
                bm_cleanup(note) void *stolen = &x;

                assert_ptr_equal(bm_steal(&stolen), &x);
                assert_null(stolen);
                assert_non_null(kept);
        }
        assert_int_equal(cleaned, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(varint_golden),
                cmocka_unit_test(varint_sizes),
                cmocka_unit_test(varint_refuses_what_is_cut),
                cmocka_unit_test(varint_refuses_other_encodings),
                cmocka_unit_test(zigzag),
                cmocka_unit_test(little_endian),
                cmocka_unit_test(checked_arithmetic),
                cmocka_unit_test(rounding),
                cmocka_unit_test(compiler_helpers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
