/* SPDX-License-Identifier: MIT */
/* Long values have checks of their own: who does not want a damaged one does not meet it, and who
 * does never gets it. */
#include "base/le.h"
#include "compact.h"
#include "store-fixture.h"

enum { VALUE = 4096, LARGE = 3 * BM_CHUNK };

static uint8_t bytes[LARGE];

static struct bm_ref ref_of(struct fixture *f, const char *key)
{
        return (struct bm_ref){.map = f->root, .key = key, .key_len = strlen(key)};
}

/* Flips a bit AT bytes into the record under KEY of MAP. */
static void damage(struct fixture *f, struct bm_map *map, const void *key, size_t key_len,
                   uint64_t at)
{
        struct bm_entry entry;
        assert_int_equal(bm_find_entry(map, key, key_len, &entry), 0);
        fixture_damage_segment(f, entry.file_id, entry.offset + at);
}

static void put_damaged(struct fixture *f, const char *key)
{
        memset(bytes, 'd', sizeof(bytes));
        put(f, key, bytes, VALUE);
        damage(f, f->root, key, strlen(key), VALUE / 2);
}

static void assert_no_value(struct fixture *f, const char *key)
{
        const struct bm_ref ref = ref_of(f, key);
        struct bm_view view;
        uint8_t back[8];
        size_t done;
        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), -EIO);
        assert_int_equal(bm_read_at(&ref, 0, back, sizeof(back), &done), -EIO);
}

static int same_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        return 0;
}

static void attributes_need_no_value(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = ref_of(f, "key");
        struct bm_view view;
        put_text(f, "short", "text");
        put_damaged(f, "key");
        assert_no_value(f, "key");
        assert_int_equal(bm_read_attr(&ref, &view), 0);
        assert_int_equal(view.size, VALUE);
        assert_int_equal(view.count, 1);
        assert_null(view.value);
        assert_false(view.large);
        assert_int_equal(bm_view_release(&view), 0);
        /* nor has a good one any */
        const struct bm_ref good = ref_of(f, "short");
        assert_int_equal(bm_read_attr(&good, &view), 0);
        assert_int_equal(view.size, 4);
        assert_null(view.value);
        assert_int_equal(bm_view_release(&view), 0);

        uint64_t count;
        assert_int_equal(bm_addref(f->root, "key", 3, &count), 0);
        assert_int_equal(count, 2);
        /* whatever takes the value along needs it */
        assert_int_equal(bm_set_meta(&ref, same_meta, NULL), -EIO);
        assert_int_equal(bm_truncate(&ref, 10, NULL, NULL), -EIO);
        size_t done;
        assert_int_equal(bm_write_at(&ref, 1, "x", 1, NULL, NULL, &done), -EIO);
        assert_no_value(f, "key");
}

/* Of a file with several names, too. */
static void names_need_no_value(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = ref_of(f, "key"), other = ref_of(f, "other");
        struct bm_view view;
        struct bm_entry entry;
        memset(bytes, 'd', VALUE);
        put(f, "key", bytes, VALUE);
        assert_int_equal(bm_link(&ref, f->root, "other", 5, NULL, NULL), 0);
        assert_int_equal(bm_find_entry(f->root, "key", 3, &entry), 0);
        uint8_t id[8];
        bm_store_le64(id, entry.record_id);
        damage(f, f->store->inodes, id, sizeof(id), VALUE / 2);
        assert_int_equal(bm_read_attr(&other, &view), 0);
        assert_int_equal(view.links, 2);
        assert_int_equal(view.size, VALUE);
        assert_null(view.value);
        assert_int_equal(bm_view_release(&view), 0);
        assert_no_value(f, "other");
}

static size_t listed(struct bm_cursor *cursor, int *result)
{
        struct bm_item item;
        size_t n = 0;
        int r;
        *result = 0;
        while ((r = bm_cursor_next(cursor, &item)) != BM_E_NOT_FOUND) {
                if (r != 0)
                        *result = r;
                else
                        n++;
        }
        bm_cursor_close(cursor);
        return n;
}

static void listings_need_no_values(void **state)
{
        struct fixture *f = *state;
        struct bm_cursor *cursor;
        int r;
        put_text(f, "short", "text");
        put_damaged(f, "key");
        assert_int_equal(bm_cursor_open_attr(f->root, 0, &cursor), 0);
        assert_int_equal(listed(cursor, &r), 2);
        assert_int_equal(r, 0);
        assert_int_equal(bm_cursor_open(f->root, 0, &cursor), 0);
        assert_int_equal(listed(cursor, &r), 1);
        assert_int_equal(r, -EIO);
}

