/* SPDX-License-Identifier: MIT */
/* How large the next segment shall be. */
#include "base/intmath.h"
#include "space.h"
#include "store.h"

enum {
        SEGMENTS_WANTED = 64,      /* so many make up what lives, */
        SEGMENTS_FEW = 32,         /* or so many, where those would be smaller than a huge page */
        HUGE_PAGE_FROM = 32 << 20, /* bytes that live, */
        HUGE_PAGE_DISK = 1 << 30,  /* and of the disk, for segments of a huge page or more */
        RECORD_BYTES = 64,         /* a small one: what a key that is foreseen counts as */
};

/* Of the keys that whoever opened the store said would come. */
static uint64_t foreseen_bytes(const struct bm_store *store)
{
        uint64_t keys = 0;
        for (size_t i = 0; i < (size_t)1 << store->root->buckets_log2; i++)
                keys += atomic_load_explicit(&store->root->buckets[i].index.anticipated,
                                             memory_order_relaxed);
        return keys * RECORD_BYTES;
}

/* Whether a huge page is a small part of all. */
static bool suits_huge_pages(const struct bm_store *store, uint64_t bytes)
{
        return store->disk_bytes >= HUGE_PAGE_DISK &&
               (bytes >= HUGE_PAGE_FROM || foreseen_bytes(store) >= HUGE_PAGE_FROM);
}

/* What suits BYTES that live, however full the disk is. */
static uint64_t size_for(const struct bm_store *store, uint64_t bytes)
{
        if (store->disk_bytes && bytes > store->disk_bytes)
                bytes = store->disk_bytes;
        /* to the nearer power of two */
        uint64_t size = bm_min_u64(bytes / SEGMENTS_FEW, UINT64_C(1) << BM_HUGE_PAGE_LOG2);
        size = bm_max_u64(bm_max_u64(size, bytes / SEGMENTS_WANTED),
                          UINT64_C(1) << BM_SEGMENT_LOG2_MIN);
        unsigned log2 = bm_log2_floor(size + size / 3);
        unsigned max = store->drives.superblock.segment_log2_max;
        if (log2 < BM_HUGE_PAGE_LOG2 && suits_huge_pages(store, bytes))
                log2 = BM_HUGE_PAGE_LOG2;
        return UINT64_C(1) << (log2 < max ? log2 : max);
}

static uint64_t lived(struct bm_store *store)
{
        return bm_max_u64(bm_sum(store, BM_SUM_LIVE_BYTES),
                          atomic_load_explicit(&store->lived, memory_order_relaxed));
}

uint64_t bm_space_segment_size(struct bm_store *store)
{
        return size_for(store, lived(store));
}

uint64_t bm_space_segment_size_with(struct bm_store *store, uint64_t more)
{
        return size_for(store, lived(store) + more);
}

void bm_space_note(struct bm_store *store, bool quiet)
{
        const uint64_t live = bm_sum(store, BM_SUM_LIVE_BYTES), before = atomic_load(&store->lived);
        atomic_store(&store->lived, quiet ? live : bm_max_u64(live, before));
}
