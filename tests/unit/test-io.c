/* SPDX-License-Identifier: MIT */
/* The system's files through the I/O table. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io.h"
#include "io_allocate.h"

static const struct bm_io *const io = &bm_io_posix;

/* A fresh directory for each test. */
struct place {
        char path[64];
        int dir;
};

static int setup(void **state)
{
        struct place *p = calloc(1, sizeof(*p));
        const char *tmp = getenv("TMPDIR");

        if (!p)
                return -1;
        snprintf(p->path, sizeof(p->path), "%s/bucketmap-io.XXXXXX",
                 tmp && strlen(tmp) < 32 ? tmp : "/tmp");
        if (!mkdtemp(p->path))
                return -1;
        p->dir = bm_io_call(io, open_dir, p->path);
        *state = p;
        return p->dir < 0 ? -1 : 0;
}

static int remove_one(void *ctx, const char *name)
{
        struct place *p = ctx;

        if (bm_io_call(io, unlink_at, p->dir, name) == 0)
                return 0;
        return bm_io_call(io, rmdir_at, p->dir, name);
}

static int teardown(void **state)
{
        struct place *p = *state;
        int r = bm_io_call(io, list, p->dir, remove_one, p);

        bm_io_call(io, close, p->dir);
        if (r == 0)
                r = rmdir(p->path);
        free(p);
        return r;
}

static int make(struct place *p, const char *name)
{
        int fd = bm_io_call(io, open_at, p->dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);

        assert_true(fd >= 0);
        return fd;
}

static void opening(void **state)
{
        struct place *p = *state;
        int fd = make(p, "a");

        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(bm_io_call(io, open_at, p->dir, "a", O_RDWR | O_CREAT | O_EXCL, 0600),
                         -EEXIST);
        assert_int_equal(bm_io_call(io, open_at, p->dir, "b", O_RDONLY, 0), -ENOENT);
        assert_int_equal(bm_io_call(io, open_dir, "/nowhere/at/all"), -ENOENT);
        assert_int_equal(bm_io_call(io, close, fd), 0);
        assert_int_equal(bm_io_call(io, close, -1), -EBADF);
}

static void reading_and_writing(void **state)
{
        struct place *p = *state;
        char buf[8] = "";
        struct bm_io_file file;
        int fd = make(p, "a");

        assert_int_equal(bm_io_call(io, pwrite, fd, "hello", 5, 3), 0);
        assert_int_equal(bm_io_call(io, stat, fd, &file), 0);
        assert_int_equal(file.size_bytes, 8);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 8, 0), 0);
        assert_memory_equal(buf, "\0\0\0hello", 8);
        /* a short read is an error, never a surprise */
        assert_int_equal(bm_io_call(io, pread, fd, buf, 8, 1), -EIO);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 1, 8), -EIO);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 0, 100), 0);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 8, UINT64_MAX - 3), -EOVERFLOW);
        assert_int_equal(bm_io_call(io, pwrite, fd, buf, 8, INT64_MAX - 3), -EOVERFLOW);
        assert_int_equal(bm_io_call(io, truncate, fd, 4), 0);
        assert_int_equal(bm_io_call(io, stat, fd, &file), 0);
        assert_int_equal(file.size_bytes, 4);
        assert_int_equal(bm_io_call(io, sync_data, fd), 0);
        assert_int_equal(bm_io_call(io, sync_dir, p->dir), 0);
        assert_int_equal(bm_io_call(io, sync_data, -1), -EBADF);
        assert_int_equal(bm_io_call(io, close, fd), 0);
}

static void a_large_transfer_is_whole(void **state)
{
        enum { LEN = 5 << 20 };
        struct place *p = *state;
        uint8_t *out = malloc(LEN), *in = malloc(LEN);
        int fd = make(p, "a");

        assert_true(out && in);
        for (size_t i = 0; i < LEN; i++)
                out[i] = (uint8_t)(i * 2654435761u >> 13);
        assert_int_equal(bm_io_call(io, pwrite, fd, out, LEN, 12345), 0);
        assert_int_equal(bm_io_call(io, pread, fd, in, LEN, 12345), 0);
        assert_memory_equal(in, out, LEN);
        free(out);
        free(in);
        assert_int_equal(bm_io_call(io, close, fd), 0);
}

