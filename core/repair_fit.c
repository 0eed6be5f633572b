/* SPDX-License-Identifier: MIT */
/*
 * What does not fit together any more, now that something is lost: large
 * values without some of their chunks or patches, chunks without their value, names that
 * lead nowhere, records and maps without a name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "base/le.h"
#include "hash.h"
#include "large.h"
#include "patch.h"
#include "repair_private.h"
#include "store.h"

/* One pass over all maps gathers what another needs. */
struct bm_repair_fit {
        struct bm_id_set heads, dropped, reached, headless;
        struct bm_counts names; /* of records that are kept by their ids */
};

static struct bm_misfit misfit_of(int what, struct bm_map *map, const struct bm_record *r)
{
        struct bm_misfit m = {.what = what, .map_id = map->id, .record_id = r->record_id};
        m.key_len = r->key_len;
        memcpy(m.key, r->key, r->key_len);
        return m;
}

static int found_chunk(struct bm_store *store, uint64_t data_id, uint64_t chunk,
                       struct bm_found *found)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_target t;
        bm_chunk_key(data_id, chunk, key);
        int r = bm_target_init(&t, store->chunks, key, sizeof(key));
        return r == 0 ? bm_target_find(&t, found) : r;
}

static bool is_lost_chunk(const struct bm_repair *rp, uint64_t data_id, uint64_t chunk)
{
        uint8_t key[BM_CHUNK_KEY];
        bm_chunk_key(data_id, chunk, key);
        const uint64_t hash =
                bm_hash_key(rp->store->drives.superblock.hash_secret, key, sizeof(key));
        for (size_t i = 0; i < rp->salvage->n; i++) {
                const struct bm_loss *l = &rp->salvage->losses[i];
                if (l->map_id == BM_MAP_CHUNKS && ((l->hash ^ hash) & l->mask) == 0)
                        return true;
        }
        return false;
}

static void lose(struct bm_misfit *m, const struct bm_head *head, uint64_t from, uint64_t len)
{
        if (m->lost == 0)
                m->lost_from = from;
        m->lost += len;
        m->lost_to = bm_min_u64(head->size, from + len);
}

/* What of a chunk that is there was in patches that are not. */
static int lose_pieces(struct bm_repair *rp, struct bm_misfit *m, const struct bm_head *head,
                       uint64_t chunk, const struct bm_found *found)
{
        uint32_t lost = 0;
        int r = bm_repair_lost_pieces(rp, found, head->data_id, chunk, &lost);
        for (unsigned i = 0; i < BM_CHUNK_PIECES && r == 0; i++) {
                const uint64_t from = (chunk << BM_CHUNK_LOG2) + ((uint64_t)i << BM_PATCH_LOG2);
                if (lost & bm_piece_bit(i) && from < head->size &&
                    bm_head_has(head, chunk, bm_chunk_generation(&found->record)))
                        lose(m, head, from, BM_PATCH);
        }
        return r;
}

/*
 * The lost bytes of a large value. A chunk whose slot was there is known to be
 * lost; where the index was made anew, or the log has a hole, what the head
 * says to be allocated and is not there may be.
 */
static int look_at_head(struct bm_repair *rp, struct bm_map *map, const struct bm_record *r)
{
        const struct bm_salvage *sv = rp->salvage;
        struct bm_misfit m = misfit_of(BM_HOLED, map, r);
        struct bm_head head;
        uint64_t there = 0;
        if (bm_head_decode(&head, r->value, r->value_len) != 0)
                return 0;
        int result = bm_id_set_add(&rp->fit->heads, head.data_id);
        const uint64_t n = bm_head_chunks(&head);
        if (result < 0 || !sv->data_damaged)
                return result < 0 ? result : 0;
        for (uint64_t i = 0; i < n; i++) {
                struct bm_found found;
                result = found_chunk(rp->store, head.data_id, i, &found);
                if (result < 0)
                        return result;
                if (found.there) {
                        there += bm_chunk_len(&found.record);
                        result = lose_pieces(rp, &m, &head, i, &found);
                        if (result < 0)
                                return result;
                        continue;
                }
                /* what was allocated beyond the end is zeros */
                if (sv->n == 0 || i << BM_CHUNK_LOG2 >= head.size ||
                    !is_lost_chunk(rp, head.data_id, i))
                        continue;
                lose(&m, &head, i << BM_CHUNK_LOG2, BM_CHUNK);
        }
        const bool may = (sv->rebuilt || sv->skipped) && there < head.allocated;
        if (m.lost == 0 && !may)
                return 0;
        if (m.lost == 0)
                m.lost = head.allocated - there;
        m.data_id = head.data_id;
        return bm_repair_add(rp, &m);
}

