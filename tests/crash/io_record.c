/* SPDX-License-Identifier: MIT */
#include "io_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "same_luck.h"
#include "turns.h"

enum { DISK_BYTES = 8 << 20 };

static struct record_io *of(const struct bm_io *io)
{
        return (struct record_io *)(uintptr_t)io;
}

#define real(op, ...) bm_io_call(&bm_io_posix, op, __VA_ARGS__)

/* Whether this call is one that fails. SYNC calls never fail for want of space. */
static int fails_in(const struct bm_io *io, bool takes_space, const char *call)
{
        struct record_io *r = of(io);
        turns_point();
        if (r->fail_errno == ENOSPC && !takes_space)
                return 0;
        r->calls++;
        if (r->fail_at == 0 || r->calls < r->fail_at || (r->calls > r->fail_at && !r->sticky))
                return 0;
        if (r->failed++ == 0)
                r->failed_call = call;
        return -r->fail_errno;
}

#define fails(io, takes_space) fails_in(io, takes_space, __func__)

static void note(const struct bm_io *io, struct event e)
{
        struct record_io *r = of(io);
        e.time_ns = same_luck_now();
        e.thread = turns_self();
        if (r->trace)
                trace_add(r->trace, &e);
}

static void enter_fd(struct record_io *r, int fd, bool dir, unsigned number)
{
        if (fd >= FDS) {
                fprintf(stderr, "descriptor %d is too high\n", fd);
                exit(99);
        }
        r->fds[fd].used = true;
        r->fds[fd].dir = dir;
        r->fds[fd].number = number;
}

static struct disk_name *find_name(struct record_io *r, unsigned dir, const char *name)
{
        struct disk_dir *d = &r->names[dir];
        for (size_t i = 0; i < d->n_names; i++) {
                if (strcmp(d->names[i].name, name) == 0)
                        return &d->names[i];
        }
        return NULL;
}

static struct disk_name *add_name(struct record_io *r, unsigned dir, const char *name,
                                  unsigned file)
{
        struct disk_dir *d = &r->names[dir];
        d->names = must_realloc(d->names, (d->n_names + 1) * sizeof(*d->names));
        struct disk_name *n = &d->names[d->n_names++];
        *n = (struct disk_name){.file = file};
        snprintf(n->name, sizeof(n->name), "%s", name);
        return n;
}

static int record_open_dir(const struct bm_io *io, const char *path)
{
        struct record_io *r = of(io);
        int fd = fails(io, false);
        if (fd == 0)
                fd = real(open_dir, path);
        for (unsigned i = 0; fd >= 0 && i < r->n_drives; i++) {
                if (strcmp(path, r->paths[i]) == 0)
                        enter_fd(r, fd, true, 2 * i + DIR_TOP);
        }
        return fd;
}

/* A new name that is noted. */
static struct disk_name *make_name(const struct bm_io *io, unsigned dir, const char *name)
{
        struct record_io *r = of(io);
        struct event e = {.kind = EV_CREATE, .file = r->n_files++, .dir = dir};
        struct disk_name *n = add_name(r, dir, name, e.file);
        memcpy(e.name, n->name, sizeof(e.name));
        note(io, e);
        return n;
}

static void drop_name(const struct bm_io *io, unsigned dir, const char *name)
{
        struct record_io *r = of(io);
        struct disk_name *n = find_name(r, dir, name);
        if (!n)
                return;
        struct event e = {.kind = EV_UNLINK, .file = n->file, .dir = dir};
        memcpy(e.name, n->name, sizeof(e.name));
        note(io, e);
        *n = r->names[dir].names[--r->names[dir].n_names];
}

