/* SPDX-License-Identifier: MIT */
/* Going through a tree of keys, in a store or in its mount, from the top down. */
#ifndef FS_EXPORT_H
#define FS_EXPORT_H

#include "bucketmap.h"
#include "tree.h"

struct export
{
        /* Takes an entry; READ gives its value. Anything but 0 ends the walk. */
        /* VALUE is NULL for what has none */
        int (*entry)(void *ctx, const struct tree_entry *entry, const struct tree_value *value);
        tree_failed_fn failed;
        void *ctx;               /* of both */
        const char *const *keys; /* NULL at the end; none: the root with all below it */
};

/*
 * Both give each key of EXPORT with all below it, a directory before what is
 * in it. What cannot be read is reported, and the walk goes on. 0, what entry
 * gave, or a negative errno.
 */
int export_store(struct bm_store *store, const struct export *export);
/* ROOT: a descriptor of the mount's root. */
int export_mount(int root, const struct export *export);

/* A path that grows and shrinks by a name. */
struct tree_path {
        char *text;
        size_t len, size;
};

/* -ENOMEM. */
BM_CHECKED int tree_path_push(struct tree_path *path, const void *name, size_t len);
/* Back to a length that it had. */
void tree_path_cut(struct tree_path *path, size_t len);
void tree_path_deinit(struct tree_path *path);

/* The next name of *PATH, past any slashes and "." that stand before it, and its length; *PATH
 * moves behind. NULL: there is none. */
const char *tree_path_next(const char **path, size_t *len);

#endif
