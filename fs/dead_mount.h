/* SPDX-License-Identifier: MIT */
/* Mounts whose daemon died: the kernel keeps them until somebody takes them away. */
#ifndef FS_DEAD_MOUNT_H
#define FS_DEAD_MOUNT_H

/*
 * Takes away the dead mounts of the store at STORE that are on top at DIR (both
 * absolute), and says so; another store's is not ours to touch. 0, or an exit
 * code after a message.
 */
int detach_dead(const char *store, const char *dir);

#endif
