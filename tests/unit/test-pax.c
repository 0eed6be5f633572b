/* SPDX-License-Identifier: MIT */
/* Records of pax headers, of which others wrote the bytes, and the names of attributes in them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pax.h"

/* The result of the last record of BODY, in memory that ends where it does. */
static int read_all(const char *body, size_t len, size_t *n)
{
        char *copy = malloc(len ? len : 1);
        struct pax_record record;
        size_t offset = 0;
        int result;

        assert_non_null(copy);
        memcpy(copy, body, len);
        *n = 0;
        while ((result = pax_next(copy, len, &offset, &record)) == 0) {
                assert_true(record.key + record.key_len < record.value);
                assert_true(record.value + record.value_len < copy + len);
                (*n)++;
        }
        free(copy);
        return result;
}

static void records(void **state)
{
        char body[] = "9 k=v\n=a\n5 b=\n4 =\n";
        struct pax_record record;
        size_t offset = 0;

        assert_int_equal(pax_next(body, strlen(body), &offset, &record), 0);
        assert_int_equal(record.key_len, 1);
        assert_int_equal(record.value_len, 4);
        assert_memory_equal(record.value, "v\n=a", 4);
        assert_int_equal(pax_next(body, strlen(body), &offset, &record), 0);
        assert_memory_equal(record.key, "b", 1);
        assert_int_equal(record.value_len, 0);
        assert_int_equal(pax_next(body, strlen(body), &offset, &record), 0);
        assert_int_equal(record.key_len, 0);
        assert_int_equal(pax_next(body, strlen(body), &offset, &record), 1);
}

static void damaged_records(void **state)
{
        static const char *const bad[] = {
                " k=v\n",
                "6",
                "6 ",
                "0 k=v\n",
                "1 k=v\n",
                "2 \n",
                "7 k=v\n",
                "5 k=v",
                "6 k=vv",
                "6 kkv\n",
                "-6 k=v\n",
                "x",
                "99999999999999999999999999999999999999 k=v\n",
                "18446744073709551622 k=v\n",
        };
        size_t n;

        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                assert_int_equal(read_all(bad[i], strlen(bad[i]), &n), -EIO);
                assert_int_equal(n, 0);
        }
        assert_int_equal(read_all("6 k=v\n6 k=v\n6 k", 15, &n), -EIO);
        assert_int_equal(n, 2);
}

static void sizes(void **state)
{
        char block[PAX_BLOCK] = {0};
        uint64_t size;

        memcpy(block + 124, "00000001750", 11);
        block[156] = 'x';
        assert_int_equal(pax_type(block), 'x');
        assert_int_equal(pax_size(block, &size), 0);
        assert_int_equal(size, 1000);
        memcpy(block + 124, "777777777777", 12);
        assert_int_equal(pax_size(block, &size), 0);
        assert_true(size == (UINT64_C(1) << 36) - 1);
        memcpy(block + 124, "     1750 \0\0", 12);
        assert_int_equal(pax_size(block, &size), 0);
        assert_int_equal(size, 1000);
        memcpy(block + 124, "\x80\0\0\0\0\0\0\0\0\1\2\3", 12);
        assert_int_equal(pax_size(block, &size), 0);
        assert_int_equal(size, 0x10203);
        memcpy(block + 124, "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12);
        assert_int_equal(pax_size(block, &size), 0);
        assert_true(size == UINT64_MAX);
        memcpy(block + 124, "\x80\0\0\1\0\0\0\0\0\0\0\0", 12);
        assert_int_equal(pax_size(block, &size), -EIO);
        memset(block + 124, 0xff, 12);
        assert_int_equal(pax_size(block, &size), -EIO);
        memcpy(block + 124, "00000001750", 12);
        memcpy(block + 124, "12x4", 4);
        assert_int_equal(pax_size(block, &size), -EIO);
}

static void decoded(const char *encoded, const char *wanted)
{
        char name[64];

        assert_int_equal(pax_decode_name(encoded, strlen(encoded), name, sizeof(name)), 0);
        assert_string_equal(name, wanted);
}

static void names(void **state)
{
        char out[3 * 255 + 1], back[256], name[256] = "";

        decoded("", "");
        decoded("user.a", "user.a");
        decoded("a%20b%3Dc%3dd%25", "a b=c=d%");
        decoded("%2541", "%41");
        decoded("%FF%c3", "\xff\xc3");
        decoded("%00", "%00");
        decoded("100%", "100%");
        decoded("%4", "%4");
        decoded("%4g%zz%%41", "%4g%zz%A");
        for (int c = 1; c < 256; c++)
                name[c - 1] = (char)c;
        assert_int_equal(pax_encode_name(name, out), 255 + 4);
        assert_int_equal(pax_decode_name(out, strlen(out), back, sizeof(back)), 0);
        assert_string_equal(back, name);
        assert_int_equal(pax_decode_name(out, strlen(out), back, sizeof(back) - 1), -ERANGE);
        assert_int_equal(pax_decode_name("a\0b", 3, back, sizeof(back)), -ERANGE);
}

static void value_is(const char *encoded, const char *wanted, size_t len)
{
        char *value = strdup(encoded);

        assert_non_null(value);
        assert_int_equal(pax_decode_value(value, strlen(value)), len);
        assert_memory_equal(value, wanted, len);
        free(value);
}

static void values(void **state)
{
        value_is("", "", 0);
        value_is("MQ", "1", 1);
        value_is("MQ==", "1", 1);
        value_is("AAEC", "\0\1\2", 3);
        value_is("+/+/AA\n", "\xfb\xff\xbf\0", 4);
        value_is("M", "", 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(records), cmocka_unit_test(damaged_records),
                cmocka_unit_test(sizes),   cmocka_unit_test(names),
                cmocka_unit_test(values),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
