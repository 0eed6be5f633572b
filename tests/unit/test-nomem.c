/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of a short life fails once. Nothing crashes, what a call
 * says is what happened, and what is in memory is what a kill leaves on disk.
 */
#include "large.h"
#include "recover.h"
#include "store-fixture.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static uint64_t allocations, fail_at;

static bool fails(void)
{
        return ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
        return fails() ? NULL : __real_realloc(old, size);
}

/* One failure may have others follow from it; none but these. */
static int expected(int r)
{
        assert_true(r == 0 || r == -ENOMEM || r == -EIO || r == -EROFS || r == BM_E_NOT_FOUND ||
                    r == BM_E_NOT_EMPTY);
        return r;
}

static enum bm_verdict update(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        next->count = 3000000;
        return BM_PUT;
}

static int list_one(void *ctx, const struct bm_item *item)
{
        return 0;
}

static void use_orphan(struct fixture *f, uint64_t id)
{
        static const char bytes[50000];
        struct bm_ref ref;
        uint8_t key[8];
        size_t done;
        bm_orphan_ref(f->store, id, key, &ref);
        expected(bm_write_at(&ref, 3, bytes, sizeof(bytes), NULL, NULL, &done));
        expected(bm_truncate(&ref, 5, NULL, NULL));
        expected(bm_orphan_release(f->store, id));
}

static void use_maps(struct fixture *f)
{
        struct bm_rename_args args = {0};
        struct bm_ref ref = {.map = f->root, .key = "map", .key_len = 3};
        struct bm_map *map;
        uint64_t id;
        if (expected(bm_map_create(f->root, "map", 3, "meta", 4, &id, NULL)) != 0)
                return;
        expected(bm_map_create(f->root, "other", 5, "meta", 4, NULL, NULL));
        expected(bm_rename(&ref, f->root, "other", 5, &args));
        if (bm_map_open(f->store, id, &map) == 0) {
                for (unsigned i = 0; i < 50; i++) {
                        char key[16];
                        int len = snprintf(key, sizeof(key), "%u", i);
                        expected(bm_insert(map, key, (size_t)len, "v", 1, 2000000 + i));
                }
                bm_map_close(map);
        }
        expected(bm_map_create(f->root, "gone", 4, "meta", 4, NULL, NULL));
        expected(bm_map_remove(f->root, "gone", 4));
}

static void use_batch(struct fixture *f)
{
        struct bm_write_batch *batch;
        if (expected(bm_write_batch_new(f->store, &batch)) != 0)
                return;
        for (unsigned i = 0; i < 20; i++) {
                char key[16];
                int len = snprintf(key, sizeof(key), "batch%u", i);
                expected(bm_write_batch_insert(batch, f->root, key, (size_t)len, "v", 1, 1));
        }
        expected(bm_write_batch_delete(batch, f->root, "large", 5));
        expected(bm_write_batch_commit(batch));
        bm_write_batch_free(batch);
}

/* Several keys at once, names of one record, and holes. */
static void use_names(struct fixture *f)
{
        static const char bytes[200000];
        const struct bm_key keys[] = {{"a", 1}, {"first", 5}, {"second", 6}, {"none", 4}};
        const struct bm_remove_args args = {0};
        struct bm_ref ref = {.map = f->root, .key = "first", .key_len = 5};
        struct bm_view views[4];
        struct bm_write_batch *batch;
        uint64_t done;
        size_t written;
        int results[4];
        expected(bm_insert(f->root, "first", 5, bytes, sizeof(bytes), 1));
        expected(bm_link(&ref, f->root, "second", 6, NULL, NULL));
        bm_read_values(f->root, keys, 4, views, results);
        for (unsigned i = 0; i < 4; i++) {
                expected(results[i]);
                bm_view_release(&views[i]);
        }
        expected(bm_write_at(&ref, 5000, bytes, 3000, NULL, NULL, &written));
        expected(bm_punch(&ref, 20000, 100000, NULL, NULL));
        expected(bm_allocate(&ref, 10000, 90000, 0, NULL, NULL, &done));
        if (expected(bm_write_batch_new(f->store, &batch)) == 0) {
                expected(bm_write_batch_addref(batch, f->root, "second", 6, 7000000));
                expected(bm_write_batch_count(batch, f->root, "first", 5, 3));
                expected(bm_write_batch_commit(batch));
                bm_write_batch_free(batch);
        }
        expected(bm_remove(&ref, &args));
        ref.key = "second";
        ref.key_len = 6;
        expected(bm_remove(&ref, &args));
}

