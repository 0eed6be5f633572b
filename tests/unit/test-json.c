/* SPDX-License-Identifier: MIT */
/* fs/json: names that are text and names that are not, counts beyond 53 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"

static void expect(json_t *value, const char *wanted)
{
        char *text = NULL;
        size_t len;
        FILE *file = open_memstream(&text, &len);

        assert_int_equal(json_line(file, value), 0);
        assert_int_equal(fclose(file), 0);
        assert_string_equal(text, wanted);
        free(text);
}

static void names(void **state)
{
        expect(json_name("plain", 5), "{\"text\":\"plain\"}\n");
        expect(json_name("it\"s\n", 5), "{\"text\":\"it\\\"s\\n\"}\n");
        expect(json_name("\xc3\xa9", 2), "{\"text\":\"\xc3\xa9\"}\n");
        /* half a character, an overlong one, a surrogate */
        expect(json_name("\xc3", 1), "{\"bytes\":\"ww==\"}\n");
        expect(json_name("\xc0\xaf", 2), "{\"bytes\":\"wK8=\"}\n");
        expect(json_name("\xed\xa0\x80", 3), "{\"bytes\":\"7aCA\"}\n");
        expect(json_name("\xff\xfe\xfd\xfc", 4), "{\"bytes\":\"//79/A==\"}\n");
}

static void messages(void **state)
{
        expect(json_pack("[o]", json_text("it is \xc3\xa9", 8)), "[\"it is \xc3\xa9\"]\n");
        expect(json_pack("[o]", json_text("on /\xff\xc3\xa9", 7)), "[\"on /???\"]\n");
}

static void counts(void **state)
{
        expect(json_pack("[o]", json_count(0)), "[\"0\"]\n");
        expect(json_pack("[o]", json_count((UINT64_C(1) << 62) - 1)),
               "[\"4611686018427387903\"]\n");
}

static void a_full_disk_is_an_error(void **state)
{
        FILE *full = fopen("/dev/full", "w");

        assert_non_null(full);
        setbuf(full, NULL);
        assert_true(json_line(full, json_name("x", 1)) < 0);
        fclose(full);
        assert_true(json_line(stdout, NULL) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names),
                cmocka_unit_test(messages),
                cmocka_unit_test(counts),
                cmocka_unit_test(a_full_disk_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
