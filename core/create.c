/* SPDX-License-Identifier: MIT */
/*
 * Making a store's directories. A store exists from the moment its first drive's superblock is
 * durable; that is written last, and taken back first. Before it, while further drives have theirs
 * already, a second one with the same identity stands beside it (BM_FILE_BEGUN): by it the next
 * creation knows what an interrupted one has left. The lock keeps two of them apart.
 * Nothing is ever removed that was not made by this call or by one that was cut short.
 */
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
#include "leftover.h"
#include "superblock.h"

struct place {
        int dir;
        bool made, ours; /* the directory; what is in it */
        char parent[PATH_MAX], name[NAME_MAX + 1];
};

static int split_path(const char *path, struct place *p)
{
        char copy[PATH_MAX];
        if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
                return -ENAMETOOLONG;
        const char *base = basename(copy);
        if (strlen(base) > NAME_MAX)
                return -ENAMETOOLONG;
        strcpy(p->name, base);
        snprintf(copy, sizeof(copy), "%s", path);
        snprintf(p->parent, sizeof(p->parent), "%s", dirname(copy));
        return 0;
}

/* Opens PATH, making it if it is not there. */
static int open_place(const struct bm_io *io, const char *path, struct place *p)
{
        p->dir = bm_io_call(io, open_dir, path);
        if (p->dir != -ENOENT)
                return p->dir < 0 ? p->dir : 0;
        int r = split_path(path, p);
        if (r < 0)
                return r;
        int parent = bm_io_call(io, open_dir, p->parent);
        if (parent < 0)
                return parent;
        r = bm_io_call(io, mkdir_at, parent, p->name, 0700);
        if (r == 0) {
                p->made = true;
                r = bm_io_call(io, sync_dir, parent);
        }
        (void)bm_io_call(io, close, parent);
        if (r == 0)
                p->dir = bm_io_call(io, open_dir, path);
        return r < 0 ? r : p->dir < 0 ? p->dir : 0;
}