static void live(struct fixture *f)
{
        static const char bytes[100000];
        struct bm_rename_args args = {.orphan_victim = true};
        struct bm_ref ref = {.map = f->root, .key = "a", .key_len = 1};
        size_t done;
        expected(bm_insert(f->root, "a", 1, "value", 5, 5000000));
        expected(bm_insert(f->root, "large", 5, bytes, sizeof(bytes), 1));
        expected(bm_insert(f->root, "b", 1, bytes, sizeof(bytes), 6000000));
        expected(bm_update(f->root, "a", 1, update, NULL));
        if (expected(bm_rename(&ref, f->root, "b", 1, &args)) == 0)
                use_orphan(f, args.victim_id);
        ref.key = "large";
        ref.key_len = 5;
        expected(bm_write_at(&ref, 90000, bytes, 40000, NULL, NULL, &done));
        expected(bm_truncate(&ref, 33000, NULL, NULL));
        use_maps(f);
        use_names(f);
        expected(bm_checkpoint(f->store));
        use_batch(f);
        expected(bm_sync(f->store));
        expected(bm_keys(f->root, list_one, NULL));
        expected(bm_compact(f->store));
        expected(bm_insert(f->root, "last", 4, "v", 1, 1));
}

/* What there is, in one number. */
static int add_item(void *ctx, const struct bm_item *item)
{
        uint64_t *sum = ctx, hash = 14695981039346656037u;
        const uint8_t *key = item->key, *value = item->view.value;
        for (size_t i = 0; i < item->key_len; i++)
                hash = (hash ^ key[i]) * 1099511628211u;
        for (size_t i = 0; value && i < item->view.size; i++)
                hash = (hash ^ value[i]) * 1099511628211u;
        hash = (hash ^ item->view.size) * 1099511628211u;
        hash = (hash ^ item->view.count) * 1099511628211u;
        hash = (hash ^ item->view.record_id) * 1099511628211u;
        *sum += (hash ^ item->view.map_id) * 1099511628211u;
        return 0;
}

struct state {
        uint64_t sum, keys, value_bytes, maps, live_bytes, n_live;
};

static int add_live(void *ctx, struct bm_segment *s)
{
        if (s->base)
                *(uint64_t *)ctx += atomic_load(&s->n_live);
        return 0;
}

static struct state state_of(struct fixture *f)
{
        struct bm_store *s = f->store;
        struct state st = {
                .keys = bm_sum(s, BM_SUM_KEYS),
                .value_bytes = bm_sum(s, BM_SUM_VALUE_BYTES),
                .maps = bm_maps_n(&s->maps),
                .live_bytes = bm_sum(s, BM_SUM_LIVE_BYTES),
        };
        assert_int_equal(bm_keys(f->root, add_item, &st.sum), 0);
        bm_drives_each(&s->drives, add_live, &st.n_live);
        return st;
}

static void every_allocation_fails_once(void **state)
{
        struct fixture *f = *state;
        uint64_t n = 0, used;
        do {
                fixture_teardown(state);
                assert_int_equal(fixture_setup(state), 0);
                f = *state;
                allocations = 0;
                fail_at = ++n;
                live(f);
                used = allocations;
                fail_at = 0;
                expected(bm_orphans_clear(f->store));
                struct state before = state_of(f);
                assert_sound(f);
                assert_int_equal(bm_recount(f->store), 0);
                struct state counted = state_of(f);
                assert_memory_equal(&counted, &before, sizeof(before));
                assert_int_equal(bm_counts_n(&f->store->held), 0);
                fixture_kill(f);
                fixture_open(f);
                struct state after = state_of(f);
                /* cold copies that no checkpoint names yet are made again */
                after.live_bytes = before.live_bytes;
                assert_memory_equal(&after, &before, sizeof(before));
                assert_sound(f);
                assert_int_equal(bm_compact(f->store), 0);
                assert_sound(f);
        } while (used >= n);
        assert_true(n > 100);
}

/* Opening, with something to replay: each time the same files. */
static void opening_without_memory(void **state)
{
        struct fixture *f = *state;
        char pristine[160], command[512];
        live(f);
        struct state before = state_of(f);
        fixture_kill(f);
        strcpy(pristine, f->path);
        for (uint64_t n = 1;; n++) {
                f->n_crashes++;
                fixture_place(f);
                snprintf(command, sizeof(command), "cp -a %s %s", pristine, f->path);
                assert_int_equal(system(command), 0);
                allocations = 0;
                fail_at = n;
                int r = bm_open(f->path, &f->config, &f->store);
                uint64_t used = allocations;
                fail_at = 0;
                if (r != 0) {
                        assert_int_equal(r, -ENOMEM);
                        assert_int_equal(bm_open(f->path, &f->config, &f->store), 0);
                }
                f->root = bm_root(f->store);
                struct state after = state_of(f);
                after.live_bytes = before.live_bytes;
                assert_memory_equal(&after, &before, sizeof(before));
                assert_sound(f);
                fixture_close(f);
                snprintf(command, sizeof(command), "rm -r %s", f->path);
                assert_int_equal(system(command), 0);
                if (used < n)
                        return;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(every_allocation_fails_once),
                test_in_store(opening_without_memory),
        };
        /* hundreds of stores: not for a disk to sync */
        if (access("/dev/shm", W_OK) == 0)
                setenv("TMPDIR", "/dev/shm", 0);
        return cmocka_run_group_tests_name("nomem", tests, NULL, NULL);
}