static void what_goes_may_be_damaged(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref cut = ref_of(f, "cut"), removed = ref_of(f, "removed");
        struct bm_remove_args args = {.orphan = true};
        put_damaged(f, "replaced");
        put_damaged(f, "deleted");
        put_damaged(f, "cut");
        put_damaged(f, "removed");
        put_text(f, "replaced", "new");
        assert_text(f, "replaced", "new");
        remove_key(f, "deleted");
        assert_gone(f, "deleted");
        assert_int_equal(bm_truncate(&cut, 0, NULL, NULL), 0);
        assert_text(f, "cut", "");
        /* kept as it is it may be damaged, written again it may not */
        args.meta_fn = same_meta;
        assert_int_equal(bm_remove(&removed, &args), -EIO);
        assert_no_value(f, "removed");
        args.meta_fn = NULL;
        assert_int_equal(bm_remove(&removed, &args), 0);
        assert_gone(f, "removed");
}

/* What stands before the value is of no use if it is damaged. */
static void a_damaged_head_is_met_by_all(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = ref_of(f, "key");
        struct bm_cursor *cursor;
        struct bm_view view;
        uint64_t count;
        int r;
        memset(bytes, 'd', VALUE);
        put(f, "key", bytes, VALUE);
        damage(f, f->root, "key", 3, BM_RECORD_FIXED + 2); /* its count */
        assert_no_value(f, "key");
        assert_int_equal(bm_read_attr(&ref, &view), -EIO);
        assert_int_equal(bm_addref(f->root, "key", 3, &count), -EIO);
        assert_int_equal(bm_insert(f->root, "key", 3, "new", 3, 1), -EIO);
        assert_int_equal(bm_delete_key(f->root, "key", 3), -EIO);
        assert_int_equal(bm_cursor_open_attr(f->root, 0, &cursor), 0);
        assert_int_equal(listed(cursor, &r), 0);
        assert_int_equal(r, -EIO);
}

static void a_chunk_written_as_a_whole_may_be_damaged(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = ref_of(f, "large");
        static uint8_t back[LARGE];
        uint8_t key[BM_CHUNK_KEY];
        struct bm_view view;
        struct bm_head head;
        size_t done;
        memset(bytes, 'l', sizeof(bytes));
        put(f, "large", bytes, LARGE);
        assert_int_equal(bm_read_attr(&ref, &view), 0);
        assert_true(view.large);
        bm_view_release(&view);
        head.data_id = atomic_load(&f->store->next_data) - 1;
        bm_chunk_key(head.data_id, 1, key);
        damage(f, f->store->chunks, key, sizeof(key), 20000);
        assert_int_equal(bm_read_at(&ref, BM_CHUNK, back, BM_CHUNK, &done), -EIO);
        /* more than a patch and less than the chunk: the rest of it is needed */
        assert_int_equal(bm_write_at(&ref, BM_CHUNK, bytes, BM_CHUNK - 1, NULL, NULL, &done), -EIO);
        assert_int_equal(bm_read_at(&ref, BM_CHUNK, back, BM_CHUNK, &done), -EIO);
        assert_int_equal(bm_write_at(&ref, BM_CHUNK, bytes, BM_CHUNK, NULL, NULL, &done), 0);
        assert_int_equal(bm_read_at(&ref, 0, back, LARGE, &done), 0);
        assert_int_equal(done, LARGE);
        assert_memory_equal(back, bytes, LARGE);
}

/* Dead, it goes with its segment; alive, it is neither copied nor lost. */
static void compaction_looks_at_what_lives(void **state)
{
        struct fixture *f = *state;
        for (int alive = 0; alive < 2; alive++) {
                struct bm_entry entry;
                put_damaged(f, "key");
                assert_int_equal(bm_find_entry(f->root, "key", 3, &entry), 0);
                for (unsigned i = 0; i < 400; i++)
                        put(f, "other", bytes, VALUE);
                if (!alive)
                        remove_key(f, "key");
                assert_int_equal(bm_compact(f->store), 0);
                assert_int_equal(fixture_has_segment(f, entry.file_id), alive);
        }
        assert_no_value(f, "key");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(attributes_need_no_value),
                test_in_store(names_need_no_value),
                test_in_store(listings_need_no_values),
                test_in_store(what_goes_may_be_damaged),
                test_in_store(a_damaged_head_is_met_by_all),
                test_in_store(a_chunk_written_as_a_whole_may_be_damaged),
                test_in_store(compaction_looks_at_what_lives),
        };
        return cmocka_run_group_tests_name("value-check", tests, NULL, NULL);
}
