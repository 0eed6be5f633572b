/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

int tree_path_push(struct tree_path *path, const void *name, size_t len)
{
        /* a slash before, a NUL behind */
        size_t need = path->len + len + 2;

        if (need > path->size) {
                char *text = realloc(path->text, 2 * need);

                if (!text)
                        return -ENOMEM;
                path->text = text;
                path->size = 2 * need;
        }
        if (path->len)
                path->text[path->len++] = '/';
        memcpy(path->text + path->len, name, len);
        path->len += len;
        path->text[path->len] = '\0';
        return 0;
}

void tree_path_cut(struct tree_path *path, size_t len)
{
        path->len = len;
        if (path->text)
                path->text[len] = '\0';
}

void tree_path_deinit(struct tree_path *path)
{
        free(path->text);
        *path = (struct tree_path){0};
}

const char *tree_path_next(const char **path, size_t *len)
{
        const char *name = *path;

        do {
                name += strspn(name, "/");
                *len = strcspn(name, "/");
                *path = name + *len;
        } while (*len == 1 && *name == '.' && (name = *path));
        return *len ? name : NULL;
}
