/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

enum { SECTOR = DISK_SECTOR, PAGE = 4096, PATH_BYTES = 512 };

static void fail(const char *what, const char *path)
{
        fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
        exit(99);
}

/* One file's durable bytes */

static void hold(struct disk_file *f, uint64_t len)
{
        if (len <= f->held)
                return;
        f->bytes = must_realloc(f->bytes, len);
        memset(f->bytes + f->held, 0, len - f->held);
        f->held = len;
}

static void set_size(struct disk_file *f, uint64_t size)
{
        if (size < f->held)
                f->held = size;
        f->size = size;
}

static void put(struct disk_file *f, uint64_t offset, const uint8_t *data, uint64_t len)
{
        hold(f, offset + len);
        memcpy(f->bytes + offset, data, len);
}

static void play(struct disk_file *f, const struct event *e)
{
        if (e->kind == EV_SIZE) {
                set_size(f, e->len);
                return;
        }
        put(f, e->offset, e->data, e->len);
        if (e->offset + e->len > f->size)
                f->size = e->offset + e->len;
}

/* What came before serial SINCE is durable. */
static void sync_file(struct disk_file *f, uint64_t since)
{
        size_t left = 0;
        for (size_t i = 0; i < f->n_pending; i++) {
                if (f->pending[i]->serial < since)
                        play(f, f->pending[i]);
                else
                        f->pending[left++] = f->pending[i];
        }
        f->n_pending = left;
}

/* Directories */

static void play_name(struct disk_dir *d, const struct event *e)
{
        size_t i = 0;
        while (i < d->n_names && strcmp(d->names[i].name, e->name) != 0)
                i++;
        if (e->kind == EV_UNLINK) {
                if (i < d->n_names)
                        d->names[i] = d->names[--d->n_names];
                return;
        }
        if (i == d->n_names) {
                if (d->n_names == d->cap_names) {
                        d->cap_names = d->cap_names ? d->cap_names * 2 : 16;
                        d->names = must_realloc(d->names, d->cap_names * sizeof(*d->names));
                }
                d->n_names++;
        }
        memcpy(d->names[i].name, e->name, sizeof(e->name));
        d->names[i].file = e->file;
}

static void sync_dir(struct disk_dir *d, uint64_t since)
{
        size_t left = 0;
        for (size_t i = 0; i < d->n_pending; i++) {
                if (d->pending[i]->serial < since)
                        play_name(d, d->pending[i]);
                else
                        d->pending[left++] = d->pending[i];
        }
        d->n_pending = left;
}

static void add_pending(const struct event ***list, size_t *n, size_t *cap, const struct event *e)
{
        if (*n == *cap) {
                *cap = *cap ? *cap * 2 : 16;
                *list = must_realloc(*list, *cap * sizeof(**list));
        }
        (*list)[(*n)++] = e;
}

static void new_file(struct disk *disk)
{
        if (disk->n_files == disk->cap_files) {
                disk->cap_files = disk->cap_files ? disk->cap_files * 2 : 32;
                disk->files = must_realloc(disk->files, disk->cap_files * sizeof(*disk->files));
        }
        disk->files[disk->n_files++] = (struct disk_file){0};
}

void disk_apply(struct disk *disk, const struct event *e)
{
        struct disk_dir *d = &disk->dirs[e->dir];
        if (e->kind == EV_CREATE) {
                while (disk->n_files <= e->file)
                        new_file(disk);
        }
        if (e->early)
                play_name(&disk->dirs[e->early->dir], e->early);
        struct disk_file *f = &disk->files[e->file];
        switch (e->kind) {
        case EV_WRITE:
        case EV_SIZE:
                add_pending(&f->pending, &f->n_pending, &f->cap_pending, e);
                break;
        case EV_SYNC:
                sync_file(f, e->since);
                break;
        case EV_CREATE:
        case EV_UNLINK:
                add_pending(&d->pending, &d->n_pending, &d->cap_pending, e);
                break;
        case EV_SYNC_DIR:
                sync_dir(d, e->since);
                break;
        case EV_NOTHING:
                break;
        }
}

/* The cut */

/* Up to which of N pending changes something got, by its own luck. */
static size_t moment(uint64_t luck, size_t n)
{
        switch (luck % 4) {
        case 0:
                return 0;
        case 1:
                return n;
        default:
                return (size_t)(mix64(luck) % (n + 1));
        }
}

