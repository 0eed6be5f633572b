/* SPDX-License-Identifier: MIT */
/* Records with several names: what one name changes is changed for all, each
 * goes for itself, and the record goes with the last; across crashes too. */
#include "store-fixture.h"

#include "large.h"

#define LARGE       (100u << 10)        /* bytes; kept in chunks */
#define LARGE_COUNT (UINT64_C(1) << 40) /* more than an index slot holds */

static struct bm_ref ref_to(struct fixture *f, const char *key)
{
        return (struct bm_ref){.map = f->root, .key = key, .key_len = strlen(key)};
}

static int link_key(struct fixture *f, const char *from, const char *to)
{
        const struct bm_ref ref = ref_to(f, from);
        return bm_link(&ref, f->root, to, strlen(to), NULL, NULL);
}

static void make_link(struct fixture *f, const char *from, const char *to)
{
        assert_int_equal(link_key(f, from, to), 0);
}

static int rename_key(struct fixture *f, const char *from, const char *to,
                      struct bm_rename_args *args)
{
        const struct bm_ref ref = ref_to(f, from);
        return bm_rename(&ref, f->root, to, strlen(to), args);
}

static struct bm_view look(struct fixture *f, const char *key)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), 0);
        struct bm_view shown = view;
        bm_view_release(&view);
        return shown;
}

static void assert_links(struct fixture *f, const char *key, uint32_t links)
{
        const struct bm_view view = look(f, key);
        assert_int_equal(view.links, links);
}

static uint64_t id_of(struct fixture *f, const char *key)
{
        return look(f, key).record_id;
}

static uint64_t n_keys(struct fixture *f)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(f->store, &stats), 0);
        return stats.keys;
}

static uint64_t value_bytes(struct fixture *f)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(f->store, &stats), 0);
        return stats.value_bytes;
}

static void reopen(struct fixture *f)
{
        fixture_close(f);
        fixture_open(f);
}

static void crash(struct fixture *f)
{
        fixture_kill(f);
        fixture_open(f);
}

/* Opens without any manifest: from all records there are. */
static void rebuild(struct fixture *f)
{
        fixture_kill(f);
        char path[512];
        uint8_t zeros[8192] = {0};
        snprintf(path, sizeof(path), "%s/manifest", f->path);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        memset(zeros, 0xff, sizeof(zeros)); /* damaged: never written ones mean a new store */
        assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
        close(fd);
        fixture_open(f);
}

static void compact(struct fixture *f)
{
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_int_equal(bm_compact(f->store), 0);
}

static void (*const accidents[])(struct fixture *f) = {reopen, crash, compact, rebuild, compact};
enum { N_ACCIDENTS = sizeof(accidents) / sizeof(accidents[0]) };

static uint8_t *large_value(void)
{
        uint8_t *value = malloc(LARGE);
        assert_non_null(value);
        for (size_t i = 0; i < LARGE; i++)
                value[i] = (uint8_t)(i * 31 >> 4);
        return value;
}

static void assert_large(struct fixture *f, const char *key)
{
        uint8_t *want = large_value(), *got = malloc(LARGE);
        const struct bm_ref ref = ref_to(f, key);
        size_t done;
        assert_int_equal(bm_read_at(&ref, 0, got, LARGE, &done), 0);
        assert_int_equal(done, LARGE);
        assert_memory_equal(got, want, LARGE);
        free(want);
        free(got);
}

/* Linking */

static void names_share_a_record(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "one");
        assert_links(f, "a", 1);
        assert_false(look(f, "a").by_id);
        uint64_t id = id_of(f, "a");
        make_link(f, "a", "b");
        make_link(f, "b", "c");
        put_text(f, "c", "two");
        for (size_t i = 0; i <= N_ACCIDENTS; i++) {
                assert_text(f, "a", "two");
                assert_text(f, "b", "two");
                assert_links(f, "b", 3);
                assert_true(look(f, "b").by_id);
                assert_int_equal(id_of(f, "a"), id);
                assert_int_equal(id_of(f, "c"), id);
                assert_int_equal(n_keys(f), 3);
                assert_int_equal(value_bytes(f), 3);
                assert_sound(f);
                if (i < N_ACCIDENTS)
                        accidents[i](f);
        }
}

