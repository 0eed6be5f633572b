/* SPDX-License-Identifier: MIT */
/* Exchanging two names: records, counts of every size and maps stay what they are. */
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
        strcpy(dir, "/tmp/bm-exchange-XXXXXX");
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

static void exchange(const char *a, const char *b)
{
        struct bm_rename_args args = {.exchange = true};
        const struct bm_ref from = {.map = bm_root(store), .key = a, .key_len = strlen(a)};
        assert_int_equal(bm_rename(&from, bm_root(store), b, strlen(b), &args), 0);
}

static void expect(const char *key, const char *value, uint64_t count)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(bm_root(store), key, strlen(key), &view), 0);
        assert_int_equal(view.size, strlen(value));
        assert_memory_equal(view.value, value, strlen(value));
        assert_int_equal(view.count, count);
        bm_view_release(&view);
}

static void reopen(void)
{
        struct bm_config config = BM_CONFIG_INIT;
        config.no_background = true;
        assert_int_equal(bm_close(store), 0);
        assert_int_equal(bm_open(path, &config, &store), 0);
}

static void large_counts_stay_with_their_records(void **state)
{
        assert_int_equal(bm_insert(bm_root(store), "a", 1, "one", 3, LARGE_COUNT), 0);
        assert_int_equal(bm_insert(bm_root(store), "b", 1, "two", 3, LARGE_COUNT + 1), 0);
        exchange("a", "b");
        expect("a", "two", LARGE_COUNT + 1);
        expect("b", "one", LARGE_COUNT);
        reopen();
        expect("a", "two", LARGE_COUNT + 1);
        expect("b", "one", LARGE_COUNT);
}

static void a_large_and_a_small_count_change_places(void **state)
{
        assert_int_equal(bm_insert(bm_root(store), "a", 1, "one", 3, LARGE_COUNT), 0);
        assert_int_equal(bm_insert(bm_root(store), "b", 1, "two", 3, 5), 0);
        exchange("a", "b");
        expect("a", "two", 5);
        expect("b", "one", LARGE_COUNT);
        exchange("a", "b");
        expect("a", "one", LARGE_COUNT);
        expect("b", "two", 5);
}

static void a_map_and_a_value_change_places(void **state)
{
        struct bm_map *map;
        struct bm_view view;
        uint64_t id;
        assert_int_equal(bm_map_create(bm_root(store), "m", 1, NULL, 0, &id, NULL), 0);
        assert_int_equal(bm_map_open(store, id, &map), 0);
        assert_int_equal(bm_insert(map, "inside", 6, "x", 1, 1), 0);
        assert_int_equal(bm_insert(bm_root(store), "v", 1, "one", 3, 7), 0);
        exchange("m", "v");
        expect("m", "one", 7);
        assert_int_equal(bm_read_value(bm_root(store), "v", 1, &view), 0);
        assert_int_equal(view.map_id, id);
        bm_view_release(&view);
        assert_int_equal(bm_read_value(map, "inside", 6, &view), 0);
        bm_view_release(&view);
        bm_map_close(map);
        reopen();
        expect("m", "one", 7);
        assert_int_equal(bm_map_open(store, id, &map), 0);
        assert_int_equal(bm_read_value(map, "inside", 6, &view), 0);
        bm_view_release(&view);
        bm_map_close(map);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(large_counts_stay_with_their_records, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_large_and_a_small_count_change_places, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_map_and_a_value_change_places, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
