/* SPDX-License-Identifier: MIT */
/* fs/options and fs/number: what -o takes, and what it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "number.h"
#include "options.h"

static struct mount_options options;
static char why[256];

static int init(void **state)
{
        return mount_options_init(&options);
}

static int deinit(void **state)
{
        mount_options_deinit(&options);
        return 0;
}

static int take(const char *words)
{
        assert_int_equal(mount_options_add(&options, words), 0);
        return mount_options_finish(&options, why, sizeof(why));
}

static void refused(const char *words, const char *wanted)
{
        assert_int_equal(take(words), -EINVAL);
        assert_string_equal(why, wanted);
        mount_options_deinit(&options);
        assert_int_equal(mount_options_init(&options), 0);
}

/* What is left for libfuse: "-o" and one word, or nothing. */
static void left(const char *wanted)
{
        char text[512] = "";

        for (int i = 1; i < options.fuse.argc; i++) {
                size_t len = strlen(text);

                snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "",
                         options.fuse.argv[i]);
        }
        assert_string_equal(text, wanted);
}

static void nothing_given(void **state)
{
        assert_int_equal(mount_options_finish(&options, why, sizeof(why)), 0);
        assert_true(options.fs.clone_fd);
        assert_false(options.fs.read_only || options.fs.allow_other || options.fs.unlink_guard ||
                     options.fs.nopermcheck || options.fs.list_counts ||
                     options.fs.security_xattrs || options.no_create);
        assert_int_equal(options.n_buckets + options.max_search + options.commit_interval, 0);
        left("");
}

static void ours_are_taken(void **state)
{
        assert_int_equal(take("ro,nocreate,allow_other,nopermcheck,unlink=guard,commit=7,nomap,"
                              "buckets=64,max_search=8,list_counts,security_xattrs,noclone_fd"),
                         0);
        assert_true(options.fs.read_only && options.fs.allow_other && options.fs.unlink_guard &&
                    options.fs.nopermcheck && options.fs.list_counts &&
                    options.fs.security_xattrs && options.no_create);
        assert_false(options.fs.clone_fd);
        assert_int_equal(options.commit_interval, 7);
        assert_int_equal(options.n_buckets, 64);
        assert_int_equal(options.max_search, 8);
        left("");
}

static void drives_add_up(void **state)
{
        char many[BM_DRIVES_MAX * 9 + 1] = "";

        assert_int_equal(take("drive=/a,ro,drive=b\\,c"), 0);
        assert_int_equal(options.drives.n, 2);
        assert_string_equal(options.drives.paths[0], "/a");
        assert_string_equal(options.drives.paths[1], "b,c");
        left("");
        refused("drive=", "option 'drive=': wants a directory");
        refused("drive", "option 'drive': wants a value");
        for (unsigned i = 0; i < BM_DRIVES_MAX; i++)
                strcat(many, ",drive=/x");
        refused(many + 1, "option 'drive=/x': too many drives");
}

static void the_last_one_wins(void **state)
{
        assert_int_equal(mount_options_add(&options, "ro,unlink=guard"), 0);
        assert_int_equal(take("rw,unlink=delete"), 0);
        assert_false(options.fs.read_only || options.fs.unlink_guard);
}

static void fuse_gets_its_own(void **state)
{
        assert_int_equal(take("noexec,ro,max_read=4096,default_permissions"), 0);
        left("-o noexec,max_read=4096,default_permissions");
}

static void words_of_fstab_are_swallowed(void **state)
{
        assert_int_equal(take("defaults,nofail,_netdev,user,users,auto,noauto,x-systemd.automount,"
                              "user=me,,comment=mine"),
                         0);
        left("");
}

static void unknown_ones_are_named(void **state)
{
        refused("ro,frobnicate", "option 'frobnicate': unknown");
        refused("r", "option 'r': unknown");
        refused("ro=1", "option 'ro=1': unknown");
        refused("nocreat", "option 'nocreat': unknown");
}

static void values_are_checked(void **state)
{
        refused("commit", "option 'commit': wants a value");
        refused("commit=", "option 'commit=': wants a number of seconds from 1 to 86400");
        refused("commit=0", "option 'commit=0': wants a number of seconds from 1 to 86400");
        refused("commit=5s", "option 'commit=5s': wants a number of seconds from 1 to 86400");
        refused("commit=-1", "option 'commit=-1': wants a number of seconds from 1 to 86400");
        refused("buckets=3", "option 'buckets=3': wants a power of two from 1 to 65536");
        refused("max_search=6", "option 'max_search=6': wants a multiple of 4 from 4 to 1024");
        refused("unlink=never", "option 'unlink=never': wants delete or guard");
        refused("fsname=x", "option 'fsname=x': is set by bucketmap itself");
}

/* Hazard 20: what libfuse reads back from its own parser must be the path. */
static int take_name(void *ctx, const char *word, int key, struct fuse_args *out)
{
        return 1;
}

static void any_path_can_be_the_source(void **state)
{
        static const char *const paths[] = {"/s", "/a,b", "/a\\b", "/a\\,ro\\\\", "/\\101 x,"};

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                struct {
                        char *name, *type;
                } got = {NULL, NULL};
                const struct fuse_opt template[] = {
                        {"fsname=%s", offsetof(__typeof__(got), name), 0},
                        {"subtype=%s", offsetof(__typeof__(got), type), 0},
                        FUSE_OPT_END,
                };

                assert_int_equal(take("noexec"), 0);
                assert_int_equal(mount_options_name(&options, paths[i]), 0);
                assert_int_equal(fuse_opt_parse(&options.fuse, &got, template, take_name), 0);
                assert_string_equal(got.name, paths[i]);
                assert_string_equal(got.type, "bucketmap");
                left("-o noexec");
                free(got.name);
                free(got.type);
                mount_options_deinit(&options);
                assert_int_equal(mount_options_init(&options), 0);
        }
}

static void numbers(void **state)
{
        uint64_t n = 9;

        assert_int_equal(number_parse("65536", NUMBER_BUCKETS, &n), 0);
        assert_int_equal(n, 65536);
        assert_int_equal(number_parse("131072", NUMBER_BUCKETS, &n), -EINVAL);
        assert_int_equal(number_parse("1", NUMBER_BUCKETS, &n), 0);
        assert_int_equal(number_parse("0", NUMBER_BUCKETS, &n), -EINVAL);
        assert_int_equal(number_parse("1028", NUMBER_MAX_SEARCH, &n), -EINVAL);
        assert_int_equal(number_parse("1024", NUMBER_MAX_SEARCH, &n), 0);
        assert_int_equal(number_parse("1099511627776", NUMBER_KEYS, &n), 0);
        assert_int_equal(n, UINT64_C(1) << 40);
        assert_int_equal(number_parse("99999999999999999999999", NUMBER_KEYS, &n), -EINVAL);
        assert_int_equal(number_parse(" 1", NUMBER_KEYS, &n), -EINVAL);
        assert_int_equal(number_parse("+1", NUMBER_KEYS, &n), -EINVAL);
        assert_int_equal(number_parse("", NUMBER_KEYS, &n), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, init, deinit)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(nothing_given),
                TEST(ours_are_taken),
                TEST(drives_add_up),
                TEST(the_last_one_wins),
                TEST(fuse_gets_its_own),
                TEST(words_of_fstab_are_swallowed),
                TEST(unknown_ones_are_named),
                TEST(values_are_checked),
                TEST(any_path_can_be_the_source),
                TEST(numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
