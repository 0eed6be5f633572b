/* SPDX-License-Identifier: MIT */
/* core/write_batch: what several changes of one key come to, and counts of many keys. */
#include "store-fixture.h"

static struct bm_write_batch *new_batch(struct fixture *f)
{
        struct bm_write_batch *batch;

        assert_int_equal(bm_write_batch_new(f->store, &batch), 0);
        return batch;
}

static void assert_count(struct fixture *f, const char *key, uint64_t count)
{
        struct bm_view view;

        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), 0);
        assert_int_equal(view.count, count);
        bm_view_release(&view);
}

static int addref(struct bm_write_batch *batch, struct fixture *f, const char *key, int64_t delta)
{
        return bm_write_batch_addref(batch, f->root, key, strlen(key), delta);
}

static int set(struct bm_write_batch *batch, struct fixture *f, const char *key, uint64_t count)
{
        return bm_write_batch_count(batch, f->root, key, strlen(key), count);
}

static int insert(struct bm_write_batch *batch, struct fixture *f, const char *key, uint64_t count)
{
        return bm_write_batch_insert(batch, f->root, key, strlen(key), "value", 5, count);
}

static void test_addref(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);

        put_text(f, "a", "1");
        put_text(f, "b", "2");
        assert_int_equal(addref(batch, f, "a", 4), 0);
        assert_int_equal(addref(batch, f, "b", -1), 0);
        assert_int_equal(addref(batch, f, "a", -2), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "a", 3);
        assert_count(f, "b", 0);
        assert_text(f, "a", "1");
        /* nothing of it, if one cannot be */
        assert_int_equal(addref(batch, f, "a", 1), 0);
        assert_int_equal(addref(batch, f, "b", -1), 0);
        assert_int_equal(bm_write_batch_commit(batch), BM_E_COUNT);
        assert_count(f, "a", 3);
        assert_count(f, "b", 0);
        /* it is still there to be mended */
        assert_int_equal(addref(batch, f, "b", 1), 0);
        assert_int_equal(addref(batch, f, "absent", 1), 0);
        assert_int_equal(bm_write_batch_commit(batch), BM_E_NOT_FOUND);
        assert_count(f, "a", 3);
        assert_int_equal(insert(batch, f, "absent", 5), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "a", 4);
        assert_count(f, "b", 0);
        assert_count(f, "absent", 5);
        bm_write_batch_free(batch);
        fixture_close(f);
        fixture_open(f);
        assert_count(f, "a", 4);
        assert_sound(f);
}

static void test_same_key(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);

        put_text(f, "set and added", "x");
        put_text(f, "added and set", "x");
        put_text(f, "set again", "x");
        put_text(f, "gone", "x");
        assert_int_equal(insert(batch, f, "new", 2), 0);
        assert_int_equal(addref(batch, f, "new", 3), 0);
        assert_int_equal(insert(batch, f, "new and set", 2), 0);
        assert_int_equal(set(batch, f, "new and set", 9), 0);
        assert_int_equal(set(batch, f, "set and added", 7), 0);
        assert_int_equal(addref(batch, f, "set and added", -7), 0);
        assert_int_equal(addref(batch, f, "added and set", 7), 0);
        assert_int_equal(set(batch, f, "added and set", 20), 0);
        assert_int_equal(set(batch, f, "set again", 7), 0);
        assert_int_equal(set(batch, f, "set again", 8), 0);
        assert_int_equal(bm_write_batch_delete(batch, f->root, "gone", 4), 0);
        assert_int_equal(addref(batch, f, "gone", 1), BM_E_NOT_FOUND);
        assert_int_equal(set(batch, f, "gone", 1), BM_E_NOT_FOUND);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "new", 5);
        assert_count(f, "new and set", 9);
        assert_count(f, "set and added", 0);
        assert_count(f, "added and set", 20);
        assert_count(f, "set again", 8);
        assert_gone(f, "gone");
        /* the other way round what comes last replaces what was said */
        assert_int_equal(addref(batch, f, "new", 3), 0);
        assert_int_equal(bm_write_batch_delete(batch, f->root, "new", 3), 0);
        assert_int_equal(addref(batch, f, "set again", 3), 0);
        assert_int_equal(insert(batch, f, "set again", 1), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_gone(f, "new");
        assert_count(f, "set again", 1);
        bm_write_batch_free(batch);
        assert_sound(f);
}

