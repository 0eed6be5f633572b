/* SPDX-License-Identifier: MIT */
/*
 * Files with several names, on the way into an archive: the first name that is
 * met carries the file, the others refer to that. Remembers a file until all
 * of its names were met.
 */
#ifndef FS_TREE_LINKS_H
#define FS_TREE_LINKS_H

#include <stdint.h>

#include "bucketmap.h"

struct tree_link;

struct tree_links {
        /* NULL to begin with */
        struct tree_link *files;
        struct tree_link *done; /* the last name of it was met */
};

/*
 * PATH is a name of the file ID, which has N_LINKS. *FIRST gets the path where
 * it was met first, good until the next call; NULL: this is the first one.
 * 0 or -ENOMEM.
 */
BM_CHECKED int tree_links_meet(struct tree_links *links, uint64_t id, uint64_t n_links,
                               const char *path, const char **first);
void tree_links_deinit(struct tree_links *links);

#endif