static void allocating_keeps_what_is_there(void **state)
{
        enum { LEN = 300 << 10 };
        struct place *p = *state;
        struct bm_io_file file;
        char buf[5];
        int fd = make(p, "a");

        assert_int_equal(bm_io_call(io, pwrite, fd, "hello", 5, 4096), 0);
        assert_int_equal(bm_io_call(io, allocate, fd, 0, LEN), 0);
        assert_int_equal(bm_io_call(io, stat, fd, &file), 0);
        assert_int_equal(file.size_bytes, LEN);
        assert_true(file.allocated_bytes >= LEN);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 5, 4096), 0);
        assert_memory_equal(buf, "hello", 5);
        assert_int_equal(bm_io_call(io, allocate, fd, 0, 0), 0);
        assert_int_equal(bm_io_call(io, allocate, fd, UINT64_MAX, 2), -EOVERFLOW);
        assert_int_equal(bm_io_call(io, close, fd), 0);
}

static void allocating_by_writing_does_the_same(void **state)
{
        enum { LEN = 300 << 10, HOLE = 200 << 10 };
        struct place *p = *state;
        struct bm_io_file file;
        char buf[5];
        int fd = make(p, "a");

        assert_int_equal(bm_io_call(io, truncate, fd, HOLE), 0);
        assert_int_equal(bm_io_call(io, pwrite, fd, "hello", 5, 70000), 0);
        assert_int_equal(bm_io_allocate_by_writing(io, fd, 100, LEN - 100), 0);
        assert_int_equal(bm_io_call(io, stat, fd, &file), 0);
        assert_int_equal(file.size_bytes, LEN);
        assert_true(file.allocated_bytes >= LEN);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 5, 70000), 0);
        assert_memory_equal(buf, "hello", 5);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 5, LEN - 5), 0);
        assert_memory_equal(buf, "\0\0\0\0\0", 5);
        assert_int_equal(bm_io_call(io, close, fd), 0);

        fd = bm_io_call(io, open_at, p->dir, "a", O_RDONLY, 0);
        assert_int_equal(bm_io_allocate_by_writing(io, fd, 0, 1), -EBADF);
        assert_int_equal(bm_io_call(io, close, fd), 0);
}

static void mappings(void **state)
{
        enum { LEN = 64 << 10 };
        struct place *p = *state;
        struct bm_io_file file;
        char buf[5];
        void *base, *view;
        int fd = make(p, "a");

        assert_int_equal(bm_io_call(io, allocate, fd, 0, LEN), 0);
        assert_int_equal(bm_io_call(io, map, fd, LEN, true, &base), 0);
        assert_int_equal(bm_io_call(io, map, fd, LEN, false, &view), 0);
        assert_int_equal(bm_io_call(io, map_write, fd, base, 5000, "hello", 5), 0);
        assert_int_equal(bm_io_call(io, pread, fd, buf, 5, 5000), 0);
        assert_memory_equal(buf, "hello", 5);
        assert_memory_equal((char *)view + 5000, "hello", 5);
        /* changes nothing, whole or in part, aligned or not */
        assert_int_equal(bm_io_call(io, prefault, fd, base, 0, LEN), 0);
        assert_int_equal(bm_io_call(io, prefault, fd, base, 4999, 3), 0);
        assert_int_equal(bm_io_call(io, prefault, fd, base, LEN, 0), 0);
        assert_memory_equal((char *)view + 5000, "hello", 5);
        /* what is there is gone, and the file gets no longer */
        assert_int_equal(bm_io_call(io, fill, fd, 5001, 2), 0);
        assert_memory_equal((char *)view + 5000, "h\0\0lo", 5);
        assert_int_equal(bm_io_call(io, fill, fd, LEN - 1, 2), -EIO);
        assert_int_equal(bm_io_call(io, stat, fd, &file), 0);
        assert_int_equal(file.size_bytes, LEN);
        assert_int_equal(bm_io_call(io, unmap, base, LEN), 0);
        assert_int_equal(bm_io_call(io, unmap, view, LEN), 0);
        assert_int_equal(bm_io_call(io, map, -1, LEN, true, &base), -EBADF);
        assert_int_equal(bm_io_call(io, close, fd), 0);
}