static void cut_file(struct disk_file *f, enum cut_style style, uint64_t seed)
{
        size_t n = f->n_pending, size_till = moment(mix64(seed + 1), n);
        const uint64_t unit = style == CUT_PAGES ? PAGE : SECTOR;
        uint64_t size = f->size;
        if (n == 0 || style == CUT_DROP) {
                f->n_pending = 0;
                return;
        }
        if (style == CUT_KEEP) {
                sync_file(f, UINT64_MAX);
                return;
        }
        if (style == CUT_MOMENT) {
                f->n_pending = (size_t)(mix64(seed + 2) % (n + 1));
                sync_file(f, UINT64_MAX);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                const struct event *e = f->pending[i];
                if (e->kind == EV_SIZE && i < size_till)
                        size = e->len;
                else if (e->kind == EV_WRITE && i < size_till && e->offset + e->len > size)
                        size = e->offset + e->len;
                for (uint64_t at = e->offset, end = e->offset + e->len;
                     e->kind == EV_WRITE && at < end;) {
                        uint64_t next = (at / SECTOR + 1) * SECTOR;
                        uint64_t luck = mix64(seed ^ mix64(at / unit + 77));
                        size_t till = moment(luck, n);
                        if (next > end)
                                next = end;
                        uint64_t len = next - at;
                        /* a disk writes a whole sector or nothing of it */
                        if (i == till && style == CUT_TORN && len < SECTOR)
                                len = luck / 1024 % (len + 1);
                        else if (i >= till)
                                len = 0;
                        if (len)
                                put(f, at, e->data + (at - e->offset), len);
                        at = next;
                }
        }
        set_size(f, size);
        f->n_pending = 0;
}

static void cut_dir(struct disk_dir *d, enum cut_style style, uint64_t seed)
{
        if (style == CUT_DROP)
                d->n_pending = 0;
        else if (style != CUT_KEEP)
                d->n_pending = moment(seed, d->n_pending);
        sync_dir(d, UINT64_MAX);
}

void disk_cut(struct disk *disk, enum cut_style style, uint64_t seed)
{
        for (size_t i = 0; i < disk->n_files; i++) {
                uint64_t luck = mix64(seed + 1000 * (i + 1));
                enum cut_style one = style;
                /* files have different luck too, but for the plain styles */
                if (style > CUT_MOMENT && luck % 8 < 2)
                        one = luck % 8 ? CUT_DROP : CUT_KEEP;
                cut_file(&disk->files[i], one, luck);
        }
        for (unsigned i = 0; i < DIRS; i++)
                cut_dir(&disk->dirs[i], style, mix64(seed + i));
}

/* Copies */

void disk_clone(struct disk *to, const struct disk *from)
{
        *to = *from;
        to->cap_files = from->n_files;
        to->files = must_alloc(to->cap_files * sizeof(*to->files));
        for (size_t i = 0; i < from->n_files; i++) {
                const struct disk_file *a = &from->files[i];
                struct disk_file *b = &to->files[i];
                *b = *a;
                b->bytes = must_alloc(a->held);
                if (a->held)
                        memcpy(b->bytes, a->bytes, a->held);
                b->cap_pending = a->n_pending;
                b->pending = must_alloc(a->n_pending * sizeof(*b->pending));
                if (a->n_pending)
                        memcpy(b->pending, a->pending, a->n_pending * sizeof(*b->pending));
        }
        for (unsigned i = 0; i < DIRS; i++) {
                const struct disk_dir *a = &from->dirs[i];
                struct disk_dir *b = &to->dirs[i];
                b->cap_names = a->n_names;
                b->names = must_alloc(a->n_names * sizeof(*b->names));
                if (a->n_names)
                        memcpy(b->names, a->names, a->n_names * sizeof(*b->names));
                b->cap_pending = a->n_pending;
                b->pending = must_alloc(a->n_pending * sizeof(*b->pending));
                if (a->n_pending)
                        memcpy(b->pending, a->pending, a->n_pending * sizeof(*b->pending));
        }
}

void disk_deinit(struct disk *disk)
{
        for (size_t i = 0; i < disk->n_files; i++) {
                free(disk->files[i].bytes);
                free(disk->files[i].pending);
        }
        free(disk->files);
        for (unsigned i = 0; i < DIRS; i++) {
                free(disk->dirs[i].names);
                free(disk->dirs[i].pending);
        }
        *disk = (struct disk){0};
}

