/* SPDX-License-Identifier: MIT */
/* Compaction: what lives and what is looked at survives; tombstones stay as long as they must. */
#include "compact.h"
#include "store-fixture.h"

enum { KEYS = 400, VALUE = 3000 };

static size_t key_of(unsigned i, char key[16])
{
        return (size_t)snprintf(key, 16, "key%u", i);
}

static void fill(struct fixture *f, unsigned from, unsigned to, char byte)
{
        static char value[VALUE];
        char key[16];
        memset(value, byte, VALUE);
        for (unsigned i = from; i < to; i++)
                assert_int_equal(bm_insert(f->root, key, key_of(i, key), value, VALUE, i), 0);
}

static void assert_filled(struct fixture *f, unsigned from, unsigned to, char byte)
{
        static char value[VALUE];
        char key[16];
        memset(value, byte, VALUE);
        for (unsigned i = from; i < to; i++) {
                struct bm_view view;
                assert_int_equal(bm_read_value(f->root, key, key_of(i, key), &view), 0);
                assert_int_equal(view.size, VALUE);
                assert_memory_equal(view.value, value, VALUE);
                assert_int_equal(view.count, i);
                bm_view_release(&view);
        }
}

static void empty(struct fixture *f, unsigned from, unsigned to, unsigned step)
{
        char key[16];
        for (unsigned i = from; i < to; i += step)
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
}

static uint64_t n_files(struct fixture *f)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(f->store, &stats), 0);
        return stats.segments;
}

static void what_lives_is_moved(void **state)
{
        struct fixture *f = *state;
        fill(f, 0, KEYS, 'a');
        fill(f, 0, KEYS, 'b');
        uint64_t before = n_files(f);
        assert_int_equal(bm_compact(f->store), 0);
        assert_true(n_files(f) < before);
        assert_filled(f, 0, KEYS, 'b');
        assert_sound(f);
        for (int i = 0; i < 2; i++) {
                if (i)
                        fixture_close(f);
                else
                        fixture_kill(f);
                fixture_open(f);
                assert_filled(f, 0, KEYS, 'b');
                assert_sound(f);
        }
}

/* A view keeps its bytes, whatever becomes of the key; then its file goes. */
static void a_view_outlives_its_segment(void **state)
{
        struct fixture *f = *state;
        struct bm_view view;
        struct bm_entry entry;
        fill(f, 0, KEYS, 'a');
        assert_int_equal(bm_read_value(f->root, "key7", 4, &view), 0);
        assert_int_equal(bm_find_entry(f->root, "key7", 4, &entry), 0);
        fill(f, 0, KEYS, 'b');
        empty(f, 0, KEYS, 1);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_true(fixture_has_segment(f, entry.file_id));
        assert_false(bm_compact_pending(f->store)); /* no checkpoint could free it */
        char value[VALUE];
        memset(value, 'a', VALUE);
        assert_memory_equal(view.value, value, VALUE);
        bm_view_release(&view);
        assert_int_equal(bm_compact(f->store), 0);
        assert_false(fixture_has_segment(f, entry.file_id));
}

static void an_orphan_is_moved_too(void **state)
{
        struct fixture *f = *state;
        struct bm_view view;
        struct bm_entry entry, moved;
        struct bm_ref ref = {.map = f->root, .key = "key7", .key_len = 4};
        uint8_t key[8];
        fill(f, 0, KEYS, 'a');
        assert_int_equal(bm_find_entry(f->root, "key7", 4, &entry), 0);
        assert_int_equal(bm_remove(&ref, &(struct bm_remove_args){.orphan = true}), 0);
        empty(f, 0, 7, 1);
        empty(f, 8, KEYS, 1);
        assert_int_equal(bm_compact(f->store), 0);
        assert_false(fixture_has_segment(f, entry.file_id));
        bm_orphan_ref(f->store, entry.record_id, key, &ref);
        assert_int_equal(bm_find_entry(ref.map, key, 8, &moved), 0);
        assert_int_not_equal(moved.file_id, entry.file_id);
        assert_int_equal(bm_read_ref(&ref, &view), 0);
        assert_int_equal(view.size, VALUE);
        assert_int_equal(((const char *)view.value)[VALUE - 1], 'a');
        bm_view_release(&view);
        assert_int_equal(bm_orphan_release(f->store, entry.record_id), 0);
}