static void what_cannot_be_linked(void **state)
{
        struct fixture *f = *state;
        struct bm_ref ref;
        uint8_t key[8];
        put_text(f, "a", "one");
        put_text(f, "b", "two");
        assert_int_equal(bm_map_create(f->root, "map", 3, NULL, 0, NULL, NULL), 0);
        assert_int_equal(link_key(f, "absent", "c"), BM_E_NOT_FOUND);
        assert_int_equal(link_key(f, "a", "b"), BM_E_EXISTS);
        assert_int_equal(link_key(f, "a", "a"), BM_E_EXISTS);
        assert_int_equal(link_key(f, "a", "map"), BM_E_EXISTS);
        assert_int_equal(link_key(f, "map", "c"), BM_E_IS_MAP);
        assert_int_equal(link_key(f, "map", "map"), BM_E_IS_MAP);
        assert_int_equal(link_key(f, "a", "x/y"), -EINVAL);
        ref = ref_to(f, "a");
        ref.record_id = id_of(f, "b");
        assert_int_equal(bm_link(&ref, f->root, "c", 1, NULL, NULL), BM_E_STALE);
        /* a removed record has lost its last name for good */
        ref.record_id = id_of(f, "a");
        assert_int_equal(bm_remove(&ref, &(struct bm_remove_args){.orphan = true}), 0);
        bm_orphan_ref(f->store, ref.record_id, key, &ref);
        assert_int_equal(bm_link(&ref, f->root, "c", 1, NULL, NULL), BM_E_NOT_FOUND);
        assert_gone(f, "c");
        assert_int_equal(bm_orphan_release(f->store, ref.record_id), 0);
        assert_sound(f);
}

static void links_reach_across_maps(void **state)
{
        struct fixture *f = *state;
        struct bm_map *map;
        struct bm_view view;
        uint64_t map_id;
        assert_int_equal(bm_map_create(f->root, "map", 3, NULL, 0, &map_id, NULL), 0);
        assert_int_equal(bm_map_open(f->store, map_id, &map), 0);
        put_text(f, "a", "one");
        const struct bm_ref ref = ref_to(f, "a");
        assert_int_equal(bm_link(&ref, map, "a", 1, NULL, NULL), 0);
        remove_key(f, "a");
        assert_int_equal(bm_read_value(map, "a", 1, &view), 0);
        assert_memory_equal(view.value, "one", 3);
        assert_int_equal(view.links, 1);
        bm_view_release(&view);
        assert_int_equal(bm_map_remove(f->root, "map", 3), BM_E_NOT_EMPTY);
        assert_int_equal(bm_delete_key(map, "a", 1), 0);
        assert_int_equal(bm_map_remove(f->root, "map", 3), 0);
        bm_map_close(map);
        assert_int_equal(value_bytes(f), 0);
        assert_sound(f);
}

static void the_last_name_takes_the_record(void **state)
{
        struct fixture *f = *state;
        for (size_t i = 0; i < N_ACCIDENTS; i++) {
                put_text(f, "a", "one");
                make_link(f, "a", "b");
                remove_key(f, "a");
                accidents[i](f);
                assert_gone(f, "a");
                assert_text(f, "b", "one");
                assert_links(f, "b", 1);
                remove_key(f, "b");
                accidents[i](f);
                assert_gone(f, "b");
                assert_int_equal(bm_map_sums(f->store->inodes).n_keys, 0);
                assert_int_equal(value_bytes(f), 0);
                assert_int_equal(n_keys(f), 0);
                assert_sound(f);
        }
}

