/* SPDX-License-Identifier: MIT */
/* See map.h. */
#include "map.h"

#include <errno.h>
#include <stdlib.h>

#include "store.h"

void bm_maps_init(struct bm_maps *maps, struct bm_store *store)
{
        maps->store = store;
        maps->table = NULL;
        pthread_rwlock_init(&maps->lock, NULL);
}

static struct bm_map *map_new(struct bm_store *store, uint64_t id, uint8_t buckets_log2)
{
        size_t n = (size_t)1 << buckets_log2;
        struct bm_map *map = calloc(1, sizeof(*map) + n * sizeof(map->buckets[0]));
        if (!map)
                return NULL;
        map->store = store;
        map->id = id;
        map->buckets_log2 = buckets_log2;
        map->refs = 1;
        for (size_t i = 0; i < n; i++)
                bm_index_init(&map->buckets[i].index, (uint32_t)i, buckets_log2,
                              store->drives.superblock.max_search, &store->block_source,
                              &store->index_stats);
        return map;
}

static void map_free(struct bm_map *map)
{
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2; i++)
                bm_index_deinit(&map->buckets[i].index);
        free(map);
}

struct bm_map_sums bm_map_sums(const struct bm_map *map)
{
        struct bm_map_sums sums = {0};
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2; i++) {
                const struct bm_bucket *b = &map->buckets[i];
                sums.n_keys += bm_figure(&b->index.n_used);
                sums.n_maps += bm_figure(&b->n_maps);
                sums.value_bytes += bm_figure(&b->value_bytes);
        }
        return sums;
}

bool bm_map_is_empty(const struct bm_map *map)
{
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2; i++) {
                if (bm_figure(&map->buckets[i].index.n_used) > 0)
                        return false;
        }
        return true;
}

void bm_maps_deinit(struct bm_maps *maps)
{
        struct bm_map *map, *next;
        HASH_ITER(hh, maps->table, map, next)
        {
                HASH_DEL(maps->table, map);
                map_free(map);
        }
        pthread_rwlock_destroy(&maps->lock);
}

/* Locked. */
static struct bm_map *find(struct bm_maps *maps, uint64_t map_id)
{
        struct bm_map *map;
        HASH_FIND(hh, maps->table, &map_id, sizeof(map_id), map);
        return map;
}

struct bm_map *bm_maps_get(struct bm_maps *maps, uint64_t map_id)
{
        /* exclusive for the reference count; the hold is a few nanoseconds */
        pthread_rwlock_wrlock(&maps->lock);
        struct bm_map *map = find(maps, map_id);
        if (map)
                map->refs++;
        pthread_rwlock_unlock(&maps->lock);
        return map;
}

void bm_maps_put(struct bm_maps *maps, struct bm_map *map)
{
        if (!map)
                return;
        pthread_rwlock_wrlock(&maps->lock);
        bool last = --map->refs == 0;
        pthread_rwlock_unlock(&maps->lock);
        if (last)
                map_free(map);
}

int bm_maps_ensure(struct bm_maps *maps, uint64_t map_id, uint64_t parent_id, uint64_t record_id,
                   uint8_t buckets_log2, bool *added)
{
        int r = 0;
        bool is_new = false;
        pthread_rwlock_wrlock(&maps->lock);
        struct bm_map *map = find(maps, map_id);
        if (!map) {
                map = map_new(maps->store, map_id, buckets_log2);
                if (map)
                        HASH_ADD(hh, maps->table, id, sizeof(map_id), map);
                if (map && !map->hh.tbl) {
                        map_free(map);
                        map = NULL;
                }
                is_new = map != NULL;
        }
        if (map) {
                map->parent_id = parent_id;
                map->record_id = record_id;
        } else {
                r = -ENOMEM;
        }
        pthread_rwlock_unlock(&maps->lock);
        if (added)
                *added = is_new;
        return r;
}

void bm_maps_remove(struct bm_maps *maps, uint64_t map_id)
{
        pthread_rwlock_wrlock(&maps->lock);
        struct bm_map *map = find(maps, map_id);
        if (map) {
                HASH_DEL(maps->table, map);
                atomic_store(&map->dead, true);
        }
        pthread_rwlock_unlock(&maps->lock);
        bm_maps_put(maps, map);
}

