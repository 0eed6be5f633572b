/* SPDX-License-Identifier: MIT */
/* Who keeps a mount busy. */
#ifndef FS_USERS_H
#define FS_USERS_H

#include <stddef.h>

/*
 * Fills TEXT with "process 12 (bash), process 34 (vim)": processes with an
 * open file or their working directory at or below DIR, as far as the caller
 * may see them, without the caller itself. Returns how many it found; TEXT may name fewer, and ends
 * in
 * ", ..." then.
 */
size_t mount_users(const char *dir, char *text, size_t size);

/* The same for processes that see STORE (absolute) mounted somewhere: after an
 * unmount those of other mount namespaces, for which it still is. */
size_t mount_viewers(const char *store, char *text, size_t size);

#endif
