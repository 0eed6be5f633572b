/* SPDX-License-Identifier: MIT */
/*
 * A store in a directory of its own for tests that look inside: with file
 * operations that can be told to fail, and a way to leave it as a killed
 * process would.
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bucketmap.h"
#include "io.h"
#include "store.h"

/* The system's files, except for what is asked for. */
struct fault_io {
        struct bm_io io; /* first */
        struct bm_io_ops ops;
        atomic_bool fail_sync;   /* every sync_data gives -EIO */
        _Atomic uint64_t room;   /* bytes that segments and reserve may have; 0: no limit */
        _Atomic unsigned n_sync; /* calls of sync_data */
        char segments[256], reserve[256];
};

struct fixture {
        char dir[128], path[160];
        unsigned n_crashes;
        struct fault_io io;
        struct bm_config config;
        struct bm_store *store;
        struct bm_map *root;
};

static inline struct fault_io *fault_of(const struct bm_io *io)
{
        return (struct fault_io *)(uintptr_t)io;
}

static inline uint64_t fault_used(const struct fault_io *f)
{
        struct stat st;
        uint64_t used = stat(f->reserve, &st) == 0 ? (uint64_t)st.st_size : 0;
        DIR *d = opendir(f->segments);
        while (d) {
                struct dirent *e = readdir(d);
                if (!e)
                        break;
                if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
                        used += (uint64_t)st.st_size;
        }
        if (d)
                closedir(d);
        return used;
}

static inline bool fault_has_room(const struct bm_io *io, int fd, uint64_t end)
{
        struct fault_io *f = fault_of(io);
        uint64_t room = atomic_load(&f->room);
        struct stat st;
        return room == 0 || fstat(fd, &st) < 0 || end <= (uint64_t)st.st_size ||
               fault_used(f) + (end - (uint64_t)st.st_size) <= room;
}

static inline int fault_sync_data(const struct bm_io *io, int fd)
{
        atomic_fetch_add(&fault_of(io)->n_sync, 1);
        if (atomic_load(&fault_of(io)->fail_sync))
                return -EIO;
        return bm_io_call(&bm_io_posix, sync_data, fd);
}

static inline int fault_allocate(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        if (!fault_has_room(io, fd, offset + len))
                return -ENOSPC;
        return bm_io_call(&bm_io_posix, allocate, fd, offset, len);
}

static inline int fault_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len,
                               uint64_t offset)
{
        if (!fault_has_room(io, fd, offset + len))
                return -ENOSPC;
        return bm_io_call(&bm_io_posix, pwrite, fd, buf, len, offset);
}

static inline int fault_space(const struct bm_io *io, int fd, struct bm_io_space *space)
{
        int r = bm_io_call(&bm_io_posix, space, fd, space);
        uint64_t room = atomic_load(&fault_of(io)->room), used = fault_used(fault_of(io));
        if (r == 0 && room)
                space->free_bytes = space->available_bytes = room > used ? room - used : 0;
        return r;
}

static inline void fixture_open(struct fixture *f)
{
        assert_int_equal(bm_open(f->path, &f->config, &f->store), 0);
        f->root = bm_root(f->store);
}

static inline void fixture_close(struct fixture *f)
{
        assert_int_equal(bm_close(f->store), 0);
        f->store = NULL;
}

/* Goes on with the keeper's thread, and the others. */
static inline void fixture_open_with_background(struct fixture *f)
{
        fixture_close(f);
        f->config.no_background = false;
        fixture_open(f);
}

static inline void fixture_place(struct fixture *f)
{
        snprintf(f->path, sizeof(f->path), "%s/store%u", f->dir, f->n_crashes);
        snprintf(f->io.segments, sizeof(f->io.segments), "%s/segments", f->path);
        snprintf(f->io.reserve, sizeof(f->io.reserve), "%s/reserve", f->path);
}

/* An open store. Nothing runs in the background. */
static inline int fixture_setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        assert_non_null(f);
        const char *base = getenv("TMPDIR");
        snprintf(f->dir, sizeof(f->dir), "%s/bm-unit-XXXXXX", base ? base : "/tmp");
        assert_non_null(mkdtemp(f->dir));
        fixture_place(f);
        f->io.ops = *bm_io_posix.ops;
        f->io.ops.sync_data = fault_sync_data;
        f->io.ops.allocate = fault_allocate;
        f->io.ops.pwrite = fault_pwrite;
        f->io.ops.space = fault_space;
        f->io.io.ops = &f->io.ops;
        f->config = (struct bm_config){.no_background = true, .io = &f->io.io};
        assert_int_equal(bm_create(f->path, &f->config), 0);
        fixture_open(f);
        *state = f;
        return 0;
}

static inline int fixture_teardown(void **state)
{
        struct fixture *f = *state;
        char command[256];
        atomic_store(&f->io.fail_sync, false);
        atomic_store(&f->io.room, 0);
        (void)bm_close(f->store);
        snprintf(command, sizeof(command), "rm -rf %s", f->dir);
        int r = system(command);
        free(f);
        return r;
}

#define test_in_store(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* What a kill -9 at this moment leaves: the files as they are, in a new
 * place. It is not open yet; the store before it is gone. */
static inline void fixture_kill(struct fixture *f)
{
        char old[160], command[512];
        strcpy(old, f->path);
        f->n_crashes++;
        fixture_place(f);
        snprintf(command, sizeof(command), "cp -a %s %s", old, f->path);
        assert_int_equal(system(command), 0);
        (void)bm_close(f->store);
        f->store = NULL;
}

/* Overwrites one byte of a file of the store (from its end if AT is negative). */
static inline void fixture_damage(struct fixture *f, const char *name, off_t at)
{
        char path[512];
        uint8_t byte;
        snprintf(path, sizeof(path), "%s/%s", f->path, name);
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x55;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
}

/* Of the store, whether it is open or closed. */
static inline void fixture_damage_segment(struct fixture *f, uint32_t file_id, uint64_t at)
{
        char name[32];
        snprintf(name, sizeof(name), "segments/%08x", file_id);
        fixture_damage(f, name, (off_t)at);
}

static inline bool fixture_has_segment(struct fixture *f, uint32_t file_id)
{
        char path[512];
        snprintf(path, sizeof(path), "%s/segments/%08x", f->path, file_id);
        return access(path, F_OK) == 0;
}

static inline void put(struct fixture *f, const char *key, const void *value, size_t len)
{
        assert_int_equal(bm_insert(f->root, key, strlen(key), value, len, 1), 0);
}

static inline void put_text(struct fixture *f, const char *key, const char *text)
{
        put(f, key, text, strlen(text));
}

static inline void assert_text(struct fixture *f, const char *key, const char *text)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), 0);
        assert_int_equal(view.size, strlen(text));
        assert_memory_equal(view.value, text, view.size);
        bm_view_release(&view);
}

static inline void assert_gone(struct fixture *f, const char *key)
{
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, key, strlen(key), &view), BM_E_NOT_FOUND);
}

static inline void remove_key(struct fixture *f, const char *key)
{
        assert_int_equal(bm_delete_key(f->root, key, strlen(key)), 0);
}

static inline void print_finding(void *ctx, const struct bm_finding *finding)
{
        print_error("check: %s\n", finding->message);
}

/* Nothing is wrong with the store. */
static inline void assert_sound(struct fixture *f)
{
        const struct bm_check_args args = {.finding = print_finding};
        assert_int_equal(bm_check(f->store, &args), 0);
}

#endif
