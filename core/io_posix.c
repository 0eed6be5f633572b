/* SPDX-License-Identifier: MIT */
/*
 * The system's files behind io.h. Calls that a signal interrupts are repeated,
 * short transfers continued; a failed sync is reported and never repeated.
 * No state: any number of threads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/intmath.h"
#include "io.h"
#include "io_allocate.h"
#include "io_guard.h"
#include "io_mapped.h"

enum { STAT_BLOCK = 512 };

#define EXT_MAGIC   0xEF53 /* ext2, ext3, ext4 */
#define XFS_MAGIC   0x58465342
#define TMPFS_MAGIC 0x01021994
#define F2FS_MAGIC  0xF2F52010

/* The result of EXPR, repeated while a signal interrupts it; negative errno. */
#define retried(expr)                                                                              \
        ({                                                                                         \
                __typeof__(expr) r_;                                                               \
                do                                                                                 \
                        r_ = (expr);                                                               \
                while (r_ < 0 && errno == EINTR);                                                  \
                r_ < 0 ? -errno : r_;                                                              \
        })

static int posix_open_dir(const struct bm_io *io, const char *path)
{
        return retried(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int posix_open_at(const struct bm_io *io, int dir, const char *name, int flags, mode_t mode)
{
        /* not to wait for somebody at a FIFO's other end */
        int fd = retried(openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode));
        struct stat st;

        if (fd == -ELOOP || fd == -ENXIO || fd == -EISDIR || fd == -ENOTDIR)
                return -EMEDIUMTYPE;
        if (fd < 0 || flags & O_DIRECTORY)
                return fd;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                (void)close(fd);
                return -EMEDIUMTYPE;
        }
        return fd;
}

static int posix_close(const struct bm_io *io, int fd)
{
        /* Linux has closed it even when it reports EINTR */
        return close(fd) < 0 && errno != EINTR ? -errno : 0;
}

static int posix_mkdir_at(const struct bm_io *io, int dir, const char *name, mode_t mode)
{
        return retried(mkdirat(dir, name, mode));
}

static int posix_unlink_at(const struct bm_io *io, int dir, const char *name)
{
        return retried(unlinkat(dir, name, 0));
}

static int posix_rmdir_at(const struct bm_io *io, int dir, const char *name)
{
        return retried(unlinkat(dir, name, AT_REMOVEDIR));
}

static int posix_list(const struct bm_io *io, int dir, int (*fn)(void *ctx, const char *name),
                      void *ctx)
{
        /* of its own, for the read position belongs to the open file */
        int fd = retried(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const struct dirent *entry;
        int r = 0;
        DIR *d;

        if (fd < 0)
                return fd;
        d = fdopendir(fd);
        if (!d) {
                r = -errno;
                (void)close(fd);
                return r;
        }
        while (r == 0) {
                errno = 0;
                entry = readdir(d);
                if (!entry) {
                        r = -errno;
                        break;
                }
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = fn(ctx, entry->d_name);
        }
        (void)closedir(d);
        return r;
}

static int posix_stat(const struct bm_io *io, int fd, struct bm_io_file *file)
{
        struct statx st;

        /* Not its times: whoever asks for those makes the next write change them, and the sync
         * behind that one has the inode to write as well. */
        if (statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_BLOCKS, &st) < 0)
                return -errno;
        file->size_bytes = st.stx_size;
        file->allocated_bytes = st.stx_blocks * STAT_BLOCK;
        return 0;
}

/*
 * Known to write over allocated blocks where they are (f2fs elsewhere, but
 * with room that it keeps for that). Others copy on write (btrfs, zfs,
 * bcachefs, nilfs2), hide what is below (overlayfs, FUSE), or find out about a
 * full disk when they write back (network filesystems).
 */
static bool writes_in_place(long type)
{
        static const long known[] = {EXT_MAGIC, XFS_MAGIC, TMPFS_MAGIC, F2FS_MAGIC};
        for (size_t i = 0; i < bm_array_size(known); i++) {
                if ((type & UINT32_MAX) == known[i])
                        return true;
        }
        return false;
}

static int posix_space(const struct bm_io *io, int fd, struct bm_io_space *space)
{
        struct statvfs vfs;
        struct statfs fs;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        r = retried(fstatvfs(fd, &vfs));
        if (r == 0)
                r = retried(fstatfs(fd, &fs));
        if (r < 0)
                return r;
        space->device = st.st_dev;
        space->in_place = writes_in_place((long)fs.f_type);
        space->in_memory = fs.f_type == TMPFS_MAGIC;
        if (!bm_mul_ok(vfs.f_blocks, vfs.f_frsize, &space->total_bytes) ||
            !bm_mul_ok(vfs.f_bfree, vfs.f_frsize, &space->free_bytes) ||
            !bm_mul_ok(vfs.f_bavail, vfs.f_frsize, &space->available_bytes))
                return -EOVERFLOW;
        return 0;
}

static int check_range(uint64_t offset, uint64_t len)
{
        return bm_range_ok(offset, len, INT64_MAX) ? 0 : -EOVERFLOW;
}

