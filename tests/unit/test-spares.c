/* SPDX-License-Identifier: MIT */
/* Files of emptied log segments: kept, used again, and given back. */
#include <time.h>

#include "compact.h"
#include "drives.h"
#include "space.h"
#include "store-fixture.h"
#include "superblock.h"

enum { KEYS = 400, VALUE = 3000, DISK_BYTES = 16 << 20 };

/* A disk, whatever the test's directory is on; a small one, so that little is much. */
static int disk_space(const struct bm_io *io, int fd, struct bm_io_space *space)
{
        int r = fault_space(io, fd, space);
        space->total_bytes = DISK_BYTES;
        space->in_memory = false;
        space->in_place = true;
        return r;
}

/* Names that went and may come back. */
static unsigned n_unlinked;

static int counted_unlink(const struct bm_io *io, int dir, const char *name)
{
        int r = bm_io_call(&bm_io_posix, unlink_at, dir, name);
        n_unlinked += r == 0;
        return r;
}

static int counted_sync_dir(const struct bm_io *io, int dir)
{
        n_unlinked = 0;
        return bm_io_call(&bm_io_posix, sync_dir, dir);
}

static size_t key_of(unsigned i, char key[16])
{
        return (size_t)snprintf(key, 16, "key%u", i);
}

static int fill_key(struct fixture *f, unsigned i, char byte)
{
        static char value[VALUE];
        char key[16];
        memset(value, byte, VALUE);
        return bm_insert(f->root, key, key_of(i, key), value, VALUE, i);
}

static void fill(struct fixture *f, char byte)
{
        for (unsigned i = 0; i < KEYS; i++)
                assert_int_equal(fill_key(f, i, byte), 0);
}

static void assert_filled(struct fixture *f, char byte)
{
        static char value[VALUE];
        char key[16];
        memset(value, byte, VALUE);
        for (unsigned i = 0; i < KEYS; i++) {
                struct bm_view view;
                assert_int_equal(bm_read_value(f->root, key, key_of(i, key), &view), 0);
                assert_int_equal(view.size, VALUE);
                assert_memory_equal(view.value, value, VALUE);
                bm_view_release(&view);
        }
        assert_sound(f);
}

static struct bm_spares *spares(struct fixture *f)
{
        return &f->store->drives.spares;
}

/* Leaves some, as a round of the keeper beside writers would. */
static void keep_some(struct fixture *f)
{
        bool done = true;
        atomic_store(&spares(f)->wanted, true);
        fill(f, 'a');
        fill(f, 'b');
        while (done)
                assert_int_equal(bm_compact_one(f->store, 10, &done), 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_true(spares(f)->n > 1);
}

/* Files of segments, and how many of them have no header. */
static unsigned n_files(struct fixture *f, unsigned *n_wiped)
{
        static const char nothing[BM_SEGMENT_HEADER];
        char path[512], header[BM_SEGMENT_HEADER];
        unsigned n = 0;
        *n_wiped = 0;
        DIR *d = opendir(f->io.segments);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "%s/%s", f->io.segments, e->d_name);
                int fd = open(path, O_RDONLY);
                assert_true(fd >= 0);
                assert_int_equal(read(fd, header, sizeof(header)), sizeof(header));
                close(fd);
                n++;
                *n_wiped += memcmp(header, nothing, sizeof(header)) == 0;
        }
        closedir(d);
        return n;
}

/* They are as good as free: who writes gets them before anything is refused. */
static void what_they_have_is_free(void **state)
{
        struct fixture *f = *state;
        struct bm_space before, after;
        keep_some(f);
        const uint64_t bytes = spares(f)->bytes;
        atomic_store(&f->io.room, fault_used(&f->io)); /* not a byte more */
        assert_int_equal(bm_space(f->store, &before), 0);
        assert_int_equal(before.free_bytes, bytes);
        assert_in_range(before.available_bytes, bytes / 2, bytes);
        for (uint64_t written = 0; written < bytes / 2; written += 4000)
                put(f, "again and again", spares(f), 4000);
        bm_spares_drop(&f->store->drives);
        assert_int_equal(bm_space(f->store, &after), 0);
        assert_true(after.free_bytes < bytes);
}

