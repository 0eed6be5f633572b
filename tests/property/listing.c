/* SPDX-License-Identifier: MIT */
/* Listings of the store while it changes, and from any place. */
#include "model.h"

/* Begins a listing of MAP; what is there now must be returned exactly once. */
static void listing_begin(struct run *run, struct model_map *map)
{
        struct model_name *name, *next;

        assert_ok(bm_cursor_open(run_map(run, map), 0, &run->cursor));
        run->listed = map;
        memset(run->there, 0, sizeof(run->there));
        memset(run->returned, 0, sizeof(run->returned));
        HASH_ITER(hh, map->names, name, next)
        run->there[name->number] = true;
}

void run_listing_end(struct run *run)
{
        run->cursor = bm_cursor_close(run->cursor);
        run->listed = NULL;
}

void run_listing_gone(struct run *run, const struct model_map *map, unsigned number)
{
        if (run->listed == map)
                run->there[number] = false;
}

void run_listing_step(struct run *run, struct test_random *random)
{
        uint64_t n = 1 + test_random_below(random, 60);
        struct model_map *map = pick_map(run, random);

        if (!run->store)
                return;
        if (!run->cursor)
                listing_begin(run, map);
        for (; n > 0; n--) {
                struct bm_item item;
                unsigned number;
                int r = bm_cursor_next(run->cursor, &item);

                if (r == BM_E_NOT_FOUND) {
                        for (unsigned i = 0; i < MODEL_KEYS; i++)
                                if (run->there[i] && !run->returned[i])
                                        fail_msg("the listing left out key %u", i);
                        run_listing_end(run);
                        return;
                }
                assert_ok(r);
                number = model_key_number(item.key, item.key_len);
                if (run->returned[number])
                        fail_msg("the listing gave key %u twice", number);
                run->returned[number] = true;
                assert_true(item.cookie > 2 && item.cookie <= INT64_MAX);
        }
}

void run_list_from_cookie(struct run *run, struct model_map *map, struct test_random *random)
{
        unsigned order[MODEL_KEYS], n = 0, from;
        uint64_t cookies[MODEL_KEYS];
        struct bm_cursor *cursor;
        struct bm_item item;
        int r;

        if (!run->store)
                return;
        assert_ok(bm_cursor_open(run_map(run, map), 0, &cursor));
        while ((r = bm_cursor_next(cursor, &item)) == 0) {
                assert_true(n < MODEL_KEYS);
                order[n] = model_key_number(item.key, item.key_len);
                cookies[n] = item.cookie;
                assert_non_null(model_find(map, order[n]));
                if (n > 0)
                        assert_true(cookies[n] > cookies[n - 1]);
                n++;
        }
        assert_result(r, BM_E_NOT_FOUND);
        bm_cursor_close(cursor);
        assert_int_equal(n, HASH_COUNT(map->names));
        if (n == 0)
                return;

        from = (unsigned)test_random_below(random, n);
        assert_ok(bm_cursor_open(run_map(run, map), cookies[from], &cursor));
        while ((r = bm_cursor_next(cursor, &item)) == 0) {
                from++;
                assert_true(from < n);
                assert_int_equal(model_key_number(item.key, item.key_len), order[from]);
                assert_int_equal(item.cookie, cookies[from]);
        }
        assert_result(r, BM_E_NOT_FOUND);
        bm_cursor_close(cursor);
        assert_int_equal(from, n - 1);
}
