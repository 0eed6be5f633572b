/* SPDX-License-Identifier: MIT */
/*
 * Files that are cut, or fail, while they are mapped: an error of the call
 * that meets it, never wrong bytes, never the end of the process, and
 * everything else goes on.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "io_guard.h"
#include "io_mapped.h"
#include "store-fixture.h"

enum { KEYS = 100, VALUE = 1000, PAGE = 4096, N_KEY = 8 };

/* cmocka installs handlers of its own around each test, the library once. */
static struct sigaction ours;

static void take_handler(void)
{
        static char page[PAGE];
        if (bm_guard_mapping(page, PAGE) < 0 || sigaction(SIGBUS, NULL, &ours) < 0)
                abort();
        bm_mapped_remove(page);
}

struct cut_store {
        struct fixture *f;
        int fd; /* the one log segment's */
        struct stat was;
        uint8_t *bytes; /* all that it held */
};

static size_t key_of(unsigned i, char key[N_KEY])
{
        return (size_t)snprintf(key, N_KEY, "key%03u", i);
}

static void value_of(unsigned i, char value[VALUE])
{
        memset(value, 'a' + (int)(i % 26), VALUE);
        (void)key_of(i, value);
}

static struct cut_store filled(struct fixture *f)
{
        struct cut_store c = {.f = f};
        char key[N_KEY], value[VALUE], path[512];
        assert_int_equal(sigaction(SIGBUS, &ours, NULL), 0);
        for (unsigned i = 0; i < KEYS; i++) {
                value_of(i, value);
                key_of(i, key);
                put(f, key, value, VALUE);
        }
        assert_int_equal(bm_sync(f->store), 0);
        snprintf(path, sizeof(path), "%s/segments/%08x", f->path,
                 atomic_load(&f->store->log.active)->header.file_id);
        c.fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(c.fd >= 0);
        assert_int_equal(fstat(c.fd, &c.was), 0);
        c.bytes = malloc((size_t)c.was.st_size);
        assert_non_null(c.bytes);
        assert_int_equal(pread(c.fd, c.bytes, (size_t)c.was.st_size, 0), c.was.st_size);
        return c;
}

static void cut(const struct cut_store *c, off_t to)
{
        assert_int_equal(ftruncate(c->fd, to), 0);
}

/* As a disk that gives its data again. Pages that were met meanwhile stay lost. */
static void restore(const struct cut_store *c)
{
        assert_int_equal(pwrite(c->fd, c->bytes, (size_t)c->was.st_size, 0), c->was.st_size);
}

static void done(struct cut_store *c)
{
        close(c->fd);
        free(c->bytes);
}

/* 0 with the right bytes, or what the library gave. */
static int read_key(struct fixture *f, unsigned i)
{
        char key[N_KEY], value[VALUE], got[VALUE];
        struct bm_view view;
        size_t n;
        value_of(i, value);
        int r = bm_read_value(f->root, key, key_of(i, key), &view);
        const struct bm_ref ref = {.map = f->root, .key = key, .key_len = strlen(key)};
        assert_int_equal(bm_read_at(&ref, 0, got, VALUE, &n), r);
        if (r != 0)
                return r;
        assert_int_equal(n, VALUE);
        assert_memory_equal(got, value, VALUE);
        bool same = view.size == VALUE && memcmp(view.value, value, VALUE) == 0;
        r = bm_view_release(&view);
        assert_true(r == -EIO || (r == 0 && same));
        return r;
}

static unsigned count_readable(struct fixture *f)
{
        unsigned n = 0;
        for (unsigned i = 0; i < KEYS; i++) {
                int r = read_key(f, i);
                assert_true(r == 0 || r == -EIO);
                n += r == 0;
        }
        return n;
}

static unsigned count_listed(struct fixture *f, unsigned *bad)
{
        struct bm_cursor *cursor;
        struct bm_item item;
        unsigned n = 0;
        int r;
        *bad = 0;
        assert_int_equal(bm_cursor_open(f->root, 0, &cursor), 0);
        while ((r = bm_cursor_next(cursor, &item)) == 0 || r == -EIO) {
                n += r == 0;
                *bad += r != 0;
        }
        assert_int_equal(r, BM_E_NOT_FOUND);
        bm_cursor_close(cursor);
        return n;
}

static unsigned n_unreadable;

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        n_unreadable += strstr(finding->message, "cannot be read") != NULL;
}

static void a_file_that_is_cut_is_an_error_of_each_call(void **state)
{
        struct cut_store c = filled(*state);
        const struct bm_check_args args = {.finding = on_finding};
        struct bm_view held;
        unsigned bad;
        assert_int_equal(bm_read_value(c.f->root, "key099", 6, &held), 0);
        cut(&c, 8 * PAGE);
        unsigned n = count_readable(c.f);
        assert_in_range(n, 25, 33);
        assert_int_equal(count_listed(c.f, &bad), n);
        assert_int_equal(bad, KEYS - n);
        n_unreadable = 0;
        assert_int_equal(bm_check(c.f->store, &args), BM_E_DAMAGED);
        assert_true(n_unreadable >= KEYS - n);
        /* what is there can be read; whether to believe it is known */
        assert_int_equal(((const char *)held.value)[VALUE - 1], 0);
        assert_int_equal(bm_view_intact(&held), -EIO);
        assert_int_equal(bm_view_release(&held), -EIO);
        /* a call makes the file longer again, to no avail */
        int written = c.f->store->drives.drives[0].nomap ? 0 : -EIO;
        assert_int_equal(bm_insert(c.f->root, "more", 4, "x", 1, 1), written);
        assert_int_equal(bm_addref(c.f->root, "key000", 6, NULL), written);
        assert_int_equal(bm_delete_key(c.f->root, "key099", 6), -EIO);
        assert_true(bm_compact(c.f->store) <= 0);
        assert_int_equal(count_readable(c.f), n);
        assert_int_equal(bm_sync(c.f->store), written == 0 ? -EIO : 0);
        assert_true(bm_close(c.f->store) < 0);
        assert_int_equal(bm_open(c.f->path, &c.f->config, &c.f->store), BM_E_DAMAGED);
        done(&c);
}