static int first_pass(struct bm_repair *rp, struct bm_map *map, const struct bm_record *r)
{
        struct bm_map_entry entry;
        struct bm_drop drop;
        int result = 0;
        if (r->type == BM_REC_HEAD)
                return look_at_head(rp, map, r);
        if (r->type == BM_REC_NAME)
                return bm_counts_add(&rp->fit->names, r->record_id);
        if (r->type == BM_REC_MAP && bm_map_entry_decode(&entry, r->value, r->value_len) == 0)
                result = bm_id_set_add(&rp->fit->reached, entry.map_id);
        else if (map->id == BM_MAP_DROPS && r->type == BM_REC_PUT &&
                 bm_drop_decode(&drop, r->key, r->key_len, r->value, r->value_len) == 0)
                result = bm_id_set_add(&rp->fit->dropped, drop.data_id);
        return result < 0 ? result : 0;
}

static int found_inode(struct bm_store *store, uint64_t record_id, struct bm_found *found)
{
        struct bm_target t;
        bm_target_init_id(&t, store->inodes, record_id);
        return bm_target_find(&t, found);
}

static int add_headless(struct bm_repair *rp, const struct bm_record *r, uint64_t data_id,
                        uint64_t chunk)
{
        const uint64_t end = (chunk << BM_CHUNK_LOG2) + bm_chunk_len(r);
        int added = bm_id_set_add(&rp->fit->headless, data_id);
        if (added < 0)
                return added;
        for (size_t i = rp->n; added == 0 && i-- > 0;) {
                struct bm_misfit *m = &rp->misfits[i];
                if (m->what != BM_HEADLESS || m->data_id != data_id)
                        continue;
                m->size = bm_max_u64(m->size, end);
                m->lost += bm_chunk_len(r);
                m->generation = (uint32_t)bm_max_u64(m->generation, bm_chunk_generation(r));
                return 0;
        }
        const struct bm_misfit m = {.what = BM_HEADLESS,
                                    .data_id = data_id,
                                    .size = end,
                                    .lost = bm_chunk_len(r),
                                    .generation = bm_chunk_generation(r)};
        return bm_repair_add(rp, &m);
}

static int second_pass(struct bm_repair *rp, struct bm_map *map, const struct bm_record *r)
{
        struct bm_found found;
        uint64_t data_id, chunk;
        int result = 0;
        if (r->type == BM_REC_NAME) {
                const struct bm_misfit m = misfit_of(BM_DANGLING, map, r);
                for (size_t i = 0; i < rp->n; i++) {
                        struct bm_misfit holed = rp->misfits[i];
                        if (holed.what != BM_HOLED || holed.map_id != BM_MAP_INODES ||
                            holed.record_id != r->record_id)
                                continue;
                        holed.map_id = m.map_id;
                        holed.key_len = m.key_len;
                        memcpy(holed.key, m.key, m.key_len);
                        return bm_repair_add(rp, &holed);
                }
                result = found_inode(rp->store, r->record_id, &found);
                return result != 0 || found.there ? result : bm_repair_add(rp, &m);
        }
        if (map->id == BM_MAP_INODES) {
                const uint64_t n = bm_counts_get(&rp->fit->names, r->record_id);
                struct bm_misfit m = misfit_of(n ? BM_MISCOUNTED : BM_NAMELESS, map, r);
                m.links = n ? (uint32_t)n : 1;
                return n == r->links && n > 0 ? 0 : bm_repair_add(rp, &m);
        }
        if (r->type == BM_REC_PATCH)
                return bm_repair_look_at_patch(rp, r);
        if (r->type == BM_REC_CHUNK) {
                result = bm_repair_look_at_chunk(rp, r);
                if (result != 0)
                        return result;
        }
        if (map->id != BM_MAP_CHUNKS || r->type != BM_REC_CHUNK ||
            bm_chunk_key_decode(r->key, r->key_len, &data_id, &chunk) != 0 ||
            bm_id_set_has(&rp->fit->heads, data_id) || bm_id_set_has(&rp->fit->dropped, data_id) ||
            chunk >= BM_VALUE_MAX >> BM_CHUNK_LOG2)
                return 0;
        return add_headless(rp, r, data_id, chunk);
}

static int unnamed_maps(struct bm_repair *rp)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&rp->store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                const struct bm_misfit m = {.what = BM_UNNAMED_MAP,
                                            .data_id = maps[i]->id,
                                            .links = maps[i]->buckets_log2};
                if (maps[i]->id >= BM_MAP_FIRST && !bm_id_set_has(&rp->fit->reached, maps[i]->id))
                        r = bm_repair_add(rp, &m);
        }
        bm_maps_list_free(&rp->store->maps, maps, n);
        return r;
}

int bm_repair_find_misfits(struct bm_repair *rp)
{
        struct bm_repair_fit f = {.heads = {0}};
        rp->fit = &f;
        bm_counts_init(&f.names);
        int r = bm_repair_each_map(rp, first_pass);
        if (r == 0)
                r = bm_repair_each_map(rp, second_pass);
        if (r == 0)
                r = unnamed_maps(rp);
        bm_id_set_deinit(&f.heads);
        bm_id_set_deinit(&f.dropped);
        bm_id_set_deinit(&f.reached);
        bm_id_set_deinit(&f.headless);
        bm_counts_deinit(&f.names);
        rp->fit = NULL;
        return r;
}
