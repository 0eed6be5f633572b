/* SPDX-License-Identifier: MIT */
/* Recovery: counting what lives in each segment, from the index. */
#include <errno.h>
#include <stdlib.h>

#include "base/intmath.h"
#include "recover.h"
#include "store.h"

static int zero(void *ctx, struct bm_segment *s)
{
        if (s->header.kind != BM_SEGMENT_INDEX) {
                atomic_store(&s->live_bytes, 0);
                atomic_store(&s->n_live, 0);
        }
        return 0;
}

static int count_slot(struct bm_store *store, const struct bm_slot *slot)
{
        struct bm_segment *s = bm_drives_segment(&store->drives, slot->file_id);
        uint32_t length = slot->length;
        if (!s || !s->base)
                return 0; /* check's to name; reading it gives an error */
        if (length == 0)
                length = bm_range_ok(slot->offset, 16, s->size)
                                 ? bm_record_length(s->base + slot->offset, s->size - slot->offset)
                                 : 0;
        bm_segment_add_live(s, length);
        bm_sum_add(store, 0, BM_SUM_LIVE_BYTES, length);
        return 0;
}

static int count_bucket(void *ctx, struct bm_map *map, size_t i)
{
        unsigned skip = map->buckets_log2;
        uint64_t hash = skip ? (uint64_t)i << (64 - skip) : 0;
        uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last;
        do {
                struct bm_known_slot *slots;
                size_t n;
                int r = bm_index_collect(&map->buckets[i].index, hash, &slots, &n, &last);
                if (r == -EIO)
                        r = bm_replay_unreadable(map->store);
                if (r != 0)
                        return r;
                for (size_t k = 0; k < n; k++)
                        count_slot(map->store, &slots[k].slot);
                free(slots);
                hash = last + 1;
        } while (last < end);
        return 0;
}

int bm_recount(struct bm_store *store)
{
        bm_drives_each(&store->drives, zero, NULL);
        bm_sum_clear(store, BM_SUM_LIVE_BYTES);
        return bm_maps_each_bucket(&store->maps, count_bucket, NULL);
}
