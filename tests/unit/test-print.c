/* SPDX-License-Identifier: MIT */
/* fs/print: units, the table and the JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "print.h"

static void bytes(uint64_t n, const char *wanted)
{
        char text[PRINT_BYTES_SIZE];

        assert_string_equal(print_bytes(text, n, false), wanted);
}

static void units(void **state)
{
        char text[PRINT_BYTES_SIZE];

        bytes(0, "0 bytes");
        bytes(1023, "1023 bytes");
        bytes(1024, "1.0 KiB");
        bytes(1536, "1.5 KiB");
        bytes((1 << 20) - 1, "1.0 MiB");
        bytes(UINT64_C(1) << 40, "1.0 TiB");
        bytes(UINT64_MAX, "16.0 EiB");
        assert_string_equal(print_bytes(text, UINT64_MAX, true), "18446744073709551615");
}

static const struct print_figure figures[] = {
        {"keys", "keys", PRINT_NUMBER, 12, 0, NULL, NULL},
        {"disk_bytes", "on disk", PRINT_BYTES, 2048, 0, NULL, "(all)"},
        {"fill", "fill", PRINT_PERCENT, 0, 0.25, NULL, NULL},
        {"longest", "longest", PRINT_SECONDS, 0, 0.5, NULL, NULL},
        {"clean", NULL, PRINT_BOOL, 1, 0, NULL, NULL},
        {"name", "name", PRINT_TEXT, 0, 0, "a \"b\"", NULL},
        {"odd", NULL, PRINT_TEXT, 0, 0, "\377", NULL},
        {NULL, "people", PRINT_REAL, 0, 1.25, NULL, NULL},
};

#define N_FIGURES (sizeof(figures) / sizeof(figures[0]))

static char *text;
static size_t size;

static FILE *open_text(void)
{
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        return out;
}

static void close_text(FILE *out, const char *wanted)
{
        fclose(out);
        assert_string_equal(text, wanted);
        free(text);
}

static void table_for_people(void **state)
{
        FILE *out = open_text();

        assert_int_equal(print_table(out, figures, N_FIGURES, false), 0);
        close_text(out, "keys     12\n"
                        "on disk  2.0 KiB (all)\n"
                        "fill     25.0 %\n"
                        "longest  0.500000 s\n"
                        "name     a \"b\"\n"
                        "people   1.2\n");
}

static void table_with_plain_bytes(void **state)
{
        FILE *out = open_text();

        assert_int_equal(print_table(out, figures + 1, 1, true), 0);
        close_text(out, "on disk  2048 (all)\n");
}

static void json_for_programs(void **state)
{
        FILE *out = open_text();

        assert_int_equal(print_json(out, figures, N_FIGURES), 0);
        close_text(out, "{\n"
                        "  \"keys\": 12,\n"
                        "  \"disk_bytes\": 2048,\n"
                        "  \"fill\": 0.25,\n"
                        "  \"longest\": 0.5,\n"
                        "  \"clean\": true,\n"
                        "  \"name\": \"a \\\"b\\\"\",\n"
                        "  \"odd\": null\n"
                        "}\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(units),
                cmocka_unit_test(table_for_people),
                cmocka_unit_test(table_with_plain_bytes),
                cmocka_unit_test(json_for_programs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
