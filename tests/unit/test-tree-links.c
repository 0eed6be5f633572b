/* SPDX-License-Identifier: MIT */
/* Which name of a file came first, and for how long that is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tree_links.h"

static void the_first_name_carries_the_file(void **state)
{
        struct tree_links links = {0};
        const char *first;

        assert_int_equal(tree_links_meet(&links, 7, 1, "alone", &first), 0);
        assert_null(first);
        assert_null(links.files);
        assert_int_equal(tree_links_meet(&links, 8, 3, "a", &first), 0);
        assert_null(first);
        assert_int_equal(tree_links_meet(&links, 9, 2, "x", &first), 0);
        assert_null(first);
        assert_int_equal(tree_links_meet(&links, 8, 3, "b", &first), 0);
        assert_string_equal(first, "a");
        assert_int_equal(tree_links_meet(&links, 8, 3, "c", &first), 0);
        assert_string_equal(first, "a");
        assert_int_equal(tree_links_meet(&links, 9, 2, "y", &first), 0);
        assert_string_equal(first, "x");
        /* all names were met: nothing is kept, and one that is new is the first */
        assert_null(links.files);
        assert_int_equal(tree_links_meet(&links, 8, 3, "d", &first), 0);
        assert_null(first);
        tree_links_deinit(&links);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_name_carries_the_file)};

        return cmocka_run_group_tests_name("tree links", tests, NULL, NULL);
}