static void dir_path(const char *const *paths, unsigned dir, char out[PATH_BYTES])
{
        snprintf(out, PATH_BYTES, "%s%s", paths[dir / 2], dir % 2 ? "/segments" : "");
}

/* Of a directory nothing: what it holds are names of another. */
static void load_file(struct disk *disk, const char *path)
{
        struct stat st;
        new_file(disk);
        struct disk_file *f = &disk->files[disk->n_files - 1];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                fail("open", path);
        if (S_ISDIR(st.st_mode))
                st.st_size = 0;
        hold(f, (uint64_t)st.st_size);
        f->size = f->held;
        if (f->held && pread(fd, f->bytes, f->held, 0) != (ssize_t)f->held)
                fail("read", path);
        close(fd);
}

void disk_load(struct disk *disk, const char *const *paths, unsigned n_drives)
{
        *disk = (struct disk){.n_drives = n_drives};
        for (unsigned i = 0; i < 2 * n_drives; i++) {
                char dir[PATH_BYTES], path[2 * PATH_BYTES];
                struct dirent *entry;
                dir_path(paths, i, dir);
                DIR *d = opendir(dir);
                if (!d)
                        fail("open", dir);
                while ((entry = readdir(d))) {
                        struct event e = {.kind = EV_CREATE, .dir = i};
                        if (entry->d_name[0] == '.')
                                continue;
                        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
                        memcpy(e.name, entry->d_name, strnlen(entry->d_name, sizeof(e.name) - 1));
                        e.file = (unsigned)disk->n_files;
                        load_file(disk, path);
                        play_name(&disk->dirs[i], &e);
                }
                closedir(d);
        }
}

static void store_file(const struct disk_file *f, const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        static const uint8_t zeros[PAGE];
        if (fd < 0 || ftruncate(fd, (off_t)f->size) < 0)
                fail("create", path);
        for (uint64_t at = 0; at < f->held; at += PAGE) {
                uint64_t len = f->held - at < PAGE ? f->held - at : PAGE;
                if (memcmp(f->bytes + at, zeros, len) == 0)
                        continue;
                if (pwrite(fd, f->bytes + at, len, (off_t)at) != (ssize_t)len)
                        fail("write", path);
        }
        close(fd);
}

void disk_store(const struct disk *disk, const char *const *paths)
{
        for (unsigned i = 0; i < 2 * disk->n_drives; i++) {
                char dir[PATH_BYTES], path[2 * PATH_BYTES];
                dir_path(paths, i, dir);
                if (i % 2 == DIR_TOP && mkdir(dir, 0700) < 0)
                        fail("mkdir", dir);
                if (access(dir, F_OK) < 0) /* its own name is lost */
                        continue;
                for (size_t k = 0; k < disk->dirs[i].n_names; k++) {
                        const struct disk_name *n = &disk->dirs[i].names[k];
                        snprintf(path, sizeof(path), "%s/%s", dir, n->name);
                        if (strcmp(n->name, "segments") != 0)
                                store_file(&disk->files[n->file], path);
                        else if (mkdir(path, 0700) < 0)
                                fail("mkdir", path);
                }
        }
}

uint64_t disk_hash(const struct disk *disk)
{
        uint64_t sum = 0;
        for (unsigned i = 0; i < 2 * disk->n_drives; i++) {
                for (size_t k = 0; k < disk->dirs[i].n_names; k++) {
                        const struct disk_name *n = &disk->dirs[i].names[k];
                        const struct disk_file *f = &disk->files[n->file];
                        uint64_t h = XXH3_64bits_withSeed(n->name, strlen(n->name), i);
                        uint64_t held = f->held; /* zeros are the same, held or not */
                        while (held > 0 && f->bytes[held - 1] == 0)
                                held--;
                        /* the order of names means nothing */
                        sum += XXH3_64bits_withSeed(f->bytes, held, h + f->size);
                }
        }
        return sum;
}

void remove_store(const char *const *paths, unsigned n_drives)
{
        for (unsigned i = 2 * n_drives; i-- > 0;) {
                char dir[PATH_BYTES];
                struct dirent *entry;
                dir_path(paths, i, dir);
                DIR *d = opendir(dir);
                if (!d)
                        continue;
                while ((entry = readdir(d)))
                        (void)unlinkat(dirfd(d), entry->d_name, 0);
                closedir(d);
                (void)rmdir(dir);
        }
}