static void wipe_manifests(struct fixture *f)
{
        char path[512];
        static const char zeros[2 * BM_MANIFEST_ROOT] = "no manifest";
        snprintf(path, sizeof(path), "%s/manifest", f->path);
        int fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
        close(fd);
}

static int add_kept(void *ctx, struct bm_segment *s)
{
        if (s->header.kind == BM_SEGMENT_COLD)
                *(uint64_t *)ctx += atomic_load(&s->kept_bytes);
        return 0;
}

/* Of tombstones that a compaction copied. */
static uint64_t kept_bytes(struct fixture *f)
{
        uint64_t kept = 0;
        bm_drives_each(&f->store->drives, add_kept, &kept);
        return kept;
}

/* Removes keys that are still open. */
static void orphan(struct fixture *f, unsigned from, unsigned to, unsigned step)
{
        char key[16];
        for (unsigned i = from; i < to; i += step) {
                struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(i, key)};
                assert_int_equal(bm_remove(&ref, &(struct bm_remove_args){.orphan = true}), 0);
        }
}

/*
 * The tombstones' segment is emptied first, while what they hide still stands
 * in older ones: they are kept, and without any manifest nothing comes back.
 */
static void tombstones_stay(struct fixture *f, void (*remove)(struct fixture *f, unsigned from,
                                                              unsigned to, unsigned step))
{
        char key[16];
        bool done;
        fill(f, 0, KEYS, 'a'); /* the older segments: nearly all of it lives */
        fixture_kill(f);       /* the next segment begins here, */
        fixture_open(f);
        fill(f, KEYS, KEYS + 50, 'b'); /* and has all the tombstones */
        remove(f, 0, KEYS, 40);        /* the tombstones, among what dies next */
        for (int i = 0; i < 5; i++)
                fill(f, KEYS, KEYS + 50, (char)('c' + i));
        assert_int_equal(bm_compact_one(f->store, 2, &done), 0);
        assert_true(done);
        while (done)
                assert_int_equal(bm_compact_one(f->store, 2, &done), 0);
        assert_true(kept_bytes(f) > 0);
        for (int i = 0; i < 2; i++)
                assert_int_equal(bm_checkpoint(f->store), 0);
        fixture_kill(f);
        wipe_manifests(f);
        fixture_open(f);
        assert_int_equal(bm_checkpoint(f->store), 0); /* over the other wiped one */
        for (unsigned i = 0; i < KEYS; i++) {
                struct bm_view view;
                int r = bm_read_value(f->root, key, key_of(i, key), &view);
                assert_int_equal(r, i % 40 == 0 ? BM_E_NOT_FOUND : 0);
                bm_view_release(&view);
        }
        assert_filled(f, KEYS, KEYS + 50, 'c' + 4);
        assert_sound(f);
}

static void tombstones_stay_as_long_as_something_older_is_dead(void **state)
{
        tombstones_stay(*state, empty);
}

/* What is open counts as alive, and dies with the process. */
static void tombstones_stay_as_long_as_something_is_open(void **state)
{
        tombstones_stay(*state, orphan);
}

/* In the end nothing is left of what was deleted. */
static void deleting_all_leaves_next_to_nothing(void **state)
{
        struct fixture *f = *state;
        struct bm_stats stats;
        for (int i = 0; i < 5; i++) {
                fill(f, 0, KEYS, (char)('a' + i));
                empty(f, 0, KEYS, 1);
        }
        assert_int_equal(bm_compact(f->store), 0);
        /* tombstones that had to be kept go once nothing older is left */
        fixture_close(f);
        fixture_open(f);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_stats(f->store, &stats), 0);
        assert_true(stats.segments <= 3);
        assert_int_equal(stats.keys, 0);
        assert_int_equal(stats.value_bytes, 0);
        assert_int_equal(kept_bytes(f), 0);
}

