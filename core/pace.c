/* SPDX-License-Identifier: MIT */
/* See pace.h. */
#include "pace.h"

#include <time.h>

#include "base/intmath.h"

enum {
        DEAD_MAX = 512 << 20, /* bytes that may be dead at most, */
        DEAD_TIMES = 2,       /* or so many times what the values have, */
        KEY_BYTES = 128,      /* and so much for each key */
        DEAD_FREE = 2,        /* one in so many of these costs nothing */
        PACE = 10000,         /* ns a KiB in the middle of the rest: 100 MB/s; */
        PACE_MOST = 1 << 20,  /* and at its end: 1 MB/s */
        PAY_LEAST = 1000000,  /* ns: shorter sleeps are not exact, */
        PAY_MOST = 50000000,  /* and a longer one would be noticed */
};

/* What rounds can win: not what is damaged, nor what a view is held on that was emptied. */
static int add_dead(void *ctx, struct bm_segment *s)
{
        uint64_t *dead = ctx;
        bool held = atomic_load(&s->state) == BM_SEGMENT_GONE && atomic_load(&s->pins) > 0;
        if (s->header.kind != BM_SEGMENT_INDEX && !atomic_load(&s->unreadable) && !held)
                *dead += bm_segment_reclaimable(s);
        return 0;
}

/* Of values that users see: chunks that wait for the sweeper still count as living. */
static uint64_t most_dead(const struct bm_store *store)
{
        uint64_t living =
                bm_sum(store, BM_SUM_VALUE_BYTES) + bm_sum(store, BM_SUM_KEYS) * KEY_BYTES;
        return bm_max_u64(DEAD_MAX, DEAD_TIMES * living);
}

/* The less is left up to the most, the longer: so writers slow down to what the keeper wins,
 * whatever that is. */
void bm_pace_set(struct bm_store *store)
{
        const uint64_t most = most_dead(store), some = most / DEAD_FREE;
        uint64_t unswept = atomic_load(&store->log.written) - atomic_load(&store->keeper.swept_at);
        uint64_t dead = 0, pace = 0;
        bm_drives_each(&store->drives, add_dead, &dead);
        if (!bm_map_is_empty(store->drops)) /* all of it may be chunks that are dropped */
                dead += unswept;
        if (dead >= most)
                pace = PACE_MOST;
        else if (dead > some)
                pace = bm_min_u64((dead - some) * PACE / (most - dead), PACE_MOST - 1);
        atomic_store(&store->keeper.pace, atomic_load(&store->keeper.running) ? pace : 0);
}

void bm_pace_set_for(struct bm_store *store, uint64_t capacity)
{
        if (atomic_exchange(&store->keeper.looked_at, capacity) != capacity)
                bm_pace_set(store);
}

bool bm_pace_is_over(const struct bm_store *store)
{
        return atomic_load(&store->keeper.pace) == PACE_MOST;
}

/* Sleeping has a grain: little is saved up. */
static _Thread_local uint64_t owed_ns;

void bm_pace_charge(struct bm_store *store, const struct bm_location *where, size_t n)
{
        uint64_t bytes = 0;
        for (size_t i = 0; i < n; i++)
                bytes += where[i].length;
        owed_ns += bytes * atomic_load(&store->keeper.pace) / 1024;
}

void bm_pace_pay(void)
{
        if (owed_ns < PAY_LEAST)
                return;
        const uint64_t ns = bm_min_u64(owed_ns, PAY_MOST);
        const struct timespec time = {.tv_nsec = (long)ns};
        owed_ns -= ns;
        (void)nanosleep(&time, NULL);
}
