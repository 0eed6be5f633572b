/* SPDX-License-Identifier: MIT */
/* The further drives that an option names, and where a drive may not lie. */
#ifndef FS_DRIVE_LIST_H
#define FS_DRIVE_LIST_H

#include <stddef.h>

#include "bucketmap.h"

struct drive_list {
        char *paths[BM_DRIVES_MAX]; /* as given, absolute after drive_list_resolve */
        size_t n;
};

/* Takes a copy of PATH. 0, -EINVAL (empty), -E2BIG (no store has as many) or -ENOMEM. */
int drive_list_add(struct drive_list *list, const char *path);

/*
 * Makes the paths absolute. None may be within another or the store (absolute)
 * or contain it. 0, or an exit code after a message.
 */
int drive_list_resolve(struct drive_list *list, const char *store);

void drive_list_deinit(struct drive_list *list);

/*
 * Whether a store or drive at PLACE, called WHAT in messages, and a mount point
 * DIR, both absolute, keep clear of each other: else the one could not be
 * reached through the other. 0, or an exit code after a message.
 */
int drive_check_place(const char *what, const char *place, const char *dir);

#endif