static void large_values_are_linked_as_they_are(void **state)
{
        struct fixture *f = *state;
        uint8_t *value = large_value();
        put(f, "a", value, LARGE);
        make_link(f, "a", "b");
        remove_key(f, "a");
        for (size_t i = 0; i < N_ACCIDENTS; i++) {
                accidents[i](f);
                assert_large(f, "b");
                assert_int_equal(value_bytes(f), LARGE);
                assert_sound(f);
        }
        remove_key(f, "b");
        compact(f);
        crash(f);
        uint64_t swept;
        assert_int_equal(bm_large_sweep(f->store, &swept), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
        assert_sound(f);
        free(value);
}

static void every_write_goes_to_the_record(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref b = ref_to(f, "b");
        uint8_t *value = large_value();
        size_t done;
        put_text(f, "a", "0123456789");
        make_link(f, "a", "b");
        assert_int_equal(bm_write_at(&b, 2, "xy", 2, NULL, NULL, &done), 0);
        assert_text(f, "a", "01xy456789");
        assert_int_equal(bm_truncate(&b, 3, NULL, NULL), 0);
        assert_text(f, "a", "01x");
        assert_int_equal(bm_write_at(&b, 0, value, LARGE, NULL, NULL, &done), 0);
        assert_int_equal(done, LARGE);
        assert_large(f, "a");
        assert_links(f, "a", 2);
        put_text(f, "b", "short again");
        assert_text(f, "a", "short again");
        assert_int_equal(bm_try_write(f->root, "a", 1, "try", 3, 1, NULL), 0);
        assert_text(f, "b", "try");
        put(f, "a", value, LARGE);
        assert_large(f, "b");
        assert_links(f, "b", 2);
        crash(f);
        assert_large(f, "a");
        assert_sound(f);
        free(value);
}

static enum bm_verdict replace(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        assert_int_equal(now->links, 2);
        next->value = "updated";
        next->value_len = 7;
        return BM_PUT;
}

static enum bm_verdict delete (void *ctx, const struct bm_view *now, struct bm_next *next) {
        return BM_DELETE;
}

static void updates_go_to_the_record(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        assert_int_equal(bm_update(f->root, "b", 1, replace, NULL), 0);
        assert_text(f, "a", "updated");
        assert_int_equal(bm_update(f->root, "a", 1, delete, NULL), 0);
        assert_gone(f, "a");
        assert_text(f, "b", "updated");
        assert_int_equal(bm_update(f->root, "b", 1, delete, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->inodes).n_keys, 0);
        assert_sound(f);
}

static void the_count_is_the_records(void **state)
{
        static const uint64_t counts[] = {0, 7, LARGE_COUNT};
        struct fixture *f = *state;
        uint64_t count;
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
                assert_int_equal(bm_insert(f->root, "a", 1, "one", 3, counts[i]), 0);
                make_link(f, "a", "b");
                assert_int_equal(look(f, "b").count, counts[i]);
                assert_int_equal(bm_addref(f->root, "b", 1, &count), 0);
                assert_int_equal(count, counts[i] + 1);
                for (size_t k = 0; k < N_ACCIDENTS; k++) {
                        accidents[k](f);
                        assert_int_equal(look(f, "a").count, counts[i] + 1);
                        assert_sound(f);
                }
                assert_int_equal(bm_delete_if_count(f->root, "a", 1, counts[i]), BM_E_COUNT);
                assert_int_equal(bm_delete_if_count(f->root, "a", 1, counts[i] + 1), 0);
                assert_int_equal(look(f, "b").count, counts[i] + 1);
                remove_key(f, "b");
        }
        assert_int_equal(bm_counts_n(&f->store->counts), 0);
}

