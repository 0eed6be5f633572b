/* SPDX-License-Identifier: MIT */
/*
 * The one seam through which the core touches files, stores into mappings
 * included: tests put recorders, faults and simulated power cuts here.
 *
 * Descriptors and mappings are the system's. All functions return 0 (or a
 * descriptor, where said) or a negative errno; none may leave a short read or
 * write unreported. All may be called from many threads at once.
 */
#ifndef BM_IO_H
#define BM_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bm_io;

struct bm_io_space {
        uint64_t device; /* equal for two drives on one disk */
        uint64_t total_bytes, free_bytes, available_bytes;
        /* to write over what is allocated never wants for room: a store into a
         * mapping cannot meet a full disk */
        bool in_place;
        /* there is no disk behind it (tmpfs) */
        bool in_memory;
};

struct bm_io_file {
        uint64_t size_bytes, allocated_bytes;
};

enum { BM_IO_FILL_MAX = 2 << 20 };

struct bm_io_ops {
        /* A directory, for the _at calls. Returns a descriptor. */
        int (*open_dir)(const struct bm_io *io, const char *path);
        /* FLAGS are open(2)'s (O_CLOEXEC is added). Returns a descriptor of a
         * plain file, or with O_DIRECTORY of a directory: whatever else bears
         * the name (a symbolic link, a FIFO, the one for the other) is
         * -EMEDIUMTYPE, and is not waited for, followed or changed. */
        int (*open_at)(const struct bm_io *io, int dir, const char *name, int flags, mode_t mode);
        int (*close)(const struct bm_io *io, int fd);
        int (*mkdir_at)(const struct bm_io *io, int dir, const char *name, mode_t mode);
        int (*unlink_at)(const struct bm_io *io, int dir, const char *name);
        int (*rmdir_at)(const struct bm_io *io, int dir, const char *name);
        /* FN for each entry but . and ..; it returns 0 to go on. */
        int (*list)(const struct bm_io *io, int dir, int (*fn)(void *ctx, const char *name),
                    void *ctx);

        int (*stat)(const struct bm_io *io, int fd, struct bm_io_file *file);
        int (*space)(const struct bm_io *io, int fd, struct bm_io_space *space);
        /* All LEN bytes, or an error: -EIO where the file ends before. */
        int (*pread)(const struct bm_io *io, int fd, void *buf, size_t len, uint64_t offset);
        int (*pwrite)(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t offset);
        /* Really allocates [offset, offset+len), growing the file. */
        int (*allocate)(const struct bm_io *io, int fd, uint64_t offset, uint64_t len);
        int (*truncate)(const struct bm_io *io, int fd, uint64_t len);
        /* Data and what is needed to find it; stores into mappings too. */
        int (*sync_data)(const struct bm_io *io, int fd);
        /* A directory's entries. */
        int (*sync_dir)(const struct bm_io *io, int dir);

        /* The whole of a file, shared. What of it cannot be read later on reads
         * as zeros, and bm_mapped_intact says so (io_mapped.h). */
        int (*map)(const struct bm_io *io, int fd, size_t len, bool writable, void **addr);
        int (*unmap)(const struct bm_io *io, void *addr, size_t len);
        /* Stores into a mapping of FD at OFFSET; BASE is what map gave. */
        int (*map_write)(const struct bm_io *io, int fd, void *base, uint64_t offset,
                         const void *src, size_t len);
        /* Maps the pages of [offset, offset+len) for writing; a hint. */
        int (*prefault)(const struct bm_io *io, int fd, void *base, uint64_t offset, size_t len);
        /* *BYTES: how many from a mapping's start on, whole pages, are in memory. */
        int (*resident)(const struct bm_io *io, void *base, size_t len, size_t *bytes);
        /* Puts [offset, offset+len), which is allocated and holds nothing yet, into the page cache,
         * so that the first stores into it are cheap; at most BM_IO_FILL_MAX bytes. -EIO where the
         * file ends before: it does not get longer. */
        int (*fill)(const struct bm_io *io, int fd, uint64_t offset, size_t len);

        /* A whole-file lock that dies with the last copy of FD; -EWOULDBLOCK
         * if somebody else holds it. */
        int (*lock)(const struct bm_io *io, int fd, bool exclusive);
};

/* Embed it first in a larger struct to carry state. */
struct bm_io {
        const struct bm_io_ops *ops;
};

/* The system's files (io_posix.c). */
extern const struct bm_io bm_io_posix;

/* Calls through the table: bm_io_call(io, pread, fd, buf, len, offset). */
#define bm_io_call(io, op, ...) ((io)->ops->op((io), __VA_ARGS__))

#endif
