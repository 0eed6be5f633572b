/* SPDX-License-Identifier: MIT */
/* One entry of a tree of keys on its way into an archive or out of it. */
#ifndef FS_TREE_H
#define FS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

struct tree_entry {
        const char *path;    /* from the root of the store, which is "" itself */
        struct fs_attr attr; /* birth and ctime are of no meaning */
        bool has_count;
        uint64_t count;
        const uint8_t *xattrs; /* a list as in xattr.h, without the count */
        size_t xattrs_len;
        const char *target; /* of a symbolic link, else NULL */
        const char *first;  /* path of the same file, which came before: no value. Else NULL */
        uint64_t size;      /* of a file's value, bytes */
        uint64_t allocated; /* of that; less than the size if there are holes */
};

/* The value of an entry that has one. */
struct tree_value {
        /* Reads up to LEN bytes at OFFSET; fewer only at the end. 0 or an error. */
        int (*read)(void *ctx, uint64_t offset, void *buf, size_t len, size_t *done);
        /* The next part from OFFSET on that is no hole. 0; -ENXIO: none; another error. */
        int (*find)(void *ctx, uint64_t offset, uint64_t *from, uint64_t *to);
        void *ctx;
};

/* Why an entry could not be handled; the work goes on. */
typedef void (*tree_failed_fn)(void *ctx, const char *path, const char *reason);

#endif