static void guard_is_about_the_last_name(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref a = ref_to(f, "a"), b = ref_to(f, "b");
        uint32_t left = 9;
        const struct bm_remove_args guard = {.guard = true, .links = &left};
        assert_int_equal(bm_insert(f->root, "a", 1, "one", 3, 2), 0);
        make_link(f, "a", "b");
        assert_int_equal(bm_remove(&a, &guard), 0);
        assert_int_equal(left, 1);
        assert_int_equal(bm_remove(&b, &guard), BM_E_COUNT);
        assert_int_equal(bm_count_set(&b, 1), 0);
        assert_int_equal(bm_remove(&b, &guard), 0);
        assert_int_equal(left, 0);
}

/* Open and removed */

static void the_last_name_leaves_an_orphan(void **state)
{
        struct fixture *f = *state;
        uint8_t *value = large_value(), key[8];
        const struct bm_remove_args orphan = {.orphan = true};
        struct bm_ref a = ref_to(f, "a"), b = ref_to(f, "b"), kept;
        struct bm_view view;
        size_t done;
        for (int large = 0; large < 2; large++) {
                put(f, "a", value, large ? LARGE : 5);
                uint64_t id = id_of(f, "a");
                make_link(f, "a", "b");
                assert_int_equal(bm_remove(&a, &orphan), 0);
                bm_orphan_ref(f->store, id, key, &kept);
                assert_int_equal(bm_read_ref(&kept, &view), BM_E_NOT_FOUND);
                assert_int_equal(bm_remove(&b, &orphan), 0);
                compact(f);
                assert_int_equal(bm_read_ref(&kept, &view), 0);
                assert_int_equal(view.links, 0);
                assert_int_equal(view.size, large ? LARGE : 5);
                bm_view_release(&view);
                assert_int_equal(bm_write_at(&kept, 0, "xyz", 3, NULL, NULL, &done), 0);
                assert_int_equal(bm_truncate(&kept, 20000, NULL, NULL), 0);
                compact(f);
                assert_int_equal(bm_read_ref(&kept, &view), 0);
                assert_int_equal(view.size, 20000);
                bm_view_release(&view);
                if (large)
                        crash(f);
                else
                        assert_int_equal(bm_orphan_release(f->store, id), 0);
                assert_int_equal(n_keys(f), 0);
                assert_int_equal(bm_map_sums(f->store->inodes).n_keys, 0);
        }
        rebuild(f);
        assert_int_equal(n_keys(f), 0);
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
        assert_sound(f);
        free(value);
}

static void an_id_leads_to_the_record(void **state)
{
        struct fixture *f = *state;
        struct bm_ref by_id;
        struct bm_view view;
        uint8_t key[8];
        size_t done;
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        bm_id_ref(f->store, id_of(f, "a"), key, &by_id);
        remove_key(f, "a");
        assert_int_equal(bm_write_at(&by_id, 0, "O", 1, NULL, NULL, &done), 0);
        assert_text(f, "b", "One");
        assert_int_equal(bm_link(&by_id, f->root, "c", 1, NULL, NULL), 0);
        assert_links(f, "c", 2);
        assert_int_equal(bm_count_set(&by_id, 5), 0);
        assert_int_equal(look(f, "c").count, 5);
        /* it is no name itself */
        assert_int_equal(bm_remove(&by_id, &(struct bm_remove_args){0}), -EINVAL);
        assert_int_equal(bm_rename(&by_id, f->root, "d", 1, &(struct bm_rename_args){0}), -EINVAL);
        remove_key(f, "b");
        remove_key(f, "c");
        assert_int_equal(bm_read_ref(&by_id, &view), BM_E_NOT_FOUND);
        assert_sound(f);
}

/* Renaming */

static void renaming_between_names_does_nothing(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {0}, keep = {.no_replace = true}, swap = {.exchange = true};
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        assert_int_equal(rename_key(f, "a", "b", &args), 0);
        assert_int_equal(args.victim_id, 0);
        assert_int_equal(rename_key(f, "a", "b", &swap), 0);
        assert_int_equal(rename_key(f, "a", "b", &keep), BM_E_EXISTS);
        assert_text(f, "a", "one");
        assert_links(f, "b", 2);
        assert_sound(f);
}

