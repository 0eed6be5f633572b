/* SPDX-License-Identifier: MIT */
/* The root directory's own attributes, which the library's creation leaves out. */
#ifndef FS_ROOT_H
#define FS_ROOT_H

#include "attr.h"

struct bm_store;

/*
 * Gives the root of a fresh STORE its mode (0777 less the umask) and owner (the
 * caller), if it has none yet. fs_session_new does it as well, unless
 * read_only; for a command that creates a store and does not mount it.
 * Call before the umask is changed. 0 or a negative errno.
 */
int fs_init_root(struct bm_store *store);

/* What a record has that the library made: the root's owner, the store's age. 0 or a negative
 * errno. */
int fs_root_defaults(struct bm_store *store, struct fs_attr_defaults *defaults);

#endif
