/* SPDX-License-Identifier: MIT */
/*
 * The original's tests of the map that are about growth and threads, each
 * under its own name.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "test_store.h"

/* Short keys, all different: the number in hexadecimal. */
static size_t number_key(char key[24], uint64_t number)
{
        return (size_t)snprintf(key, 24, "key-%llx", (unsigned long long)number);
}

/* Lets KEY's part grow until it takes the key; BM_E_* of try_write say which. */
static int grow_for(struct test_store *t, const char *key, size_t len, int refused,
                    uint64_t capacity)
{
        return refused == BM_E_INDEX_NO_SPACE ? bm_grow_index(t->root, key, len, capacity)
                                              : bm_grow_data(t->store, capacity);
}

/* The smallest windows: one line of four slots, so that it is soon full. */
static struct test_store *cramped_store(unsigned n_buckets)
{
        struct bm_config config = {.n_buckets = n_buckets, .max_search = 4};

        return test_store_new(&config);
}

/* Fills by try_write alone; returns the number that was refused, and how. */
static uint64_t fill_index(struct test_store *t, int *refused, uint64_t *capacity)
{
        char key[24];

        for (uint64_t i = 0;; i++) {
                size_t len = number_key(key, i);

                *refused = bm_try_write(t->root, key, len, key, len, i, capacity);
                if (*refused != 0)
                        return i;
        }
}

/* Nothing of KEY is there, and all before it still is. */
static void assert_no_trace(struct test_store *t, uint64_t number)
{
        char key[24];
        struct bm_stats stats;

        for (uint64_t i = 0; i < number; i++) {
                size_t len = number_key(key, i);

                assert_holds(t->root, key, len, key, len, i);
        }
        assert_absent(t->root, key, number_key(key, number));
        assert_int_equal(test_count_keys(t->root), number);
        assert_ok(bm_stats(t->store, &stats));
        assert_int_equal(stats.keys, number);
}

static void insert2(void **state)
{
        struct test_store *t = cramped_store(1);
        uint64_t capacity, again, number;
        char key[24];
        size_t len;
        int refused, growths;

        number = fill_index(t, &refused, &capacity);
        assert_int_equal(refused, BM_E_INDEX_NO_SPACE);
        assert_no_trace(t, number);

        /* refused again: the first refusal has left nothing half done */
        len = number_key(key, number);
        assert_result(bm_try_write(t->root, key, len, key, len, number, &again),
                      BM_E_INDEX_NO_SPACE);
        assert_int_equal(again, capacity);
        assert_no_trace(t, number);

        /* two growths in a row: the second is a stale request or finds the first parked */
        assert_ok(bm_grow_index(t->root, key, len, capacity));
        assert_ok(bm_grow_index(t->root, key, len, capacity));
        assert_no_trace(t, number);
        for (growths = 0;; growths++) {
                int r = bm_try_write(t->root, key, len, key, len, number, &again);

                if (r == 0)
                        break;
                /* a grown part is larger than what was seen to be full */
                assert_int_equal(r, BM_E_INDEX_NO_SPACE);
                assert_true(growths < 64);
                assert_ok(bm_grow_index(t->root, key, len, again));
        }
        assert_no_trace(t, number + 1);
        test_store_reopen(t);
        assert_no_trace(t, number + 1);
        test_store_free(t);
}

/* The same for the data: values until a segment is full. */
static void insert2_data(void **state)
{
        enum { VALUE = 16 << 10, N = 256 };
        struct bm_config config = {.no_background = true};
        struct test_store *t = test_store_new(&config);
        static char value[VALUE];
        char key[24];
        int n_refused = 0;

        for (uint64_t i = 0; i < N; i++) {
                size_t len = number_key(key, i);
                uint64_t capacity;
                int r;

                memset(value, (int)i, sizeof(value));
                for (int tries = 0;; tries++) {
                        r = bm_try_write(t->root, key, len, value, sizeof(value), 1, &capacity);
                        if (r == 0)
                                break;
                        assert_true(r == BM_E_INDEX_NO_SPACE || r == BM_E_DATA_NO_SPACE);
                        assert_true(tries < 64);
                        assert_absent(t->root, key, len);
                        assert_int_equal(test_count_keys(t->root), i);
                        n_refused += r == BM_E_DATA_NO_SPACE;
                        assert_ok(grow_for(t, key, len, r, capacity));
                }
        }
        assert_true(n_refused > 0);
        for (uint64_t i = 0; i < N; i++) {
                size_t len = number_key(key, i);

                memset(value, (int)i, sizeof(value));
                assert_holds(t->root, key, len, value, sizeof(value), 1);
        }
        assert_result(bm_try_write(t->root, "k", 1, value, sizeof(value) + 1, 1, NULL), -EFBIG);
        assert_absent(t->root, "k", 1);
        test_store_free(t);
}