static void a_name_is_renamed_alone(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {0};
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        assert_int_equal(rename_key(f, "a", "c", &args), 0);
        for (size_t i = 0; i < N_ACCIDENTS; i++) {
                accidents[i](f);
                assert_gone(f, "a");
                assert_text(f, "b", "one");
                assert_text(f, "c", "one");
                assert_links(f, "c", 2);
                assert_sound(f);
        }
}

/* The victim loses one name; its value and count stay with the others. */
static void replacing_one_of_several_names(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {.orphan_victim = true};
        assert_int_equal(bm_insert(f->root, "v", 1, "victim", 6, LARGE_COUNT), 0);
        make_link(f, "v", "other");
        uint64_t victim = id_of(f, "v");
        put_text(f, "s", "source");
        assert_int_equal(rename_key(f, "s", "v", &args), 0);
        assert_int_equal(args.victim_id, victim);
        assert_int_equal(args.victim_links, 1);
        for (size_t i = 0; i < N_ACCIDENTS; i++) {
                accidents[i](f);
                assert_gone(f, "s");
                assert_text(f, "v", "source");
                assert_text(f, "other", "victim");
                assert_int_equal(look(f, "v").count, LARGE_COUNT);
                assert_int_equal(look(f, "other").count, LARGE_COUNT);
                assert_links(f, "other", 1);
                assert_sound(f);
        }
}

/* A linked source over each sort of victim. */
static void a_name_replaces(void **state)
{
        struct fixture *f = *state;
        uint8_t *value = large_value();
        struct bm_rename_args args = {0};
        struct bm_ref kept;
        struct bm_view view;
        uint8_t key[8];
        put_text(f, "s", "source");
        make_link(f, "s", "t");
        put(f, "v", value, LARGE);
        make_link(f, "v", "w");
        assert_int_equal(rename_key(f, "s", "v", &args), 0);
        assert_int_equal(args.victim_links, 1);
        assert_text(f, "v", "source");
        assert_large(f, "w");
        uint64_t id = id_of(f, "w");
        args.orphan_victim = true;
        assert_int_equal(rename_key(f, "v", "w", &args), 0);
        assert_int_equal(args.victim_links, 0);
        bm_orphan_ref(f->store, id, key, &kept);
        assert_int_equal(bm_read_ref(&kept, &view), 0);
        assert_int_equal(view.size, LARGE);
        bm_view_release(&view);
        assert_int_equal(bm_orphan_release(f->store, id), 0);
        put_text(f, "plain", "plain");
        assert_int_equal(
                bm_count_set(&(struct bm_ref){.map = f->root, .key = "plain", .key_len = 5}, 9), 0);
        args.orphan_victim = false;
        assert_int_equal(rename_key(f, "w", "plain", &args), 0);
        for (size_t i = 0; i < N_ACCIDENTS; i++) {
                accidents[i](f);
                assert_text(f, "plain", "source");
                assert_text(f, "t", "source");
                /* the victim's count is the record's now, for all its names */
                assert_int_equal(look(f, "t").count, 9);
                assert_links(f, "t", 2);
                assert_int_equal(n_keys(f), 2);
                assert_int_equal(bm_large_sweep(f->store, NULL), 0);
                assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
                assert_sound(f);
        }
        free(value);
}

