/* SPDX-License-Identifier: MIT */
/* Checkpoints: what happens while one is written, and when it cannot be. */
#include "base/le.h"
#include "bucket.h"
#include "checkpoint.h"
#include "store-fixture.h"

enum { KEYS = 2000 };

/* Called whenever a part of the index was written, with no lock held. */
static struct {
        struct fixture *f;
        void (*fn)(struct fixture *f, unsigned call);
        unsigned call;
        int result; /* what the write then gives */
} between;

static int pwrite_between(const struct bm_io *io, int fd, const void *buf, size_t len,
                          uint64_t offset)
{
        struct fixture *f = between.f;
        bool index = f && f->store && fd != f->store->manifests.fd && len >= BM_BLOCK_HEADER;
        if (index && between.fn) {
                void (*fn)(struct fixture * f, unsigned call) = between.fn;
                between.fn = NULL; /* not from within */
                fn(f, between.call++);
                between.fn = fn;
        }
        if (index && between.result)
                return between.result;
        return fault_pwrite(io, fd, buf, len, offset);
}

static void watch(struct fixture *f, void (*fn)(struct fixture *f, unsigned call), int result)
{
        between.f = f;
        between.fn = fn;
        between.call = 0;
        between.result = result;
}

static int setup(void **state)
{
        between.f = NULL;
        int r = fixture_setup(state);
        struct fixture *f = *state;
        f->io.ops.pwrite = pwrite_between;
        return r;
}

static int teardown(void **state)
{
        between.f = NULL;
        return fixture_teardown(state);
}

static size_t key_of(unsigned i, char key[16])
{
        return (size_t)snprintf(key, 16, "key%u", i);
}

static void fill(struct fixture *f)
{
        char key[16];
        for (unsigned i = 0; i < KEYS; i++)
                assert_int_equal(bm_insert(f->root, key, key_of(i, key), "old", 3, 2), 0);
}

static void kill_and_open(struct fixture *f)
{
        between.f = NULL;
        fixture_kill(f);
        fixture_open(f);
}

static void n_maps_is(struct fixture *f, uint64_t n)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(f->store, &stats), 0);
        assert_int_equal(stats.maps, n);
}

/* Each call changes keys all over the map. */
static void change_keys(struct fixture *f, unsigned call)
{
        char key[16];
        for (unsigned i = call; i < KEYS; i += 50) {
                size_t len = key_of(i, key);
                if (i % 3 == 0)
                        assert_int_equal(bm_delete_key(f->root, key, len), 0);
                else if (i % 3 == 1)
                        assert_int_equal(bm_insert(f->root, key, len, "new!", 4, 5000000 + i), 0);
                else
                        assert_int_equal(bm_addref(f->root, key, len, NULL), 0);
        }
}

