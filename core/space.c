/* SPDX-License-Identifier: MIT */
/* See space.h. */
#include "space.h"

#include <errno.h>

#include "base/intmath.h"
#include "keeper.h"
#include "store.h"

enum {
        SEGMENTS_WANTED = 32, /* so many make up what lives */
        RESERVE_SEGMENTS = 4, /* two of the log, a cold one, and what a checkpoint's tables take */
};

static const uint64_t smallest = UINT64_C(1) << BM_SEGMENT_LOG2_MIN;

/* What suits the amount that lives, however full the disk is. */
static uint64_t wanted_size(struct bm_store *store)
{
        uint64_t bytes = atomic_load(&store->live_bytes);
        if (store->disk_bytes && bytes > store->disk_bytes)
                bytes = store->disk_bytes;
        bytes /= SEGMENTS_WANTED;
        if (bytes <= smallest)
                return smallest;
        /* to the nearer power of two */
        unsigned log2 = bm_log2_floor(bytes + bytes / 3);
        unsigned max = store->drives.superblock.segment_log2_max;
        return UINT64_C(1) << (log2 < max ? log2 : max);
}

/* An upper bound of what the next checkpoint writes: a record changes a block at most. */
static uint64_t checkpoint_bytes(struct bm_store *store)
{
        uint64_t records = atomic_load(&store->manifests.records_since);
        uint64_t index = atomic_load(&store->index_stats.bytes);
        return records < index / BM_BLOCK_BYTES_MAX ? records * BM_BLOCK_BYTES_MAX : index;
}

/* Locked. What is left of the reserve must still pay for several segments. */
static uint64_t affordable_size(struct bm_store *store)
{
        uint64_t size = wanted_size(store);
        while (size > smallest && size * RESERVE_SEGMENTS > store->reserved)
                size /= 2;
        return size;
}

uint64_t bm_space_segment_size(struct bm_store *store)
{
        pthread_mutex_lock(&store->reserve_lock);
        uint64_t size = affordable_size(store);
        pthread_mutex_unlock(&store->reserve_lock);
        return size;
}

/* Locked. What the others need, which frees space, where this one only takes some. */
static uint64_t kept_for_others(struct bm_store *store, enum bm_space_use use)
{
        switch (use) {
        case BM_SPACE_LOG:
                return 2 * affordable_size(store) + checkpoint_bytes(store);
        case BM_SPACE_COLD:
                return affordable_size(store) + checkpoint_bytes(store);
        case BM_SPACE_ALL:
                break;
        }
        return 0;
}

bool bm_space_draw(struct bm_store *store, uint64_t need, enum bm_space_use use)
{
        bool ok = false;
        pthread_mutex_lock(&store->reserve_lock);
        uint64_t kept = kept_for_others(store, use);
        if (store->reserved >= kept && store->reserved - kept >= need &&
            bm_io_call(store->io, truncate, store->reserve_fd, store->reserved - need) == 0) {
                store->reserved -= need;
                atomic_store(&store->log.restricted, true);
                ok = true;
        }
        pthread_mutex_unlock(&store->reserve_lock);
        return ok;
}

/* Locked. As much of it as the disk has room for. */
static void fill_up(struct bm_store *store, uint64_t want)
{
        uint64_t step = want - store->reserved;
        while (store->reserved < want) {
                step = bm_min_u64(step, want - store->reserved);
                if (bm_io_call(store->io, allocate, store->reserve_fd, store->reserved, step) == 0)
                        store->reserved += step;
                else if (step > smallest)
                        step = bm_max_u64(step / 2, smallest);
                else
                        break;
        }
}

/* Locked. */
static void cut_to(struct bm_store *store, uint64_t want)
{
        if (store->reserved > want && bm_io_call(store->io, truncate, store->reserve_fd, want) == 0)
                store->reserved = want;
}

bool bm_space_refill(struct bm_store *store)
{
        uint64_t segments = RESERVE_SEGMENTS * wanted_size(store);
        bool whole;
        pthread_mutex_lock(&store->reserve_lock);
        uint64_t want = segments + checkpoint_bytes(store);
        /* what lives has shrunk; what a checkpoint took off comes back with the next records */
        cut_to(store, segments + atomic_load(&store->index_stats.bytes));
        fill_up(store, want);
        whole = store->reserved >= want;
        atomic_store(&store->log.restricted, !whole);
        pthread_mutex_unlock(&store->reserve_lock);
        return whole;
}

void bm_space_settle(struct bm_store *store)
{
        pthread_mutex_lock(&store->reserve_lock);
        cut_to(store, RESERVE_SEGMENTS * wanted_size(store));
        pthread_mutex_unlock(&store->reserve_lock);
}

static int prepare(struct bm_store *store, uint64_t capacity)
{
        atomic_store(&store->log.segment_size, bm_space_segment_size(store));
        return bm_log_prepare(&store->log, capacity, atomic_load(&store->syncer.durable));
}

int bm_space_prepare(struct bm_store *store, uint64_t capacity)
{
        /* the reserve comes first: it is the larger, the more has changed */
        return bm_space_refill(store) ? prepare(store, capacity) : -ENOSPC;
}

int bm_space_grow(struct bm_store *store, uint64_t capacity, bool privileged)
{
        for (;;) {
                int r = privileged ? prepare(store, capacity) : bm_space_prepare(store, capacity);
                if (r != -ENOSPC)
                        return r;
                uint64_t size = atomic_load(&store->log.segment_size);
                if ((privileged && bm_space_draw(store, size, BM_SPACE_LOG)) ||
                    bm_keeper_win_space(store))
                        continue;
                if (!privileged || !bm_space_draw(store, size, BM_SPACE_ALL))
                        return -ENOSPC;
        }
}