static void exchanging_names(void **state)
{
        struct fixture *f = *state;
        struct bm_rename_args args = {.exchange = true};
        assert_int_equal(bm_insert(f->root, "a", 1, "linked", 6, LARGE_COUNT), 0);
        make_link(f, "a", "b");
        assert_int_equal(bm_insert(f->root, "c", 1, "alone", 5, LARGE_COUNT + 1), 0);
        assert_int_equal(bm_map_create(f->root, "map", 3, NULL, 0, NULL, NULL), 0);
        assert_int_equal(rename_key(f, "a", "c", &args), 0);
        assert_int_equal(rename_key(f, "map", "b", &args), 0);
        for (size_t i = 0; i < N_ACCIDENTS; i++) {
                accidents[i](f);
                assert_text(f, "a", "alone");
                assert_int_equal(look(f, "a").count, LARGE_COUNT + 1);
                assert_text(f, "c", "linked");
                assert_text(f, "map", "linked");
                assert_true(look(f, "b").map_id);
                assert_int_equal(look(f, "map").count, LARGE_COUNT);
                assert_links(f, "c", 2);
                assert_sound(f);
        }
}

/* Several at once */

static void batches_see_one_record(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch;
        uint8_t *value = large_value();
        for (int large = 0; large < 2; large++) {
                put(f, "a", value, large ? LARGE : 5);
                make_link(f, "a", "b");
                make_link(f, "a", "c");
                make_link(f, "a", "d");
                assert_int_equal(bm_write_batch_new(f->store, &batch), 0);
                assert_int_equal(bm_write_batch_delete(batch, f->root, "a", 1), 0);
                assert_int_equal(bm_write_batch_count(batch, f->root, "b", 1, 5), 0);
                assert_int_equal(bm_write_batch_insert(batch, f->root, "c", 1, "new", 3, 8), 0);
                assert_int_equal(bm_write_batch_delete(batch, f->root, "d", 1), 0);
                assert_int_equal(bm_write_batch_commit(batch), 0);
                crash(f);
                assert_gone(f, "a");
                assert_gone(f, "d");
                assert_text(f, "b", "new");
                assert_int_equal(look(f, "c").count, 8);
                assert_links(f, "c", 2);
                batch = bm_write_batch_free(batch);
                assert_int_equal(bm_write_batch_new(f->store, &batch), 0);
                assert_int_equal(bm_write_batch_count(batch, f->root, "b", 1, 3), 0);
                assert_int_equal(bm_write_batch_delete(batch, f->root, "b", 1), 0);
                assert_int_equal(bm_write_batch_delete(batch, f->root, "c", 1), 0);
                assert_int_equal(bm_write_batch_commit(batch), 0);
                batch = bm_write_batch_free(batch);
                assert_int_equal(n_keys(f), 0);
                assert_int_equal(bm_map_sums(f->store->inodes).n_keys, 0);
                assert_int_equal(bm_large_sweep(f->store, NULL), 0);
                assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
                assert_sound(f);
        }
        free(value);
}

static int count_item(void *ctx, const struct bm_item *item)
{
        unsigned *n = ctx;
        assert_int_equal(item->view.size, 3);
        assert_int_equal(item->view.links, 1000);
        ++*n;
        return 0;
}

static void a_thousand_names_are_listed(void **state)
{
        struct fixture *f = *state;
        char key[16];
        unsigned n = 0;
        put_text(f, "0", "one");
        for (int i = 1; i < 1000; i++) {
                snprintf(key, sizeof(key), "%d", i);
                make_link(f, "0", key);
        }
        assert_int_equal(bm_keys(f->root, count_item, &n), 0);
        assert_int_equal(n, 1000);
        assert_sound(f);
}

/* Writes the record of KEY again with another number of names (0: deletes it),
 * behind the back of the names. */
static void force_links(struct fixture *f, const char *key, uint32_t links)
{
        struct bm_target target;
        struct bm_found found;
        struct bm_location where;
        uint64_t capacity;
        bm_target_init_id(&target, f->store->inodes, id_of(f, key));
        assert_int_equal(bm_target_find(&target, &found), 0);
        struct bm_record r = found.record;
        r.links = links;
        if (links == 0) {
                r.type = BM_REC_DEL;
                r.flags = 0;
                r.value_len = 0;
        }
        assert_int_equal(bm_log_append(&f->store->log, &r, 1, BM_CLAIM_NONE, &where, &capacity), 0);
        assert_int_equal(bm_apply(f->store, &target, &found, &r, &where), 0);
}

