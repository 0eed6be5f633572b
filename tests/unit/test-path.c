/* SPDX-License-Identifier: MIT */
/* fs/path: absolute paths of what need not be there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "path.h"

static char *scratch;

static int enter(void **state)
{
        char template[] = "/tmp/bucketmap-path.XXXXXX";

        if (!mkdtemp(template) || chdir(template))
                return -1;
        scratch = realpath(".", NULL);
        return !scratch || mkdir("dir", 0700) || symlink("dir", "link") ||
               symlink("gone", "dangling");
}

static int leave(void **state)
{
        int r = unlink("dangling") | unlink("link") | rmdir("dir") | chdir("/") | rmdir(scratch);

        free(scratch);
        return r;
}

static void resolves(const char *path, const char *below)
{
        char *absolute, *wanted;

        assert_true(asprintf(&wanted, "%s%s", scratch, below) > 0);
        assert_int_equal(path_resolve(path, &absolute), 0);
        assert_string_equal(absolute, wanted);
        free(absolute);
        free(wanted);
}

static void what_is_there(void **state)
{
        resolves(".", "");
        resolves("dir", "/dir");
        resolves("dir/", "/dir");
        resolves("link", "/dir");
        resolves("./link/../dir//", "/dir");
}

static void what_is_to_be_made(void **state)
{
        resolves("new", "/new");
        resolves("new///", "/new");
        resolves("link/new", "/dir/new");
        resolves("dir/../new,\\x", "/new,\\x");
}

static void below_the_top(void **state)
{
        char *absolute;

        assert_int_equal(path_resolve("/bucketmap-not-there", &absolute), 0);
        assert_string_equal(absolute, "/bucketmap-not-there");
        free(absolute);
}

static void what_cannot_be_made(void **state)
{
        char *absolute;

        assert_int_equal(path_resolve("gone/new", &absolute), -ENOENT);
        assert_int_equal(path_resolve("gone/..", &absolute), -ENOENT);
        assert_int_equal(path_resolve("", &absolute), -ENOENT);
        assert_int_equal(path_resolve("/dev/null/new", &absolute), -ENOTDIR);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_there),
                cmocka_unit_test(what_is_to_be_made),
                cmocka_unit_test(below_the_top),
                cmocka_unit_test(what_cannot_be_made),
        };

        return cmocka_run_group_tests(tests, enter, leave);
}
