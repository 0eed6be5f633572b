/* SPDX-License-Identifier: MIT */
/*
 * A file's attributes in the opaque meta bytes of its record.
 *
 * Meta, version 1. Integers are little-endian; a varint has seven bits a byte,
 * low ones first, the top bit set in all but the last; a zigzag varint holds a
 * signed difference d as (d << 1) ^ (d >> 63), computed modulo 2^64.
 *
 *   bytes  what
 *   1      bits 0..3: version, 1
 *          bit 4 MTIME: mtime differs from ctime
 *          bit 5 CTIME: ctime differs from the birth time
 *          bit 6 ATIME: atime was set; without it, it is the birth time
 *          bit 7: 0
 *   2      mode: type and permission bits as in st_mode
 *   1..5   uid, varint
 *   1..5   gid, varint
 *   8      birth time, nanoseconds since the epoch, signed
 *   0..10  with CTIME: ctime - birth time, zigzag varint
 *   0..10  with MTIME: mtime - ctime, zigzag varint
 *   0..10  with ATIME: atime - mtime, zigzag varint
 *   2..10  with the mode of a device: its major and minor number, varints
 *   rest   extended attributes, xattr.h
 *
 * A file that was made and written at once takes 16 bytes (root's) or 18. A
 * record with no meta was made through the library and has the defaults.
 */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "bucketmap.h"

#define FS_ATTR_MAX 61u /* bytes of the longest, extended attributes apart */

/* Times in nanoseconds since the epoch. */
struct fs_attr {
        uint32_t mode;
        uint32_t uid;
        uint32_t gid;
        int64_t birth;
        int64_t ctime;
        int64_t mtime;
        int64_t atime;
        uint32_t major, minor; /* of a device; else 0 */
};

/* What records have that were made without meta. */
struct fs_attr_defaults {
        uint32_t uid;
        uint32_t gid;
        int64_t time;
};

/*
 * Reads the attributes of META; *USED gets where the extended ones begin.
 * Negative errno: -EIO if the bytes are no attributes of a known version.
 */
BM_CHECKED int fs_attr_decode(const void *meta, size_t meta_len, struct fs_attr *attr,
                              size_t *used);

/* Writes them to OUT and returns how many bytes that took. */
size_t fs_attr_encode(const struct fs_attr *attr, uint8_t out[FS_ATTR_MAX]);

/* The attributes of what VIEW shows: its meta's, or the defaults. -EIO as above. */
BM_CHECKED int fs_attr_of_view(const struct bm_view *view, const struct fs_attr_defaults *defaults,
                               struct fs_attr *attr);

/*
 * Replaces the attributes in META, which has room for BM_META_MAX bytes and
 * holds *META_LEN, and leaves the extended ones as they are. -EIO, -ENOSPC.
 */
BM_CHECKED int fs_attr_replace(const struct fs_attr *attr, void *meta, size_t *meta_len);

/*
 * Fills ST for a record; size and allocated in bytes. The inode number and the
 * link count are the caller's.
 */
void fs_attr_stat(const struct fs_attr *attr, uint64_t size, uint64_t allocated, struct stat *st);

/* What a write or a change of owner does to the mode of all but directories:
 * no set-user-id, and no set-group-id where the group may execute. */
uint32_t fs_attr_killed_mode(uint32_t mode);

/* Of a directory that the caller makes now and of which nothing else is said. Touches the umask. */
struct fs_attr fs_attr_new_dir(void);

int64_t fs_time_now(void);
/* The nearest time that can be told: the years 1678 to 2262. */
int64_t fs_time_from(struct timespec ts);
struct timespec fs_time_spec(int64_t ns);

#endif