/* Pages from the start on: those behind a hole do not count. */
static void what_is_in_memory(void **state)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE), len = 3000 * page;
        struct place *p = *state;
        size_t bytes = 0;
        void *base;
        int fd = make(p, "a");

        assert_int_equal(bm_io_call(io, truncate, fd, len), 0);
        assert_int_equal(bm_io_call(io, map, fd, len, true, &base), 0);
        assert_int_equal(bm_io_call(io, resident, base, len, &bytes), 0);
        assert_int_equal(bytes, 0);
        for (size_t i = 0; i < 2000; i++)
                assert_int_equal(bm_io_call(io, pwrite, fd, "x", 1, i * page), 0);
        assert_int_equal(bm_io_call(io, pwrite, fd, "x", 1, len - 1), 0);
        assert_int_equal(bm_io_call(io, resident, base, len, &bytes), 0);
        assert_int_equal(bytes, 2000 * page);
        assert_int_equal(bm_io_call(io, resident, base, 7 * page, &bytes), 0);
        assert_int_equal(bytes, 7 * page);
        assert_int_equal(bm_io_call(io, unmap, base, len), 0);
        assert_int_equal(bm_io_call(io, close, fd), 0);
}

struct seen {
        unsigned a, b, sub, other, stop_after;
};

static int see(void *ctx, const char *name)
{
        struct seen *s = ctx;

        s->a += strcmp(name, "a") == 0;
        s->b += strcmp(name, "b") == 0;
        s->sub += strcmp(name, "sub") == 0;
        s->other += strcmp(name, "a") && strcmp(name, "b") && strcmp(name, "sub");
        return s->stop_after && s->a + s->b + s->sub >= s->stop_after ? 42 : 0;
}

static void directories(void **state)
{
        struct place *p = *state;
        struct seen seen;

        bm_io_call(io, close, make(p, "a"));
        bm_io_call(io, close, make(p, "b"));
        assert_int_equal(bm_io_call(io, mkdir_at, p->dir, "sub", 0700), 0);
        assert_int_equal(bm_io_call(io, mkdir_at, p->dir, "sub", 0700), -EEXIST);
        /* again and again the whole of it */
        for (int i = 0; i < 2; i++) {
                seen = (struct seen){0};
                assert_int_equal(bm_io_call(io, list, p->dir, see, &seen), 0);
                assert_true(seen.a == 1 && seen.b == 1 && seen.sub == 1 && seen.other == 0);
        }
        seen = (struct seen){.stop_after = 2};
        assert_int_equal(bm_io_call(io, list, p->dir, see, &seen), 42);
        assert_int_equal(seen.a + seen.b + seen.sub, 2);
        assert_int_equal(bm_io_call(io, unlink_at, p->dir, "a"), 0);
        assert_int_equal(bm_io_call(io, unlink_at, p->dir, "a"), -ENOENT);
        assert_int_equal(bm_io_call(io, rmdir_at, p->dir, "sub"), 0);
        assert_int_equal(bm_io_call(io, rmdir_at, p->dir, "b"), -ENOTDIR);
}

static void space(void **state)
{
        struct place *p = *state;
        struct bm_io_space here, again;

        assert_int_equal(bm_io_call(io, space, p->dir, &here), 0);
        assert_true(here.total_bytes > 0 && here.free_bytes <= here.total_bytes);
        assert_true(here.available_bytes <= here.free_bytes);
        assert_int_equal(bm_io_call(io, space, p->dir, &again), 0);
        assert_true(here.device == again.device);
        assert_int_equal(bm_io_call(io, space, -1, &again), -EBADF);
}

static void locking(void **state)
{
        struct place *p = *state;
        int one = make(p, "a"), two = bm_io_call(io, open_at, p->dir, "a", O_RDWR, 0);

        assert_true(two >= 0);
        assert_int_equal(bm_io_call(io, lock, one, true), 0);
        assert_int_equal(bm_io_call(io, lock, two, true), -EWOULDBLOCK);
        assert_int_equal(bm_io_call(io, lock, two, false), -EWOULDBLOCK);
        assert_int_equal(bm_io_call(io, lock, one, false), 0); /* down to shared */
        assert_int_equal(bm_io_call(io, lock, two, false), 0);
        assert_int_equal(bm_io_call(io, lock, one, true), -EWOULDBLOCK);
        assert_int_equal(bm_io_call(io, close, one), 0);
        assert_int_equal(bm_io_call(io, lock, two, true), 0);
        assert_int_equal(bm_io_call(io, close, two), 0);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        const struct CMUnitTest tests[] = {
                IN_PLACE(opening),
                IN_PLACE(reading_and_writing),
                IN_PLACE(mappings),
                IN_PLACE(what_is_in_memory),
                IN_PLACE(allocating_by_writing_does_the_same),
                IN_PLACE(a_large_transfer_is_whole),
                IN_PLACE(space),
                IN_PLACE(allocating_keeps_what_is_there),
                IN_PLACE(locking),
                IN_PLACE(directories),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
