/* SPDX-License-Identifier: MIT */
/* Names: renaming, and removed records that are still open. */
#include "store-fixture.h"

static uint64_t id_of(struct fixture *f, const char *key)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), 0);
        uint64_t id = view.record_id;
        bm_view_release(&view);
        return id;
}

static uint64_t count_of(struct fixture *f, const char *key)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), 0);
        uint64_t count = view.count;
        bm_view_release(&view);
        return count;
}

static struct bm_ref ref_to(struct fixture *f, const char *key)
{
        return (struct bm_ref){.map = f->root, .key = key, .key_len = strlen(key)};
}

static int rename_key(struct fixture *f, const char *from, const char *to,
                      struct bm_rename_args *args)
{
        struct bm_ref ref = ref_to(f, from);
        return bm_rename(&ref, f->root, to, strlen(to), args);
}

static uint64_t make_orphan(struct fixture *f, const char *key, bm_meta_fn meta_fn)
{
        struct bm_ref ref = ref_to(f, key);
        ref.record_id = id_of(f, key);
        assert_int_equal(
                bm_remove(&ref, &(struct bm_remove_args){.orphan = true, .meta_fn = meta_fn}), 0);
        return ref.record_id;
}

static void make_map(struct fixture *f, const char *key)
{
        assert_int_equal(bm_map_create(f->root, key, strlen(key), NULL, 0, NULL, NULL), 0);
}

static int note(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        memcpy(meta, "note", 4);
        *meta_len = 4;
        return 0;
}

/* Renaming */

static void renaming_keeps_the_record(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {0};
        put_text(f, "a", "value");
        uint64_t id = id_of(f, "a");
        assert_int_equal(rename_key(f, "a", "b", &args), 0);
        assert_int_equal(args.victim_id, 0);
        assert_gone(f, "a");
        assert_text(f, "b", "value");
        assert_int_equal(id_of(f, "b"), id);
        assert_int_equal(rename_key(f, "a", "b", &args), BM_E_NOT_FOUND);
        assert_int_equal(rename_key(f, "b", "b", &args), 0);
        assert_sound(f);
}

/* The result has the source's count if that is not 1, else the victim's. */
static void replacing_keeps_a_count(void **state)
{
        static const struct {
                uint64_t source, victim, result;
        } cases[] = {
                {1, 1, 1},
                {1, 7, 7},
                {5, 7, 5},
                {0, 7, 0},
                {1, 2000000, 2000000},
                {3000000, 2000000, 3000000},
                {2, 2000000, 2},
        };
        struct fixture *f = *state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct bm_rename_args args = {.orphan_victim = i % 2};
                assert_int_equal(bm_insert(f->root, "s", 1, "src", 3, cases[i].source), 0);
                assert_int_equal(bm_insert(f->root, "v", 1, "vic", 3, cases[i].victim), 0);
                uint64_t victim = id_of(f, "v");
                assert_int_equal(rename_key(f, "s", "v", &args), 0);
                assert_int_equal(args.victim_id, victim);
                assert_int_equal(count_of(f, "v"), cases[i].result);
                assert_text(f, "v", "src");
                if (!args.orphan_victim)
                        continue;
                struct bm_view view;
                struct bm_ref ref;
                uint8_t key[8];
                bm_orphan_ref(f->store, victim, key, &ref);
                assert_int_equal(bm_read_ref(&ref, &view), 0);
                assert_int_equal(view.count, cases[i].victim);
                bm_view_release(&view);
                assert_int_equal(bm_orphan_release(f->store, victim), 0);
        }
        fixture_kill(f);
        fixture_open(f);
        assert_int_equal(count_of(f, "v"), 2);
}

static void exchanging_swaps_names(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {.exchange = true, .moved_fn = note};
        assert_int_equal(bm_insert(f->root, "a", 1, "one", 3, 5000000), 0);
        assert_int_equal(bm_insert(f->root, "b", 1, "two", 3, 6000000), 0);
        uint64_t a = id_of(f, "a"), b = id_of(f, "b");
        assert_int_equal(rename_key(f, "a", "none", &args), BM_E_NOT_FOUND);
        assert_int_equal(rename_key(f, "a", "b", &args), 0);
        assert_int_equal(args.victim_id, b);
        for (int i = 0; i < 2; i++) {
                assert_text(f, "a", "two");
                assert_text(f, "b", "one");
                assert_int_equal(id_of(f, "a"), b);
                assert_int_equal(id_of(f, "b"), a);
                assert_int_equal(count_of(f, "a"), 6000000);
                assert_int_equal(count_of(f, "b"), 5000000);
                fixture_kill(f);
                fixture_open(f);
        }
}

