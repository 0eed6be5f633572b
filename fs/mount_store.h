/* SPDX-License-Identifier: MIT */
/* Mounting, as "bucketmap mount" and as the helper of mount(8) do it. */
#ifndef FS_MOUNT_STORE_H
#define FS_MOUNT_STORE_H

#include <stdbool.h>

#include "options.h"

struct mount_request {
        const char *words[2]; /* STORE, DIR as given */
        struct mount_options options;
        bool foreground;
        char *store, *dir; /* absolute; filled by mount_store */
};

/* 0 or -ENOMEM. */
int mount_request_init(struct mount_request *request);
void mount_request_deinit(struct mount_request *request);

/*
 * Mounts, and returns an exit code when the mount answers; in the foreground
 * when it has ended. In the daemon it returns as well. Messages go to stderr.
 */
int mount_store(struct mount_request *request);

#endif
