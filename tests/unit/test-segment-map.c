/* SPDX-License-Identifier: MIT */
/* fs/segment_map: what is drawn for which share of live bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segment_map.h"

static struct segment_list list;

static int teardown(void **state)
{
        segment_list_deinit(&list);
        return 0;
}

static void add(const char *kind, uint32_t drive, uint64_t number, uint64_t live)
{
        const struct bm_segment_info info = {.file_id = (uint32_t)number,
                                             .drive = drive,
                                             .kind = kind,
                                             .number = number,
                                             .size = 1000,
                                             .used = 1000,
                                             .live = live};

        assert_int_equal(segment_list_add(&list, &info), 0);
}

static void expect(bool ascii, const char *wanted)
{
        char *text = NULL;
        size_t len;
        FILE *file = open_memstream(&text, &len);

        assert_int_equal(segment_map_print(file, &list, ascii, true), 0);
        fclose(file);
        *strchr(text, '\'') = '\0';
        assert_string_equal(text, wanted);
        free(text);
}

static void levels(void **state)
{
        add("log", 0, 6, 1000);
        add("log", 0, 1, 0);
        add("log", 0, 2, 1);
        add("log", 0, 3, 250);
        add("log", 0, 4, 251);
        add("log", 0, 5, 751);
        expect(false, "drive 0, log: 6 segments of 6000 in all, 2253 live\n  | ░░▒██|\n");
        expect(true, "drive 0, log: 6 segments of 6000 in all, 2253 live\n  | ..-##|\n");
}

static void groups(void **state)
{
        add("cold", 1, 2, 600);
        add("index", 0, 3, 0);
        add("log", 1, 4, 1000);
        add("cold", 0, 5, 1);
        expect(true, "drive 0, cold: 1 segment of 1000 in all, 1 live\n  |.|\n"
                     "drive 1, log: 1 segment of 1000 in all, 1000 live\n  |#|\n"
                     "drive 1, cold: 1 segment of 1000 in all, 600 live\n  |+|\n");
}

static void lines(void **state)
{
        char wanted[256];

        for (unsigned i = 1; i <= 65; i++)
                add("log", 0, i, 1000);
        snprintf(wanted, sizeof(wanted),
                 "drive 0, log: 65 segments of 65000 in all, 65000 live\n  |%s|\n  |#|\n",
                 "################################################################");
        expect(true, wanted);
}

static void none(void **state)
{
        expect(true, "");
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {TEST(levels), TEST(groups), TEST(lines), TEST(none)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
