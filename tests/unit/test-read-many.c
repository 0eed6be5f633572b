/* SPDX-License-Identifier: MIT */
/* core/read: several keys at once are what each would have been alone. */
#include "base/compiler.h"
#include "store-fixture.h"

enum { N_KEYS = 3000 };

static size_t key_of(unsigned i, char key[32])
{
        return (size_t)snprintf(key, 32, "key-%u", i);
}

/* Every third is not there. */
static bool is_there(unsigned i)
{
        return i % 3 != 2;
}

static void fill(struct fixture *f)
{
        char key[32];

        for (unsigned i = 0; i < N_KEYS; i++) {
                size_t len = key_of(i, key);

                if (is_there(i))
                        assert_int_equal(bm_insert(f->root, key, len, &i, sizeof(i), i), 0);
        }
}

static void assert_key(unsigned i, int result, struct bm_view *view)
{
        assert_int_equal(result, is_there(i) ? 0 : BM_E_NOT_FOUND);
        if (result)
                return;
        assert_int_equal(view->count, i);
        assert_int_equal(view->size, sizeof(i));
        assert_memory_equal(view->value, &i, sizeof(i));
        assert_int_equal(bm_view_release(view), 0);
}

/* N at a time, in an order that has no locality. */
static void read_all(struct fixture *f, size_t n)
{
        static char names[N_KEYS][32];
        static struct bm_key keys[N_KEYS];
        static struct bm_view views[N_KEYS];
        static int results[N_KEYS];

        for (unsigned i = 0; i < N_KEYS; i++)
                keys[i] = (struct bm_key){names[i], key_of(i * 7U % N_KEYS, names[i])};
        for (size_t at = 0; at < N_KEYS; at += n)
                bm_read_values(f->root, keys + at, n < N_KEYS - at ? n : N_KEYS - at, views + at,
                               results + at);
        for (unsigned i = 0; i < N_KEYS; i++)
                assert_key(i * 7U % N_KEYS, results[i], &views[i]);
}

static void test_any_number(void **state)
{
        struct fixture *f = *state;

        fill(f);
        bm_read_values(f->root, NULL, 0, NULL, NULL);
        read_all(f, 1);
        read_all(f, 8);
        read_all(f, 13);
        read_all(f, N_KEYS);
        /* from an index whose blocks are not in memory yet */
        fixture_close(f);
        fixture_open(f);
        read_all(f, 64);
}

static void test_all_kinds(void **state)
{
        struct fixture *f = *state;
        static char large[100000], too_long[BM_KEY_MAX + 1];
        const struct bm_ref linked = {.map = f->root, .key = "first name", .key_len = 10};
        const struct bm_key keys[] = {
                {"small", 5},
                {"", 0},
                {"large", 5},
                {"map", 3},
                {"a/b", 3},
                {"first name", 10},
                {"not there", 9},
                {"a\0b", 3},
                {"second name", 11},
                {"small", 5},
                {too_long, sizeof(too_long)},
                {"empty", 5},
                {"first name", 10},
        };
        const int wanted[] = {0,       -EINVAL, 0, 0,       -EINVAL, 0, BM_E_NOT_FOUND,
                              -EINVAL, 0,       0, -EINVAL, 0,       0};
        struct bm_view views[bm_array_size(keys)], alone;
        int results[bm_array_size(keys)];
        uint64_t map_id;

        memset(too_long, 'k', sizeof(too_long));
        put_text(f, "small", "value");
        put_text(f, "first name", "linked");
        put(f, "empty", NULL, 0);
        put(f, "large", large, sizeof(large));
        assert_int_equal(bm_link(&linked, f->root, "second name", 11, NULL, NULL), 0);
        assert_int_equal(bm_map_create(f->root, "map", 3, "m", 1, &map_id, NULL), 0);
        bm_read_values(f->root, keys, bm_array_size(keys), views, results);
        for (size_t i = 0; i < bm_array_size(keys); i++) {
                int r = bm_read_value(f->root, keys[i].key, keys[i].key_len, &alone);

                assert_int_equal(results[i], wanted[i]);
                assert_int_equal(r, wanted[i]);
                assert_memory_equal(&views[i], &alone, sizeof(alone));
                bm_view_release(&alone);
                bm_view_release(&views[i]);
        }
}

/* Views hold what they show, and a damaged record is that key's trouble alone. */
static void test_damage(void **state)
{
        struct fixture *f = *state;
        const struct bm_key keys[] = {{"good", 4}, {"bad", 3}, {"fine", 4}};
        struct bm_view views[3];
        struct bm_entry entry;
        int results[3];

        put_text(f, "good", "one");
        put_text(f, "bad", "two");
        put_text(f, "fine", "three");
        assert_int_equal(bm_find_entry(f->root, "bad", 3, &entry), 0);
        fixture_damage_segment(f, entry.file_id, entry.offset + 20);
        bm_read_values(f->root, keys, 3, views, results);
        assert_int_equal(results[0], 0);
        assert_int_equal(results[1], -EIO);
        assert_null(views[1].pin_);
        assert_int_equal(results[2], 0);
        remove_key(f, "good");
        put_text(f, "fine", "another");
        assert_memory_equal(views[0].value, "one", 3);
        assert_memory_equal(views[2].value, "three", 5);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(bm_view_release(&views[i]), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_any_number, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_all_kinds, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_damage, fixture_setup, fixture_teardown),
        };

        return cmocka_run_group_tests_name("read-many", tests, NULL, NULL);
}
