/* SPDX-License-Identifier: MIT */
/*
 * The preparer: one thread that makes the next log segment ahead of need, so that who fills
 * one need not wait for the next. Whenever the log went on to another it makes the one behind
 * that, and wakes the keeper for what is dead by now.
 */
#ifndef BM_PREPARER_H
#define BM_PREPARER_H

struct bm_store;

/* -EAGAIN and other errors of making a thread. */
int bm_preparer_start(struct bm_store *store);
void bm_preparer_stop(struct bm_store *store);

/* STORE: a struct bm_store. May be called under any lock but the preparer's. */
void bm_preparer_wake(void *store);

#endif