static void changes_in_between_are_applied_once(void **state)
{
        struct fixture *f = *state;
        struct bm_map_info info;
        uint64_t n_keys = 0, bytes = 0;
        char key[16];
        fill(f);
        watch(f, change_keys, 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        unsigned calls = between.call;
        assert_true(calls > 10 && calls < 50);
        kill_and_open(f);
        for (unsigned i = 0; i < KEYS; i++) {
                struct bm_view view;
                bool changed = i % 50 < calls;
                int r = bm_read_value(f->root, key, key_of(i, key), &view);
                assert_int_equal(r, changed && i % 3 == 0 ? BM_E_NOT_FOUND : 0);
                if (r != 0)
                        continue;
                assert_int_equal(view.size, changed && i % 3 == 1 ? 4 : 3);
                assert_int_equal(view.count, !changed ? 2 : i % 3 == 1 ? 5000000 + i : 3);
                n_keys++;
                bytes += view.size;
                bm_view_release(&view);
        }
        assert_int_equal(bm_map_info(f->root, &info), 0);
        assert_int_equal(info.n_keys, n_keys);
        assert_int_equal(info.value_bytes, bytes);
        assert_sound(f);
}

/*
 * A bucket of several writes, and in the midst of it names all over that were
 * values, are removed, and become those of maps that were there before.
 * Replayed over what came of them, the values would take those maps away.
 */
enum { MANY = 150000, NAMES = 300 };

static size_t name_of(unsigned i, char name[16])
{
        return (size_t)snprintf(name, 16, "name%u", i);
}

static void make_maps(struct fixture *f)
{
        char name[16];
        for (unsigned i = 0; i < NAMES; i++) {
                size_t len = name_of(i, name);
                struct bm_map *map;
                uint64_t id;
                name[0] = 'm';
                assert_int_equal(bm_map_create(f->root, name, len, NULL, 0, &id, NULL), 0);
                assert_int_equal(bm_map_open(f->store, id, &map), 0);
                assert_int_equal(bm_insert(map, "key", 3, name, len, 1), 0);
                bm_map_close(map);
        }
}

static bool has_key(struct fixture *f, const char *key)
{
        struct bm_view view;
        int r = bm_read_value(f->root, key, strlen(key), &view);
        bm_view_release(&view);
        return r == 0;
}

static void values_become_maps(struct fixture *f, unsigned call)
{
        const struct bm_index *ix = &f->root->buckets[0].index;
        char name[16];
        if (ix->copied == 0 || has_key(f, "name0"))
                return;
        for (unsigned i = 0; i < NAMES; i++) {
                size_t len = name_of(i, name);
                char old[16];
                memcpy(old, name, sizeof(old));
                old[0] = 'm';
                struct bm_ref from = {.map = f->root, .key = old, .key_len = len};
                struct bm_rename_args args = {0};
                assert_int_equal(bm_insert(f->root, name, len, "value", 5, 1), 0);
                assert_int_equal(bm_delete_key(f->root, name, len), 0);
                assert_int_equal(bm_rename(&from, f->root, name, len, &args), 0);
                assert_int_equal(bm_insert(f->root, old, len, "another", 7, 1), 0);
        }
}

static void a_bucket_is_copied_in_runs(void **state)
{
        struct fixture *f = *state;
        struct bm_map_info before, info;
        char key[16];
        fixture_close(f);
        snprintf(f->path, sizeof(f->path), "%s/one", f->dir);
        f->config.n_buckets = 1;
        assert_int_equal(bm_create(f->path, &f->config), 0);
        fixture_open(f);
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(bm_insert(f->root, key, key_of(i, key), "", 0, 1), 0);
        make_maps(f);
        watch(f, values_become_maps, 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_true(has_key(f, "name0"));
        assert_int_equal(bm_map_info(f->root, &before), 0);
        kill_and_open(f);
        assert_int_equal(bm_map_info(f->root, &info), 0);
        assert_int_equal(info.n_keys, MANY + 2 * NAMES);
        assert_int_equal(info.n_maps, NAMES);
        assert_int_equal(info.value_bytes, before.value_bytes);
        for (unsigned i = 0; i < NAMES; i++) {
                struct bm_view view;
                struct bm_map *map;
                size_t len = name_of(i, key);
                assert_int_equal(bm_read_value(f->root, key, len, &view), 0);
                assert_int_equal(bm_map_open(f->store, view.map_id, &map), 0);
                bm_view_release(&view);
                assert_int_equal(bm_read_value(map, "key", 3, &view), 0);
                assert_int_equal(view.size, len);
                bm_view_release(&view);
                bm_map_close(map);
                key[0] = 'm';
                assert_text(f, key, "another");
        }
        assert_sound(f);
}

/* The three limits of a replay, each to the last byte or record. */
static void due_when_a_replay_gets_long(void **state)
{
        struct fixture *f = *state;
        struct bm_manifests *m = &f->store->manifests;
        _Atomic uint64_t *written = &f->store->log.written;
        uint64_t index = atomic_load(&f->store->index_stats.bytes);
        uint64_t since = atomic_load(&m->log_at_last);
        put_text(f, "key", "value");
        assert_false(bm_checkpoint_due(f->store));
        _Atomic uint64_t *n_records = &f->store->log.n_records;
        uint64_t records = atomic_load(n_records), bytes = atomic_load(written);
        atomic_store(n_records, atomic_load(&m->records_at_last) + 3000000);
        assert_false(bm_checkpoint_due(f->store));
        atomic_store(n_records, atomic_load(&m->records_at_last) + 3000001);
        assert_true(bm_checkpoint_due(f->store));
        atomic_store(n_records, records);
        atomic_store(written, since + (256 << 20));
        assert_false(bm_checkpoint_due(f->store));
        atomic_store(written, since + (256 << 20) + 1);
        assert_true(bm_checkpoint_due(f->store));
        /* of a large index a quarter counts */
        atomic_store(&f->store->index_stats.bytes, UINT64_C(4) << 30);
        assert_false(bm_checkpoint_due(f->store));
        atomic_store(written, since + (1 << 30) + 1);
        assert_true(bm_checkpoint_due(f->store));
        atomic_store(&f->store->index_stats.bytes, index);
        atomic_store(written, bytes);
}

static void log_on(struct fixture *f, unsigned call)
{
        if (call == 0)
                put_text(f, "meanwhile", "value");
}

/* They count from where a replay would begin, and go on if there is no new beginning. */
static void a_replay_is_counted_from_its_beginning(void **state)
{
        struct fixture *f = *state;
        struct bm_manifests *m = &f->store->manifests;
        fill(f);
        uint64_t records = atomic_load(&m->records_at_last), since = atomic_load(&m->log_at_last);
        assert_true(atomic_load(&f->store->log.n_records) - records >= KEYS);
        watch(f, NULL, -EIO);
        assert_int_equal(bm_checkpoint(f->store), -EIO);
        assert_int_equal(atomic_load(&m->records_at_last), records);
        assert_int_equal(atomic_load(&m->log_at_last), since);
        since = atomic_load(&f->store->log.written);
        records = atomic_load(&f->store->log.n_records);
        watch(f, log_on, 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_int_equal(atomic_load(&m->records_at_last), records);
        assert_true(atomic_load(&f->store->log.n_records) > records);
        assert_int_equal(atomic_load(&m->log_at_last), since);
}

/* What is replayed counts until there is a checkpoint, which there may be no room for. */
static void what_was_replayed_counts(void **state)
{
        struct fixture *f = *state;
        fill(f);
        fixture_kill(f);
        f->config.read_only = true;
        fixture_open(f);
        const struct bm_manifests *m = &f->store->manifests;
        uint64_t n_replayed = f->store->replayed_records;
        assert_true(n_replayed >= KEYS);
        assert_int_equal(atomic_load(&f->store->log.n_records) - atomic_load(&m->records_at_last),
                         n_replayed);
        assert_true(atomic_load(&f->store->log.written) - atomic_load(&m->log_at_last) >
                    n_replayed);
        fixture_close(f);
        f->config.read_only = false;
        fixture_open(f);
        assert_int_equal(atomic_load(&f->store->log.n_records),
                         atomic_load(&f->store->manifests.records_at_last));
}

/* Maps come, go, move and replace others. */
static void change_maps(struct fixture *f, unsigned call)
{
        struct bm_rename_args args = {0};
        char a[16], b[16];
        size_t a_len = (size_t)snprintf(a, sizeof(a), "a%u", call);
        size_t b_len = (size_t)snprintf(b, sizeof(b), "b%u", call);
        struct bm_ref ref = {.map = f->root, .key = a, .key_len = a_len};
        assert_int_equal(bm_map_create(f->root, a, a_len, NULL, 0, NULL, NULL), 0);
        assert_int_equal(bm_map_create(f->root, b, b_len, NULL, 0, NULL, NULL), 0);
        assert_int_equal(bm_rename(&ref, f->root, b, b_len, &args), 0);
        if (call % 2)
                assert_int_equal(bm_map_remove(f->root, b, b_len), 0);
        if (call >= 4) { /* those that earlier parts may have written down */
                snprintf(b, sizeof(b), "m%u", call);
                int r = bm_map_remove(f->root, b, strlen(b));
                assert_true(r == 0 || r == BM_E_NOT_FOUND);
                snprintf(a, sizeof(a), "m%u", call + 1);
                snprintf(b, sizeof(b), "m%u", call + 2);
                ref.key_len = strlen(a);
                r = bm_rename(&ref, f->root, b, strlen(b), &args);
                assert_true(r == 0 || r == BM_E_NOT_FOUND);
        }
}

static int count_maps(void *ctx, const struct bm_item *item)
{
        *(uint64_t *)ctx += item->view.map_id != 0;
        return 0;
}

static void maps_in_between_come_and_go(void **state)
{
        struct fixture *f = *state;
        uint64_t n = 1; /* the root */
        char key[16];
        for (unsigned i = 0; i < 60; i++) {
                snprintf(key, sizeof(key), "m%u", i);
                assert_int_equal(bm_map_create(f->root, key, strlen(key), NULL, 0, NULL, NULL), 0);
        }
        fill(f);
        watch(f, change_maps, 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_true(between.call > 10);
        assert_int_equal(bm_keys(f->root, count_maps, &n), 0);
        n_maps_is(f, n);
        kill_and_open(f);
        n_maps_is(f, n);
        assert_sound(f);
}

/* A checkpoint that fails leaves the one before in force, and the next succeeds. */
static void a_failed_one_is_made_up_for(void **state)
{
        struct fixture *f = *state;
        fill(f);
        assert_int_equal(bm_checkpoint(f->store), 0);
        for (int i = 0; i < 3; i++) {
                uint64_t generation = f->store->manifests.newest.generation;
                put_text(f, "key1", "changed");
                watch(f, NULL, -EIO);
                assert_int_equal(bm_checkpoint(f->store), -EIO);
                assert_int_equal(f->store->manifests.newest.generation, generation);
                watch(f, NULL, 0);
                if (i == 0)
                        kill_and_open(f);
                assert_text(f, "key1", "changed");
                if (i == 1)
                        assert_int_equal(bm_checkpoint(f->store), 0);
                kill_and_open(f);
                assert_text(f, "key1", "changed");
                assert_text(f, "key2", "old");
                assert_sound(f);
        }
}

/* Nothing is left lying about, however often. */
static void files_do_not_gather(void **state)
{
        struct fixture *f = *state;
        uint64_t used = 0;
        fill(f);
        for (int i = 0; i < 40; i++) {
                put_text(f, "key1", "changed");
                assert_int_equal(bm_checkpoint(f->store), 0);
                assert_int_equal(bm_compact(f->store), 0);
                if (i % 4 == 0) {
                        fixture_close(f);
                        fixture_open(f);
                } else if (i % 4 == 2) {
                        kill_and_open(f);
                }
                if (i == 8)
                        used = fault_used(&f->io);
        }
        /* a log segment more or less */
        assert_true(fault_used(&f->io) < used + (2 << BM_SEGMENT_LOG2_MIN));
        assert_sound(f);
}

/* A seal that leads to its own segment, or back: the log ends there. */
static void seals_that_lead_in_circles(void **state)
{
        struct fixture *f = *state;
        put_text(f, "before", "1");
        assert_int_equal(bm_sync(f->store), 0);
        struct bm_segment *s = atomic_load(&f->store->log.active);
        uint64_t at = atomic_load(&s->used);
        uint8_t value[BM_SEAL_BYTES], bytes[BM_SEAL_ROOM];
        bm_seal_encode(&(struct bm_seal){.next_number = s->header.number,
                                         .next_salt = s->header.salt,
                                         .next_file_id = s->header.file_id},
                       value);
        struct bm_record seal = {.type = BM_REC_SEAL, .value = value, .value_len = sizeof(value)};
        uint32_t len = bm_record_measure(&seal, s->header.base_time);
        bm_record_encode(&seal, s->header.base_time, bytes);
        bm_record_seal(bytes, len, s->header.salt, at);
        assert_int_equal(bm_segment_write(s, at, bytes, len), 0);
        kill_and_open(f);
        assert_text(f, "before", "1");
        put_text(f, "after", "2");
        kill_and_open(f);
        assert_text(f, "after", "2");
        assert_sound(f);
}

/* A manifest with a good checksum whose log would end behind its segment. */
static void a_clean_end_behind_the_segment(void **state)
{
        struct fixture *f = *state;
        struct bm_manifest m;
        struct bm_store *store;
        uint8_t bytes[BM_MANIFEST_ROOT];
        char path[512];
        put_text(f, "a", "1");
        fixture_close(f);
        snprintf(path, sizeof(path), "%s/manifest", f->path);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        for (off_t i = 0; i < 2; i++) {
                off_t place = i * BM_MANIFEST_ROOT;
                assert_int_equal(pread(fd, bytes, sizeof(bytes), place), sizeof(bytes));
                assert_int_equal(bm_manifest_decode(&m, bytes), 0);
                assert_true(m.clean);
                m.covered = m.replay_from = bm_pos(bm_pos_number(m.covered), 1 << 26);
                bm_manifest_encode(&m, bytes);
                assert_int_equal(pwrite(fd, bytes, sizeof(bytes), place), sizeof(bytes));
        }
        close(fd);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
}

#define test_here(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_here(changes_in_between_are_applied_once),
                test_here(a_bucket_is_copied_in_runs),
                test_here(due_when_a_replay_gets_long),
                test_here(a_replay_is_counted_from_its_beginning),
                test_here(what_was_replayed_counts),
                test_here(maps_in_between_come_and_go),
                test_here(a_failed_one_is_made_up_for),
                test_here(files_do_not_gather),
                test_here(seals_that_lead_in_circles),
                test_here(a_clean_end_behind_the_segment),
        };
        return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
