/* SPDX-License-Identifier: MIT */
/* What the records that cannot be read were: their keys, from what stands near or elsewhere. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "repair_private.h"
#include "store.h"

static int compare(const void *a, const void *b)
{
        const struct bm_loss *x = a, *y = b;
        if (x->map_id != y->map_id)
                return x->map_id < y->map_id ? -1 : 1;
        return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Any older record of the same key tells its name. */
static int take_name(struct bm_repair *rp, const struct bm_segment *s)
{
        struct bm_salvage *sv = rp->salvage;
        const uint64_t used = atomic_load(&s->used);
        struct bm_record r;
        for (uint64_t at = BM_SEGMENT_HEADER; at < used;) {
                if (bm_segment_record(s, at, &r) != 0) {
                        at = bm_salvage_next(s, at, used);
                        continue;
                }
                at += r.length;
                if (r.type == BM_REC_COUNT || r.key_len == 0)
                        continue;
                struct bm_map *map = bm_maps_get(&rp->store->maps, r.map_id);
                if (!map)
                        continue;
                const uint64_t mask = ~(UINT64_MAX >> (map->buckets_log2 + BM_TAG_BITS));
                bm_maps_put(&rp->store->maps, map);
                const struct bm_loss wanted = {
                        .map_id = r.map_id,
                        .hash = mask & bm_hash_key(rp->store->drives.superblock.hash_secret, r.key,
                                                   r.key_len)};
                struct bm_loss *loss = bsearch(&wanted, sv->losses, sv->n, sizeof(wanted), compare);
                if (loss && loss->key_len == 0 && !loss->change) {
                        loss->key_len = r.key_len;
                        memcpy(loss->key, r.key, r.key_len);
                }
        }
        return 0;
}

/* A key that a later record put again is none of the lost. */
static int is_back(struct bm_repair *rp, struct bm_loss *loss)
{
        struct bm_map *map = bm_maps_get(&rp->store->maps, loss->map_id);
        struct bm_target t;
        struct bm_found found;
        int r = map ? bm_target_init(&t, map, loss->key, loss->key_len) : -1;
        if (r == 0)
                r = bm_target_find(&t, &found);
        loss->back = r == 0 && found.there;
        bm_maps_put(&rp->store->maps, map);
        return r == -ENOMEM ? r : 0;
}

int bm_repair_losses(struct bm_repair *rp)
{
        struct bm_salvage *sv = rp->salvage;
        struct bm_segment *s;
        uint32_t file_id = 0;
        int r = 0;
        if (sv->n == 0)
                return 0;
        qsort(sv->losses, sv->n, sizeof(*sv->losses), compare);
        while (r == 0 && (s = bm_drives_pin_next(&rp->store->drives, &file_id))) {
                r = take_name(rp, s);
                bm_segment_unpin(s);
        }
        for (size_t i = 0; i < sv->n && r == 0; i++) {
                struct bm_loss *loss = &sv->losses[i];
                if (loss->key_len)
                        r = is_back(rp, loss);
                /* chunks are named by their values, drops and records of several names likewise */
                if (r == 0 && loss->change && loss->back)
                        bm_repair_say(rp, loss->map_id, loss->key, loss->key_len,
                                      "a change of it is lost: it may be an older value");
                if (r != 0 || loss->back || loss->map_id == BM_MAP_CHUNKS ||
                    loss->map_id == BM_MAP_PATCHES || loss->map_id == BM_MAP_DROPS ||
                    loss->map_id == BM_MAP_INODES)
                        continue;
                bm_repair_say(rp, loss->map_id, loss->key, loss->key_len,
                              loss->key_len ? "lost" : "a key is lost, and its name");
        }
        return r;
}
