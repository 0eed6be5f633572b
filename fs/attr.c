/* SPDX-License-Identifier: MIT */
/* Attributes to and from the meta of a record; attr.h has the layout. */
#include "attr.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define ATTR_VERSION   1u
#define VERSION_MASK   0x0fu
#define HAS_MTIME      0x10u
#define HAS_CTIME      0x20u
#define HAS_ATIME      0x40u
#define KNOWN_BITS     (VERSION_MASK | HAS_MTIME | HAS_CTIME | HAS_ATIME)
#define HEADER_BYTES   3u
#define NS_PER_SECOND  INT64_C(1000000000)
#define STAT_BLOCK     512u
#define VARINT64_BYTES 10u
/* What a program should write at once: a chunk of a large value. */
#define PREFERRED_BLOCK 32768

struct reader {
        const uint8_t *next, *end;
        int error;
};

static uint64_t read_varint(struct reader *r)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < VARINT64_BYTES && r->next < r->end; i++) {
                uint8_t byte = *r->next++;

                /* the tenth byte has room for one bit */
                if (i == VARINT64_BYTES - 1 && byte > 1)
                        break;
                value |= (uint64_t)(byte & 0x7f) << (7 * i);
                if (!(byte & 0x80))
                        return value;
        }
        r->error = -EIO;
        return 0;
}

static uint32_t read_varint32(struct reader *r)
{
        uint64_t value = read_varint(r);

        if (value > UINT32_MAX)
                r->error = -EIO;
        return (uint32_t)value;
}

static uint64_t read_le(struct reader *r, unsigned n_bytes)
{
        uint64_t value = 0;

        if ((size_t)(r->end - r->next) < n_bytes) {
                r->error = -EIO;
                return 0;
        }
        for (unsigned i = 0; i < n_bytes; i++)
                value |= (uint64_t)r->next[i] << (8 * i);
        r->next += n_bytes;
        return value;
}

/* The time that lies a stored difference behind BASE. */
static int64_t read_time(struct reader *r, int64_t base)
{
        uint64_t zigzag = read_varint(r);

        return (int64_t)((uint64_t)base + ((zigzag >> 1) ^ (0 - (zigzag & 1))));
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
        while (value >= 0x80) {
                *out++ = (uint8_t)(value | 0x80);
                value >>= 7;
        }
        *out++ = (uint8_t)value;
        return out;
}

static uint8_t *put_le(uint8_t *out, uint64_t value, unsigned n_bytes)
{
        for (unsigned i = 0; i < n_bytes; i++)
                *out++ = (uint8_t)(value >> (8 * i));
        return out;
}

static uint8_t *put_time(uint8_t *out, int64_t time, int64_t base)
{
        uint64_t difference = (uint64_t)time - (uint64_t)base;

        return put_varint(out, (difference << 1) ^ (0 - (difference >> 63)));
}

static bool is_device(uint32_t mode)
{
        return S_ISCHR(mode) || S_ISBLK(mode);
}

int fs_attr_decode(const void *meta, size_t meta_len, struct fs_attr *attr, size_t *used)
{
        struct reader r = {.next = meta, .end = (const uint8_t *)meta + meta_len};
        unsigned head;

        if (meta_len < HEADER_BYTES)
                return -EIO;
        head = (unsigned)read_le(&r, 1);
        if ((head & VERSION_MASK) != ATTR_VERSION || (head & ~KNOWN_BITS))
                return -EIO;
        attr->mode = (uint32_t)read_le(&r, 2);
        attr->uid = read_varint32(&r);
        attr->gid = read_varint32(&r);
        attr->birth = (int64_t)read_le(&r, 8);
        attr->ctime = head & HAS_CTIME ? read_time(&r, attr->birth) : attr->birth;
        attr->mtime = head & HAS_MTIME ? read_time(&r, attr->ctime) : attr->ctime;
        attr->atime = head & HAS_ATIME ? read_time(&r, attr->mtime) : attr->birth;
        attr->major = is_device(attr->mode) ? read_varint32(&r) : 0;
        attr->minor = is_device(attr->mode) ? read_varint32(&r) : 0;
        *used = (size_t)(r.next - (const uint8_t *)meta);
        return r.error;
}

