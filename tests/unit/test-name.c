/* SPDX-License-Identifier: MIT */
/* Which file names can be keys. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "name.h"

static void assert_key(const char *name)
{
        size_t len;

        assert_int_equal(fs_name_check(name, &len), 0);
        assert_int_equal(len, strlen(name));
}

static void any_byte_is_allowed(void **state)
{
        char name[2] = "";

        for (int byte = 1; byte < 256; byte++) {
                name[0] = (char)byte;
                if (byte != '/' && byte != '.')
                        assert_key(name);
        }
        assert_key("...");
        assert_key(".hidden");
        assert_key("-rf");
        assert_key("a\nb");
        assert_key("\xff\xfe");
}

static void refusals(void **state)
{
        char name[302];
        size_t len;

        assert_int_equal(fs_name_check("", &len), -ENOENT);
        assert_int_equal(fs_name_check(".", &len), -EINVAL);
        assert_int_equal(fs_name_check("..", &len), -EINVAL);
        assert_int_equal(fs_name_check("a/b", &len), -EINVAL);
        memset(name, 'n', sizeof(name));
        name[301] = '\0';
        assert_int_equal(fs_name_check(name, &len), -ENAMETOOLONG);
        name[256] = '\0';
        assert_int_equal(fs_name_check(name, &len), -ENAMETOOLONG);
        name[255] = '\0';
        assert_key(name);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(any_byte_is_allowed),
                cmocka_unit_test(refusals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
