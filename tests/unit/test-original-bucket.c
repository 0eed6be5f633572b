/* SPDX-License-Identifier: MIT */
/* The original's tests of a bucket, each under its own name. */
#include <stdio.h>

#include "hash.h"
#include "test_store.h"

enum { N = 100 };

static size_t number_key(char key[24], unsigned number)
{
        return (size_t)snprintf(key, 24, "key-%u", number);
}

/* A batch of N items with keys of their own and the key as the value. */
struct batch {
        char keys[N][24];
        struct bm_batch_item items[N];
        unsigned n_reported;
        bool reported[N];
        char reported_value[N][24];
};

static void batch_init(struct batch *batch, unsigned first)
{
        memset(batch, 0, sizeof(*batch));
        for (unsigned i = 0; i < N; i++) {
                size_t len = number_key(batch->keys[i], first + i);

                batch->items[i] = (struct bm_batch_item){
                        .key = batch->keys[i],
                        .key_len = len,
                        .value = batch->keys[i],
                        .value_len = len,
                };
        }
}

static void note(void *ctx, size_t item, const struct bm_view *existing)
{
        struct batch *batch = ctx;

        assert_true(item < N);
        assert_false(batch->reported[item]);
        batch->reported[item] = true;
        assert_in_range(existing->size, 0, sizeof(batch->reported_value[item]) - 1);
        memcpy(batch->reported_value[item], existing->value, existing->size);
        batch->n_reported++;
}

static void batch_insert_non_duplicates(void **state)
{
        struct test_store *t = *state;
        struct batch batch;

        batch_init(&batch, 0);
        assert_ok(bm_batch_insert(t->root, batch.items, N, note, &batch));
        assert_int_equal(batch.n_reported, 0);
        assert_int_equal(test_count_keys(t->root), N);

        /* half of the next batch is there, with another value and count, and stays so */
        for (unsigned i = N / 2; i < N; i++)
                assert_ok(bm_insert(t->root, batch.keys[i], strlen(batch.keys[i]), "old", 3, 7));
        batch_init(&batch, N / 2);
        assert_ok(bm_batch_insert(t->root, batch.items, N, note, &batch));
        assert_int_equal(batch.n_reported, N / 2);
        for (unsigned i = 0; i < N; i++) {
                const struct bm_batch_item *item = &batch.items[i];

                assert_int_equal(batch.reported[i], i < N / 2);
                if (i < N / 2) {
                        assert_string_equal(batch.reported_value[i], "old");
                        assert_holds(t->root, item->key, item->key_len, "old", 3, 7);
                } else {
                        assert_holds(t->root, item->key, item->key_len, item->key, item->key_len,
                                     1);
                }
        }
}

static void batch_insert_duplicates(void **state)
{
        struct test_store *t = *state;
        struct batch batch;
        struct bm_batch_item *items = batch.items;

        /* the key of item 3 three times, that of item 10 twice: the last wins */
        batch_init(&batch, 0);
        items[40].key = items[70].key = items[3].key;
        items[40].key_len = items[70].key_len = items[3].key_len;
        items[99].key = items[10].key;
        items[99].key_len = items[10].key_len;
        assert_ok(bm_batch_insert(t->root, items, N, note, &batch));
        assert_int_equal(batch.n_reported, 3);
        assert_true(batch.reported[3] && batch.reported[40] && batch.reported[10]);
        assert_string_equal(batch.reported_value[3], batch.keys[70]);
        assert_string_equal(batch.reported_value[40], batch.keys[70]);
        assert_string_equal(batch.reported_value[10], batch.keys[99]);
        assert_holds(t->root, items[3].key, items[3].key_len, batch.keys[70],
                     strlen(batch.keys[70]), 1);
        assert_holds(t->root, items[10].key, items[10].key_len, batch.keys[99],
                     strlen(batch.keys[99]), 1);
        assert_int_equal(test_count_keys(t->root), N - 3);
}

