/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: which names there are, the list of stored ones, and
 * the text of a reference count.
 *
 * The list stands behind the attributes in a record's meta (attr.h), in no
 * order, each entry: 1 byte length of the name, the name with its prefix, 4
 * bytes length of the value (little-endian), the value.
 */
#ifndef FS_XATTR_H
#define FS_XATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucketmap.h"

#define FS_XATTR_COUNT "user.bucketmap.refcount"
#define FS_XATTR_XXH3  "user.bucketmap.xxh3"
#define FS_XATTR_OURS  "user.bucketmap." /* names that this program gives a meaning */
#define FS_XATTR_CAPS  "security.capability"
/* Bytes of one file's list: a value of 64 KiB, the most that Linux takes, fits with any name. */
#define FS_XATTR_LIST_MAX ((64u << 10) + 260u)

enum fs_xattr_kind {
        FS_XATTR_KIND_USER,
        FS_XATTR_KIND_TRUSTED, /* for root only */
        FS_XATTR_KIND_REFCOUNT,
        FS_XATTR_KIND_HASH,
        FS_XATTR_KIND_RESERVED, /* another name of ours: one that has no meaning yet is not set */
        FS_XATTR_KIND_NAMELESS, /* EINVAL: a prefix with nothing behind it, as ext4 has it */
        FS_XATTR_KIND_SECURITY, /* only where the mount asks for them */
        FS_XATTR_KIND_OTHER,    /* EOPNOTSUPP: system.* and whatever else */
};

enum fs_xattr_kind fs_xattr_kind(const char *name);

struct fs_xattr {
        const char *name; /* not terminated */
        size_t name_len;
        const void *value;
        size_t value_len;
};

/*
 * Reads the entry at *OFFSET of LIST and moves it behind. 0; 1 at the end;
 * -EIO if the bytes are no list.
 */
BM_CHECKED int fs_xattr_next(const void *list, size_t list_len, size_t *offset,
                             struct fs_xattr *xattr);

/* The entry of that name. -ENODATA, -EIO. */
BM_CHECKED int fs_xattr_find(const void *list, size_t list_len, const char *name,
                             struct fs_xattr *xattr);

/*
 * Adds or replaces an entry of LIST, which has room for FS_XATTR_LIST_MAX
 * bytes and holds *LIST_LEN. FLAGS: XATTR_CREATE, XATTR_REPLACE. -EEXIST,
 * -ENODATA, -ENOSPC, -ERANGE (name too long), -EIO.
 */
BM_CHECKED int fs_xattr_set(void *list, size_t *list_len, const char *name, const void *value,
                            size_t value_len, int flags);

/* -ENODATA, -EIO. */
BM_CHECKED int fs_xattr_remove(void *list, size_t *list_len, const char *name);

/*
 * Takes an entry out of the list in META, whole attributes as in attr.h, if it is there. -EIO.
 */
BM_CHECKED int fs_xattr_drop(void *meta, size_t *meta_len, const char *name);

/* What a text asks of a count. */
struct fs_count_change {
        bool relative;
        int64_t delta;  /* if relative: +1 or -1 */
        uint64_t count; /* else */
};

/*
 * "7", "+1" or "-1"; nothing else, no spaces, no needless zeros. -EINVAL, also
 * for what is above BM_COUNT_MAX.
 */
BM_CHECKED int fs_count_parse(const char *text, size_t len, struct fs_count_change *change);

#endif