static void a_file_is_used_again(void **state)
{
        struct fixture *f = *state;
        struct bm_stats stats;
        unsigned n_wiped;
        keep_some(f);
        unsigned kept = spares(f)->n, files = n_files(f, &n_wiped);
        assert_int_equal(n_wiped, kept);
        assert_int_equal(bm_stats(f->store, &stats), 0);
        assert_true(stats.disk_bytes > stats.segment_bytes + spares(f)->bytes);
        fill(f, 'c');
        assert_true(spares(f)->n < kept);
        assert_int_equal(n_files(f, &n_wiped), files); /* no new one while there are some */
        assert_int_equal(n_wiped, spares(f)->n);
        assert_filled(f, 'c');
        for (int i = 0; i < 2; i++) {
                if (i)
                        fixture_close(f);
                else
                        fixture_kill(f);
                fixture_open(f);
                assert_filled(f, 'c');
                n_files(f, &n_wiped);
                assert_int_equal(n_wiped, 0);
        }
}

/* Records of an earlier life are none in the next one, not even where they stood. */
static void a_life_ends(void **state)
{
        struct fixture *f = *state;
        struct bm_drives *d = &f->store->drives;
        struct bm_segment *again;
        struct bm_record r;
        unsigned n = 0;
        keep_some(f);
        const unsigned kept = d->spares.n;
        const uint64_t size = d->spares.list[0].size;
        assert_int_equal(bm_drives_make(d, BM_SEGMENT_LOG, size, 1 << 20, 1, 0, &again), 0);
        assert_int_equal(d->spares.n, kept - 1);
        for (uint64_t at = BM_SEGMENT_HEADER; at < size; at += BM_UNIT) {
                n += bm_segment_record_unverified(again, at, &r) == 0;
                assert_int_not_equal(bm_segment_record(again, at, &r), 0);
        }
        assert_true(n > 10); /* what looks like one is still there */
        assert_int_equal(bm_drives_remove(d, again), 0);
        assert_filled(f, 'b');
}

/* What was logged into them is found without any index, and nothing else is. */
static void a_rebuild_sees_one_life(void **state)
{
        struct fixture *f = *state;
        unsigned n_wiped;
        char path[300];
        keep_some(f);
        for (unsigned i = 0; i < KEYS; i++) {
                char key[16];
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
        }
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(fill_key(f, i, 'c'), 0);
        fixture_kill(f);
        snprintf(path, sizeof(path), "%s/%s", f->path, BM_FILE_MANIFEST);
        int fd = open(path, O_WRONLY);
        static const char rot[2 * BM_MANIFEST_ROOT] = {1};
        assert_int_equal(write(fd, rot, sizeof(rot)), sizeof(rot));
        close(fd);
        fixture_open(f);
        struct bm_stats stats;
        assert_int_equal(bm_stats(f->store, &stats), 0);
        assert_int_equal(stats.keys, 100);
        assert_sound(f);
        n_files(f, &n_wiped);
        assert_int_equal(n_wiped, 0);
}

/* What a process that was killed had wiped in memory only is gone for good before anything else. */
static void an_open_removes_them_durably(void **state)
{
        struct fixture *f = *state;
        unsigned n_wiped;
        keep_some(f);
        fixture_kill(f);
        n_files(f, &n_wiped);
        assert_true(n_wiped > 0);
        fixture_open(f);
        assert_int_equal(n_unlinked, 0);
        n_files(f, &n_wiped);
        assert_int_equal(n_wiped, 0);
        assert_filled(f, 'b');
}

static void a_quiet_store_has_none(void **state)
{
        struct fixture *f = *state;
        unsigned n_wiped;
        keep_some(f);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(spares(f)->n, 0);
        n_files(f, &n_wiped);
        assert_int_equal(n_wiped, 0);
        keep_some(f);
        fixture_close(f);
        n_files(f, &n_wiped);
        assert_int_equal(n_wiped, 0);
        fixture_open(f);
        assert_filled(f, 'b');
}

/* Room that they take is room: for the reserve, of which others took a half. */
static void a_full_disk_gets_them_back(void **state)
{
        struct fixture *f = *state;
        keep_some(f);
        f->store->reserved /= 2;
        assert_int_equal(truncate(f->io.reserve, (off_t)f->store->reserved), 0);
        const uint64_t room = fault_used(&f->io);
        atomic_store(&f->io.room, room);
        (void)bm_space_refill(f->store);
        assert_int_equal(spares(f)->n, 0);
        assert_true(fault_used(&f->io) <= room);
        atomic_store(&f->io.room, 0);
        assert_filled(f, 'b');
}