static void test_limits(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);
        const int64_t most = (int64_t)BM_COUNT_MAX;

        put_text(f, "a", "1");
        assert_int_equal(addref(batch, f, "a", most + 1), BM_E_COUNT);
        assert_int_equal(addref(batch, f, "a", -most - 1), BM_E_COUNT);
        assert_int_equal(addref(batch, f, "a", INT64_MIN), BM_E_COUNT);
        assert_int_equal(set(batch, f, "a", BM_COUNT_MAX + 1), BM_E_COUNT);
        assert_int_equal(insert(batch, f, "a", UINT64_MAX), BM_E_COUNT);
        assert_int_equal(addref(batch, f, "a", most), 0);
        assert_int_equal(addref(batch, f, "a", 1), BM_E_COUNT);
        assert_int_equal(addref(batch, f, "a", -1), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "a", BM_COUNT_MAX);
        assert_int_equal(addref(batch, f, "a", 1), 0);
        assert_int_equal(bm_write_batch_commit(batch), BM_E_COUNT);
        bm_write_batch_free(batch);
        batch = new_batch(f);
        assert_int_equal(set(batch, f, "a", 1), 0);
        assert_int_equal(addref(batch, f, "a", -2), BM_E_COUNT);
        assert_int_equal(addref(batch, f, "a", -1), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "a", 0);
        bm_write_batch_free(batch);
}

/* All names of a record count what it has. */
static void test_linked(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref first = {.map = f->root, .key = "first", .key_len = 5};
        struct bm_write_batch *batch = new_batch(f);

        put_text(f, "first", "1");
        assert_int_equal(bm_link(&first, f->root, "second", 6, NULL, NULL), 0);
        assert_int_equal(addref(batch, f, "first", 2), 0);
        assert_int_equal(addref(batch, f, "second", 3), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "first", 6);
        assert_count(f, "second", 6);
        /* in the order of the calls */
        assert_int_equal(set(batch, f, "first", 5), 0);
        assert_int_equal(set(batch, f, "second", 6), 0);
        assert_int_equal(set(batch, f, "first", 7), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "second", 7);
        assert_int_equal(addref(batch, f, "first", 1), 0);
        assert_int_equal(set(batch, f, "second", 10), 0);
        assert_int_equal(addref(batch, f, "first", 1), 0);
        assert_int_equal(addref(batch, f, "second", 2), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "first", 13);
        assert_int_equal(insert(batch, f, "first", 3), 0);
        assert_int_equal(set(batch, f, "second", 10), 0);
        assert_int_equal(set(batch, f, "first", 6), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "second", 6);
        assert_int_equal(bm_write_batch_delete(batch, f->root, "first", 5), 0);
        assert_int_equal(addref(batch, f, "second", -6), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_gone(f, "first");
        assert_count(f, "second", 0);
        bm_write_batch_free(batch);
        assert_sound(f);
}

/* What is made by the batch itself, others in between; and is replaced with all that was said. */
static void test_scattered(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);

        assert_int_equal(insert(batch, f, "a", 1), 0);
        assert_int_equal(insert(batch, f, "b", 1), 0);
        assert_int_equal(addref(batch, f, "a", 1), 0);
        assert_int_equal(addref(batch, f, "b", 5), 0);
        assert_int_equal(addref(batch, f, "a", 1), 0);
        assert_int_equal(set(batch, f, "b", 2), 0);
        assert_int_equal(addref(batch, f, "c", 1), 0);
        assert_int_equal(addref(batch, f, "b", 1), 0);
        assert_int_equal(addref(batch, f, "c", 1), 0);
        assert_int_equal(insert(batch, f, "c", 4), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_count(f, "a", 3);
        assert_count(f, "b", 3);
        assert_count(f, "c", 4);
        assert_int_equal(addref(batch, f, "a", -2), 0);
        assert_int_equal(addref(batch, f, "b", 1), 0);
        assert_int_equal(addref(batch, f, "a", -2), 0);
        assert_int_equal(bm_write_batch_commit(batch), BM_E_COUNT);
        assert_count(f, "b", 3);
        bm_write_batch_free(batch);
        assert_sound(f);
}

/* What a batch takes can be committed, however short the keys are. */
static void test_full(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);
        const enum { INSERT, ADDREF, DELETE } turns[] = {INSERT, ADDREF, DELETE};

        for (size_t turn = 0; turn < 3; turn++) {
                unsigned n = 0;
                int r = 0;

                for (; r == 0; n++) {
                        char key[8];
                        size_t len = (size_t)snprintf(key, sizeof(key), "%x", n);

                        if (turns[turn] == INSERT)
                                r = bm_write_batch_insert(batch, f->root, key, len, NULL, 0, 1);
                        else if (turns[turn] == ADDREF)
                                r = bm_write_batch_addref(batch, f->root, key, len,
                                                          INT64_C(1) << 40);
                        else
                                r = bm_write_batch_delete(batch, f->root, key, len);
                }
                assert_int_equal(r, -EFBIG);
                assert_true(n > 3000);
                assert_int_equal(bm_write_batch_commit(batch), 0);
        }
        bm_write_batch_free(batch);
        assert_sound(f);
}