/* Only one at a time makes a store there, and nobody opens it meanwhile. */
static int take_lock(const struct bm_io *io, int dir, int *fd)
{
        *fd = bm_io_call(io, open_at, dir, BM_FILE_LOCK, O_RDWR | O_CREAT, 0600);
        if (*fd < 0)
                return *fd == -EMEDIUMTYPE ? BM_E_NOT_EMPTY_DIR : *fd;
        int r = bm_io_call(io, lock, *fd, true);
        return r == -EWOULDBLOCK ? BM_E_IN_USE : r;
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

static int write_superblock(const struct bm_io *io, int dir, const char *name,
                            const struct bm_superblock *sb)
{
        uint8_t copies[2][BM_SUPERBLOCK];
        bm_superblock_encode(sb, copies[0]);
        memcpy(copies[1], copies[0], BM_SUPERBLOCK);
        int r = write_file(io, dir, name, copies, sizeof(copies));
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
                r = write_file(io, dir, BM_FILE_RESERVE, "", 0);
        return r < 0 ? r : bm_io_call(io, sync_dir, dir);
}

static void remove_made(const struct bm_io *io, const struct place *p)
{
        int parent = bm_io_call(io, open_dir, p->parent);
        if (parent < 0)
                return;
        (void)bm_io_call(io, rmdir_at, parent, p->name);
        (void)bm_io_call(io, close, parent);
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

static void remove_segments(const struct bm_io *io, int dir)
{
        struct emptied e = {.io = io};
        e.dir = bm_io_call(io, open_at, dir, BM_DIR_SEGMENTS, O_RDONLY | O_DIRECTORY, 0);
        if (e.dir < 0)
                return;
        (void)bm_io_call(io, list, e.dir, remove_segment, &e);
        (void)bm_io_call(io, close, e.dir);
}

/* The store ends with its first superblock. Then the last drive goes first, durably: the first one
 * says what they belong to. */
static void take_back(const struct bm_io *io, struct place *places, unsigned n)
{
        if (places[0].ours) {
                (void)bm_io_call(io, unlink_at, places[0].dir, BM_FILE_SUPERBLOCK);
                (void)bm_io_call(io, sync_dir, places[0].dir);
        }
        for (unsigned i = n; i-- > 0;) {
                struct place *p = &places[i];
                if (p->ours)
                        remove_segments(io, p->dir);
                if (p->ours)
                        (void)!bm_leftover_clear(io, p->dir, true);
                if (p->made)
                        remove_made(io, p);
        }
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
                .incompat = BM_INCOMPAT_ALL,
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

static int open_places(const struct bm_io *io, const char *const *paths, struct place *places,
                       int *dirs, unsigned n)
{
        int r = 0;
        for (unsigned i = 0; i < n && r == 0; i++) {
                r = open_place(io, paths[i], &places[i]);
                dirs[i] = places[i].dir;
                if (r != 0)
                        bm_problem_set("%s", paths[i]);
        }
        return r;
}

/* Every drive is empty, or is made so. */
static int clear_places(const struct bm_io *io, const char *const *paths, struct place *places,
                        const int *dirs, unsigned n, int *lock)
{
        unsigned i = 0;
        int r = bm_leftover_look(io, dirs, n, &i);
        if (r == 0) /* nothing is changed before */
                r = take_lock(io, dirs[0], lock);
        if (r == 0) /* another may have been faster */
                r = bm_leftover_look(io, dirs, n, &i);
        if (r != 0)
                bm_problem_set("%s", paths[i]);
        for (i = 0; i < n && r == 0; i++)
                places[i].ours = true;
        for (i = n; i-- > 0 && r == 0;) {
                if (!places[i].made)
                        r = bm_leftover_clear(io, dirs[i], false);
        }
        return r;
}

static int fill_places(const struct bm_io *io, const char *const *paths, const int *dirs,
                       unsigned n, struct bm_superblock *sb)
{
        int r = 0;
        for (unsigned i = 0; i < n && r == 0; i++)
                r = fill_drive(io, dirs[i], i == 0);
        if (r == 0 && n > 1)
                r = write_drive_list(io, dirs[0], paths, n);
        if (r == 0 && n > 1)
                r = write_superblock(io, dirs[0], BM_FILE_BEGUN, sb);
        /* the first drive's last: with it the store exists */
        for (unsigned i = n; i-- > 0 && r == 0;) {
                sb->drive_number = (uint16_t)i;
                r = bm_random(sb->drive_uuid, sizeof(sb->drive_uuid));
                if (r == 0)
                        r = write_superblock(io, dirs[i], BM_FILE_SUPERBLOCK, sb);
        }
        return r;
}

int bm_drives_create(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                     const struct bm_config *config)
{
        struct bm_superblock sb;
        int dirs[BM_DRIVES_MAX], lock = -1;
        int r = choose_settings(config, n_paths, &sb);
        if (r != 0)
                return r;
        struct place *places = calloc(n_paths, sizeof(*places));
        if (!places)
                return -ENOMEM;
        for (unsigned i = 0; i < n_paths; i++)
                places[i].dir = -1;
        r = open_places(io, paths, places, dirs, n_paths);
        if (r == 0)
                r = clear_places(io, paths, places, dirs, n_paths, &lock);
        if (r == 0)
                r = fill_places(io, paths, dirs, n_paths, &sb);
        if (r != 0)
                take_back(io, places, n_paths);
        for (unsigned i = 0; i < n_paths; i++) {
                if (places[i].dir >= 0)
                        (void)bm_io_call(io, close, places[i].dir);
        }
        if (lock >= 0)
                (void)bm_io_call(io, close, lock);
        free(places);
        return r;
}

int bm_drives_created(const struct bm_io *io, const char *path)
{
        int dir = bm_io_call(io, open_dir, path);
        if (dir < 0)
                return dir;
        int r = bm_io_call(io, unlink_at, dir, BM_FILE_BEGUN);
        if (r == 0)
                r = bm_io_call(io, sync_dir, dir);
        (void)bm_io_call(io, close, dir);
        return r == -ENOENT ? 0 : r;
}

void bm_drives_destroy(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                       const bool *there)
{
        struct place *places = calloc(n_paths, sizeof(*places));
        for (unsigned i = 0; places && i < n_paths; i++) {
                struct place *p = &places[i];
                p->dir = bm_io_call(io, open_dir, paths[i]);
                p->ours = p->dir >= 0;
                p->made = p->ours && !there[i] && split_path(paths[i], p) == 0;
        }
        if (places)
                take_back(io, places, n_paths);
        for (unsigned i = 0; places && i < n_paths; i++) {
                if (places[i].dir >= 0)
                        (void)bm_io_call(io, close, places[i].dir);
        }
        free(places);
}