/* The flush of a file that was cut succeeds: nothing is left to write. */
static void a_sync_of_what_was_cut_off_fails(void **state)
{
        struct cut_store c = filled(*state);
        put_text(c.f, "more", "than that");
        cut(&c, 8 * PAGE);
        assert_int_equal(bm_sync(c.f->store), -EIO);
        assert_int_equal(bm_sync(c.f->store), -EIO);
        assert_int_equal(bm_insert(c.f->root, "even more", 9, "x", 1, 1), -EROFS);
        assert_int_equal(read_key(c.f, 0), 0);
        done(&c);
}

static void a_bad_page_concerns_its_own_records(void **state)
{
        struct cut_store c = filled(*state);
        unsigned first = KEYS;
        cut(&c, 8 * PAGE);
        for (unsigned i = 0; i < KEYS && first == KEYS; i++)
                first = read_key(c.f, i) == 0 ? KEYS : i;
        assert_in_range(first, 25, 33);
        restore(&c);
        /* the ones on the page that was met, and no more */
        assert_in_range(count_readable(c.f), KEYS - 6, KEYS - 1);
        /* and it goes on */
        char key[N_KEY];
        put_text(c.f, "more", "than that");
        assert_text(c.f, "more", "than that");
        const struct bm_ref ref = {.map = c.f->root, .key = key, .key_len = key_of(first, key)};
        struct bm_rename_args args = {.no_replace = false};
        assert_int_equal(bm_rename(&ref, c.f->root, "other", 5, &args), -EIO);
        assert_gone(c.f, "other");
        /* nor does compaction make anything of it, or stumble over it */
        unsigned n = count_readable(c.f);
        assert_int_equal(bm_checkpoint(c.f->store), 0);
        assert_int_equal(bm_compact(c.f->store), 0);
        assert_int_equal(count_readable(c.f), n);
        /* opened again it is all there: the disk gives it again */
        fixture_close(c.f);
        fixture_open(c.f);
        assert_int_equal(count_readable(c.f), KEYS);
        assert_sound(c.f);
        done(&c);
}

struct reader {
        pthread_t thread;
        struct fixture *f;
        atomic_bool *stop;
        unsigned wrong;
};

static void *read_on(void *ctx)
{
        struct reader *rd = ctx;
        char key[N_KEY], value[VALUE], got[VALUE];
        struct bm_view view;
        for (unsigned i = 0; !atomic_load(rd->stop); i = (i + 7) % KEYS) {
                value_of(i, value);
                if (bm_read_value(rd->f->root, key, key_of(i, key), &view) != 0)
                        continue;
                memcpy(got, view.value, VALUE);
                if (bm_view_release(&view) == 0 && memcmp(got, value, VALUE) != 0)
                        rd->wrong++;
        }
        return NULL;
}

/* Cut and restored under readers: right bytes or an error. */
static void readers_never_take_zeros_for_values(void **state)
{
        struct cut_store c = filled(*state);
        struct reader readers[3];
        atomic_bool stop = false;
        for (unsigned i = 0; i < 3; i++) {
                readers[i] = (struct reader){.f = c.f, .stop = &stop};
                assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
        }
        for (unsigned i = 0; i < 24; i++) {
                cut(&c, (24 - i) * PAGE);
                for (unsigned k = 0; k < KEYS; k++)
                        (void)read_key(c.f, k);
                restore(&c);
        }
        atomic_store(&stop, true);
        for (unsigned i = 0; i < 3; i++) {
                pthread_join(readers[i].thread, NULL);
                assert_int_equal(readers[i].wrong, 0);
        }
        done(&c);
}

/* As a medium that gives no more than the first pages. */
static int map_and_cut(const struct bm_io *io, int fd, size_t len, bool writable, void **addr)
{
        int r = bm_io_call(&bm_io_posix, map, fd, len, writable, addr);
        return r == 0 ? ftruncate(fd, 8 * PAGE) : r;
}

/* A log that cannot be read to its end is not a log that ends there. */
static void an_open_does_not_end_the_log_at_what_it_cannot_read(void **state)
{
        struct cut_store c = filled(*state);
        char path[512];
        put_text(c.f, "more", "than what was synced");
        fixture_kill(c.f);
        snprintf(path, sizeof(path), "%s/segments/%08x", c.f->path, 1);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, c.bytes, (size_t)c.was.st_size, 0), c.was.st_size);
        c.f->io.ops.map = map_and_cut;
        assert_int_equal(bm_open(c.f->path, &c.f->config, &c.f->store), -EIO);
        assert_non_null(strstr(bm_last_problem(), "cannot be read"));
        c.f->io.ops.map = bm_io_posix.ops->map;
        assert_int_equal(pwrite(fd, c.bytes, (size_t)c.was.st_size, 0), c.was.st_size);
        fixture_open(c.f);
        assert_int_equal(count_readable(c.f), KEYS);
        assert_text(c.f, "more", "than what was synced");
        assert_sound(c.f);
        close(fd);
        done(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_file_that_is_cut_is_an_error_of_each_call),
                test_in_store(a_sync_of_what_was_cut_off_fails),
                test_in_store(a_bad_page_concerns_its_own_records),
                test_in_store(readers_never_take_zeros_for_values),
                test_in_store(an_open_does_not_end_the_log_at_what_it_cannot_read),
        };
        take_handler();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
