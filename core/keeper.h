/* SPDX-License-Identifier: MIT */
/*
 * The keeper: one thread that keeps the store small and quickly opened. A
 * round sweeps dropped chunks, compacts while enough is dead, writes the
 * checkpoints that are due or that freeing needs, and refills the reserve.
 * It runs when the log went on to another segment, when somebody needs
 * space, and every few seconds.
 */
#ifndef BM_KEEPER_H
#define BM_KEEPER_H

#include <stdbool.h>

struct bm_store;

int bm_keeper_start(struct bm_store *store);
void bm_keeper_stop(struct bm_store *store);

/* Asks for a round; may be called under any lock but the keeper's. */
void bm_keeper_wake(struct bm_store *store);

/* Lets the keeper do what it can and waits for it. True if files were freed. Holds no lock when
 * called. */
bool bm_keeper_win_space(struct bm_store *store);

/* Waits until less is dead, but no longer than a round takes. Holds no lock when called. */
void bm_keeper_wait(struct bm_store *store);

#endif
