/* SPDX-License-Identifier: MIT */
/* Names and lists of extended attributes, and the text of a count. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "xattr.h"

static uint8_t *list;
static size_t list_len;

static int new_list(void **state)
{
        list = malloc(FS_XATTR_LIST_MAX);
        list_len = 0;
        return list ? 0 : -1;
}

static int free_list(void **state)
{
        free(list);
        return 0;
}

static int set(const char *name, const char *value, int flags)
{
        return fs_xattr_set(list, &list_len, name, value, strlen(value), flags);
}

static void assert_value(const char *name, const char *value)
{
        struct fs_xattr xattr;

        assert_int_equal(fs_xattr_find(list, list_len, name, &xattr), 0);
        assert_int_equal(xattr.value_len, strlen(value));
        assert_memory_equal(xattr.value, value, strlen(value));
}

static void assert_absent(const char *name)
{
        struct fs_xattr xattr;

        assert_int_equal(fs_xattr_find(list, list_len, name, &xattr), -ENODATA);
}

static void kinds(void **state)
{
        assert_int_equal(fs_xattr_kind("user.bucketmap.refcount"), FS_XATTR_KIND_REFCOUNT);
        assert_int_equal(fs_xattr_kind("user.bucketmap.xxh3"), FS_XATTR_KIND_HASH);
        assert_int_equal(fs_xattr_kind("user.bucketmap.refcounts"), FS_XATTR_KIND_RESERVED);
        assert_int_equal(fs_xattr_kind("user.x"), FS_XATTR_KIND_USER);
        assert_int_equal(fs_xattr_kind("trusted.x"), FS_XATTR_KIND_TRUSTED);
        assert_int_equal(fs_xattr_kind("security.capability"), FS_XATTR_KIND_SECURITY);
        assert_int_equal(fs_xattr_kind("system.posix_acl_access"), FS_XATTR_KIND_OTHER);
        assert_int_equal(fs_xattr_kind("users.x"), FS_XATTR_KIND_OTHER);
        assert_int_equal(fs_xattr_kind("user"), FS_XATTR_KIND_OTHER);
        assert_int_equal(fs_xattr_kind("user."), FS_XATTR_KIND_NAMELESS);
        assert_int_equal(fs_xattr_kind("trusted."), FS_XATTR_KIND_NAMELESS);
        assert_int_equal(fs_xattr_kind("security."), FS_XATTR_KIND_NAMELESS);
        assert_int_equal(fs_xattr_kind(""), FS_XATTR_KIND_OTHER);
}

static void setting_and_removing(void **state)
{
        assert_absent("user.a");
        assert_int_equal(set("user.a", "one", 0), 0);
        assert_int_equal(set("user.b", "", 0), 0);
        assert_int_equal(set("user.c", "three", 0), 0);
        assert_value("user.a", "one");
        assert_value("user.b", "");
        assert_int_equal(set("user.a", "longer than before", 0), 0);
        assert_value("user.a", "longer than before");
        assert_value("user.c", "three");
        assert_absent("user.");
        assert_int_equal(fs_xattr_remove(list, &list_len, "user.c"), 0);
        assert_absent("user.c");
        assert_value("user.a", "longer than before");
        assert_value("user.b", "");
        assert_int_equal(fs_xattr_remove(list, &list_len, "user.c"), -ENODATA);
        assert_int_equal(fs_xattr_remove(list, &list_len, "user.a"), 0);
        assert_int_equal(fs_xattr_remove(list, &list_len, "user.b"), 0);
        assert_int_equal(list_len, 0);
}

static void create_and_replace(void **state)
{
        assert_int_equal(set("user.a", "1", XATTR_REPLACE), -ENODATA);
        assert_int_equal(list_len, 0);
        assert_int_equal(set("user.a", "1", XATTR_CREATE), 0);
        assert_int_equal(set("user.a", "2", XATTR_CREATE), -EEXIST);
        assert_value("user.a", "1");
        assert_int_equal(set("user.a", "2", XATTR_REPLACE), 0);
        assert_value("user.a", "2");
}

static void the_limit_is_of_all_together(void **state)
{
        const size_t overhead = 1 + strlen("user.a") + 4;
        size_t most = FS_XATTR_LIST_MAX - overhead;
        char *value = calloc(1, FS_XATTR_LIST_MAX + 1);

        assert_non_null(value);
        assert_int_equal(fs_xattr_set(list, &list_len, "user.a", value, most + 1, 0), -ENOSPC);
        assert_int_equal(list_len, 0);
        assert_int_equal(fs_xattr_set(list, &list_len, "user.a", value, most, 0), 0);
        assert_int_equal(list_len, FS_XATTR_LIST_MAX);
        assert_int_equal(set("user.b", "", 0), -ENOSPC);
        /* in place of itself it fits */
        value[0] = 'x';
        assert_int_equal(fs_xattr_set(list, &list_len, "user.a", value, most, 0), 0);
        assert_int_equal(fs_xattr_set(list, &list_len, "user.a", value, most + 1, 0), -ENOSPC);
        assert_int_equal(fs_xattr_set(list, &list_len, "user.a", value, most - overhead, 0), 0);
        assert_int_equal(set("user.b", "", 0), 0);
        free(value);
}