static int record_open_at(const struct bm_io *io, int dir, const char *name, int flags, mode_t mode)
{
        struct record_io *r = of(io);
        int fd = fails(io, (flags & O_CREAT) != 0);
        if (fd < 0)
                return fd;
        fd = real(open_at, dir, name, flags, mode);
        if (fd < 0)
                return fd;
        unsigned d = r->fds[dir].number;
        if (flags & O_DIRECTORY) {
                enter_fd(r, fd, true, d + DIR_SEGMENTS);
                return fd;
        }
        struct disk_name *n = find_name(r, d, name);
        if (!n)
                n = make_name(io, d, name);
        enter_fd(r, fd, false, n->file);
        return fd;
}

static int record_close(const struct bm_io *io, int fd)
{
        turns_point();
        of(io)->fds[fd].used = false;
        return real(close, fd);
}

static int record_mkdir_at(const struct bm_io *io, int dir, const char *name, mode_t mode)
{
        const struct record_io *rec = of(io);
        int r = fails(io, true);
        if (r == 0)
                r = real(mkdir_at, dir, name, mode);
        /* a drive itself is made in a directory that is nobody's */
        if (r == 0 && rec->fds[dir].used)
                make_name(io, rec->fds[dir].number, name);
        return r;
}

static int record_unlink_at(const struct bm_io *io, int dir, const char *name)
{
        const struct record_io *rec = of(io);
        int r = fails(io, false);
        if (r == 0)
                r = real(unlink_at, dir, name);
        if (r == 0)
                drop_name(io, rec->fds[dir].number, name);
        return r;
}

static int record_rmdir_at(const struct bm_io *io, int dir, const char *name)
{
        const struct record_io *rec = of(io);
        int r = fails(io, false);
        if (r == 0)
                r = real(rmdir_at, dir, name);
        if (r == 0 && rec->fds[dir].used)
                drop_name(io, rec->fds[dir].number, name);
        return r;
}

static int record_list(const struct bm_io *io, int dir, int (*fn)(void *ctx, const char *name),
                       void *ctx)
{
        int r = fails(io, false);
        return r < 0 ? r : real(list, dir, fn, ctx);
}

static int record_stat(const struct bm_io *io, int fd, struct bm_io_file *file)
{
        int r = fails(io, false);
        return r < 0 ? r : real(stat, fd, file);
}

static int record_space(const struct bm_io *io, int fd, struct bm_io_space *space)
{
        int r = fails(io, false);
        if (r == 0)
                r = real(space, fd, space);
        /* little is dead before that is too much beside others' work; and who knows that it is
         * all in memory saves himself what is to be tried here */
        space->total_bytes = DISK_BYTES;
        space->in_memory = false;
        return r;
}

static int record_pread(const struct bm_io *io, int fd, void *buf, size_t len, uint64_t offset)
{
        int r = fails(io, false);
        return r < 0 ? r : real(pread, fd, buf, len, offset);
}

static void note_write(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t offset,
                       bool mapped)
{
        if (len)
                note(io, (struct event){.kind = EV_WRITE,
                                        .file = of(io)->fds[fd].number,
                                        .offset = offset,
                                        .len = len,
                                        .mapped = mapped,
                                        .data = (uint8_t *)(uintptr_t)buf});
}

static int record_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len,
                         uint64_t offset)
{
        int r = fails(io, true);
        /* as writes fail: a part of it is there */
        size_t n = r == 0 ? len : len / 2;
        int written = n ? real(pwrite, fd, buf, n, offset) : 0;
        if (written == 0 && n)
                note_write(io, fd, buf, n, offset, false);
        return r < 0 ? r : written;
}

static void note_size(const struct bm_io *io, int fd, uint64_t size)
{
        note(io, (struct event){.kind = EV_SIZE, .file = of(io)->fds[fd].number, .len = size});
}

/* Sparse, for the sake of speed: what is real here is only the size. */
static int record_allocate(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        struct bm_io_file file;
        int r = fails(io, true);
        if (r == 0)
                r = real(stat, fd, &file);
        if (r < 0 || offset + len <= file.size_bytes)
                return r;
        r = real(truncate, fd, offset + len);
        if (r == 0)
                note_size(io, fd, offset + len);
        return r;
}

