/* SPDX-License-Identifier: MIT */
/* See grow.h; and the public ways to grow. */
#include "grow.h"

#include "index_block.h"
#include "log.h"
#include "lookup.h"
#include "space.h"
#include "store.h"

int bm_grow_part(const struct bm_target *target, uint64_t capacity)
{
        struct bm_read_lock lock;
        bm_read_lock(&lock, target);
        int r = bm_index_grow(&target->bucket->index, target->hash, capacity);
        bm_read_unlock(&lock);
        return r;
}

int bm_grow_index(struct bm_map *map, const void *key, size_t key_len, uint64_t capacity)
{
        struct bm_target target;
        int r = bm_store_writable(map->store);
        if (r == 0)
                r = bm_target_init(&target, map, key, key_len);
        if (r == 0)
                r = bm_grow_part(&target, capacity);
        if (r == 0)
                bm_space_look(map->store);
        return r;
}

int bm_grow_data(struct bm_store *store, uint64_t capacity)
{
        int r = bm_store_writable(store);
        return r < 0 ? r : bm_space_grow(store, capacity, BM_CLAIM_NONE);
}

int bm_find_entry(struct bm_map *map, const void *key, size_t key_len, struct bm_entry *entry)
{
        struct bm_target target;
        struct bm_found found;
        struct bm_read_lock lock;
        int r = bm_target_init(&target, map, key, key_len);
        if (r < 0)
                return r;
        target.trust = BM_TRUST_VALUE;
        bm_read_lock(&lock, &target);
        r = bm_target_find(&target, &found);
        if (r == 0 && !found.there)
                r = BM_E_NOT_FOUND;
        if (r == 0)
                *entry = (struct bm_entry){
                        .hash = target.hash,
                        .record_id = found.record.record_id,
                        .count = found.count,
                        .bucket = target.bucket->index.bucket,
                        .block_depth = found.place.block->depth,
                        .slot = found.place.slot,
                        .probes = found.place.probes,
                        .file_id = found.slot.file_id,
                        .offset = found.slot.offset,
                };
        bm_read_unlock(&lock);
        return r;
}
