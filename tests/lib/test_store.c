/* SPDX-License-Identifier: MIT */
/* A store in a directory of its own, and assertions on what it holds. */
#include "test_store.h"

#include <errno.h>
#include <stdio.h>

struct test_store *test_store_new(const struct bm_config *config)
{
        struct test_store *t = calloc(1, sizeof(*t));

        assert_non_null(t);
        t->config = config ? *config : BM_CONFIG_INIT;
        t->dir = test_dir_new();
        t->path = test_path(t->dir, "store");
        assert_ok(bm_create(t->path, &t->config));
        test_store_open(t);
        return t;
}

void test_store_free(struct test_store *t)
{
        if (!t)
                return;
        test_store_close(t);
        test_dir_remove(t->dir);
        free(t->path);
        free(t);
}

void test_store_open(struct test_store *t)
{
        assert_ok(bm_open(t->path, &t->config, &t->store));
        t->root = bm_root(t->store);
}

void test_store_close(struct test_store *t)
{
        struct bm_store *store = t->store;

        t->store = NULL;
        t->root = NULL;
        assert_ok(bm_close(store));
}

void test_store_reopen(struct test_store *t)
{
        test_store_close(t);
        test_store_open(t);
}

int test_store_setup(void **state)
{
        *state = test_store_new(NULL);
        return 0;
}

int test_store_teardown(void **state)
{
        test_store_free(*state);
        return 0;
}

static void print_finding(void *ctx, const struct bm_finding *finding)
{
        print_error("check: map %llu, key of %zu bytes: %s\n", (unsigned long long)finding->map_id,
                    finding->key_len, finding->message);
}

void test_store_check(struct bm_store *store)
{
        struct bm_check_args args = {.finding = print_finding};

        assert_ok(bm_check(store, &args));
}

void test_assert_result(int result, int want, const char *call, const char *file, int line)
{
        if (result == want)
                return;
        print_error("%s\n  gave %d (%s; %s), wanted %d\n", call, result, bm_strerror(result),
                    bm_last_problem(), want);
        _fail(file, line);
}

void test_assert_absent(struct bm_map *map, const void *key, size_t len, const char *file, int line)
{
        struct bm_view view;
        int r = bm_read_value(map, key, len, &view);

        if (r == 0)
                bm_view_release(&view);
        test_assert_result(r, BM_E_NOT_FOUND, "reading an absent key", file, line);
}

/* Reads the whole value, inline or large. */
static void *read_all(struct bm_map *map, const void *key, size_t len, const struct bm_view *view)
{
        struct bm_ref ref = {.map = map, .key = key, .key_len = len, .record_id = view->record_id};
        char *buf = malloc(view->size + 1);
        size_t done;

        assert_non_null(buf);
        assert_ok(bm_read_at(&ref, 0, buf, view->size + 1, &done));
        assert_int_equal(done, view->size);
        if (view->value)
                assert_memory_equal(view->value, buf, view->size);
        return buf;
}

void test_assert_holds(struct bm_map *map, const void *key, size_t len, const void *value,
                       size_t value_len, uint64_t count, const char *file, int line)
{
        struct bm_view view;
        void *have;

        test_assert_result(bm_read_value(map, key, len, &view), 0, "reading a key", file, line);
        _assert_int_equal(view.size, value_len, file, line);
        _assert_int_equal(view.count, count, file, line);
        have = read_all(map, key, len, &view);
        if (value_len)
                _assert_memory_equal(have, value, value_len, file, line);
        free(have);
        bm_view_release(&view);
}

static int count_item(void *ctx, const struct bm_item *item)
{
        (*(size_t *)ctx)++;
        return 0;
}

size_t test_count_keys(struct bm_map *map)
{
        size_t n = 0;

        assert_ok(bm_keys(map, count_item, &n));
        return n;
}
