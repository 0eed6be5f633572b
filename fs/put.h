/* SPDX-License-Identifier: MIT */
/*
 * Storing a whole record in one step, its value, attributes and count: what an
 * import does, in the daemon and without one.
 */
#ifndef FS_PUT_H
#define FS_PUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attr.h"
#include "backend.h"

/* On whose behalf: as with tar, only root gives files away. */
struct fs_put_who {
        uid_t uid;
        gid_t gid;
};

/* What becomes of a key that is there already. */
enum fs_put_mode {
        FS_PUT_NEW,     /* it is an error */
        FS_PUT_KEEP,    /* it stays as it is */
        FS_PUT_REPLACE, /* it gets the new value, attributes and count, and keeps its record id */
};

struct fs_put {
        struct bm_map *map;
        const void *key;
        size_t key_len;
        const void *value; /* at most 16 KiB; not NULL */
        size_t value_len;
        const void *meta; /* of fs_put_meta */
        size_t meta_len;
        bool has_count; /* without, a new one has 1 and a replaced one keeps its own */
        uint64_t count;
        enum fs_put_mode mode;
        /* out */
        bool kept;
        uint64_t replaced_id; /* record id of what was replaced; 0: nothing was */
};

/*
 * Writes to OUT, of FS_ATTR_MAX + META_LEN bytes, the meta that anything but a
 * directory gets which WHO stores with META: made now, not by somebody else.
 * META may be any bytes: -EINVAL if they are no attributes of such, or of a
 * device and WHO is not root, -EPERM if WHO may not set one of the extended ones.
 */
BM_CHECKED int fs_put_meta(const struct fs_put_who *who, const void *meta, size_t meta_len,
                           uint8_t *out, size_t *out_len);

/* BM_E_EXISTS, also for a record of another type; BM_E_IS_MAP, -EIO ... */
BM_CHECKED int fs_put(const struct backend *backend, const struct fs_attr_defaults *defaults,
                      struct fs_put *put);

#endif
