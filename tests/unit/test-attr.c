/* SPDX-License-Identifier: MIT */
/* A file's attributes in the meta of its record: literal bytes, and bytes that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "attr.h"

static void assert_same(const struct fs_attr *a, const struct fs_attr *b)
{
        assert_int_equal(a->mode, b->mode);
        assert_true(a->major == b->major && a->minor == b->minor);
        assert_int_equal(a->uid, b->uid);
        assert_int_equal(a->gid, b->gid);
        assert_true(a->birth == b->birth);
        assert_true(a->ctime == b->ctime);
        assert_true(a->mtime == b->mtime);
        assert_true(a->atime == b->atime);
}

/* Encodes, wants LEN bytes, decodes. */
static void there_and_back(const struct fs_attr *attr, size_t len)
{
        uint8_t bytes[FS_ATTR_MAX];
        struct fs_attr again;
        size_t used = 0, n = fs_attr_encode(attr, bytes);

        assert_int_equal(n, len);
        assert_int_equal(fs_attr_decode(bytes, n, &again, &used), 0);
        assert_int_equal(used, n);
        assert_same(attr, &again);
        /* what follows is not looked at */
        assert_int_equal(fs_attr_decode(bytes, n, &again, &used), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(fs_attr_decode(bytes, i, &again, &used), -EIO);
}

static struct fs_attr fresh(uint32_t uid, int64_t now)
{
        return (struct fs_attr){.mode = S_IFREG | 0644,
                                .uid = uid,
                                .gid = uid,
                                .birth = now,
                                .ctime = now,
                                .mtime = now,
                                .atime = now};
}

static void golden_bytes(void **state)
{
        static const uint8_t expected[] = {
                0x31,                                           /* version 1, MTIME, CTIME */
                0xa4, 0x81,                                     /* 0100644 */
                0xe8, 0x07,                                     /* uid 1000 */
                0x64,                                           /* gid 100 */
                0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* birth */
                0xd8, 0x04,                                     /* ctime: 300 later */
                0x03,                                           /* mtime: 2 before ctime */
        };
        const int64_t birth = INT64_C(0x0102030405060708);
        struct fs_attr attr = {.mode = S_IFREG | 0644,
                               .uid = 1000,
                               .gid = 100,
                               .birth = birth,
                               .ctime = birth + 300,
                               .mtime = birth + 298,
                               .atime = birth};
        uint8_t bytes[FS_ATTR_MAX];

        assert_int_equal(fs_attr_encode(&attr, bytes), sizeof(expected));
        assert_memory_equal(bytes, expected, sizeof(expected));
        there_and_back(&attr, sizeof(expected));
}

static void sizes(void **state)
{
        const int64_t now = INT64_C(1800000000123456789);
        struct fs_attr attr = fresh(0, now);

        there_and_back(&attr, 13);
        /* written 50 microseconds later */
        attr.ctime = attr.mtime = now + 50000;
        there_and_back(&attr, 16);
        attr.uid = attr.gid = 1000;
        there_and_back(&attr, 18);
        attr.uid = attr.gid = UINT32_MAX;
        attr.birth = INT64_MIN;
        attr.ctime = INT64_MAX;
        attr.mtime = 0;
        attr.atime = INT64_MIN + 1;
        there_and_back(&attr, 1 + 2 + 5 + 5 + 8 + 1 + 10 + 10);
}

static void devices_keep_their_numbers(void **state)
{
        struct fs_attr attr = fresh(0, 1);
        struct stat st;

        attr.mode = S_IFCHR | 0666;
        attr.major = 1;
        attr.minor = 3;
        there_and_back(&attr, 13 + 2);
        fs_attr_stat(&attr, 0, 0, &st);
        assert_true(st.st_rdev == makedev(1, 3));
        attr.mode = S_IFBLK | 0600;
        attr.major = attr.minor = UINT32_MAX;
        there_and_back(&attr, 13 + 10);
        /* nothing else has them */
        attr.mode = S_IFIFO | 0600;
        attr.major = attr.minor = 0;
        there_and_back(&attr, 13);
}

/* The differences wrap, whatever the times are. */
static void any_times(void **state)
{
        static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1,       0,
                                        1,         INT64_MAX - 1, INT64_MAX};
        const size_t n = sizeof(times) / sizeof(times[0]);

        for (size_t i = 0; i < n * n * n * n; i++) {
                struct fs_attr attr = {.mode = S_IFLNK | 0777,
                                       .birth = times[i % n],
                                       .ctime = times[i / n % n],
                                       .mtime = times[i / n / n % n],
                                       .atime = times[i / n / n / n]};
                struct fs_attr again;
                uint8_t bytes[FS_ATTR_MAX];
                size_t used, len = fs_attr_encode(&attr, bytes);

                assert_in_range(len, 1, FS_ATTR_MAX);
                assert_int_equal(fs_attr_decode(bytes, len, &again, &used), 0);
                assert_same(&attr, &again);
        }
}

