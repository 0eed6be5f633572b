/* SPDX-License-Identifier: MIT */
/* Listings and their cookies, while the map changes and with slots that lead elsewhere. */
#include "bucket.h"
#include "store-fixture.h"

enum { KEYS = 3000 };

static size_t key_of(unsigned i, char key[16])
{
        return (size_t)snprintf(key, 16, "%u", i);
}

static void fill(struct fixture *f)
{
        char key[16];
        for (unsigned i = 0; i < KEYS; i++) {
                size_t len = key_of(i, key);
                assert_int_equal(bm_insert(f->root, key, len, key, len, 1), 0);
        }
}

static unsigned number_of(const struct bm_item *item)
{
        char text[16] = {0};
        assert_true(item->key_len < sizeof(text));
        memcpy(text, item->key, item->key_len);
        return (unsigned)atoi(text);
}

/* Lists from FROM on; which keys came, and their cookies in order. */
struct listing {
        unsigned n, keys[2 * KEYS];
        uint64_t cookies[2 * KEYS];
        unsigned char seen[2 * KEYS];
};

static void list_from(struct fixture *f, uint64_t from, struct listing *l)
{
        struct bm_cursor *cursor;
        struct bm_item item;
        int r;
        memset(l, 0, sizeof(*l));
        assert_int_equal(bm_cursor_open(f->root, from, &cursor), 0);
        while ((r = bm_cursor_next(cursor, &item)) == 0) {
                unsigned number = number_of(&item);
                assert_true(item.cookie > 2 && item.cookie < UINT64_C(1) << 63);
                assert_true(item.cookie > (l->n ? l->cookies[l->n - 1] : from));
                assert_int_equal(item.view.size, item.key_len);
                assert_memory_equal(item.view.value, item.key, item.key_len);
                l->keys[l->n] = number;
                l->cookies[l->n++] = item.cookie;
                l->seen[number]++;
        }
        assert_int_equal(r, BM_E_NOT_FOUND);
        assert_int_equal(bm_cursor_next(cursor, &item), BM_E_NOT_FOUND);
        bm_cursor_close(cursor);
}

static void every_key_once(void **state)
{
        struct fixture *f = *state;
        static struct listing l;
        list_from(f, 0, &l);
        assert_int_equal(l.n, 0);
        fill(f);
        list_from(f, 0, &l);
        assert_int_equal(l.n, KEYS);
        for (unsigned i = 0; i < KEYS; i++)
                assert_int_equal(l.seen[i], 1);
}

static void a_cookie_leads_to_what_lies_behind(void **state)
{
        struct fixture *f = *state;
        static struct listing all, rest;
        fill(f);
        list_from(f, 0, &all);
        fixture_close(f);
        fixture_open(f);
        for (unsigned i = 0; i < KEYS; i += 97) {
                list_from(f, all.cookies[i], &rest);
                assert_int_equal(rest.n, KEYS - 1 - i);
                assert_memory_equal(rest.cookies, all.cookies + i + 1, rest.n * sizeof(uint64_t));
        }
        list_from(f, (UINT64_C(1) << 63) - 1, &rest);
        assert_int_equal(rest.n, 0);
}

/* The way rm -r does it, some at a time, each time from where it stopped. */
static void deleting_what_was_listed_skips_nothing(void **state)
{
        struct fixture *f = *state;
        struct bm_item item;
        uint64_t cookie = 0;
        unsigned n = 0;
        int r = 0;
        fill(f);
        while (r == 0) {
                struct bm_cursor *cursor;
                char key[16];
                assert_int_equal(bm_cursor_open(f->root, cookie, &cursor), 0);
                for (unsigned i = 0; i < 37 && (r = bm_cursor_next(cursor, &item)) == 0; i++) {
                        size_t len = key_of(number_of(&item), key);
                        assert_int_equal(bm_delete_key(f->root, key, len), 0);
                        cookie = item.cookie;
                        n++;
                }
                bm_cursor_close(cursor);
        }
        assert_int_equal(r, BM_E_NOT_FOUND);
        assert_int_equal(n, KEYS);
        assert_int_equal(bm_map_sums(f->root).n_keys, 0);
}

