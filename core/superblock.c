/* SPDX-License-Identifier: MIT */
/*
 * Making a store's directories and recognising them again. A store exists
 * from the moment its first drive's superblock is durable; that is written
 * last. Nothing is ever removed that was not made by the same call.
 */
#include "superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/intmath.h"
#include "drives.h"
#include "error.h"
#include "hash.h"

/* Creation */

struct made { /* what to take back on failure */
        int dir;
        bool dir_made;
        char parent[PATH_MAX], name[NAME_MAX + 1];
};

static int not_empty(void *ctx, const char *name)
{
        return BM_E_NOT_EMPTY_DIR;
}

static int split_path(const char *path, struct made *m)
{
        char copy[PATH_MAX];
        if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
                return -ENAMETOOLONG;
        const char *base = basename(copy);
        if (strlen(base) > NAME_MAX)
                return -ENAMETOOLONG;
        strcpy(m->name, base);
        snprintf(copy, sizeof(copy), "%s", path);
        snprintf(m->parent, sizeof(m->parent), "%s", dirname(copy));
        return 0;
}

/* Opens PATH as an empty directory, making it if it is not there. */
static int open_empty(const struct bm_io *io, const char *path, struct made *m)
{
        m->dir = bm_io_call(io, open_dir, path);
        if (m->dir == -ENOENT) {
                int r = split_path(path, m);
                if (r < 0)
                        return r;
                int parent = bm_io_call(io, open_dir, m->parent);
                if (parent < 0)
                        return parent;
                r = bm_io_call(io, mkdir_at, parent, m->name, 0700);
                if (r == 0) {
                        m->dir_made = true;
                        r = bm_io_call(io, sync_dir, parent);
                        if (r < 0)
                                (void)bm_io_call(io, rmdir_at, parent, m->name);
                }
                (void)bm_io_call(io, close, parent);
                if (r < 0)
                        return r;
                m->dir = bm_io_call(io, open_dir, path);
        }
        if (m->dir < 0)
                return m->dir;
        return m->dir_made ? 0 : bm_io_call(io, list, m->dir, not_empty, NULL);
}

static int write_file(const struct bm_io *io, int dir, const char *name, const void *data,
                      size_t len)
{
        int fd = bm_io_call(io, open_at, dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
                return fd;
        int r = bm_io_call(io, pwrite, fd, data, len, 0);
        if (r == 0)
                r = bm_io_call(io, sync_data, fd);
        (void)bm_io_call(io, close, fd);
        return r;
}

static int write_superblock(const struct bm_io *io, int dir, const struct bm_superblock *sb)
{
        uint8_t copies[2][BM_SUPERBLOCK];
        bm_superblock_encode(sb, copies[0]);
        memcpy(copies[1], copies[0], BM_SUPERBLOCK);
        int r = write_file(io, dir, BM_FILE_SUPERBLOCK, copies, sizeof(copies));
        return r < 0 ? r : bm_io_call(io, sync_dir, dir);
}

static int write_drive_list(const struct bm_io *io, int dir, const char *const *paths,
                            unsigned n_paths)
{
        char *text = NULL;
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);
        int r = 0;
        if (!f)
                return -ENOMEM;
        for (unsigned i = 1; i < n_paths && r == 0; i++) {
                char *real = realpath(paths[i], NULL);
                if (!real)
                        r = -errno;
                else if (strchr(real, '\n'))
                        r = -EINVAL;
                else
                        fprintf(f, "%s\n", real);
                free(real);
        }
        if (fclose(f) != 0 && r == 0)
                r = -ENOMEM;
        if (r == 0)
                r = write_file(io, dir, BM_FILE_DRIVES, text, len);
        free(text);
        return r;
}

static int fill_drive(const struct bm_io *io, int dir, bool first)
{
        static const uint8_t no_manifests[2 * BM_MANIFEST_ROOT];
        int r = bm_io_call(io, mkdir_at, dir, BM_DIR_SEGMENTS, 0700);
        if (r == 0 && first)
                r = write_file(io, dir, BM_FILE_MANIFEST, no_manifests, sizeof(no_manifests));
        if (r == 0 && first)
                r = write_file(io, dir, BM_FILE_LOCK, "", 0);
        if (r == 0 && first)
                r = write_file(io, dir, BM_FILE_RESERVE, "", 0);
        return r < 0 ? r : bm_io_call(io, sync_dir, dir);
}

static void take_back(const struct bm_io *io, struct made *m)
{
        static const char *const files[] = {BM_FILE_SUPERBLOCK, BM_FILE_MANIFEST, BM_FILE_LOCK,
                                            BM_FILE_RESERVE, BM_FILE_DRIVES};
        if (m->dir < 0)
                return;
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                (void)bm_io_call(io, unlink_at, m->dir, files[i]);
        (void)bm_io_call(io, rmdir_at, m->dir, BM_DIR_SEGMENTS);
        if (!m->dir_made)
                return;
        int parent = bm_io_call(io, open_dir, m->parent);
        if (parent < 0)
                return;
        (void)bm_io_call(io, rmdir_at, parent, m->name);
        (void)bm_io_call(io, close, parent);
}

/* What a bucket is meant to hold, where it was told how many keys will come. */
enum { KEYS_A_BUCKET = 65536, BUCKETS_MAX = 65536 };

