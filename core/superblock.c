/* SPDX-License-Identifier: MIT */
/* Recognising a store's directories again: which drives there are, and whether they belong
 * together. */
#include "superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drives.h"
#include "error.h"

int bm_superblock_read(const struct bm_io *io, int dir, const char *name, struct bm_superblock *sb)
{
        uint8_t copy[BM_SUPERBLOCK];
        int fd = bm_io_call(io, open_at, dir, name, O_RDONLY, 0);
        int worst = BM_E_NOT_A_STORE, r = 0;
        if (fd == -ENOENT || fd == -EMEDIUMTYPE)
                return BM_E_NOT_A_STORE;
        if (fd < 0)
                return fd;
        for (unsigned i = 0; i < 2; i++) {
                r = bm_io_call(io, pread, fd, copy, sizeof(copy), i * BM_SUPERBLOCK);
                /* a file too short reads as -EIO, a directory as -EISDIR: no superblock there */
                if (r == 0)
                        r = bm_superblock_decode(sb, copy);
                if (r == 0)
                        break;
                if (r != BM_E_NOT_A_STORE && r != -EIO && r != -EISDIR)
                        worst = r;
        }
        (void)bm_io_call(io, close, fd);
        if (r != 0 && worst == BM_E_DAMAGED)
                bm_problem_set("both copies of the superblock are damaged");
        return r == 0 ? 0 : worst;
}

int bm_superblock_mend(const struct bm_io *io, int dir)
{
        uint8_t copies[2][BM_SUPERBLOCK];
        struct bm_superblock sb;
        bool good[2];
        int fd = bm_io_call(io, open_at, dir, BM_FILE_SUPERBLOCK, O_RDWR, 0);
        if (fd < 0)
                return fd;
        for (unsigned i = 0; i < 2; i++)
                good[i] = bm_io_call(io, pread, fd, copies[i], BM_SUPERBLOCK,
                                     (uint64_t)i * BM_SUPERBLOCK) == 0 &&
                          bm_superblock_decode(&sb, copies[i]) == 0;
        int r = 0;
        if (good[0] != good[1]) {
                r = bm_io_call(io, pwrite, fd, copies[good[1]], BM_SUPERBLOCK,
                               good[0] ? BM_SUPERBLOCK : 0);
                if (r == 0)
                        r = bm_io_call(io, sync_data, fd);
        }
        (void)bm_io_call(io, close, fd);
        return r;
}

static int open_drive(struct bm_drives *d, unsigned i, const char *path, struct bm_superblock *sb)
{
        struct bm_drive *drive = &d->drives[i];
        drive->path = strdup(path);
        if (!drive->path)
                return -ENOMEM;
        drive->dir = bm_io_call(d->io, open_dir, path);
        if (drive->dir < 0)
                return drive->dir == -ENOTDIR ? BM_E_NOT_A_STORE : drive->dir;
        int r = bm_superblock_read(d->io, drive->dir, BM_FILE_SUPERBLOCK, sb);
        if (r != 0)
                return r;
        memcpy(drive->uuid, sb->drive_uuid, BM_UUID);
        drive->segments =
                bm_io_call(d->io, open_at, drive->dir, BM_DIR_SEGMENTS, O_RDONLY | O_DIRECTORY, 0);
        if (drive->segments == -ENOENT || drive->segments == -EMEDIUMTYPE) {
                bm_problem_set("%s has no " BM_DIR_SEGMENTS " directory", path);
                return BM_E_DAMAGED;
        }
        if (drive->segments < 0)
                return drive->segments;
        struct bm_io_space space;
        r = bm_io_call(d->io, space, drive->segments, &space);
        drive->nomap = d->nomap || (r == 0 && !space.in_place);
        drive->in_memory = r == 0 && space.in_memory;
        return r;
}

static int open_further(struct bm_drives *d, unsigned i, const char *path)
{
        struct bm_superblock sb;
        int r = open_drive(d, i, path, &sb);
        if (r != 0) {
                bm_problem_set("drive %u (%s): %s", i, path, bm_strerror(r));
                return BM_E_MISMATCH;
        }
        if (memcmp(sb.store_uuid, d->superblock.store_uuid, BM_UUID) != 0 || sb.drive_number != i ||
            sb.n_drives != d->superblock.n_drives) {
                bm_problem_set("drive %u (%s) belongs to another store or place", i, path);
                return BM_E_MISMATCH;
        }
        return 0;
}

