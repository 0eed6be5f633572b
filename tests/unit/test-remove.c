/* SPDX-License-Identifier: MIT */
/* Removing a record only if its count is as asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bucketmap.h"

#define LARGE_COUNT (UINT64_C(1) << 40) /* more than an index slot holds */

static char dir[32], path[48];
static struct bm_store *store;

static int setup(void **state)
{
        struct bm_config config = BM_CONFIG_INIT;
        strcpy(dir, "/tmp/bm-remove-XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/store", dir);
        config.no_background = true;
        assert_int_equal(bm_create(path, &config), 0);
        assert_int_equal(bm_open(path, &config, &store), 0);
        return 0;
}

static int teardown(void **state)
{
        char command[64];
        assert_int_equal(bm_close(store), 0);
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command);
}

static struct bm_ref ref_of(const char *key)
{
        return (struct bm_ref){.map = bm_root(store), .key = key, .key_len = strlen(key)};
}

static int remove_if(const char *key, uint64_t count, bool orphan)
{
        const struct bm_remove_args args = {.if_count = true, .count = count, .orphan = orphan};
        const struct bm_ref ref = ref_of(key);
        return bm_remove(&ref, &args);
}

static int is_there(const char *key)
{
        struct bm_view view;
        int r = bm_read_value(bm_root(store), key, strlen(key), &view);
        if (r == 0)
                bm_view_release(&view);
        return r == 0;
}

static void counts_of_every_size(void **state)
{
        static const uint64_t counts[] = {0, 1, 2, LARGE_COUNT, BM_COUNT_MAX};
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                uint64_t count = counts[i];
                assert_int_equal(bm_insert(bm_root(store), "key", 3, "value", 5, count), 0);
                assert_int_equal(remove_if("key", count + 1, false), BM_E_COUNT);
                assert_int_equal(remove_if("key", count ^ LARGE_COUNT, false), BM_E_COUNT);
                assert_true(is_there("key"));
                assert_int_equal(remove_if("key", count, false), 0);
                assert_false(is_there("key"));
                assert_int_equal(remove_if("key", count, false), BM_E_NOT_FOUND);
        }
}

static void what_is_kept_is_kept_only_then(void **state)
{
        uint64_t id;
        assert_int_equal(bm_create_record(bm_root(store), "key", 3, "value", 5, NULL, 0, &id), 0);
        assert_int_equal(remove_if("key", 2, true), BM_E_COUNT);
        assert_int_equal(bm_orphan_release(store, id), BM_E_NOT_FOUND);
        assert_int_equal(remove_if("key", 1, true), 0);
        assert_int_equal(bm_orphan_release(store, id), 0);
}

static void a_map_is_none(void **state)
{
        assert_int_equal(bm_map_create(bm_root(store), "map", 3, NULL, 0, NULL, NULL), 0);
        assert_int_equal(remove_if("map", 1, false), BM_E_IS_MAP);
        assert_int_equal(bm_map_remove(bm_root(store), "map", 3), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(counts_of_every_size),
                TEST(what_is_kept_is_kept_only_then),
                TEST(a_map_is_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
