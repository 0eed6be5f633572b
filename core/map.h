/* SPDX-License-Identifier: MIT */
/* The maps of a store: a table by id, each with its buckets. */
#ifndef BM_MAP_H
#define BM_MAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "bucket.h"
#include "bucketmap.h"

/* HASH_ADD must not end the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct bm_map {
        /* constant after construction */
        struct bm_store *store;
        uint64_t id;
        uint8_t buckets_log2;
        /* guarded by bm_maps.lock */
        uint64_t parent_id, record_id; /* of the entry that names it */
        uint64_t refs;                 /* handles, and one of the table */
        UT_hash_handle hh;
        /* synchronise themselves: set or changed under a bucket's stripe, read anywhere */
        _Atomic bool dead; /* removed; its handles give BM_E_NOT_FOUND */
        _Atomic int64_t changed_ns;
        /* guarded by their stripes */
        struct bm_bucket buckets[];
};

struct bm_maps {
        struct bm_store *store;
        pthread_rwlock_t lock;
        struct bm_map *table; /* guarded by lock */
};

void bm_maps_init(struct bm_maps *maps, struct bm_store *store);
void bm_maps_deinit(struct bm_maps *maps); /* frees every map */

/* What its buckets come to; exact when nobody writes, or with all of them locked. */
struct bm_map_sums {
        uint64_t n_keys, n_maps, value_bytes;
};
struct bm_map_sums bm_map_sums(const struct bm_map *map);
bool bm_map_is_empty(const struct bm_map *map);

/* A new reference, or NULL. */
struct bm_map *bm_maps_get(struct bm_maps *maps, uint64_t map_id);
void bm_maps_put(struct bm_maps *maps, struct bm_map *map);

/* Enters a map, or moves one that is there to another parent. *ADDED (may be
 * NULL): it was not there. */
int bm_maps_ensure(struct bm_maps *maps, uint64_t map_id, uint64_t parent_id, uint64_t record_id,
                   uint8_t buckets_log2, bool *added);
/* Takes it out of the table and marks it dead. */
void bm_maps_remove(struct bm_maps *maps, uint64_t map_id);
/* Id of the parent; 0 if there is no such map. */
uint64_t bm_maps_parent(struct bm_maps *maps, uint64_t map_id);
uint64_t bm_maps_n(struct bm_maps *maps);

/* References to all maps of the moment (malloc'd array, the caller's), for a
 * walk that must not hold the table's lock. */
int bm_maps_list(struct bm_maps *maps, struct bm_map ***list, size_t *n);
void bm_maps_list_free(struct bm_maps *maps, struct bm_map **list, size_t n);

/* FN for each bucket of each map of the moment, without any lock; it returns 0 to go on.
 * -ENOMEM: not for all of them. */
int bm_maps_each_bucket(struct bm_maps *maps,
                        int (*fn)(void *ctx, struct bm_map *map, size_t bucket), void *ctx);

/* Maps that users see: their keys count as the store's. */
static inline bool bm_map_is_user(const struct bm_map *map)
{
        return map->id == BM_MAP_ROOT || map->id >= BM_MAP_FIRST;
}

/* Hidden maps in which the key is the record's id, whatever key the record has. */
static inline bool bm_map_goes_by_id(const struct bm_map *map)
{
        return map->id == BM_MAP_INODES || map->id == BM_MAP_ORPHANS;
}

/* Maps whose values are the user's: they count as the store's. */
static inline bool bm_map_has_values(const struct bm_map *map)
{
        return bm_map_is_user(map) || map->id == BM_MAP_INODES;
}

#endif
