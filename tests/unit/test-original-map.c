/* SPDX-License-Identifier: MIT */
/*
 * The original's tests of the map, each under its own name: what they ask of
 * a bucket map must hold here. test-original-growth.c has those of growth.
 */
#include "test_store.h"

/* A key as the original's: 32 random bytes, here without '/' and NUL. */
struct key {
        unsigned char bytes[32];
};

static struct key random_key(struct test_random *random)
{
        struct key key;

        test_random_fill(random, &key, sizeof(key));
        for (size_t i = 0; i < sizeof(key); i++)
                if (key.bytes[i] == 0 || key.bytes[i] == '/')
                        key.bytes[i] = 'x';
        return key;
}

static struct test_random seeded(void)
{
        struct test_random random;

        test_random_init(&random, test_seed());
        return random;
}

/* What an update shall leave: value and count, or nothing. */
struct wanted {
        bool saw_something; /* out */
        unsigned char value[8];
        size_t len;
        uint64_t count;
};

static enum bm_verdict put_wanted(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        struct wanted *wanted = ctx;

        wanted->saw_something = now != NULL;
        next->value = wanted->value;
        next->value_len = wanted->len;
        next->count = wanted->count;
        return BM_PUT;
}

static enum bm_verdict one_more(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        unsigned char *value = ctx;

        assert_non_null(now);
        assert_int_equal(now->size, 1);
        *value = *(const unsigned char *)now->value + 1;
        next->value = value;
        next->value_len = 1;
        next->count = now->count + 1;
        return BM_PUT;
}

static void insert(void **state)
{
        struct test_store *t = *state;
        struct test_random random = seeded();
        struct key key = random_key(&random);

        assert_ok(bm_insert(t->root, &key, sizeof(key), "\0", 1, 0));
        assert_holds(t->root, &key, sizeof(key), "\0", 1, 0);
        test_store_reopen(t);
        assert_holds(t->root, &key, sizeof(key), "\0", 1, 0);
}

static void update(void **state)
{
        struct test_store *t = *state;
        struct test_random random = seeded();
        struct key key = random_key(&random);
        struct wanted first = {.value = {0}, .len = 1, .count = 0};
        unsigned char value;

        assert_ok(bm_update(t->root, &key, sizeof(key), put_wanted, &first));
        assert_false(first.saw_something);
        assert_holds(t->root, &key, sizeof(key), "\0", 1, 0);
        assert_ok(bm_update(t->root, &key, sizeof(key), one_more, &value));
        assert_holds(t->root, &key, sizeof(key), "\1", 1, 1);
}

static void update2(void **state)
{
        struct test_store *t = *state;
        struct test_random random = seeded();
        struct key key = random_key(&random);
        unsigned char value;

        assert_ok(bm_insert(t->root, &key, sizeof(key), "\0", 1, 0));
        for (int i = 1; i <= 20; i++) {
                unsigned char wanted = (unsigned char)i;

                assert_ok(bm_update(t->root, &key, sizeof(key), one_more, &value));
                assert_holds(t->root, &key, sizeof(key), &wanted, 1, i);
        }
}

static void update_to_0_len(void **state)
{
        struct test_store *t = *state;
        struct test_random random = seeded();
        struct key key = random_key(&random);
        struct wanted steps[] = {
                {.value = {0}, .len = 1, .count = 1},
                {.len = 0, .count = 1},
                {.len = 0, .count = 2},
                {.value = {1}, .len = 1, .count = 2},
        };

        for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
                assert_ok(bm_update(t->root, &key, sizeof(key), put_wanted, &steps[i]));
                assert_int_equal(steps[i].saw_something, i > 0);
                assert_holds(t->root, &key, sizeof(key), steps[i].value, steps[i].len,
                             steps[i].count);
        }
}

