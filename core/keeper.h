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
#include <stdint.h>

struct bm_store;

int bm_keeper_start(struct bm_store *store);
void bm_keeper_stop(struct bm_store *store);

/* Asks for a round; may be called under any lock but the keeper's. */
void bm_keeper_wake(struct bm_store *store);

/* Lets the keeper do what it can and waits for it. True if files were freed. Holds no lock when
 * called. */
bool bm_keeper_win_space(struct bm_store *store);

/* An orphan was let go, so that the next round has more to win. Holds no lock when called. */
void bm_keeper_note_release(struct bm_store *store);

/*
 * Waits a moment, if there are orphans, until one is let go: in a mount a removed file is one until
 * the kernel has forgotten it, which it says behind its answer to whoever removed it. *SEEN, 0 at
 * first, is what the last call knew. False: none was. Holds no lock when called.
 */
bool bm_keeper_wait_release(struct bm_store *store, uint64_t *seen);

/* Waits until less is dead, but no longer than a round takes. Holds no lock when called. */
void bm_keeper_wait(struct bm_store *store);

#endif