/* As many again come in between, in pieces, and the index splits under it. */
static void growth_in_between_changes_nothing(void **state)
{
        struct fixture *f = *state;
        static unsigned char seen[2 * KEYS];
        struct bm_cursor *cursor;
        struct bm_item item;
        unsigned added = KEYS;
        char key[16];
        int r;
        memset(seen, 0, sizeof(seen));
        fill(f);
        assert_int_equal(bm_cursor_open(f->root, 0, &cursor), 0);
        while ((r = bm_cursor_next(cursor, &item)) == 0) {
                seen[number_of(&item)]++;
                if (added == 2 * KEYS)
                        continue;
                size_t len = key_of(added++, key);
                assert_int_equal(bm_insert(f->root, key, len, key, len, 1), 0);
        }
        assert_int_equal(r, BM_E_NOT_FOUND);
        bm_cursor_close(cursor);
        for (unsigned i = 0; i < 2 * KEYS; i++)
                assert_true(i < KEYS ? seen[i] == 1 : seen[i] <= 1);
}

static int mark(void *ctx, const struct bm_item *item)
{
        ((unsigned char *)ctx)[number_of(item)]++;
        return 0;
}

static void ranges_tile_the_map(void **state)
{
        struct fixture *f = *state;
        static unsigned char seen[KEYS];
        const uint64_t cuts[] = {
                0,         1, UINT64_C(1) << 60, (UINT64_C(1) << 60) + 12345, UINT64_C(3) << 62,
                UINT64_MAX};
        memset(seen, 0, sizeof(seen));
        fill(f);
        for (unsigned i = 0; i + 1 < sizeof(cuts) / sizeof(cuts[0]); i++)
                assert_int_equal(
                        bm_items_in_range(f->root, cuts[i] + (i > 0), cuts[i + 1], mark, seen), 0);
        for (unsigned i = 0; i < KEYS; i++)
                assert_int_equal(seen[i], 1);
        assert_int_equal(bm_items_in_range(f->root, 2, 1, mark, seen), -EINVAL);
}

/* Half of the slots lead to the record of one key: the listing names that
 * once, says that it cannot read the others, and comes to its end. */
static void slots_that_lead_elsewhere(void **state)
{
        struct fixture *f = *state;
        struct bm_target target;
        struct bm_found found, other;
        struct bm_cursor *cursor;
        struct bm_item item;
        unsigned n_good = 0, n_bad = 0;
        char key[16];
        int r;
        fill(f);
        assert_int_equal(bm_target_init(&target, f->root, "7", 1), 0);
        assert_int_equal(bm_target_find(&target, &other), 0);
        for (unsigned i = 8; i < KEYS; i += 2) {
                assert_int_equal(bm_target_init(&target, f->root, key, key_of(i, key)), 0);
                assert_int_equal(bm_target_find(&target, &found), 0);
                assert_true(found.there);
                bm_index_set(&target.bucket->index, &found.place, &other.slot);
        }
        assert_int_equal(bm_cursor_open(f->root, 0, &cursor), 0);
        while ((r = bm_cursor_next(cursor, &item)) != BM_E_NOT_FOUND) {
                assert_true(r == 0 || r == -EIO);
                n_good += r == 0;
                n_bad += r == -EIO;
                assert_true(n_good + n_bad <= KEYS);
        }
        bm_cursor_close(cursor);
        assert_int_equal(n_bad, (KEYS - 8) / 2);
        assert_int_equal(n_good, KEYS - n_bad);
}

static void discriminators_tell_equal_hashes_apart(void **state)
{
        const struct bm_target low = {.hash = 5}, high = {.hash = UINT64_C(1) << 20};
        struct bm_found found = {.there = false};
        /* cookies 0 to 2 mean the start, "." and ".." */
        assert_int_equal(bm_found_free_disc(&low, &found), 3);
        assert_int_equal(bm_found_free_disc(&high, &found), 0);
        assert_int_equal(bm_cookie(low.hash, 3), 3);
        for (int i = 0; i < 256; i++) {
                int disc = bm_found_free_disc(&high, &found);
                assert_int_equal(disc, i);
                found.used_discs[disc / 64] |= UINT64_C(1) << disc % 64;
        }
        assert_int_equal(bm_found_free_disc(&high, &found), -ENOSPC);
        found.used_discs[1] &= ~(UINT64_C(1) << 5);
        assert_int_equal(bm_found_free_disc(&high, &found), 64 + 5);
        for (unsigned disc = 0; disc < 256; disc++) {
                uint64_t cookie = bm_cookie(UINT64_MAX, (uint8_t)disc);
                assert_true(cookie >> 63 == 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(every_key_once),
                test_in_store(a_cookie_leads_to_what_lies_behind),
                test_in_store(deleting_what_was_listed_skips_nothing),
                test_in_store(growth_in_between_changes_nothing),
                test_in_store(ranges_tile_the_map),
                test_in_store(slots_that_lead_elsewhere),
                cmocka_unit_test(discriminators_tell_equal_hashes_apart),
        };
        return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