static int record_truncate(const struct bm_io *io, int fd, uint64_t len)
{
        int r = fails(io, false);
        if (r == 0)
                r = real(truncate, fd, len);
        if (r == 0)
                note_size(io, fd, len);
        return r;
}

/* A disk takes its time, and others go on meanwhile. NUMBER is of what is synced; its descriptor
 * would have a seed depend on what else is open. */
static void take_time(unsigned number)
{
        uint64_t luck = mix64(same_luck_now() + number);
        if (luck % 2)
                turns_sleep(luck % (20 * 1000 * 1000));
}

static int record_sync_data(const struct bm_io *io, int fd)
{
        int r = fails(io, true);
        struct event e = {.kind = EV_SYNC, .file = of(io)->fds[fd].number, .since = trace_serial()};
        take_time(e.file);
        if (r == 0)
                note(io, e);
        return r;
}

static int record_sync_dir(const struct bm_io *io, int dir)
{
        int r = fails(io, true);
        struct event e = {
                .kind = EV_SYNC_DIR, .dir = of(io)->fds[dir].number, .since = trace_serial()};
        take_time(e.dir);
        if (r == 0 && of(io)->fds[dir].used)
                note(io, e);
        return r;
}

static int record_map(const struct bm_io *io, int fd, size_t len, bool writable, void **addr)
{
        int r = fails(io, false);
        return r < 0 ? r : real(map, fd, len, writable, addr);
}

static int record_unmap(const struct bm_io *io, void *addr, size_t len)
{
        return real(unmap, addr, len);
}

static int record_map_write(const struct bm_io *io, int fd, void *base, uint64_t offset,
                            const void *src, size_t len)
{
        int r = fails(io, false);
        if (r == 0)
                r = real(map_write, fd, base, offset, src, len);
        if (r == 0)
                note_write(io, fd, src, len, offset, true);
        return r;
}

static int record_prefault(const struct bm_io *io, int fd, void *base, uint64_t offset, size_t len)
{
        return 0;
}

static int record_resident(const struct bm_io *io, void *base, size_t len, size_t *bytes)
{
        *bytes = len; /* which memory is there must not change what is done */
        return fails(io, false);
}

static int record_fill(const struct bm_io *io, int fd, uint64_t offset, size_t len)
{
        return fails(io, false);
}

static int record_lock(const struct bm_io *io, int fd, bool exclusive)
{
        int r = fails(io, false);
        return r < 0 ? r : real(lock, fd, exclusive);
}

static const struct bm_io_ops record_ops = {
        .open_dir = record_open_dir,
        .open_at = record_open_at,
        .close = record_close,
        .mkdir_at = record_mkdir_at,
        .unlink_at = record_unlink_at,
        .rmdir_at = record_rmdir_at,
        .list = record_list,
        .stat = record_stat,
        .space = record_space,
        .pread = record_pread,
        .pwrite = record_pwrite,
        .allocate = record_allocate,
        .truncate = record_truncate,
        .sync_data = record_sync_data,
        .sync_dir = record_sync_dir,
        .map = record_map,
        .unmap = record_unmap,
        .map_write = record_map_write,
        .prefault = record_prefault,
        .resident = record_resident,
        .fill = record_fill,
        .lock = record_lock,
};

void record_init(struct record_io *r, const struct disk *disk, const char *const *paths,
                 unsigned n_drives, struct trace *trace)
{
        *r = (struct record_io){
                .io.ops = &record_ops, .trace = trace, .n_drives = n_drives, .paths = paths};
        if (!disk)
                return;
        r->n_files = (unsigned)disk->n_files;
        for (unsigned i = 0; i < DIRS; i++) {
                for (size_t k = 0; k < disk->dirs[i].n_names; k++)
                        add_name(r, i, disk->dirs[i].names[k].name, disk->dirs[i].names[k].file);
        }
}

void record_deinit(struct record_io *r)
{
        for (unsigned i = 0; i < DIRS; i++)
                free(r->names[i].names);
}
