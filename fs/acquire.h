/* SPDX-License-Identifier: MIT */
/* Opening the store for a mount: made if need be, waited for while it is being closed. */
#ifndef FS_ACQUIRE_H
#define FS_ACQUIRE_H

#include <stdbool.h>

#include "bucketmap.h"

/*
 * Opens the store at PATH (absolute) with CONFIG. MAY_CREATE: one is made if
 * nothing, or an empty directory, is there; that is said on stderr. If a
 * daemon that is no longer mounted still has it, waits for its end. 0, or an
 * exit code after a message.
 */
int acquire_store(const char *path, const struct bm_config *config, bool may_create,
                  struct bm_store **storep);

#endif
