/* SPDX-License-Identifier: MIT */
/* Unmounting, as "bucketmap umount" and as the helper of umount(8) do it. */
#ifndef FS_UMOUNT_STORE_H
#define FS_UMOUNT_STORE_H

#include <stdbool.h>

struct umount_request {
        const char *dir;  /* as given */
        bool lazy;        /* also while it is in use; it ends with its last user */
        unsigned timeout; /* seconds, for its users to leave and for the store to be closed each;
                             0: no wait for the former, no end to the latter */
};

/*
 * Unmounts; returns an exit code when the store is closed, or with LAZY and
 * without a timeout at once. COMMAND_IN_USE: it is being closed still.
 */
int umount_store(const struct umount_request *request);

#endif