static void links_have_a_limit(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        force_links(f, "a", BM_LINKS_MAX);
        assert_links(f, "b", BM_LINKS_MAX);
        assert_int_equal(link_key(f, "a", "c"), -EMLINK);
        assert_gone(f, "c");
}

/* Checking */

struct findings {
        unsigned n;
        char key[256], message[512];
};

static void keep_finding(void *ctx, const struct bm_finding *finding)
{
        struct findings *found = ctx;
        if (found->n++ > 0) /* the first one tells */
                return;
        snprintf(found->key, sizeof(found->key), "%s%.*s", finding->path, (int)finding->key_len,
                 (const char *)finding->key);
        snprintf(found->message, sizeof(found->message), "%s", finding->message);
}

/* As a check that begins now says: earlier changes are no longer under way. */
static struct findings check(struct fixture *f, int result)
{
        struct findings found = {0};
        const struct bm_check_args args = {.finding = keep_finding, .ctx = &found};
        assert_int_equal(bm_check(f->store, &args), result);
        return found;
}

static void check_counts_names(void **state)
{
        struct fixture *f = *state;
        struct findings found;
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        force_links(f, "a", 3);
        found = check(f, BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_non_null(strstr(found.message, "has 2 names, and says 3"));
        assert_true(strcmp(found.key, "a") == 0 || strcmp(found.key, "b") == 0);
        force_links(f, "a", 1);
        found = check(f, BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_non_null(strstr(found.message, "has 2 names, and says 1"));
        /* once it believes to lose the last one */
        remove_key(f, "b");
        found = check(f, BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_string_equal(found.key, "a");
        assert_non_null(strstr(found.message, "which is not there"));
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, "a", 1, &view), -EIO);
        assert_int_equal(bm_delete_key(f->root, "a", 1), -EIO);
}

static void check_misses_names(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        remove_key(f, "a");
        force_links(f, "b", 2);
        remove_key(f, "b");
        const struct findings found = check(f, BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_non_null(strstr(found.message, "has 0 names, and says 1"));
}

/* A damaged record is named by one of its names. */
static void check_names_the_record(void **state)
{
        struct fixture *f = *state;
        struct bm_target target;
        struct bm_found at;
        put_text(f, "a", "one");
        make_link(f, "a", "b");
        bm_target_init_id(&target, f->store->inodes, id_of(f, "a"));
        assert_int_equal(bm_target_find(&target, &at), 0);
        fixture_damage_segment(f, at.slot.file_id, at.slot.offset + at.record.length - 8);
        const struct findings found = check(f, BM_E_DAMAGED);
        assert_true(strcmp(found.key, "a") == 0 || strcmp(found.key, "b") == 0);
        assert_non_null(strstr(found.message, "its record fails the checksum"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(names_share_a_record),
                test_in_store(what_cannot_be_linked),
                test_in_store(links_reach_across_maps),
                test_in_store(the_last_name_takes_the_record),
                test_in_store(large_values_are_linked_as_they_are),
                test_in_store(every_write_goes_to_the_record),
                test_in_store(updates_go_to_the_record),
                test_in_store(the_count_is_the_records),
                test_in_store(guard_is_about_the_last_name),
                test_in_store(the_last_name_leaves_an_orphan),
                test_in_store(an_id_leads_to_the_record),
                test_in_store(renaming_between_names_does_nothing),
                test_in_store(a_name_is_renamed_alone),
                test_in_store(replacing_one_of_several_names),
                test_in_store(a_name_replaces),
                test_in_store(exchanging_names),
                test_in_store(batches_see_one_record),
                test_in_store(a_thousand_names_are_listed),
                test_in_store(links_have_a_limit),
                test_in_store(check_counts_names),
                test_in_store(check_misses_names),
                test_in_store(check_names_the_record),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
