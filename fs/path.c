/* SPDX-License-Identifier: MIT */
#include "path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* DIR + NAME, where DIR is resolved and NAME need not be there. */
static int resolve_parent(char *path, char **absolute)
{
        size_t len = strlen(path);
        char *slash, *parent;
        const char *name;
        int r = 0;

        while (len > 1 && path[len - 1] == '/')
                path[--len] = '\0';
        slash = strrchr(path, '/');
        name = slash ? slash + 1 : path;
        if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
                return -ENOENT;
        if (!slash)
                parent = realpath(".", NULL);
        else if (slash == path)
                parent = strdup("/");
        else {
                *slash = '\0';
                parent = realpath(path, NULL);
        }
        if (!parent)
                return -errno;
        if (asprintf(absolute, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
                r = -ENOMEM;
        free(parent);
        return r;
}

int path_resolve(const char *path, char **absolute)
{
        char *copy;
        int r;

        *absolute = realpath(path, NULL);
        if (*absolute)
                return 0;
        if (errno != ENOENT && errno != ENOTCONN)
                return -errno;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        r = resolve_parent(copy, absolute);
        free(copy);
        return r;
}

bool path_is_within(const char *path, const char *dir)
{
        size_t len = strlen(dir);

        if (len == 1)
                return true;
        return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}
