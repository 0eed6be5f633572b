/* SPDX-License-Identifier: MIT */
/* See small_disk.h. */
#include "small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct small_disk *disk_of(const struct bm_io *io)
{
        return (struct small_disk *)(uintptr_t)io;
}

static uint64_t blocks(uint64_t bytes)
{
        return (bytes + SMALL_DISK_BLOCK - 1) / SMALL_DISK_BLOCK * SMALL_DISK_BLOCK;
}

static uint64_t size_of(int fd)
{
        struct stat st;
        return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* Number of the disk that FD is on; n_disks: none. */
static unsigned disk_of_fd(const struct small_disk *d, int fd)
{
        char link[64], path[512];
        unsigned i = 0;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof(path) - 1);
        path[len > 0 ? len : 0] = 0;
        while (i < d->n_disks && strncmp(path, d->disks[i].path, strlen(d->disks[i].path)) != 0)
                i++;
        return i;
}

/* Locked. Takes the room that FD needs to reach END. */
static int take(struct small_disk *d, int fd, uint64_t end)
{
        unsigned i = disk_of_fd(d, fd);
        uint64_t has = blocks(size_of(fd)), wants = blocks(end);
        if (i == d->n_disks || wants <= has)
                return 0;
        if (d->disks[i].used + wants - has > d->disks[i].limit)
                return -ENOSPC;
        d->disks[i].used += wants - has;
        return 0;
}

/* Locked. Counts what FD, which had SIZE bytes, has become. */
static void recount(struct small_disk *d, int fd, uint64_t had, uint64_t has)
{
        unsigned i = disk_of_fd(d, fd);
        if (i < d->n_disks)
                d->disks[i].used += blocks(has) - blocks(had);
}

static int small_allocate(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        struct small_disk *d = disk_of(io);
        pthread_mutex_lock(&d->lock);
        int r = take(d, fd, offset + len);
        if (r == 0)
                r = bm_io_call(&bm_io_posix, allocate, fd, offset, len);
        pthread_mutex_unlock(&d->lock);
        return r;
}

static int small_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len,
                        uint64_t offset)
{
        struct small_disk *d = disk_of(io);
        pthread_mutex_lock(&d->lock);
        int r = take(d, fd, offset + len);
        if (r == 0)
                r = bm_io_call(&bm_io_posix, pwrite, fd, buf, len, offset);
        pthread_mutex_unlock(&d->lock);
        return r;
}

static int small_truncate(const struct bm_io *io, int fd, uint64_t len)
{
        struct small_disk *d = disk_of(io);
        pthread_mutex_lock(&d->lock);
        uint64_t had = size_of(fd);
        int r = bm_io_call(&bm_io_posix, truncate, fd, len);
        if (r == 0)
                recount(d, fd, had, len);
        pthread_mutex_unlock(&d->lock);
        return r;
}

static int small_unlink_at(const struct bm_io *io, int dir, const char *name)
{
        struct small_disk *d = disk_of(io);
        struct stat st;
        pthread_mutex_lock(&d->lock);
        uint64_t had = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
                               ? (uint64_t)st.st_size
                               : 0;
        int r = bm_io_call(&bm_io_posix, unlink_at, dir, name);
        if (r == 0)
                recount(d, dir, had, 0);
        pthread_mutex_unlock(&d->lock);
        return r;
}

static int small_space(const struct bm_io *io, int fd, struct bm_io_space *space)
{
        struct small_disk *d = disk_of(io);
        pthread_mutex_lock(&d->lock);
        unsigned i = disk_of_fd(d, fd);
        int r = bm_io_call(&bm_io_posix, space, fd, space);
        if (r == 0 && i < d->n_disks) {
                uint64_t limit = d->disks[i].limit, used = d->disks[i].used;
                uint64_t left = limit > used ? limit - used : 0;
                *space = (struct bm_io_space){.device = i + 1,
                                              .total_bytes = limit,
                                              .free_bytes = left,
                                              .available_bytes = left};
        }
        pthread_mutex_unlock(&d->lock);
        return r;
}

static struct bm_io_ops small_ops;

void small_disk_init(struct small_disk *d)
{
        small_ops = *bm_io_posix.ops;
        small_ops.allocate = small_allocate;
        small_ops.pwrite = small_pwrite;
        small_ops.truncate = small_truncate;
        small_ops.unlink_at = small_unlink_at;
        small_ops.space = small_space;
        *d = (struct small_disk){.io.ops = &small_ops};
        pthread_mutex_init(&d->lock, NULL);
}

void small_disk_deinit(struct small_disk *d)
{
        pthread_mutex_destroy(&d->lock);
}

void small_disk_add(struct small_disk *d, const char *path, uint64_t limit)
{
        snprintf(d->disks[d->n_disks].path, sizeof(d->disks[0].path), "%s", path);
        d->disks[d->n_disks++].limit = limit;
}

void small_disk_limit(struct small_disk *d, unsigned disk, uint64_t limit)
{
        pthread_mutex_lock(&d->lock);
        d->disks[disk].limit = limit;
        pthread_mutex_unlock(&d->lock);
}

uint64_t small_disk_used(struct small_disk *d, unsigned disk)
{
        pthread_mutex_lock(&d->lock);
        uint64_t used = d->disks[disk].used;
        pthread_mutex_unlock(&d->lock);
        return used;
}
