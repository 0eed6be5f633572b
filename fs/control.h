/* SPDX-License-Identifier: MIT */
/* Finding the running daemon of a store, and asking it. */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include <sys/types.h>

#include "bucketmap.h"
#include "ioctl.h"

/*
 * Opens the root of the mount that WORD means: DIR itself, or where the store
 * WORD is mounted. A descriptor, -ENOENT if neither is so, or another
 * negative errno. *STORE, freed by the caller, is the store's absolute path
 * in any case but an error of WORD itself (then NULL).
 */
int control_open(const char *word, char **store);

/*
 * Says that WHAT ("cannot sync") could not be done with what WORD means, whose
 * store is STORE (or NULL), because of control_open's or a later call's RESULT.
 * Returns the exit code.
 */
int control_fail(const char *word, const char *store, const char *what, int result);

/*
 * Of a try to open the store itself, which ended with CODE, control_open having
 * given FD: why the daemon was not asked. Returns CODE.
 */
int control_closed(int fd, int code);

/* bm_stats of the store behind a descriptor of control_open. 0 or a negative errno. */
int control_stats(int fd, struct bm_stats *stats);

/* What the kernel asked of that daemon since the mount. 0 or a negative errno. */
int control_requests(int fd, struct fs_ioc_requests *requests);

/* The daemon's process id, as it sees it. 0 or a negative errno. */
int control_pid(int fd, pid_t *pid);

/* bm_segments there. What FN returns but 0 ends it and is returned; else 0 or a negative errno. */
int control_segments(int fd, int (*fn)(void *ctx, const struct bm_segment_info *info), void *ctx);

struct fs_ioc_remove;

/* FS_IOC_REMOVE to the directory FD, any one in a mount. 0, or a negative errno: nothing was done.
 */
int control_remove(int fd, struct fs_ioc_remove *remove);

/*
 * bm_check there: ARGS hears of what is found as if it ran here. What
 * args->progress gives but 0 ends the check and is returned. -EBUSY: another
 * is running; -ESRCH: the daemon gave it up, having heard nothing for a minute.
 */
int control_check(int fd, const struct bm_check_args *args);

/* bm_sync there. */
int control_sync(int fd);

#endif