size_t fs_attr_encode(const struct fs_attr *attr, uint8_t out[FS_ATTR_MAX])
{
        uint8_t *next = out + 1;

        out[0] = ATTR_VERSION;
        next = put_le(next, attr->mode, 2);
        next = put_varint(next, attr->uid);
        next = put_varint(next, attr->gid);
        next = put_le(next, (uint64_t)attr->birth, 8);
        if (attr->ctime != attr->birth) {
                out[0] |= HAS_CTIME;
                next = put_time(next, attr->ctime, attr->birth);
        }
        if (attr->mtime != attr->ctime) {
                out[0] |= HAS_MTIME;
                next = put_time(next, attr->mtime, attr->ctime);
        }
        if (attr->atime != attr->birth) {
                out[0] |= HAS_ATIME;
                next = put_time(next, attr->atime, attr->mtime);
        }
        if (is_device(attr->mode)) {
                next = put_varint(next, attr->major);
                next = put_varint(next, attr->minor);
        }
        return (size_t)(next - out);
}

int fs_attr_of_view(const struct bm_view *view, const struct fs_attr_defaults *defaults,
                    struct fs_attr *attr)
{
        size_t used;

        if (view->meta_len) {
                int result = fs_attr_decode(view->meta, view->meta_len, attr, &used);

                /* zeros, where the disk no longer gives it, may make sense too */
                return bm_view_intact(view) ? -EIO : result;
        }
        *attr = (struct fs_attr){
                .mode = view->map_id ? S_IFDIR | 0755 : S_IFREG | 0644,
                .uid = defaults->uid,
                .gid = defaults->gid,
                .birth = defaults->time,
                .ctime = defaults->time,
                .mtime = defaults->time,
                .atime = defaults->time,
        };
        return 0;
}

int fs_attr_replace(const struct fs_attr *attr, void *meta, size_t *meta_len)
{
        uint8_t encoded[FS_ATTR_MAX];
        uint8_t *bytes = meta;
        size_t old_len = 0, new_len, rest;
        struct fs_attr old;

        if (*meta_len) {
                int result = fs_attr_decode(meta, *meta_len, &old, &old_len);

                if (result)
                        return result;
        }
        new_len = fs_attr_encode(attr, encoded);
        rest = *meta_len - old_len;
        if (new_len + rest > BM_META_MAX)
                return -ENOSPC;
        memmove(bytes + new_len, bytes + old_len, rest);
        memcpy(bytes, encoded, new_len);
        *meta_len = new_len + rest;
        return 0;
}

void fs_attr_stat(const struct fs_attr *attr, uint64_t size, uint64_t allocated, struct stat *st)
{
        *st = (struct stat){
                .st_mode = attr->mode,
                .st_uid = attr->uid,
                .st_gid = attr->gid,
                .st_rdev = makedev(attr->major, attr->minor),
                .st_size = (off_t)size,
                .st_blocks = (blkcnt_t)(allocated / STAT_BLOCK + (allocated % STAT_BLOCK != 0)),
                .st_blksize = PREFERRED_BLOCK,
                .st_atim = fs_time_spec(attr->atime),
                .st_mtim = fs_time_spec(attr->mtime),
                .st_ctim = fs_time_spec(attr->ctime),
        };
}

uint32_t fs_attr_killed_mode(uint32_t mode)
{
        mode &= ~(uint32_t)S_ISUID;
        if (mode & S_IXGRP)
                mode &= ~(uint32_t)S_ISGID;
        return mode;
}

int64_t fs_time_now(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return fs_time_from(ts);
}

int64_t fs_time_from(struct timespec ts)
{
        int64_t seconds = ts.tv_sec, rest = ts.tv_nsec, ns;

        /* before 1970 both are taken down from the second's end: no step overflows too soon */
        if (seconds < 0 && rest > 0) {
                seconds++;
                rest -= NS_PER_SECOND;
        }
        if (__builtin_mul_overflow(seconds, NS_PER_SECOND, &ns) ||
            __builtin_add_overflow(ns, rest, &ns))
                return ts.tv_sec < 0 ? INT64_MIN : INT64_MAX;
        return ns;
}

struct timespec fs_time_spec(int64_t ns)
{
        struct timespec ts = {.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};

        if (ts.tv_nsec < 0) {
                ts.tv_sec--;
                ts.tv_nsec += NS_PER_SECOND;
        }
        return ts;
}

struct fs_attr fs_attr_new_dir(void)
{
        int64_t now = fs_time_now();
        mode_t mask = umask(0);

        umask(mask);
        return (struct fs_attr){.mode = S_IFDIR | (0777 & ~mask),
                                .uid = geteuid(),
                                .gid = getegid(),
                                .birth = now,
                                .ctime = now,
                                .mtime = now,
                                .atime = now};
}