/* Whoever cuts a file that has no header cuts nothing. */
static void a_cut_file_is_made_whole(void **state)
{
        struct fixture *f = *state;
        char path[512];
        keep_some(f);
        for (unsigned i = 0; i < spares(f)->n; i++) {
                snprintf(path, sizeof(path), "%s/%08x", f->io.segments, spares(f)->list[i].file_id);
                assert_int_equal(truncate(path, i % 2 ? 0 : 5000), 0);
        }
        fill(f, 'c');
        assert_filled(f, 'c');
        fixture_kill(f);
        fixture_open(f);
        assert_filled(f, 'c');
}

static void who_syncs_often_gets_small_pages(void **state)
{
        struct fixture *f = *state;
        struct bm_spare spare;
        keep_some(f);
        uint64_t size = spares(f)->list[0].size;
        for (unsigned i = 0; i < spares(f)->n; i++)
                spares(f)->list[i].huge = true;
        const unsigned n = spares(f)->n;
        assert_false(bm_spares_take(&f->store->drives, size, false, &spare));
        assert_false(bm_spares_take(&f->store->drives, size * 2, true, &spare));
        assert_int_equal(spares(f)->n, n);
        /* and so the next segments are made of none */
        atomic_store(&f->store->drives.small_pages, true);
        fill(f, 'c');
        assert_int_equal(spares(f)->n, n);
        atomic_store(&f->store->drives.small_pages, false);
        fill(f, 'd');
        assert_true(spares(f)->n < n);
}

static unsigned n_of_size(struct fixture *f, uint64_t size)
{
        unsigned n = 0;
        for (unsigned i = 0; i < spares(f)->n; i++)
                n += spares(f)->list[i].size == size;
        return n;
}

/* What the log asked for before must not take the place of what it asks for now. */
static void another_size_gives_way(void **state)
{
        struct fixture *f = *state;
        unsigned n_wiped;
        keep_some(f);
        const uint64_t size = spares(f)->list[0].size;
        const unsigned n = spares(f)->n;
        for (int wanted = 0; wanted < 2; wanted++) {
                bool done = true;
                for (unsigned i = 0; i < n; i++)
                        spares(f)->list[i].size = size * 2;
                spares(f)->bytes = BM_SPARES_BYTES; /* no room for one more */
                fill(f, 'c');
                assert_int_equal(spares(f)->n, n);
                assert_int_equal(spares(f)->asked, size);
                if (!wanted)
                        spares(f)->asked = size * 4;
                while (done)
                        assert_int_equal(bm_compact_one(f->store, 10, &done), 0);
                assert_int_equal(bm_checkpoint(f->store), 0);
                assert_int_equal(bm_checkpoint(f->store), 0);
                if (wanted)
                        assert_true(n_of_size(f, size) > 0);
                else
                        assert_int_equal(n_of_size(f, size), 0);
                (void)n_files(f, &n_wiped);
                assert_int_equal(n_wiped, spares(f)->n);
        }
        assert_true(n_of_size(f, size * 2) < n);
        assert_filled(f, 'c');
}

/* Ids are the store's, not a drive's: on another drive no file of the same name would be met. */
static void no_other_file_has_its_id(void **state)
{
        struct fixture *f = *state;
        struct bm_drives *d;
        char second[200];
        const char *more[] = {second};
        fixture_close(f);
        f->n_crashes++;
        fixture_place(f);
        snprintf(second, sizeof(second), "%s-second", f->path);
        f->config.drives = more;
        f->config.n_drives = 1;
        assert_int_equal(bm_create(f->path, &f->config), 0);
        fixture_open(f);
        keep_some(f);
        d = &f->store->drives;
        const uint32_t size = (uint32_t)spares(f)->list[0].size;
        bool on[2] = {false};
        for (unsigned i = 0; i < spares(f)->n; i++) {
                const uint32_t id = spares(f)->list[i].file_id;
                on[spares(f)->list[i].drive] = true;
                for (unsigned k = 0; k < 2; k++) {
                        struct bm_segment *s;
                        d->next_file_id = id;
                        assert_int_equal(bm_drives_make(d, BM_SEGMENT_COLD, size, 1000, 1, 0, &s),
                                         0);
                        assert_int_not_equal(s->header.file_id, id);
                        assert_int_equal(bm_drives_remove(d, s), 0);
                }
        }
        assert_true(on[0] && on[1]);
        /* nor while it is being made a segment of */
        struct bm_spare spare;
        assert_true(bm_spares_take(d, size, true, &spare));
        assert_true(bm_spares_own(&d->spares, spare.file_id));
        d->spares.list[d->spares.n++] = spare;
        d->spares.bytes += spare.size;
        d->spares.making = 0;
        fill(f, 'c');
        assert_int_equal(d->spares.making, 0);
        assert_filled(f, 'c');
        fixture_close(f);
        fixture_open(f);
        assert_filled(f, 'c');
        fixture_close(f);
        f->config.n_drives = 0;
        f->config.drives = NULL;
}

