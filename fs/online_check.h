/* SPDX-License-Identifier: MIT */
/*
 * A check of the mounted store, for a command that asks by ioctl.
 *
 * It runs on a thread of its own, one at a time. What it finds waits, at most a
 * page of it, until the command fetches it; a check for which nobody has asked
 * for a minute ends, for the command is gone.
 */
#ifndef FS_ONLINE_CHECK_H
#define FS_ONLINE_CHECK_H

#include "backend.h"
#include "ioctl.h"

struct fs_checker;

/* 0 or -ENOMEM. BACKEND must outlive it. */
BM_CHECKED int fs_checker_new(const struct backend *backend, struct fs_checker **checkerp);

/*
 * Begins a check and gives its *ID. -EBUSY: another is running; -EAGAIN: one
 * that was given up, and has yet to notice.
 */
BM_CHECKED int fs_checker_start(struct fs_checker *checker, uint64_t *id);

/* Fills PAGE, of which the id is given, with what is new. -ESRCH: that check was given up. */
BM_CHECKED int fs_checker_poll(struct fs_checker *checker, struct fs_ioc_check *page);

/* -ESRCH: there is no such check. */
BM_CHECKED int fs_checker_cancel(struct fs_checker *checker, uint64_t id);

/* Ends a check that runs, and waits for its end. NULL is allowed; returns NULL. */
struct fs_checker *fs_checker_free(struct fs_checker *checker);

#endif