static int posix_pread(const struct bm_io *io, int fd, void *buf, size_t len, uint64_t offset)
{
        uint8_t *p = buf;
        int r = check_range(offset, len);

        while (r == 0 && len) {
                ssize_t n = retried(pread(fd, p, len, (off_t)offset));

                if (n < 0)
                        return (int)n;
                if (n == 0)
                        return -EIO; /* the file ends before */
                p += n;
                offset += (uint64_t)n;
                len -= (size_t)n;
        }
        return r;
}

static int posix_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len,
                        uint64_t offset)
{
        const uint8_t *p = buf;
        int r = check_range(offset, len);

        while (r == 0 && len) {
                ssize_t n = retried(pwrite(fd, p, len, (off_t)offset));

                /* from a mapping that cannot be read */
                if (n == -EFAULT)
                        return -EIO;
                /* a btrfs with hardly any room left says so of a write that may wait */
                if (n == -EAGAIN)
                        return -ENOSPC;
                if (n < 0)
                        return (int)n;
                if (n == 0)
                        return -EIO;
                p += n;
                offset += (uint64_t)n;
                len -= (size_t)n;
        }
        return r;
}

static int posix_allocate(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        int r = check_range(offset, len);

        if (r < 0 || len == 0)
                return r;
        r = retried(fallocate(fd, 0, (off_t)offset, (off_t)len));
        if (r == -EOPNOTSUPP || r == -ENOSYS)
                r = bm_io_allocate_by_writing(io, fd, offset, len);
        return r;
}

static int posix_truncate(const struct bm_io *io, int fd, uint64_t len)
{
        if (len > INT64_MAX)
                return -EOVERFLOW;
        return retried(ftruncate(fd, (off_t)len));
}

static int posix_sync_data(const struct bm_io *io, int fd)
{
        return retried(fdatasync(fd));
}

static int posix_sync_dir(const struct bm_io *io, int dir)
{
        return retried(fsync(dir));
}

static int posix_map(const struct bm_io *io, int fd, size_t len, bool writable, void **addr)
{
        void *p = mmap(NULL, len, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

        if (p == MAP_FAILED)
                return -errno;
        int r = bm_guard_mapping(p, len);
        if (r < 0)
                (void)munmap(p, len);
        else
                *addr = p;
        return r;
}

static int posix_unmap(const struct bm_io *io, void *addr, size_t len)
{
        bm_mapped_remove(addr);
        return munmap(addr, len) < 0 ? -errno : 0;
}

static int posix_map_write(const struct bm_io *io, int fd, void *base, uint64_t offset,
                           const void *src, size_t len)
{
        return bm_guarded_copy((uint8_t *)base + offset, src, len);
}

static int posix_prefault(const struct bm_io *io, int fd, void *base, uint64_t offset, size_t len)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint64_t from = bm_round_down(offset, page), to = offset + len;

        if (len == 0)
                return 0;
#ifdef MADV_POPULATE_WRITE
        if (madvise((uint8_t *)base + from, to - from, MADV_POPULATE_WRITE) == 0)
                return 0;
        if (errno != EINVAL) /* a kernel before 5.14 does not know it */
                return -errno;
#endif
        return bm_guarded_touch((uint8_t *)base + from, to - from, page);
}

static int posix_resident(const struct bm_io *io, void *base, size_t len, size_t *bytes)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        unsigned char pages[1024];
        size_t at = 0, n = 0, k = 0;

        while (k == n && at < len) {
                n = bm_min_u64((len - at + page - 1) / page, sizeof(pages));
                if (mincore((uint8_t *)base + at, n * page, pages) < 0)
                        return -errno;
                for (k = 0; k < n && pages[k] & 1; k++)
                        at += page;
        }
        *bytes = bm_min_u64(at, len);
        return 0;
}

/* By one call, for which the kernel takes pages of many KiB where the filesystem has them:
 * one fault then maps them all. Populating the mapping takes one for each 4 KiB. */
static int posix_fill(const struct bm_io *io, int fd, uint64_t offset, size_t len)
{
        static uint8_t zeros[BM_IO_FILL_MAX]; /* never written: it takes no memory */
        struct bm_io_file file;
        int r = posix_stat(io, fd, &file);

        /* one that somebody cut must not get its length back, as if nothing was lost */
        if (r == 0 && !bm_range_ok(offset, len, file.size_bytes))
                r = -EIO;
        return r < 0 ? r : posix_pwrite(io, fd, zeros, bm_min_u64(len, sizeof(zeros)), offset);
}

static int posix_lock(const struct bm_io *io, int fd, bool exclusive)
{
        return retried(flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB));
}

static const struct bm_io_ops posix_ops = {
        .open_dir = posix_open_dir,
        .open_at = posix_open_at,
        .close = posix_close,
        .mkdir_at = posix_mkdir_at,
        .unlink_at = posix_unlink_at,
        .rmdir_at = posix_rmdir_at,
        .list = posix_list,
        .stat = posix_stat,
        .space = posix_space,
        .pread = posix_pread,
        .pwrite = posix_pwrite,
        .allocate = posix_allocate,
        .truncate = posix_truncate,
        .sync_data = posix_sync_data,
        .sync_dir = posix_sync_dir,
        .map = posix_map,
        .unmap = posix_unmap,
        .map_write = posix_map_write,
        .prefault = posix_prefault,
        .resident = posix_resident,
        .fill = posix_fill,
        .lock = posix_lock,
};

const struct bm_io bm_io_posix = {.ops = &posix_ops};