uint64_t bm_maps_parent(struct bm_maps *maps, uint64_t map_id)
{
        pthread_rwlock_rdlock(&maps->lock);
        struct bm_map *map = find(maps, map_id);
        uint64_t parent = map ? map->parent_id : 0;
        pthread_rwlock_unlock(&maps->lock);
        return parent;
}

uint64_t bm_maps_n(struct bm_maps *maps)
{
        pthread_rwlock_rdlock(&maps->lock);
        uint64_t n = HASH_COUNT(maps->table);
        pthread_rwlock_unlock(&maps->lock);
        return n;
}

int bm_maps_list(struct bm_maps *maps, struct bm_map ***listp, size_t *n)
{
        struct bm_map *map, *next;
        size_t i = 0;
        pthread_rwlock_wrlock(&maps->lock);
        struct bm_map **list = calloc(HASH_COUNT(maps->table) + 1, sizeof(struct bm_map *));
        if (list) {
                HASH_ITER(hh, maps->table, map, next)
                {
                        map->refs++;
                        list[i++] = map;
                }
        }
        pthread_rwlock_unlock(&maps->lock);
        *listp = list;
        *n = i;
        return list ? 0 : -ENOMEM;
}

void bm_maps_list_free(struct bm_maps *maps, struct bm_map **list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                bm_maps_put(maps, list[i]);
        free(list);
}

int bm_maps_each_bucket(struct bm_maps *maps,
                        int (*fn)(void *ctx, struct bm_map *map, size_t bucket), void *ctx)
{
        struct bm_map **list;
        size_t n;
        int r = bm_maps_list(maps, &list, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                for (size_t k = 0; k < (size_t)1 << list[i]->buckets_log2 && r == 0; k++)
                        r = fn(ctx, list[i], k);
        }
        bm_maps_list_free(maps, list, n);
        return r;
}

/* Public */

int bm_map_open(struct bm_store *store, uint64_t map_id, struct bm_map **mapp)
{
        struct bm_map *map = bm_maps_get(&store->maps, map_id);
        if (map && !bm_map_is_user(map)) {
                bm_maps_put(&store->maps, map);
                map = NULL;
        }
        *mapp = map;
        return map ? 0 : BM_E_NOT_FOUND;
}

void bm_map_close(struct bm_map *map)
{
        if (map && map != map->store->root)
                bm_maps_put(&map->store->maps, map);
}

struct bm_map *bm_root(struct bm_store *store)
{
        return store->root;
}

struct bm_store *bm_map_store(struct bm_map *map)
{
        return map->store;
}

void bm_root_ref(struct bm_store *store, struct bm_ref *ref)
{
        *ref = (struct bm_ref){.map = store->top, .key = "/", .key_len = 1, .record_id = 1};
}

int bm_map_info(struct bm_map *map, struct bm_map_info *info)
{
        struct bm_maps *maps = &map->store->maps;
        if (atomic_load(&map->dead))
                return BM_E_NOT_FOUND;
        pthread_rwlock_rdlock(&maps->lock);
        *info = (struct bm_map_info){
                .map_id = map->id,
                .parent_id = map->parent_id,
                .record_id = map->record_id,
        };
        pthread_rwlock_unlock(&maps->lock);
        if (map->id == BM_MAP_ROOT)
                info->parent_id = BM_MAP_ROOT;
        const struct bm_map_sums sums = bm_map_sums(map);
        info->n_keys = sums.n_keys;
        info->n_maps = sums.n_maps;
        info->changed_ns = atomic_load(&map->changed_ns);
        info->value_bytes = sums.value_bytes;
        return 0;
}

void bm_set_anticipated_count(struct bm_map *map, uint64_t n_keys)
{
        uint64_t n_buckets = UINT64_C(1) << map->buckets_log2;
        for (uint64_t i = 0; i < n_buckets; i++)
                atomic_store(&map->buckets[i].index.anticipated,
                             (n_keys + n_buckets - 1) / n_buckets);
}