/* Counts that were changed after their record are moved with it. */
static void counts_are_moved_with_their_records(void **state)
{
        struct fixture *f = *state;
        char key[16];
        fill(f, 0, KEYS, 'a');
        for (unsigned round = 0; round < 30; round++) {
                for (unsigned i = 0; i < KEYS; i++)
                        assert_int_equal(bm_addref(f->root, key, key_of(i, key), NULL), 0);
        }
        for (unsigned i = 0; i < KEYS; i++) {
                struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(i, key)};
                assert_int_equal(bm_count_add(&ref, -30, NULL), 0);
        }
        assert_int_equal(bm_compact(f->store), 0);
        assert_filled(f, 0, KEYS, 'a');
        fixture_kill(f);
        wipe_manifests(f);
        fixture_open(f);
        assert_int_equal(bm_checkpoint(f->store), 0); /* over the other wiped one */
        assert_filled(f, 0, KEYS, 'a');
        assert_sound(f);
}

/* A damaged record is reported, its segment stays, and all else goes on. */
static void damage_stops_nothing_else(void **state)
{
        struct fixture *f = *state;
        struct bm_entry entry;
        struct bm_view view;
        fill(f, 0, KEYS, 'a');
        assert_int_equal(bm_find_entry(f->root, "key7", 4, &entry), 0);
        fixture_damage_segment(f, entry.file_id, entry.offset + 1000);
        empty(f, 0, 7, 1);
        empty(f, 8, KEYS, 1);
        uint64_t before = n_files(f);
        assert_int_equal(bm_compact(f->store), 0);
        assert_true(n_files(f) < before);
        assert_true(fixture_has_segment(f, entry.file_id));
        assert_int_equal(bm_read_value(f->root, "key7", 4, &view), -EIO);
        put_text(f, "new", "value");
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_text(f, "new", "value");
}

/* The count of a record changes while its segment is being compacted: its copy
 * has the new one, and must not claim to be older than that, nor as new as the
 * tombstone that the log takes next. */
static struct {
        struct fixture *f;
        bool armed;
        uint64_t at; /* position of the count */
} meanwhile;

static int count_as_room_is_made(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        const struct bm_ref ref = {.map = meanwhile.f->root, .key = "key7", .key_len = 4};
        if (meanwhile.armed) {
                meanwhile.armed = false;
                meanwhile.at = bm_log_tail(&meanwhile.f->store->log);
                assert_int_equal(bm_count_set(&ref, 77), 0);
        }
        return fault_allocate(io, fd, offset, len);
}

static void a_copy_is_as_new_as_its_count(void **state)
{
        struct fixture *f = *state;
        struct bm_record record;
        struct bm_entry entry;
        bool done;
        fill(f, 0, KEYS, 'a');
        empty(f, 10, KEYS, 1);
        assert_int_equal(bm_find_entry(f->root, "key7", 4, &entry), 0);
        uint32_t before = entry.file_id;
        meanwhile.f = f;
        meanwhile.armed = true;
        f->io.ops.allocate = count_as_room_is_made;
        do
                assert_int_equal(bm_compact_one(f->store, 50, &done), 0);
        while (done && meanwhile.armed);
        assert_false(meanwhile.armed);
        assert_int_equal(bm_find_entry(f->root, "key7", 4, &entry), 0);
        assert_int_not_equal(entry.file_id, before);
        const struct bm_segment *s = bm_drives_segment(&f->store->drives, entry.file_id);
        assert_int_equal(bm_segment_record(s, entry.offset, &record), 0);
        assert_int_equal(record.count, 77);
        assert_true(record.version >= meanwhile.at);
        /* and older than whatever comes next */
        assert_true(record.version < bm_log_tail(&f->store->log));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(what_lives_is_moved),
                test_in_store(a_view_outlives_its_segment),
                test_in_store(an_orphan_is_moved_too),
                test_in_store(tombstones_stay_as_long_as_something_older_is_dead),
                test_in_store(tombstones_stay_as_long_as_something_is_open),
                test_in_store(deleting_all_leaves_next_to_nothing),
                test_in_store(counts_are_moved_with_their_records),
                test_in_store(damage_stops_nothing_else),
                test_in_store(a_copy_is_as_new_as_its_count),
        };
        return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
