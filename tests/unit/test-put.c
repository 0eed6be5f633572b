/* SPDX-License-Identifier: MIT */
/* Storing whole records: on whose behalf, and in whose place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "put.h"
#include "xattr.h"

static const struct fs_put_who root = {0, 0}, user = {1000, 100};
static uint8_t meta[FS_ATTR_MAX + FS_XATTR_LIST_MAX];
static uint8_t out[2 * FS_ATTR_MAX + FS_XATTR_LIST_MAX];
static size_t meta_len, out_len;

static void new_meta(uint32_t mode, const char *xattr)
{
        struct fs_attr attr = {.mode = mode, .uid = 5, .gid = 6, .mtime = 70, .atime = 80};
        size_t used = fs_attr_encode(&attr, meta), len = 0;

        if (xattr)
                assert_int_equal(fs_xattr_set(meta + used, &len, xattr, "v", 1, 0), 0);
        meta_len = used + len;
}

static int check(const struct fs_put_who *who)
{
        return fs_put_meta(who, meta, meta_len, out, &out_len);
}

static void owners(void **state)
{
        struct fs_attr attr;
        size_t used;
        int64_t before = fs_time_now();

        new_meta(S_IFREG | 04755, "user.a");
        assert_int_equal(check(&root), 0);
        assert_int_equal(fs_attr_decode(out, out_len, &attr, &used), 0);
        assert_int_equal(attr.uid, 5);
        assert_int_equal(attr.gid, 6);
        assert_int_equal(attr.mode, S_IFREG | 04755);
        assert_true(attr.mtime == 70 && attr.atime == 80);
        assert_true(attr.ctime >= before && attr.birth >= before);
        assert_int_equal(out_len - used, 1 + 6 + 4 + 1);
        assert_int_equal(check(&user), 0);
        assert_int_equal(fs_attr_decode(out, out_len, &attr, &used), 0);
        assert_int_equal(attr.uid, 1000);
        assert_int_equal(attr.gid, 100);
}

static void refused(void **state)
{
        new_meta(S_IFDIR | 0755, NULL);
        assert_int_equal(check(&root), -EINVAL);
        new_meta(S_IFREG | 0644, "trusted.a");
        assert_int_equal(check(&root), 0);
        assert_int_equal(check(&user), -EPERM);
        new_meta(S_IFREG | 0644, "security.a");
        assert_int_equal(check(&root), -EINVAL);
        new_meta(S_IFREG | 0644, FS_XATTR_COUNT);
        assert_int_equal(check(&root), -EINVAL);
        new_meta(S_IFLNK | 0777, "user.abc");
        for (size_t cut = 1; cut < 1 + 8 + 4 + 1; cut++) {
                meta_len--;
                assert_int_equal(check(&root), -EINVAL);
        }
        meta_len = 0;
        assert_int_equal(check(&root), -EINVAL);
}

/* A store of its own */

static char dir[] = "/tmp/bucketmap-put.XXXXXX";
static char path[64];
static struct bm_store *store;
static struct backend backend;
static const struct fs_attr_defaults defaults;

static int open_store(void **state)
{
        const struct bm_config config = BM_CONFIG_INIT;

        if (!mkdtemp(dir))
                return -1;
        snprintf(path, sizeof(path), "%s/store", dir);
        if (bm_create(path, &config) || bm_open(path, &config, &store))
                return -1;
        backend_map_init(&backend, store);
        return 0;
}

static int remove_store(void **state)
{
        char command[128];

        bm_close(store);
        snprintf(command, sizeof(command), "rm -r '%s'", dir);
        return system(command);
}

static int put(struct fs_put *args, enum fs_put_mode mode, const char *value)
{
        *args = (struct fs_put){.map = bm_root(store),
                                .key = "key",
                                .key_len = 3,
                                .value = value,
                                .value_len = strlen(value),
                                .meta = out,
                                .meta_len = out_len,
                                .mode = mode};
        return fs_put(&backend, &defaults, args);
}

static void assert_key(const char *value, uint64_t count)
{
        struct bm_view view;

        assert_int_equal(bm_read_value(bm_root(store), "key", 3, &view), 0);
        assert_int_equal(view.size, strlen(value));
        assert_memory_equal(view.value, value, view.size);
        assert_true(view.count == count);
        bm_view_release(&view);
}

static void modes(void **state)
{
        struct bm_ref ref = {bm_root(store), "key", 3, 0};
        struct fs_put args;
        struct bm_view view;
        uint64_t id;
        size_t done;

        new_meta(S_IFREG | 0644, NULL);
        assert_int_equal(check(&root), 0);
        assert_int_equal(put(&args, FS_PUT_REPLACE, "one"), 0);
        assert_false(args.kept);
        assert_int_equal(args.replaced_id, 0);
        assert_key("one", 1);
        assert_int_equal(bm_read_value(bm_root(store), "key", 3, &view), 0);
        id = view.record_id;
        bm_view_release(&view);
        assert_int_equal(bm_addref(bm_root(store), "key", 3, NULL), 0);

        assert_int_equal(put(&args, FS_PUT_NEW, "two"), BM_E_EXISTS);
        assert_int_equal(put(&args, FS_PUT_KEEP, "two"), 0);
        assert_true(args.kept);
        assert_key("one", 2);
        assert_int_equal(put(&args, FS_PUT_REPLACE, "two"), 0);
        assert_false(args.kept);
        assert_true(args.replaced_id == id);
        assert_key("two", 2);

        /* of a long value nothing stays */
        assert_int_equal(bm_write_at(&ref, 100000, "x", 1, NULL, NULL, &done), 0);
        assert_int_equal(put(&args, FS_PUT_REPLACE, ""), 0);
        assert_key("", 2);

        new_meta(S_IFLNK | 0777, NULL);
        assert_int_equal(check(&root), 0);
        assert_int_equal(put(&args, FS_PUT_REPLACE, "target"), BM_E_EXISTS);
        assert_key("", 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(owners),
                cmocka_unit_test(refused),
                cmocka_unit_test_setup_teardown(modes, open_store, remove_store),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