static void what_may_replace_what(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {0}, careful = {.no_replace = true};
        struct bm_map_info info;
        put_text(f, "value", "1");
        put_text(f, "other", "2");
        make_map(f, "map");
        make_map(f, "empty");
        make_map(f, "full");
        struct bm_view view;
        struct bm_map *full;
        assert_int_equal(bm_read_value(f->root, "full", 4, &view), 0);
        assert_int_equal(bm_map_open(f->store, view.map_id, &full), 0);
        bm_view_release(&view);
        assert_int_equal(bm_insert(full, "x", 1, "x", 1, 1), 0);

        assert_int_equal(rename_key(f, "value", "other", &careful), BM_E_EXISTS);
        struct bm_rename_args same = {.victim_id = 7, .victim_links = 7};
        assert_int_equal(rename_key(f, "value", "value", &same), 0);
        assert_int_equal(same.victim_id, 0);
        assert_int_equal(same.victim_links, 0);
        assert_int_equal(rename_key(f, "value", "map", &args), BM_E_IS_MAP);
        assert_int_equal(rename_key(f, "map", "value", &args), BM_E_NOT_MAP);
        assert_int_equal(rename_key(f, "map", "full", &args), BM_E_NOT_EMPTY);
        assert_int_equal(rename_key(f, "full", "empty", &args), 0);
        struct bm_ref ref = ref_to(f, "empty");
        assert_int_equal(bm_rename(&ref, full, "self", 4, &args), BM_E_LOOP);
        assert_int_equal(bm_map_remove(f->root, "empty", 5), BM_E_NOT_EMPTY);
        assert_int_equal(bm_map_remove(f->root, "value", 5), BM_E_NOT_MAP);
        assert_int_equal(bm_map_remove(f->root, "none", 4), BM_E_NOT_FOUND);
        assert_int_equal(bm_map_info(full, &info), 0);
        assert_int_equal(info.n_keys, 1);
        bm_map_close(full);
        assert_sound(f);
}

/* Orphans */

static void an_orphan_can_be_used_until_it_is_released(void **state)
{
        struct fixture *f = *state;
        struct bm_ref ref;
        uint8_t key[8];
        char buf[16];
        size_t done;
        for (int i = 0; i < 2; i++) {
                put_text(f, "open", "before");
                uint64_t id = make_orphan(f, "open", i ? note : NULL);
                assert_gone(f, "open");
                put_text(f, "open", "another");
                bm_orphan_ref(f->store, id, key, &ref);
                assert_int_equal(bm_write_at(&ref, 3, "MORE", 4, NULL, NULL, &done), 0);
                assert_int_equal(bm_read_at(&ref, 0, buf, sizeof(buf), &done), 0);
                assert_int_equal(done, 7);
                assert_memory_equal(buf, "befMORE", 7);
                assert_text(f, "open", "another");
                assert_int_equal(bm_orphan_release(f->store, id), 0);
                assert_int_equal(bm_orphan_release(f->store, id), BM_E_NOT_FOUND);
                assert_int_equal(bm_map_sums(f->store->orphans).n_keys, 0);
                assert_int_equal(bm_map_sums(f->store->orphans).value_bytes, 0);
        }
}

static int add_live(void *ctx, struct bm_segment *s)
{
        if (s->base)
                *(uint64_t *)ctx += atomic_load(&s->n_live);
        return 0;
}

static uint64_t n_live(struct fixture *f)
{
        uint64_t n = 0;
        bm_drives_each(&f->store->drives, add_live, &n);
        return n;
}

/* They are gone with the process, and hold no segment for ever. */
static void orphans_do_not_outlive_the_process(void **state)
{
        struct fixture *f = *state;
        static const char large[100000];
        uint64_t before = n_live(f);
        for (int i = 0; i < 3; i++) {
                put_text(f, "a", "1");
                put_text(f, "b", "2");
                put(f, "c", large, sizeof(large));
                make_orphan(f, "a", NULL);
                make_orphan(f, "b", note);
                make_orphan(f, "c", NULL);
                if (i == 1)
                        fixture_kill(f);
                else
                        fixture_close(f);
                fixture_open(f);
                assert_int_equal(bm_compact(f->store), 0);
                assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
                assert_int_equal(n_live(f), before);
                assert_sound(f);
        }
}

/* Its chunks are spared as long as it is open, also by those who failed to remove it. */
static void the_sweeper_spares_an_open_orphan(void **state)
{
        struct fixture *f = *state;
        static uint8_t large[100000], back[100000];
        struct bm_ref ref;
        uint8_t key[8];
        size_t done;
        memset(large, 'L', sizeof(large));
        put(f, "large", large, sizeof(large));
        uint64_t id = make_orphan(f, "large", NULL);
        assert_int_equal(bm_compact(f->store), 0);
        bm_orphan_ref(f->store, id, key, &ref);
        assert_int_equal(bm_read_at(&ref, 0, back, sizeof(back), &done), 0);
        assert_int_equal(done, sizeof(back));
        assert_memory_equal(back, large, sizeof(back));
        assert_int_equal(bm_orphan_release(f->store, id), 0);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
        assert_int_equal(bm_map_sums(f->store->drops).n_keys, 0);
}

/* What makes the change of meta fail makes the removal fail, and holds nothing. */
static int refuse(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        return -E2BIG;
}

static void a_failed_removal_changes_nothing(void **state)
{
        struct fixture *f = *state;
        static const char large[100000];
        put(f, "large", large, sizeof(large));
        struct bm_ref ref = ref_to(f, "large");
        assert_int_equal(
                bm_remove(&ref, &(struct bm_remove_args){.orphan = true, .meta_fn = refuse}),
                -E2BIG);
        assert_int_equal(bm_counts_n(&f->store->held), 0);
        assert_int_equal(bm_delete_key(f->root, "large", 5), 0);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(renaming_keeps_the_record),
                test_in_store(replacing_keeps_a_count),
                test_in_store(exchanging_swaps_names),
                test_in_store(what_may_replace_what),
                test_in_store(an_orphan_can_be_used_until_it_is_released),
                test_in_store(orphans_do_not_outlive_the_process),
                test_in_store(the_sweeper_spares_an_open_orphan),
                test_in_store(a_failed_removal_changes_nothing),
        };
        return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