/* Opens the drives that the list in the store names. */
static int open_listed(struct bm_drives *d)
{
        char *text = NULL, *save = NULL;
        struct bm_io_file file;
        int fd = bm_io_call(d->io, open_at, d->drives[0].dir, BM_FILE_DRIVES, O_RDONLY, 0);
        if (fd < 0) {
                bm_problem_set("the list of drives (%s/" BM_FILE_DRIVES ") cannot be read",
                               d->drives[0].path);
                return BM_E_MISMATCH;
        }
        int r = bm_io_call(d->io, stat, fd, &file);
        if (r == 0 && file.size_bytes > (uint64_t)BM_DRIVES_MAX * PATH_MAX)
                r = BM_E_MISMATCH;
        if (r == 0) {
                text = calloc(1, file.size_bytes + 1);
                r = text ? bm_io_call(d->io, pread, fd, text, file.size_bytes, 0) : -ENOMEM;
        }
        (void)bm_io_call(d->io, close, fd);
        char *line = r == 0 ? strtok_r(text, "\n", &save) : NULL;
        while (line && r == 0 && d->n_drives < d->superblock.n_drives) {
                unsigned i = d->n_drives++;
                r = open_further(d, i, line);
                line = strtok_r(NULL, "\n", &save);
        }
        free(text);
        return r;
}

static int check_settings(const struct bm_superblock *sb, const struct bm_config *config)
{
        unsigned buckets = 1u << sb->buckets_log2;
        if (config->n_buckets && config->n_buckets != buckets) {
                bm_problem_set("the store was made with buckets=%u", buckets);
                return BM_E_MISMATCH;
        }
        if (config->max_search && config->max_search != sb->max_search) {
                bm_problem_set("the store was made with max_search=%u", sb->max_search);
                return BM_E_MISMATCH;
        }
        if (config->n_drives && config->n_drives + 1 != sb->n_drives) {
                bm_problem_set("the store has %u drives", sb->n_drives);
                return BM_E_MISMATCH;
        }
        return 0;
}

int bm_drives_open(struct bm_drives *d, const struct bm_io *io, const char *path,
                   const struct bm_config *config)
{
        *d = (struct bm_drives){.io = io, .nomap = config->nomap, .n_drives = 1, .next_file_id = 1};
        for (unsigned i = 0; i < BM_DRIVES_MAX; i++)
                d->drives[i].dir = d->drives[i].segments = -1;
        pthread_mutex_init(&d->lock, NULL);
        d->table = calloc((size_t)BM_FILE_ID_MAX + 1, sizeof(*d->table));
        if (!d->table)
                return -ENOMEM;
        int r = open_drive(d, 0, path, &d->superblock);
        if (r == 0 && d->superblock.drive_number != 0) {
                bm_problem_set("%s is drive %u of a store, not the store", path,
                               d->superblock.drive_number);
                r = BM_E_MISMATCH;
        }
        if (r == 0)
                r = check_settings(&d->superblock, config);
        if (r != 0 || d->superblock.n_drives == 1)
                return r;
        if (config->n_drives == 0)
                r = open_listed(d);
        for (size_t i = 0; i < config->n_drives && r == 0; i++)
                r = open_further(d, d->n_drives++, config->drives[i]);
        if (r == 0 && d->n_drives != d->superblock.n_drives) {
                bm_problem_set("drive %u is missing", d->n_drives);
                r = BM_E_MISMATCH;
        }
        return r;
}

void bm_drives_deinit(struct bm_drives *d)
{
        for (uint32_t id = 1; d->table && id <= d->highest_file_id; id++)
                bm_segment_free(bm_drives_segment(d, id));
        bm_spares_close(d);
        for (unsigned i = 0; i < d->n_drives; i++) {
                free(d->drives[i].path);
                if (d->drives[i].segments >= 0)
                        (void)bm_io_call(d->io, close, d->drives[i].segments);
                if (d->drives[i].dir >= 0)
                        (void)bm_io_call(d->io, close, d->drives[i].dir);
        }
        free(d->table);
        pthread_mutex_destroy(&d->lock);
}
