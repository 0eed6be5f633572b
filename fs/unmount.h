/* SPDX-License-Identifier: MIT */
/* Taking a mount away, as root and as an ordinary user. */
#ifndef FS_UNMOUNT_H
#define FS_UNMOUNT_H

#include <stdbool.h>

#define UNMOUNT_WHY_SIZE 256

/*
 * Unmounts what is on top at DIR (absolute). LAZY: also while it is in use,
 * which takes it from the tree and ends it when the last user leaves. 0,
 * -EBUSY (nothing changed), or another negative errno; WHY, of
 * UNMOUNT_WHY_SIZE bytes, then tells the reason. Any thread.
 */
int unmount_dir(const char *dir, bool lazy, char *why);

#endif