static void long_names(void **state)
{
        char name[258];

        memset(name, 'n', sizeof(name));
        name[256] = '\0';
        assert_int_equal(set(name, "v", 0), -ERANGE);
        name[255] = '\0';
        assert_int_equal(set(name, "v", 0), 0);
        assert_value(name, "v");
}

static void damaged_lists(void **state)
{
        static const uint8_t no_name[] = {0, 0, 0, 0, 0};
        static const uint8_t huge_value[] = {1, 'a', 0xff, 0xff, 0xff, 0xff};
        struct fs_xattr xattr;
        size_t offset;

        assert_int_equal(set("user.a", "value", 0), 0);
        for (size_t len = 1; len < list_len; len++) {
                offset = 0;
                assert_int_equal(fs_xattr_next(list, len, &offset, &xattr), -EIO);
                assert_int_equal(fs_xattr_find(list, len, "user.z", &xattr), -EIO);
        }
        offset = 0;
        assert_int_equal(fs_xattr_next(no_name, sizeof(no_name), &offset, &xattr), -EIO);
        assert_int_equal(fs_xattr_next(huge_value, sizeof(huge_value), &offset, &xattr), -EIO);
}

static void parse(const char *text, int result, bool relative, int64_t delta, uint64_t count)
{
        struct fs_count_change change;

        assert_int_equal(fs_count_parse(text, strlen(text), &change), result);
        if (result)
                return;
        assert_int_equal(change.relative, relative);
        assert_true(change.delta == delta);
        assert_true(change.count == count);
}

static void counts(void **state)
{
        static const char *const bad[] = {
                "",
                "+",
                "-",
                "+0",
                "+2",
                "-2",
                "+11",
                "+1 ",
                " 1",
                "1 ",
                "1\n",
                "0x1",
                "00",
                "07",
                "1.0",
                "1e3",
                "ten",
                "--1",
                "4611686018427387904",  /* 2^62 */
                "18446744073709551617", /* 2^64 + 1 */
                "99999999999999999999999999",
        };

        parse("0", 0, false, 0, 0);
        parse("7", 0, false, 0, 7);
        parse("+1", 0, true, 1, 0);
        parse("-1", 0, true, -1, 0);
        parse("4611686018427387903", 0, false, 0, BM_COUNT_MAX);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                parse(bad[i], -EINVAL, false, 0, 0);
}

/* A value from the kernel has a length and no end. */
static void a_count_with_a_nul(void **state)
{
        struct fs_count_change change;

        assert_int_equal(fs_count_parse("7\0", 2, &change), -EINVAL);
        assert_int_equal(fs_count_parse("78", 1, &change), 0);
        assert_true(change.count == 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(kinds),
                cmocka_unit_test_setup_teardown(setting_and_removing, new_list, free_list),
                cmocka_unit_test_setup_teardown(create_and_replace, new_list, free_list),
                cmocka_unit_test_setup_teardown(the_limit_is_of_all_together, new_list, free_list),
                cmocka_unit_test_setup_teardown(long_names, new_list, free_list),
                cmocka_unit_test_setup_teardown(damaged_lists, new_list, free_list),
                cmocka_unit_test(counts),
                cmocka_unit_test(a_count_with_a_nul),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
