/* SPDX-License-Identifier: MIT */
/* fs/mountinfo: the kernel's table of mounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mountinfo.h"
#include "path.h"

static const char text[] =
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
        "22 27 0:21 / /proc rw shared:5 master:1 propagate_from:2 - proc proc rw\n"
        "60 27 0:50 / /mnt/a rw,nosuid - fuse.bucketmap /var/s\\040one,with\\134rest rw,user_id=0\n"
        "61 27 0:51 / /mnt/tab\\011nl\\012hash\\043 ro - fuse.bucketmap /s2 rw\n"
        "no mount at all\n"
        "62 27 0:52 / /mnt/cut rw -\n"
        "63 60 0:53 / /mnt/a rw - tmpfs none rw\n"
        "64 27 0:54 / /mnt/ab rw - fuse.sshfs /s2 ro,user_id=0\n"
        "70 27 0:60 / /tree rw shared:9 - tmpfs none rw\n"
        "71 27 0:60 /sub /view rw master:9 - tmpfs none rw\n"
        "72 70 0:61 / /tree/sub/m rw - fuse.bucketmap /s3 rw\n"
        "73 71 0:61 / /view/m rw - fuse.bucketmap /s3 rw\n"
        "74 71 0:61 /dir /view/n rw - fuse.bucketmap /s3 rw\n"
        "80 27 0:70 / /one rw shared:20 - tmpfs none rw\n"
        "81 27 0:70 / /two rw shared:21 master:20 - tmpfs none rw\n"
        "82 27 0:70 / /three rw shared:22 master:21 - tmpfs none rw\n"
        "83 27 0:70 / /four rw master:22 - tmpfs none rw\n"
        "84 27 0:70 / /far rw shared:24 master:23 propagate_from:20 - tmpfs none rw\n"
        "85 27 0:70 / /ring rw shared:26 master:27 - tmpfs none rw\n"
        "86 27 0:70 / /ring2 rw shared:27 master:26 - tmpfs none rw\n"
        "90 80 0:71 / /one/m rw - fuse.bucketmap /s4 rw\n"
        "91 81 0:71 / /two/m rw - fuse.bucketmap /s4 rw\n"
        "92 82 0:71 / /three/m rw - fuse.bucketmap /s4 rw\n"
        "93 83 0:71 / /four/m rw - fuse.bucketmap /s4 rw\n"
        "94 84 0:71 / /far/m rw - fuse.bucketmap /s4 rw\n"
        "95 85 0:71 / /ring/m rw - fuse.bucketmap /s4 rw";

static struct mount_table table;

static int load(void **state)
{
        FILE *file = fmemopen((void *)text, strlen(text), "r");

        if (!file || mount_table_read(&table, file))
                return -1;
        return fclose(file);
}

static int unload(void **state)
{
        mount_table_deinit(&table);
        return 0;
}

static void lines_that_make_no_sense_are_left_out(void **state)
{
        assert_int_equal(table.n, 24);
        assert_null(mount_at(&table, "/mnt/cut"));
}

static void optional_fields_are_skipped(void **state)
{
        const struct mount *mount = mount_at(&table, "/proc");

        assert_non_null(mount);
        assert_string_equal(mount->type, "proc");
        assert_string_equal(mount->source, "proc");
        assert_false(mount_is_ours(mount));
}

static void escapes_are_undone(void **state)
{
        const struct mount *mount = mount_at(&table, "/mnt/tab\tnl\nhash#");

        assert_non_null(mount);
        assert_string_equal(mount->source, "/s2");
        assert_true(mount_is_ours(mount));
        mount = mount_of_store(&table, "/var/s one,with\\rest");
        assert_non_null(mount);
        assert_string_equal(mount->dir, "/mnt/a");
}

static void the_filesystem_may_be_read_only(void **state)
{
        assert_true(mount_at(&table, "/mnt/ab")->read_only);
        /* which one mount of it may be, too */
        assert_false(mount_at(&table, "/mnt/tab\tnl\nhash#")->read_only);
        assert_false(mount_at(&table, "/")->read_only);
}

static void the_last_mount_is_on_top(void **state)
{
        assert_string_equal(mount_at(&table, "/mnt/a")->type, "tmpfs");
}

static void a_mount_is_at_its_own_place_only(void **state)
{
        assert_null(mount_at(&table, "/mnt"));
        assert_null(mount_at(&table, "/mnt/a/b"));
}

static void another_type_is_not_ours(void **state)
{
        assert_string_equal(mount_of_store(&table, "/s2")->dir, "/mnt/tab\tnl\nhash#");
        assert_null(mount_of_store(&table, "/dev/vda"));
}

static void copies_are_of_one_device_and_not_propagated(void **state)
{
        const struct mount *mount = mount_at(&table, "/tree/sub/m");
        const struct mount *copy = mount_next_copy(&table, mount, NULL);

        assert_string_equal(copy->dir, "/view/n");
        assert_null(mount_next_copy(&table, mount, copy));
        /* what is propagated one way stays when it is unmounted the other way */
        copy = mount_next_copy(&table, mount_at(&table, "/view/m"), NULL);
        assert_ptr_equal(copy, mount);
        assert_null(mount_next_copy(&table, mount_at(&table, "/mnt/ab"), NULL));
}

static void propagation_goes_over_several_groups(void **state)
{
        const struct mount *mount = mount_at(&table, "/one/m");
        const struct mount *copy = mount_next_copy(&table, mount, NULL);

        /* all but the one that no way leads to */
        assert_string_equal(copy->dir, "/ring/m");
        assert_null(mount_next_copy(&table, mount, copy));
        mount = mount_at(&table, "/two/m");
        copy = mount_next_copy(&table, mount, NULL);
        assert_string_equal(copy->dir, "/one/m");
        copy = mount_next_copy(&table, mount, copy);
        assert_string_equal(copy->dir, "/far/m");
}

static void the_own_table_can_be_read(void **state)
{
        struct mount_table own;

        assert_int_equal(mount_table_load(&own), 0);
        assert_non_null(mount_at(&own, "/"));
        mount_table_deinit(&own);
        assert_false(mount_is_there("/", "/nowhere"));
}

static void within_ends_at_a_slash(void **state)
{
        assert_true(path_is_within("/a/b", "/a"));
        assert_true(path_is_within("/a", "/a"));
        assert_true(path_is_within("/a", "/"));
        assert_false(path_is_within("/ab", "/a"));
        assert_false(path_is_within("/a", "/a/b"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_that_make_no_sense_are_left_out),
                cmocka_unit_test(optional_fields_are_skipped),
                cmocka_unit_test(escapes_are_undone),
                cmocka_unit_test(the_filesystem_may_be_read_only),
                cmocka_unit_test(the_last_mount_is_on_top),
                cmocka_unit_test(a_mount_is_at_its_own_place_only),
                cmocka_unit_test(another_type_is_not_ours),
                cmocka_unit_test(copies_are_of_one_device_and_not_propagated),
                cmocka_unit_test(propagation_goes_over_several_groups),
                cmocka_unit_test(the_own_table_can_be_read),
                cmocka_unit_test(within_ends_at_a_slash),
        };

        return cmocka_run_group_tests(tests, load, unload);
}
