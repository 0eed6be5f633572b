/* SPDX-License-Identifier: MIT */
/*
 * The original's hashmap_compare: 10 000 random inserts, updates, deletes,
 * addrefs and unrefs against a plain hash map, with 1 and 2 buckets, with and
 * without batch inserts. tests/property/test-model.c is the wider one.
 */
#include <stdio.h>
#include <uthash.h>

#include "test_store.h"

enum { N_OPERATIONS = 10000, N_KEYS = 700, VALUE_MAX_BYTES = 40 };

struct plain {
        unsigned number; /* of the key */
        unsigned char value[VALUE_MAX_BYTES];
        size_t len;
        uint64_t count;
        UT_hash_handle hh;
};

struct compare {
        struct test_store *t;
        struct test_random random;
        struct plain *plain;
        bool batches;
};

static size_t key_of(unsigned number, char key[16])
{
        return (size_t)snprintf(key, 16, "%u", number);
}

static struct plain *find(struct compare *c, unsigned number)
{
        struct plain *found;

        HASH_FIND(hh, c->plain, &number, sizeof(number), found);
        return found;
}

static struct plain *find_or_add(struct compare *c, unsigned number)
{
        struct plain *found = find(c, number);

        if (!found) {
                found = calloc(1, sizeof(*found));
                assert_non_null(found);
                found->number = number;
                HASH_ADD(hh, c->plain, number, sizeof(found->number), found);
        }
        return found;
}

static void drop(struct compare *c, struct plain *plain)
{
        HASH_DEL(c->plain, plain);
        free(plain);
}

static void random_value(struct compare *c, struct plain *plain)
{
        plain->len = test_random_below(&c->random, VALUE_MAX_BYTES + 1);
        test_random_fill(&c->random, plain->value, plain->len);
}

static void one_insert(struct compare *c, unsigned number)
{
        struct plain *plain = find_or_add(c, number);
        char key[16];

        random_value(c, plain);
        plain->count = test_random_below(&c->random, 5);
        assert_ok(bm_insert(c->t->root, key, key_of(number, key), plain->value, plain->len,
                            plain->count));
}

static enum bm_verdict put_plain(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        const struct plain *plain = ctx;

        next->value = plain->value;
        next->value_len = plain->len;
        next->count = plain->count;
        return BM_PUT;
}

static void one_update(struct compare *c, unsigned number)
{
        struct plain *plain = find_or_add(c, number);
        char key[16];

        random_value(c, plain);
        plain->count = test_random_below(&c->random, 5);
        assert_ok(bm_update(c->t->root, key, key_of(number, key), put_plain, plain));
}

static void one_delete(struct compare *c, unsigned number)
{
        struct plain *plain = find(c, number);
        char key[16];

        assert_result(bm_delete_key(c->t->root, key, key_of(number, key)),
                      plain ? 0 : BM_E_NOT_FOUND);
        if (plain)
                drop(c, plain);
}

static void one_reference(struct compare *c, unsigned number, bool add)
{
        struct plain *plain = find(c, number);
        uint64_t count;
        char key[16];
        size_t len = key_of(number, key);
        int want = 0;

        if (!plain)
                want = BM_E_NOT_FOUND;
        else if (!add && plain->count == 0)
                want = BM_E_COUNT;
        else if (add)
                plain->count++;
        else
                plain->count--;
        if (add)
                assert_result(bm_addref(c->t->root, key, len, &count), want);
        else
                assert_result(bm_unref(c->t->root, key, len, &count), want);
        if (want == 0)
                assert_int_equal(count, plain->count);
}

struct batch {
        struct compare *c;
        struct bm_batch_item items[8];
        bool duplicate[8];
};

static void note_duplicate(void *ctx, size_t item, const struct bm_view *existing)
{
        struct batch *batch = ctx;

        assert_true(item < 8);
        assert_false(batch->duplicate[item]);
        batch->duplicate[item] = true;
}

/* Eight different keys, some of which are there. */
static void one_batch(struct compare *c, unsigned number)
{
        struct batch batch = {.c = c};
        char keys[8][16];
        bool there[8];

        for (unsigned i = 0; i < 8; i++) {
                unsigned other = (number + i * 11) % N_KEYS;
                struct plain *plain = find(c, other);

                there[i] = plain != NULL;
                if (!plain) {
                        plain = find_or_add(c, other);
                        random_value(c, plain);
                        plain->count = 1;
                }
                batch.items[i] = (struct bm_batch_item){
                        .key = keys[i],
                        .key_len = key_of(other, keys[i]),
                        .value = plain->value,
                        .value_len = plain->len,
                };
        }
        assert_ok(bm_batch_insert(c->t->root, batch.items, 8, note_duplicate, &batch));
        for (unsigned i = 0; i < 8; i++)
                assert_int_equal(batch.duplicate[i], there[i]);
}

static void compare_all(struct compare *c)
{
        for (unsigned number = 0; number < N_KEYS; number++) {
                struct plain *plain = find(c, number);
                char key[16];
                size_t len = key_of(number, key);

                if (plain)
                        assert_holds(c->t->root, key, len, plain->value, plain->len, plain->count);
                else
                        assert_absent(c->t->root, key, len);
        }
        assert_int_equal(test_count_keys(c->t->root), HASH_COUNT(c->plain));
}

static void compare(unsigned n_buckets, bool batches)
{
        struct bm_config config = {.n_buckets = n_buckets};
        struct compare c = {.t = test_store_new(&config), .batches = batches};
        struct plain *plain, *next;

        test_random_init(&c.random, test_seed());
        for (unsigned i = 0; i < N_OPERATIONS; i++) {
                unsigned number = (unsigned)test_random_below(&c.random, N_KEYS);

                switch (test_random_below(&c.random, batches ? 6 : 5)) {
                case 0:
                        one_insert(&c, number);
                        break;
                case 1:
                        one_update(&c, number);
                        break;
                case 2:
                        one_delete(&c, number);
                        break;
                case 3:
                        one_reference(&c, number, true);
                        break;
                case 4:
                        one_reference(&c, number, false);
                        break;
                default:
                        one_batch(&c, number);
                        break;
                }
                if (i % 1000 == 999)
                        compare_all(&c);
        }
        test_store_reopen(c.t);
        compare_all(&c);
        test_store_check(c.t->store);
        HASH_ITER(hh, c.plain, plain, next)
        drop(&c, plain);
        test_store_free(c.t);
}

static void hashmap_compare(void **state)
{
        compare(1, false);
        compare(2, false);
}

static void hashmap_compare_with_batches(void **state)
{
        compare(1, true);
        compare(2, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hashmap_compare),
                cmocka_unit_test(hashmap_compare_with_batches),
        };

        return cmocka_run_group_tests_name("hashmap", tests, NULL, NULL);
}
