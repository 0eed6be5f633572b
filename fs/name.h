/* SPDX-License-Identifier: MIT */
/* File names, which are the keys of a map. */
#ifndef FS_NAME_H
#define FS_NAME_H

#include <stddef.h>

#include "bucketmap.h"

/*
 * Whether NAME can be a key, and its length in bytes in *LEN. Negative errno:
 * -ENAMETOOLONG above BM_KEY_MAX bytes, -ENOENT for the empty name, -EINVAL
 * for one with a slash, "." and "..".
 */
BM_CHECKED int fs_name_check(const char *name, size_t *len);

#endif