/* As a snapshot of many chunks takes a reference to each; more than are fetched ahead. */
static void test_many(void **state)
{
        enum { N = 1500 };
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);
        char key[32];

        for (unsigned i = 0; i < N; i++) {
                snprintf(key, sizeof(key), "chunk-%u", i);
                assert_int_equal(insert(batch, f, key, i % 7), 0);
        }
        assert_int_equal(bm_write_batch_commit(batch), 0);
        for (unsigned i = 0; i < N; i++) {
                snprintf(key, sizeof(key), "chunk-%u", i * 7 % N);
                assert_int_equal(addref(batch, f, key, 2), 0);
        }
        assert_int_equal(bm_write_batch_commit(batch), 0);
        bm_write_batch_free(batch);
        for (unsigned i = 0; i < N; i++) {
                snprintf(key, sizeof(key), "chunk-%u", i);
                assert_count(f, key, i % 7 + 2);
        }
        assert_sound(f);
}

static unsigned fill_disk(struct fixture *f)
{
        char key[16];
        unsigned n = 0;
        int r = 0;

        atomic_store(&f->io.room, fault_used(&f->io) + (4 << 20));
        for (; r == 0; n += r == 0) {
                snprintf(key, sizeof(key), "key%u", n);
                r = bm_insert(f->root, key, strlen(key), "value", 5, 1);
        }
        assert_int_equal(r, -ENOSPC);
        return n;
}

/* What removes key by key does so by many at once, too. */
static void test_full_disk(void **state)
{
        enum { MANY = 400 };
        struct fixture *f = *state;
        struct bm_write_batch *batch = new_batch(f);
        const unsigned n = fill_disk(f);

        for (unsigned i = 0; i < n; i++) {
                char key[16];
                size_t len = (size_t)snprintf(key, sizeof(key), "key%u", i);

                assert_int_equal(bm_write_batch_delete(batch, f->root, key, len), 0);
                if (i % MANY == MANY - 1 || i == n - 1)
                        assert_int_equal(bm_write_batch_commit(batch), 0);
        }
        assert_int_equal(bm_map_sums(f->root).n_keys, 0);
        bm_write_batch_free(batch);
        assert_sound(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_addref, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_same_key, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_limits, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_linked, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_scattered, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_full, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_many, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_full_disk, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("write-batch", tests, NULL, NULL);
}