struct worker {
        pthread_t thread;
        struct test_store *t;
        unsigned number, n_workers;
        uint64_t n_keys;
        _Atomic uint64_t *written; /* all keys below it are there */
        const char *problem;       /* asserts do not work outside the main thread */
};

/* Runs FN in N threads on T and fails with what one of them reports. */
static void run_workers(struct test_store *t, unsigned n, uint64_t n_keys, void *(*fn)(void *))
{
        struct worker workers[16] = {0};
        _Atomic uint64_t written = 0;

        assert_true(n <= 16);
        for (unsigned i = 0; i < n; i++) {
                workers[i] = (struct worker){
                        .t = t, .number = i, .n_workers = n, .n_keys = n_keys, .written = &written};
                assert_int_equal(pthread_create(&workers[i].thread, NULL, fn, &workers[i]), 0);
        }
        for (unsigned i = 0; i < n; i++)
                pthread_join(workers[i].thread, NULL);
        for (unsigned i = 0; i < n; i++)
                if (workers[i].problem)
                        fail_msg("thread %u: %s", i, workers[i].problem);
}

/* Whether KEY NUMBER holds itself with the number as its count. */
static bool holds_itself(struct bm_map *map, uint64_t number)
{
        char key[24];
        size_t len = number_key(key, number);
        struct bm_view view;
        bool good;

        if (bm_read_value(map, key, len, &view) != 0)
                return false;
        good = view.size == len && view.count == number && memcmp(view.value, key, len) == 0;
        bm_view_release(&view);
        return good;
}

/* Each thread writes every n-th key and reads back its own. */
static void *write_own(void *arg)
{
        struct worker *w = arg;
        char key[24];

        for (uint64_t i = w->number; i < w->n_keys; i += w->n_workers) {
                size_t len = number_key(key, i);

                if (bm_insert(w->t->root, key, len, key, len, i) != 0)
                        w->problem = "insert failed";
                if (!holds_itself(w->t->root, i) || !holds_itself(w->t->root, w->number))
                        w->problem = "a written key is not there";
        }
        return NULL;
}

static void assert_all(struct test_store *t, uint64_t n)
{
        for (uint64_t i = 0; i < n; i++)
                assert_true(holds_itself(t->root, i));
        assert_int_equal(test_count_keys(t->root), n);
        test_store_check(t->store);
}

static void mt(void **state)
{
        struct test_store *t = *state;

        run_workers(t, 8, 8 * 2048, write_own);
        assert_all(t, 8 * 2048);
        test_store_reopen(t);
        assert_all(t, 8 * 2048);
}

/* Thread 0 writes in order; the others read what it has, while it grows. */
static void *write_one_read_many(void *arg)
{
        struct worker *w = arg;
        struct test_random random;

        if (w->number == 0) {
                char key[24];

                for (uint64_t i = 0; i < w->n_keys; i++) {
                        size_t len = number_key(key, i);

                        if (bm_insert(w->t->root, key, len, key, len, i) != 0)
                                w->problem = "insert failed";
                        atomic_store(w->written, i + 1);
                }
                return NULL;
        }
        test_random_init(&random, w->number);
        for (;;) {
                uint64_t written = atomic_load(w->written);

                if (written == w->n_keys || w->problem)
                        return NULL;
                if (written > 0 && !holds_itself(w->t->root, test_random_below(&random, written)))
                        w->problem = "a written key is not there";
        }
}

static void concurrent_grow(void **state)
{
        struct test_store *t = cramped_store(2);

        run_workers(t, 4, 20000, write_one_read_many);
        assert_all(t, 20000);
        test_store_free(t);
}

/* All threads write by hand: try, grow, try again; two growers at once are safe. */
static void *write_by_hand(void *arg)
{
        struct worker *w = arg;
        char key[24];

        for (uint64_t i = w->number; i < w->n_keys && !w->problem; i += w->n_workers) {
                size_t len = number_key(key, i);

                for (;;) {
                        uint64_t capacity;
                        int r = bm_try_write(w->t->root, key, len, key, len, i, &capacity);

                        if (r == 0)
                                break;
                        if (r != BM_E_INDEX_NO_SPACE && r != BM_E_DATA_NO_SPACE) {
                                w->problem = "try_write failed";
                                break;
                        }
                        if (grow_for(w->t, key, len, r, capacity) != 0) {
                                w->problem = "growing failed";
                                break;
                        }
                }
        }
        return NULL;
}

static void concurrent_grow_again(void **state)
{
        struct test_store *t = cramped_store(1);
        struct bm_stats stats;

        run_workers(t, 4, 20000, write_by_hand);
        assert_all(t, 20000);
        assert_ok(bm_stats(t->store, &stats));
        assert_true(stats.index_grows > 0);
        assert_true(stats.index_splits > 0);
        test_store_reopen(t);
        assert_all(t, 20000);
        test_store_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(insert2),
                cmocka_unit_test(insert2_data),
                test_with_store(mt),
                cmocka_unit_test(concurrent_grow),
                cmocka_unit_test(concurrent_grow_again),
        };

        return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
