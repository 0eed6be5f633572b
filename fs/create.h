/* SPDX-License-Identifier: MIT */
/* Making a store while others may be at it, too. */
#ifndef FS_CREATE_H
#define FS_CREATE_H

#include <stdbool.h>

#include "bucketmap.h"

/*
 * bm_create, one process at a time for the stores of one folder. EXISTING_OK:
 * a store that is there already is fine; *CREATED tells whether it was made
 * now. Results as of bm_create.
 */
int create_store(const char *path, const struct bm_config *config, bool existing_ok, bool *created);

#endif