static unsigned choose_buckets(const struct bm_config *config)
{
        unsigned buckets = BM_BUCKETS_DEFAULT;
        if (config->n_buckets)
                return config->n_buckets;
        while (buckets < BUCKETS_MAX && config->expected_keys / KEYS_A_BUCKET > buckets)
                buckets *= 2;
        return buckets;
}

static int choose_settings(const struct bm_config *config, unsigned n_drives,
                           struct bm_superblock *sb)
{
        unsigned buckets = choose_buckets(config);
        unsigned max_search = config->max_search ? config->max_search : BM_MAX_SEARCH_DEFAULT;
        struct timespec now;
        if ((buckets & (buckets - 1)) != 0 || buckets > BUCKETS_MAX) {
                bm_problem_set("buckets must be a power of two from 1 to 65536");
                return -EINVAL;
        }
        if (max_search % 4 != 0 || max_search > 1024) {
                bm_problem_set("max_search must be a multiple of 4 from 4 to 1024");
                return -EINVAL;
        }
        clock_gettime(CLOCK_REALTIME, &now);
        *sb = (struct bm_superblock){
                .major = BM_FORMAT_MAJOR,
                .minor = BM_FORMAT_MINOR,
                .n_drives = (uint16_t)n_drives,
                .hash_algorithm = BM_HASH_XXH3_64_SECRET,
                .checksum_algorithm = BM_CHECKSUM_XXH3,
                .unit_log2 = BM_UNIT_LOG2,
                .segment_log2_max = BM_SEGMENT_LOG2_MAX,
                .buckets_log2 = (uint8_t)bm_log2_floor(buckets),
                .max_search = (uint16_t)max_search,
                .created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
        };
        int r = bm_random(sb->store_uuid, sizeof(sb->store_uuid));
        return r < 0 ? r : bm_random(sb->hash_secret, sizeof(sb->hash_secret));
}

static int create_all(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                      struct bm_superblock *sb, struct made *made, unsigned *n_made)
{
        int r = 0;
        for (unsigned i = 0; i < n_paths && r == 0; i++) {
                r = open_empty(io, paths[i], &made[i]);
                /* only what is verified to be ours may be taken back */
                if (r == 0)
                        *n_made = i + 1;
                else if (made[i].dir >= 0)
                        (void)bm_io_call(io, close, made[i].dir);
                if (r != 0)
                        bm_problem_set("%s", paths[i]);
        }
        for (unsigned i = 0; i < n_paths && r == 0; i++)
                r = fill_drive(io, made[i].dir, i == 0);
        if (r == 0 && n_paths > 1)
                r = write_drive_list(io, made[0].dir, paths, n_paths);
        /* the first drive's last: with it the store exists */
        for (unsigned i = n_paths; i-- > 0 && r == 0;) {
                sb->drive_number = (uint16_t)i;
                r = bm_random(sb->drive_uuid, sizeof(sb->drive_uuid));
                if (r == 0)
                        r = write_superblock(io, made[i].dir, sb);
        }
        return r;
}

int bm_drives_create(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                     const struct bm_config *config)
{
        struct bm_superblock sb;
        unsigned n_made = 0;
        int r = choose_settings(config, n_paths, &sb);
        if (r != 0)
                return r;
        struct made *made = calloc(n_paths, sizeof(*made));
        if (!made)
                return -ENOMEM;
        r = create_all(io, paths, n_paths, &sb, made, &n_made);
        for (unsigned i = 0; i < n_made; i++) {
                if (r != 0)
                        take_back(io, &made[i]);
                (void)bm_io_call(io, close, made[i].dir);
        }
        free(made);
        return r;
}

struct emptied {
        const struct bm_io *io;
        int dir;
};

static int remove_segment(void *ctx, const char *name)
{
        struct emptied *e = ctx;
        uint32_t file_id;
        if (bm_segment_parse_name(name, &file_id) == 0)
                (void)bm_io_call(e->io, unlink_at, e->dir, name);
        return 0;
}

void bm_drives_destroy(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                       const bool *there)
{
        for (unsigned i = 0; i < n_paths; i++) {
                struct made m = {.dir_made = !there[i]};
                m.dir = bm_io_call(io, open_dir, paths[i]);
                if (m.dir < 0 || split_path(paths[i], &m) < 0)
                        continue;
                struct emptied e = {.io = io};
                e.dir = bm_io_call(io, open_at, m.dir, BM_DIR_SEGMENTS, O_RDONLY | O_DIRECTORY, 0);
                if (e.dir >= 0) {
                        (void)bm_io_call(io, list, e.dir, remove_segment, &e);
                        (void)bm_io_call(io, close, e.dir);
                }
                take_back(io, &m);
                (void)bm_io_call(io, close, m.dir);
        }
}

/* Opening */

/* Reads whichever copy is good. */
static int read_superblock(const struct bm_io *io, int dir, struct bm_superblock *sb)
{
        uint8_t copy[BM_SUPERBLOCK];
        int fd = bm_io_call(io, open_at, dir, BM_FILE_SUPERBLOCK, O_RDONLY, 0);
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

static int open_drive(struct bm_drives *d, unsigned i, const char *path, struct bm_superblock *sb)
{
        struct bm_drive *drive = &d->drives[i];
        drive->path = strdup(path);
        if (!drive->path)
                return -ENOMEM;
        drive->dir = bm_io_call(d->io, open_dir, path);
        if (drive->dir < 0)
                return drive->dir == -ENOTDIR ? BM_E_NOT_A_STORE : drive->dir;
        int r = read_superblock(d->io, drive->dir, sb);
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
