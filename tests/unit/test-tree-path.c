/* SPDX-License-Identifier: MIT */
/* Paths of archives and of the command line, name by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "export.h"

/* The names of PATH with commas between. */
static const char *names(const char *path)
{
        static char text[256];
        const char *name;
        size_t len, used = 0;

        text[0] = '\0';
        while ((name = tree_path_next(&path, &len)))
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s",
                                         used ? "," : "", (int)len, name);
        return text;
}

static void splits(void **state)
{
        assert_string_equal(names("a"), "a");
        assert_string_equal(names("a/b/c"), "a,b,c");
        assert_string_equal(names("./a//b/./c/"), "a,b,c");
        assert_string_equal(names("/a"), "a");
        assert_string_equal(names(""), "");
        assert_string_equal(names("."), "");
        assert_string_equal(names("././/"), "");
        assert_string_equal(names(".a/..b/..."), ".a,..b,...");
        assert_string_equal(names("a/.."), "a,..");
        assert_string_equal(names("a/."), "a");
}

static void grows_and_shrinks(void **state)
{
        struct tree_path path = {0};
        char long_name[255];

        memset(long_name, 'x', sizeof(long_name));
        assert_int_equal(tree_path_push(&path, "ab", 2), 0);
        assert_int_equal(tree_path_push(&path, "c", 1), 0);
        assert_string_equal(path.text, "ab/c");
        tree_path_cut(&path, 2);
        assert_string_equal(path.text, "ab");
        for (int i = 0; i < 100; i++)
                assert_int_equal(tree_path_push(&path, long_name, sizeof(long_name)), 0);
        assert_int_equal(path.len, 2 + 100 * 256);
        assert_int_equal(strlen(path.text), path.len);
        tree_path_cut(&path, 0);
        assert_int_equal(tree_path_push(&path, "d", 1), 0);
        assert_string_equal(path.text, "d");
        tree_path_deinit(&path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(splits),
                cmocka_unit_test(grows_and_shrinks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