static void refuses_what_it_does_not_know(void **state)
{
        struct fs_attr attr = fresh(5, 77);
        uint8_t bytes[FS_ATTR_MAX];
        size_t used, len = fs_attr_encode(&attr, bytes);
        /* a uid of 2^32 */
        static const uint8_t wide_uid[] = {0x01, 0xa4, 0x81, 0x80, 0x80, 0x80, 0x80, 0x10, 0,
                                           0,    0,    0,    0,    0,    0,    0,    0,    0};
        /* a difference of eleven bytes */
        static const uint8_t long_varint[] = {0x21, 0xa4, 0x81, 0,    0,    0,    0,    0,
                                              0,    0,    0,    0,    0,    0x80, 0x80, 0x80,
                                              0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};

        bytes[0] = 0x02;
        assert_int_equal(fs_attr_decode(bytes, len, &attr, &used), -EIO);
        bytes[0] = 0x81;
        assert_int_equal(fs_attr_decode(bytes, len, &attr, &used), -EIO);
        assert_int_equal(fs_attr_decode(wide_uid, sizeof(wide_uid), &attr, &used), -EIO);
        assert_int_equal(fs_attr_decode(long_varint, sizeof(long_varint), &attr, &used), -EIO);
}

static void replacing_keeps_what_follows(void **state)
{
        uint8_t *meta = malloc(BM_META_MAX);
        struct fs_attr attr = fresh(0, 1000), again;
        size_t used, len;

        assert_non_null(meta);
        len = fs_attr_encode(&attr, meta);
        memcpy(meta + len, "attributes", 10);
        len += 10;
        attr.uid = 100000;
        attr.mtime = 5;
        assert_int_equal(fs_attr_replace(&attr, meta, &len), 0);
        assert_int_equal(fs_attr_decode(meta, len, &again, &used), 0);
        assert_same(&attr, &again);
        assert_int_equal(len - used, 10);
        assert_memory_equal(meta + used, "attributes", 10);
        /* and with nothing there */
        len = 0;
        assert_int_equal(fs_attr_replace(&attr, meta, &len), 0);
        assert_int_equal(fs_attr_decode(meta, len, &again, &used), 0);
        assert_int_equal(used, len);
        /* no room */
        memset(meta + used, 0, BM_META_MAX - used);
        len = BM_META_MAX;
        attr.gid = UINT32_MAX;
        assert_int_equal(fs_attr_replace(&attr, meta, &len), -ENOSPC);
        assert_int_equal(len, BM_META_MAX);
        free(meta);
}

static void defaults_without_meta(void **state)
{
        const struct fs_attr_defaults defaults = {.uid = 3, .gid = 4, .time = 5};
        struct bm_view view = {.record_id = 2};
        struct fs_attr attr;

        assert_int_equal(fs_attr_of_view(&view, &defaults, &attr), 0);
        assert_int_equal(attr.mode, S_IFREG | 0644);
        assert_int_equal(attr.uid, 3);
        assert_int_equal(attr.gid, 4);
        assert_true(attr.mtime == 5 && attr.ctime == 5 && attr.birth == 5 && attr.atime == 5);
        view.map_id = 9;
        assert_int_equal(fs_attr_of_view(&view, &defaults, &attr), 0);
        assert_int_equal(attr.mode, S_IFDIR | 0755);
}

static void stat_fields(void **state)
{
        struct fs_attr attr = fresh(7, -1);
        struct stat st;

        fs_attr_stat(&attr, 5000, 513, &st);
        assert_int_equal(st.st_size, 5000);
        assert_int_equal(st.st_blocks, 2);
        assert_int_equal(st.st_uid, 7);
        /* Python's open fails if it is 0 */
        assert_true(st.st_blksize > 0);
        assert_int_equal(st.st_mtim.tv_sec, -1);
        assert_int_equal(st.st_mtim.tv_nsec, 999999999);
}

static void times(void **state)
{
        /* the first second that there is */
        assert_true(fs_time_from(fs_time_spec(INT64_MIN)) == INT64_MIN);
        assert_true(fs_time_from(fs_time_spec(INT64_MIN + 5)) == INT64_MIN + 5);
        assert_true(fs_time_from((struct timespec){.tv_sec = -2, .tv_nsec = 5}) == -1999999995);
        assert_true(fs_time_from((struct timespec){.tv_sec = INT64_MAX}) == INT64_MAX);
        assert_true(fs_time_from((struct timespec){.tv_sec = INT64_MIN}) == INT64_MIN);
        for (int64_t ns = -3000000001; ns < 3000000001; ns += 999999999) {
                struct timespec ts = fs_time_spec(ns);

                assert_in_range(ts.tv_nsec, 0, 999999999);
                assert_true(fs_time_from(ts) == ns);
        }
}

static void killed_modes(void **state)
{
        assert_int_equal(fs_attr_killed_mode(S_IFREG | 06777), S_IFREG | 0777);
        assert_int_equal(fs_attr_killed_mode(S_IFREG | 04600), S_IFREG | 0600);
        /* set-group-id without execution by the group means something else */
        assert_int_equal(fs_attr_killed_mode(S_IFREG | 02744), S_IFREG | 02744);
        assert_int_equal(fs_attr_killed_mode(S_IFREG | 01644), S_IFREG | 01644);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(golden_bytes),
                cmocka_unit_test(sizes),
                cmocka_unit_test(devices_keep_their_numbers),
                cmocka_unit_test(any_times),
                cmocka_unit_test(refuses_what_it_does_not_know),
                cmocka_unit_test(replacing_keeps_what_follows),
                cmocka_unit_test(defaults_without_meta),
                cmocka_unit_test(stat_fields),
                cmocka_unit_test(times),
                cmocka_unit_test(killed_modes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
