/* SPDX-License-Identifier: MIT */
/* See leftover.h. */
#include "leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/compiler.h"
#include "format.h"
#include "superblock.h"

/* Those of the first drive in the order in which they are made; the others have but two of them. */
static const char *const names[] = {BM_FILE_LOCK,      BM_DIR_SEGMENTS, BM_FILE_MANIFEST,
                                    BM_FILE_RESERVE,   BM_FILE_DRIVES,  BM_FILE_BEGUN,
                                    BM_FILE_SUPERBLOCK};
static const char *const further_names[] = {BM_DIR_SEGMENTS, BM_FILE_SUPERBLOCK};
enum { NAMES_EARLY = 2 };

struct known {
        const char *const *names;
        size_t n;
};

static int is_known(void *ctx, const char *name)
{
        const struct known *known = ctx;
        for (size_t i = 0; i < known->n; i++) {
                if (strcmp(name, known->names[i]) == 0)
                        return 0;
        }
        return BM_E_NOT_EMPTY_DIR;
}

static int not_empty(void *ctx, const char *name)
{
        return BM_E_NOT_EMPTY_DIR;
}

static int no_segments(const struct bm_io *io, int dir)
{
        int fd = bm_io_call(io, open_at, dir, BM_DIR_SEGMENTS, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        int r = bm_io_call(io, list, fd, not_empty, NULL);
        (void)bm_io_call(io, close, fd);
        return r;
}

/* Reads a file that has at most ROOM bytes; LEN -1: there is none. */
static int read_small(const struct bm_io *io, int dir, const char *name, uint8_t *bytes,
                      size_t room, ssize_t *len)
{
        struct bm_io_file file;
        int fd = bm_io_call(io, open_at, dir, name, O_RDONLY, 0);
        *len = -1;
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        int r = bm_io_call(io, stat, fd, &file);
        if (r == 0 && file.size_bytes > room)
                r = BM_E_NOT_EMPTY_DIR;
        if (r == 0 && file.size_bytes > 0)
                r = bm_io_call(io, pread, fd, bytes, file.size_bytes, 0);
        (void)bm_io_call(io, close, fd);
        *len = r == 0 ? (ssize_t)file.size_bytes : -1;
        return r;
}

/* Files of the first drive alone: as a creation makes them, and none before those it begins with.
 */
static int nothing_written(const struct bm_io *io, int dir)
{
        uint8_t bytes[2 * BM_MANIFEST_ROOT];
        struct known late = {.names = names, .n = NAMES_EARLY};
        ssize_t manifest, len;
        int r = read_small(io, dir, BM_FILE_MANIFEST, bytes, sizeof(bytes), &manifest);
        for (ssize_t i = 0; r == 0 && i < manifest; i++) {
                if (bytes[i] != 0)
                        r = BM_E_NOT_EMPTY_DIR;
        }
        if (r == 0)
                r = read_small(io, dir, BM_FILE_RESERVE, bytes, 0, &len);
        if (r == 0)
                r = read_small(io, dir, BM_FILE_LOCK, bytes, 0, &len);
        if (r == 0 && manifest < 0)
                r = bm_io_call(io, list, dir, is_known, &late);
        return r;
}

/* BEGUN is what the first drive tells of a creation, or NULL. */
static int no_superblock(const struct bm_io *io, int dir, unsigned drive,
                         const struct bm_superblock *begun)
{
        struct bm_superblock sb;
        int r = bm_superblock_read(io, dir, BM_FILE_SUPERBLOCK, &sb);
        if (r == BM_E_NOT_A_STORE || (r == BM_E_DAMAGED && (drive == 0 || begun)))
                return 0;
        if (r == 0 && drive > 0 && begun && sb.drive_number == drive &&
            memcmp(sb.store_uuid, begun->store_uuid, BM_UUID) == 0)
                return 0;
        return r < 0 ? r : BM_E_NOT_EMPTY_DIR;
}

int bm_leftover_look(const struct bm_io *io, const int *dirs, unsigned n_dirs, unsigned *which)
{
        struct bm_superblock begun;
        const bool has_begun = bm_superblock_read(io, dirs[0], BM_FILE_BEGUN, &begun) == 0;
        int r = 0;
        for (unsigned i = 0; i < n_dirs && r == 0; i++) {
                struct known first = {names, bm_array_size(names)};
                struct known further = {further_names, bm_array_size(further_names)};
                *which = i;
                r = bm_io_call(io, list, dirs[i], is_known, i == 0 ? &first : &further);
                if (r == 0)
                        r = no_superblock(io, dirs[i], i, has_begun ? &begun : NULL);
                if (r == 0)
                        r = no_segments(io, dirs[i]);
                if (r == 0 && i == 0)
                        r = nothing_written(io, dirs[i]);
        }
        return r == -EMEDIUMTYPE ? BM_E_NOT_EMPTY_DIR : r;
}

int bm_leftover_clear(const struct bm_io *io, int dir, bool lock_too)
{
        int r = 0;
        for (size_t i = bm_array_size(names); i-- > !lock_too;) {
                const bool is_dir = strcmp(names[i], BM_DIR_SEGMENTS) == 0;
                int one = is_dir ? bm_io_call(io, rmdir_at, dir, names[i])
                                 : bm_io_call(io, unlink_at, dir, names[i]);
                if (one < 0 && one != -ENOENT && r == 0)
                        r = one;
        }
        return r < 0 ? r : bm_io_call(io, sync_dir, dir);
}
