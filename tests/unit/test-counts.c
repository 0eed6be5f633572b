/* SPDX-License-Identifier: MIT */
/* Counts: the whole range of them, in slots and beside them. */
#include "store-fixture.h"

static const uint64_t counts[] = {0,
                                  1,
                                  2,
                                  BM_SLOT_COUNT_MAX - 1,
                                  BM_SLOT_COUNT_MAX,
                                  BM_SLOT_COUNT_MAX + 1,
                                  BM_SLOT_COUNT_OVERFLOW + 1,
                                  UINT32_MAX,
                                  BM_COUNT_MAX - 1,
                                  BM_COUNT_MAX};
enum { N = sizeof(counts) / sizeof(counts[0]) };

static uint64_t count_of(struct fixture *f)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, "k", 1, &view), 0);
        uint64_t count = view.count;
        bm_view_release(&view);
        return count;
}

/* How many counts stand beside their slots. */
static void n_beside_is(struct fixture *f, uint64_t n)
{
        assert_int_equal(bm_counts_n(&f->store->counts), n);
}

static void every_count_by_every_way(void **state)
{
        struct fixture *f = *state;
        for (unsigned i = 0; i < N; i++) {
                for (unsigned k = 0; k < N; k++) {
                        struct bm_ref ref = {.map = f->root, .key = "k", .key_len = 1};
                        assert_int_equal(bm_insert(f->root, "k", 1, "v", 1, counts[i]), 0);
                        assert_int_equal(count_of(f), counts[i]);
                        assert_int_equal(bm_count_set(&ref, counts[k]), 0);
                        assert_int_equal(count_of(f), counts[k]);
                        n_beside_is(f, counts[k] > BM_SLOT_COUNT_MAX);
                        assert_int_equal(bm_count_add(&ref, (int64_t)(counts[i] - counts[k]), NULL),
                                         0);
                        assert_int_equal(count_of(f), counts[i]);
                        n_beside_is(f, counts[i] > BM_SLOT_COUNT_MAX);
                }
        }
        assert_int_equal(bm_delete_key(f->root, "k", 1), 0);
        n_beside_is(f, 0);
}

static void they_survive(void **state)
{
        struct fixture *f = *state;
        char key[8];
        for (int turn = 0; turn < 3; turn++) {
                for (unsigned i = 0; i < N; i++) {
                        int len = snprintf(key, sizeof(key), "%u", i);
                        assert_int_equal(bm_insert(f->root, key, (size_t)len, "v", 1,
                                                   counts[(i + (unsigned)turn) % N]),
                                         0);
                }
                if (turn == 1)
                        assert_int_equal(bm_checkpoint(f->store), 0);
                if (turn == 2)
                        fixture_close(f);
                else
                        fixture_kill(f);
                fixture_open(f);
                for (unsigned i = 0; i < N; i++) {
                        struct bm_view view;
                        int len = snprintf(key, sizeof(key), "%u", i);
                        assert_int_equal(bm_read_value(f->root, key, (size_t)len, &view), 0);
                        assert_int_equal(view.count, counts[(i + (unsigned)turn) % N]);
                        bm_view_release(&view);
                }
        }
}

static void what_leaves_the_range_changes_nothing(void **state)
{
        struct fixture *f = *state;
        struct bm_ref ref = {.map = f->root, .key = "k", .key_len = 1};
        uint64_t count = 99;
        assert_int_equal(bm_insert(f->root, "k", 1, "v", 1, BM_COUNT_MAX + 1), BM_E_COUNT);
        assert_int_equal(bm_insert(f->root, "k", 1, "v", 1, UINT64_MAX), BM_E_COUNT);
        assert_gone(f, "k");
        assert_int_equal(bm_insert(f->root, "k", 1, "v", 1, 0), 0);
        assert_int_equal(bm_unref(f->root, "k", 1, &count), BM_E_COUNT);
        assert_int_equal(count, 99);
        assert_int_equal(bm_count_add(&ref, INT64_MIN, NULL), BM_E_COUNT);
        assert_int_equal(bm_count_add(&ref, INT64_MAX, NULL), BM_E_COUNT);
        assert_int_equal(bm_count_set(&ref, BM_COUNT_MAX + 1), BM_E_COUNT);
        assert_int_equal(count_of(f), 0); /* and it is still there */
        assert_int_equal(bm_count_set(&ref, BM_COUNT_MAX), 0);
        assert_int_equal(bm_addref(f->root, "k", 1, NULL), BM_E_COUNT);
        assert_int_equal(count_of(f), BM_COUNT_MAX);
        assert_int_equal(bm_addref(f->root, "none", 4, NULL), BM_E_NOT_FOUND);
        ref.record_id = 12345;
        assert_int_equal(bm_count_set(&ref, 1), BM_E_STALE);
        assert_int_equal(bm_delete_if_count(f->root, "k", 1, 1), BM_E_COUNT);
        assert_int_equal(bm_delete_if_count(f->root, "k", 1, BM_COUNT_MAX), 0);
        n_beside_is(f, 0);
}

static int add(void *ctx, const struct bm_count_row *row)
{
        *(uint64_t *)ctx += row->record_id * row->count;
        return 0;
}

static void the_table_itself(void **state)
{
        struct bm_counts table;
        uint64_t sum = 0;
        bm_counts_init(&table);
        assert_int_equal(bm_counts_get(&table, 7), 0);
        bm_counts_drop(&table, 7);
        bm_counts_sub(&table, 7);
        assert_int_equal(bm_counts_reserve(&table, 7), 0);
        assert_int_equal(bm_counts_n(&table), 1);
        assert_int_equal(bm_counts_set(&table, 7, 70), 0);
        assert_int_equal(bm_counts_reserve(&table, 7), 0);
        assert_int_equal(bm_counts_get(&table, 7), 70);
        assert_int_equal(bm_counts_add(&table, 8), 0);
        assert_int_equal(bm_counts_add(&table, 8), 0);
        bm_counts_sub(&table, 8);
        assert_int_equal(bm_counts_each(&table, add, &sum), 0);
        assert_int_equal(sum, 7 * 70 + 8);
        bm_counts_sub(&table, 8);
        assert_int_equal(bm_counts_n(&table), 1);
        bm_counts_drop(&table, 7);
        assert_int_equal(bm_counts_n(&table), 0);
        bm_counts_deinit(&table);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(every_count_by_every_way),
                test_in_store(they_survive),
                test_in_store(what_leaves_the_range_changes_nothing),
                cmocka_unit_test(the_table_itself),
        };
        return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}
