/* SPDX-License-Identifier: MIT */
/*
 * The pace of writers: where much is dead, or waits for the sweeper, who logs waits in proportion
 * to the bytes, the longer the more that is; and where it is too much, until it is less.
 */
#ifndef BM_PACE_H
#define BM_PACE_H

#include "store.h"

/* Looks at how much is dead; without a keeper there is no pace. */
void bm_pace_set(struct bm_store *store);
/* The same, unless it was done already for the log segment behind number CAPACITY. */
void bm_pace_set_for(struct bm_store *store, uint64_t capacity);
/* Whether it is too much for a new log segment. */
bool bm_pace_is_over(const struct bm_store *store);

/* What a change owes that logged these; may be called under any lock. */
void bm_pace_charge(struct bm_store *store, const struct bm_location *where, size_t n);
/* Pays what the calling thread owes; called without locks. */
void bm_pace_pay(void);

/* Whether changes are charged at all. */
static inline bool bm_pace_is_set(const struct bm_store *store)
{
        /* relaxed: one that comes a little later is as good */
        return atomic_load_explicit(&store->keeper.pace, memory_order_relaxed) != 0;
}

#endif