/* Numbers of keys whose hashes agree in the highest BITS bits. */
static void find_neighbours(struct test_store *t, unsigned bits, unsigned *numbers, unsigned n)
{
        enum { CANDIDATES = 4096 };
        static uint64_t hashes[CANDIDATES];
        char key[24];

        for (unsigned i = 0; i < CANDIDATES; i++) {
                size_t len = number_key(key, i);
                struct bm_entry entry;

                assert_ok(bm_insert(t->root, key, len, NULL, 0, 1));
                assert_ok(bm_find_entry(t->root, key, len, &entry));
                hashes[i] = entry.hash;
        }
        for (unsigned i = 0; i < CANDIDATES; i++) {
                unsigned found = 0;

                for (unsigned j = i; j < CANDIDATES && found < n; j++)
                        if (hashes[j] >> (64 - bits) == hashes[i] >> (64 - bits))
                                numbers[found++] = j;
                if (found == n)
                        return;
        }
        fail_msg("no %u keys agree in %u bits of their hashes", n, bits);
}

static void batch_insert_same_ix_exceeds_max_search(void **state)
{
        /* A line holds 4 slots and is all that a search looks at; 8 lines at
         * first, 16 after one growth: keys that agree in 4 bits share one. */
        enum { WINDOW = 4, BITS = 4 };
        struct bm_config config = {.n_buckets = 1, .max_search = WINDOW};
        struct test_store *t = test_store_new(&config);
        unsigned numbers[WINDOW + 1];
        struct bm_stats before, after;
        struct batch batch;
        char *twin;

        /* hashes depend on the store's secret: look for the keys in a twin */
        test_store_close(t);
        twin = test_path(t->dir, "twin");
        test_dir_copy(t->path, twin);
        test_store_open(t);
        find_neighbours(t, BITS, numbers, WINDOW + 1);
        test_store_close(t);
        free(t->path);
        t->path = twin;
        test_store_open(t);

        batch_init(&batch, 0);
        for (unsigned i = 0; i <= WINDOW; i++) {
                batch.items[i].key = batch.keys[i];
                batch.items[i].key_len = number_key(batch.keys[i], numbers[i]);
                batch.items[i].value_len = batch.items[i].key_len;
        }
        assert_ok(bm_batch_insert(t->root, batch.items, WINDOW, note, &batch));
        assert_ok(bm_stats(t->store, &before));
        assert_ok(bm_batch_insert(t->root, &batch.items[WINDOW], 1, note, &batch));
        assert_ok(bm_stats(t->store, &after));
        assert_true(after.index.resizes > before.index.resizes);
        assert_int_equal(batch.n_reported, 0);
        for (unsigned i = 0; i <= WINDOW; i++)
                assert_holds(t->root, batch.keys[i], strlen(batch.keys[i]), batch.keys[i],
                             strlen(batch.keys[i]), 1);
        assert_int_equal(test_count_keys(t->root), WINDOW + 1);
        test_store_free(t);
}

static void batch_insert_after_delete(void **state)
{
        struct test_store *t = *state;
        struct batch batch;

        batch_init(&batch, 0);
        assert_ok(bm_batch_insert(t->root, batch.items, N, note, &batch));
        for (unsigned i = 0; i < N; i += 2)
                assert_ok(bm_delete_key(t->root, batch.keys[i], strlen(batch.keys[i])));
        assert_int_equal(test_count_keys(t->root), N / 2);

        batch_init(&batch, 0);
        assert_ok(bm_batch_insert(t->root, batch.items, N, note, &batch));
        assert_int_equal(batch.n_reported, N / 2);
        for (unsigned i = 0; i < N; i++) {
                assert_int_equal(batch.reported[i], i % 2);
                assert_holds(t->root, batch.keys[i], strlen(batch.keys[i]), batch.keys[i],
                             strlen(batch.keys[i]), 1);
        }
}

struct walk {
        struct test_store *t;
        uint64_t first, last;
        unsigned n;
        bool seen[N];
};