static void insert_delete_reinsert(struct bm_map *map, unsigned n)
{
        struct test_random random = seeded();

        for (unsigned i = 0; i < n; i++) {
                struct key key = random_key(&random);
                unsigned char value = (unsigned char)i;

                assert_ok(bm_insert(map, &key, sizeof(key), &value, 1, 0));
                assert_holds(map, &key, sizeof(key), &value, 1, 0);
                assert_ok(bm_delete_key(map, &key, sizeof(key)));
                assert_absent(map, &key, sizeof(key));
                assert_result(bm_delete_key(map, &key, sizeof(key)), BM_E_NOT_FOUND);
                assert_ok(bm_insert(map, &key, sizeof(key), &value, 1, 0));
                assert_holds(map, &key, sizeof(key), &value, 1, 0);
        }
        assert_int_equal(test_count_keys(map), n);
}

static void delete (void **state)
{
        insert_delete_reinsert(((struct test_store *)*state)->root, 10);
}

static void delete_2(void **state)
{
        insert_delete_reinsert(((struct test_store *)*state)->root, 100);
}

static void n_drives(void **state)
{
        char *dir = test_dir_new();
        char *drives[] = {test_path(dir, "b"), test_path(dir, "c"), test_path(dir, "d")};
        struct bm_config config = {.drives = (const char *const *)drives, .n_drives = 3};
        struct test_random random = seeded();
        struct test_store *t = test_store_new(&config);
        struct key keys[64];
        static unsigned char value[16 << 10];
        struct bm_stats stats;

        test_random_fill(&random, value, sizeof(value));
        for (int i = 0; i < 64; i++) {
                keys[i] = random_key(&random);
                value[0] = (unsigned char)i;
                assert_ok(bm_insert(t->root, &keys[i], sizeof(keys[i]), value, sizeof(value), i));
        }
        assert_ok(bm_stats(t->store, &stats));
        assert_int_equal(stats.n_drives, 4);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < 64; i++) {
                        value[0] = (unsigned char)i;
                        assert_holds(t->root, &keys[i], sizeof(keys[i]), value, sizeof(value), i);
                }
                test_store_check(t->store);
                test_store_reopen(t);
        }
        test_store_free(t);
        for (int i = 0; i < 3; i++)
                free(drives[i]);
        test_dir_remove(dir);
}

static void grow_read(void **state)
{
        enum { N = 100 };
        struct bm_config config = {.n_buckets = 4};
        struct test_store *t = test_store_new(&config);
        struct test_random random = seeded();
        struct key keys[N];

        for (int i = 0; i < N; i++)
                keys[i] = random_key(&random);
        for (int i = 0; i < N; i++) {
                unsigned char value = (unsigned char)i;

                assert_ok(bm_insert(t->root, &keys[i], sizeof(keys[i]), &value, 1, i));
                for (int j = 0; j < N; j++) {
                        value = (unsigned char)j;
                        if (j <= i)
                                assert_holds(t->root, &keys[j], sizeof(keys[j]), &value, 1, j);
                        else
                                assert_absent(t->root, &keys[j], sizeof(keys[j]));
                }
        }
        test_store_free(t);
}

static void n_delete(void **state)
{
        enum { N = 20 };
        struct test_store *t = *state;
        struct test_random random = seeded();
        struct key keys[N];

        for (int i = 0; i < N; i++) {
                unsigned char value = (unsigned char)i;

                keys[i] = random_key(&random);
                assert_ok(bm_insert(t->root, &keys[i], sizeof(keys[i]), &value, 1, 0));
        }
        for (int i = 0; i < N; i++) {
                assert_ok(bm_delete_key(t->root, &keys[i], sizeof(keys[i])));
                for (int j = 0; j < N; j++) {
                        unsigned char value = (unsigned char)j;

                        if (j > i)
                                assert_holds(t->root, &keys[j], sizeof(keys[j]), &value, 1, 0);
                        else
                                assert_absent(t->root, &keys[j], sizeof(keys[j]));
                }
        }
        assert_int_equal(test_count_keys(t->root), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_with_store(insert),    test_with_store(update),
                test_with_store(update2),   test_with_store(update_to_0_len),
                test_with_store(delete),    test_with_store(delete_2),
                cmocka_unit_test(n_drives), cmocka_unit_test(grow_read),
                test_with_store(n_delete),
        };

        return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
