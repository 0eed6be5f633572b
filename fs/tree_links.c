/* SPDX-License-Identifier: MIT */
/* See tree_links.h. */
#include "tree_links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* out of memory is an error of the call, not the end of the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct tree_link {
        uint64_t id;
        uint64_t n_left; /* names that were not met yet */
        UT_hash_handle hh;
        char path[];
};

int tree_links_meet(struct tree_links *links, uint64_t id, uint64_t n_links, const char *path,
                    const char **first)
{
        struct tree_link *file;
        size_t size = strlen(path) + 1;

        free(links->done);
        links->done = NULL;
        *first = NULL;
        if (n_links < 2)
                return 0;
        HASH_FIND(hh, links->files, &id, sizeof(id), file);
        if (file) {
                *first = file->path;
                if (--file->n_left == 0) {
                        HASH_DEL(links->files, file);
                        links->done = file;
                }
                return 0;
        }
        file = malloc(sizeof(*file) + size);
        if (!file)
                return -ENOMEM;
        file->id = id;
        file->n_left = n_links - 1;
        memcpy(file->path, path, size);
        HASH_ADD(hh, links->files, id, sizeof(file->id), file);
        if (!file->hh.tbl) {
                free(file);
                return -ENOMEM;
        }
        return 0;
}

void tree_links_deinit(struct tree_links *links)
{
        struct tree_link *file, *next;

        free(links->done);
        HASH_ITER(hh, links->files, file, next)
        {
                HASH_DEL(links->files, file);
                free(file);
        }
}