static int walk_item(void *ctx, const struct bm_item *item)
{
        struct walk *walk = ctx;
        struct bm_entry entry;
        char name[24] = {0};
        unsigned number;

        assert_in_range(item->key_len, 1, sizeof(name) - 1);
        memcpy(name, item->key, item->key_len);
        assert_int_equal(sscanf(name, "key-%u", &number), 1);
        assert_in_range(number, 0, N - 1);
        assert_false(walk->seen[number]);
        walk->seen[number] = true;
        walk->n++;
        assert_ok(bm_find_entry(walk->t->root, item->key, item->key_len, &entry));
        assert_true(entry.hash >= walk->first && entry.hash <= walk->last);
        assert_int_equal(entry.record_id, item->view.record_id);
        assert_int_equal(entry.count, item->view.count);
        assert_int_equal(entry.count, number);
        return 0;
}

/* Every key has one entry, in the range of its hash, with its count. */
static void index_entries(void **state)
{
        struct test_store *t = *state;
        struct walk walk = {.t = t};
        struct bm_entry entry;
        char key[24];

        for (unsigned i = 0; i < N; i++) {
                size_t len = number_key(key, i);

                assert_ok(bm_insert(t->root, key, len, key, len, i));
        }
        /* eight ranges that tile all hashes */
        for (uint64_t i = 0; i < 8; i++) {
                walk.first = i << 61;
                walk.last = walk.first + (UINT64_C(1) << 61) - 1;
                assert_ok(bm_items_in_range(t->root, walk.first, walk.last, walk_item, &walk));
        }
        assert_int_equal(walk.n, N);
        assert_result(bm_find_entry(t->root, "absent", 6, &entry), BM_E_NOT_FOUND);
}

/* A walk ends where its function says so, and gives its answer. */
static int stop_at_three(void *ctx, const struct bm_item *item)
{
        return ++*(int *)ctx == 3 ? -42 : 0;
}

static void index_entries_stop(void **state)
{
        struct test_store *t = *state;
        struct batch batch;
        int n = 0;

        batch_init(&batch, 0);
        assert_ok(bm_batch_insert(t->root, batch.items, N, note, &batch));
        assert_result(bm_keys(t->root, stop_at_three, &n), -42);
        assert_int_equal(n, 3);
}

/* A store's hashes never change: keys would not be found again. The numbers
 * come from xxhsum's own library with the secret 0, 1, 2 ... 191. */
static void bucket_index_ix_is_stable(void **state)
{
        uint8_t secret[BM_HASH_SECRET];
        char key[BM_KEY_MAX];
        static const struct {
                size_t len;
                uint64_t hash;
        } golden[] = {
                {1, UINT64_C(0x36f48a87fb97c77b)},   {3, UINT64_C(0xc2316825a070030d)},
                {4, UINT64_C(0x5035ac1f8efcc56b)},   {8, UINT64_C(0x10094e1ed5906364)},
                {9, UINT64_C(0x364a791b564e8fb1)},   {16, UINT64_C(0x1c796d78031b1f3d)},
                {17, UINT64_C(0xb01de1ea3dd625a5)},  {32, UINT64_C(0xc522cccbff9a4f3e)},
                {128, UINT64_C(0x1d4e5ffc7a639740)}, {129, UINT64_C(0xfb54cec713b14558)},
                {240, UINT64_C(0x0c37bc6af3de858e)}, {241, UINT64_C(0x1c28fda110da524e)},
                {255, UINT64_C(0x8c1f6634e15595ed)},
        };

        for (size_t i = 0; i < sizeof(secret); i++)
                secret[i] = (uint8_t)i;
        for (size_t i = 0; i < sizeof(key); i++)
                key[i] = (char)('a' + i % 26);
        for (size_t i = 0; i < sizeof(golden) / sizeof(*golden); i++)
                assert_int_equal(bm_hash_key(secret, key, golden[i].len), golden[i].hash);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_with_store(batch_insert_duplicates),
                test_with_store(batch_insert_non_duplicates),
                cmocka_unit_test(batch_insert_same_ix_exceeds_max_search),
                test_with_store(batch_insert_after_delete),
                test_with_store(index_entries),
                test_with_store(index_entries_stop),
                cmocka_unit_test(bucket_index_ix_is_stable),
        };

        return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
