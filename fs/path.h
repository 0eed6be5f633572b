/* SPDX-License-Identifier: MIT */
/* Absolute paths of stores and mount points, which need not be there. */
#ifndef FS_PATH_H
#define FS_PATH_H

#include <stdbool.h>

/*
 * PATH with every link resolved. Its last part may be missing, or be a mount
 * whose daemon is dead; its parent must be a directory. 0 or a negative
 * errno; *ABSOLUTE is freed by the caller.
 */
int path_resolve(const char *path, char **absolute);

/* PATH is DIR or lies below it; both as path_resolve gives them. */
bool path_is_within(const char *path, const char *dir);

#endif
