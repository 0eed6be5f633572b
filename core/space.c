/* SPDX-License-Identifier: MIT */
/* See space.h. */
#include "space.h"

#include <errno.h>

#include "base/intmath.h"
#include "keeper.h"
#include "store.h"

enum {
        SEGMENTS_WANTED = 32, /* so many make up what lives */
        RESERVE_SEGMENTS = 4, /* two of the log, a cold one, and a checkpoint */
};

uint64_t bm_space_segment_size(struct bm_store *store)
{
        uint64_t bytes = atomic_load(&store->live_bytes);
        if (store->disk_bytes && bytes > store->disk_bytes)
                bytes = store->disk_bytes;
        bytes /= SEGMENTS_WANTED;
        uint64_t smallest = UINT64_C(1) << BM_SEGMENT_LOG2_MIN;
        if (bytes <= smallest)
                return smallest;
        /* to the nearer power of two */
        unsigned log2 = bm_log2_floor(bytes + bytes / 3);
        unsigned max = store->drives.superblock.segment_log2_max;
        return UINT64_C(1) << (log2 < max ? log2 : max);
}

bool bm_space_draw(struct bm_store *store, uint64_t need)
{
        bool ok = false;
        pthread_mutex_lock(&store->reserve_lock);
        if (store->reserved >= need &&
            bm_io_call(store->io, truncate, store->reserve_fd, store->reserved - need) == 0) {
                store->reserved -= need;
                atomic_store(&store->log.restricted, true);
                ok = true;
        }
        pthread_mutex_unlock(&store->reserve_lock);
        return ok;
}

bool bm_space_refill(struct bm_store *store)
{
        uint64_t want = RESERVE_SEGMENTS * atomic_load(&store->log.segment_size);
        bool whole;
        pthread_mutex_lock(&store->reserve_lock);
        if (store->reserved > want && /* what lives has shrunk */
            bm_io_call(store->io, truncate, store->reserve_fd, want) == 0)
                store->reserved = want;
        if (store->reserved < want && bm_io_call(store->io, allocate, store->reserve_fd,
                                                 store->reserved, want - store->reserved) == 0)
                store->reserved = want;
        whole = store->reserved >= want;
        if (whole)
                atomic_store(&store->log.restricted, false);
        pthread_mutex_unlock(&store->reserve_lock);
        return whole;
}

static int prepare(struct bm_store *store, uint64_t capacity)
{
        atomic_store(&store->log.segment_size, bm_space_segment_size(store));
        return bm_log_prepare(&store->log, capacity, atomic_load(&store->syncer.durable));
}

int bm_space_grow(struct bm_store *store, uint64_t capacity, bool privileged)
{
        for (;;) {
                int r = -ENOSPC;
                if (privileged || !atomic_load(&store->log.restricted))
                        r = prepare(store, capacity);
                else if (bm_space_refill(store))
                        r = 0; /* the active segment may well have room */
                if (r != -ENOSPC)
                        return r;
                if (privileged && bm_space_draw(store, atomic_load(&store->log.segment_size)))
                        continue;
                if (!bm_keeper_win_space(store))
                        return -ENOSPC;
        }
}