/* A call that fails on the way costs the file, not what is written. */
static void a_failed_wipe_removes_the_file(void **state)
{
        struct fixture *f = *state;
        unsigned n_wiped;
        keep_some(f);
        bm_spares_drop(&f->store->drives);
        bool done = true;
        fill(f, 'c');
        while (done)
                assert_int_equal(bm_compact_one(f->store, 10, &done), 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        atomic_store(&spares(f)->wanted, false); /* the next one would free them */
        struct bm_segment **list;
        size_t n, tried = 0;
        assert_int_equal(bm_drives_list(&f->store->drives, &list, &n), 0);
        atomic_store(&f->io.fail_sync, true);
        for (size_t i = 0; i < n; i++) {
                if (list[i]->header.kind == BM_SEGMENT_LOG &&
                    atomic_load(&list[i]->state) == BM_SEGMENT_GONE) {
                        assert_false(bm_spares_keep(&f->store->drives, list[i]));
                        tried++;
                }
        }
        atomic_store(&f->io.fail_sync, false);
        free(list);
        assert_true(tried > 0);
        assert_int_equal(spares(f)->n, 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        n_files(f, &n_wiped);
        assert_int_equal(n_wiped, 0);
        assert_filled(f, 'c');
}

/* The keeper leaves them while segments are filled, and takes them back behind the last. */
static void the_keeper_keeps_and_drops_them(void **state)
{
        const struct timespec look = {.tv_nsec = 1000000};
        struct fixture *f = *state;
        unsigned n_wiped;
        fixture_open_with_background(f);
        /* more than are taken for the next segments before it is quiet */
        while (bm_spares_bytes(&f->store->drives) < 2 << 20)
                fill(f, 'a');
        /* the pause only spares the processor */
        while (bm_spares_bytes(&f->store->drives) > 0)
                nanosleep(&look, NULL);
        fill(f, 'b');
        assert_filled(f, 'b');
        fixture_close(f);
        n_files(f, &n_wiped);
        assert_int_equal(n_wiped, 0);
        fixture_open(f);
        assert_filled(f, 'b');
}

/* Who empties a store and fills it again asks for segments of the size that its spares have. */
static void segments_stay_large_until_it_is_quiet(void **state)
{
        enum { LIVED = 64 << 20 };
        const struct timespec look = {.tv_nsec = 1000000};
        struct fixture *f = *state;
        const uint64_t small = bm_space_segment_size(f->store);
        atomic_store(&f->store->lived, LIVED);
        assert_true(bm_space_segment_size(f->store) > small);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_space_segment_size(f->store), small);
        /* and who says how much that is */
        fixture_open_with_background(f);
        fill(f, 'a');
        while (atomic_load(&f->store->lived) < (uint64_t)KEYS * VALUE)
                nanosleep(&look, NULL);
        for (unsigned i = 0; i < KEYS; i++) {
                char key[16];
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
        }
        while (atomic_load(&f->store->lived) >= (uint64_t)KEYS * VALUE)
                nanosleep(&look, NULL);
        assert_sound(f);
}

static int setup(void **state)
{
        int r = fixture_setup(state);
        struct fixture *f = *state;
        fixture_close(f);
        f->io.ops.space = disk_space;
        f->io.ops.unlink_at = counted_unlink;
        f->io.ops.sync_dir = counted_sync_dir;
        fixture_open(f);
        return r;
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                test(what_they_have_is_free),
                test(a_file_is_used_again),
                test(a_life_ends),
                test(a_rebuild_sees_one_life),
                test(an_open_removes_them_durably),
                test(a_quiet_store_has_none),
                test(a_full_disk_gets_them_back),
                test(a_cut_file_is_made_whole),
                test(who_syncs_often_gets_small_pages),
                test(another_size_gives_way),
                test(no_other_file_has_its_id),
                test(a_failed_wipe_removes_the_file),
                test(the_keeper_keeps_and_drops_them),
                test(segments_stay_large_until_it_is_quiet),
        };
        return cmocka_run_group_tests_name("spares", tests, NULL, NULL);
}
