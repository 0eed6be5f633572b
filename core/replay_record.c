/* SPDX-License-Identifier: MIT */
/* Replay: what one record does, in an index that has it already or has it not. */
#include <errno.h>

#include "base/le.h"
#include "error.h"
#include "patch.h"
#include "recover.h"
#include "store.h"
#include "txn.h"

static void raise_id(uint64_t *next, uint64_t seen)
{
        if (seen >= *next)
                *next = seen + 1;
}

void bm_replay_note_ids(struct bm_replay *rp, const struct bm_record *r)
{
        struct bm_map_entry entry;
        struct bm_head head;
        if (r->map_id == BM_MAP_CHUNKS || r->map_id == BM_MAP_DROPS || r->map_id == BM_MAP_PATCHES)
                raise_id(&rp->next_data, r->record_id);
        else
                raise_id(&rp->next_record, r->record_id);
        if (r->type == BM_REC_MAP && bm_map_entry_decode(&entry, r->value, r->value_len) == 0)
                raise_id(&rp->next_map, entry.map_id);
        if (r->type == BM_REC_HEAD && bm_head_decode(&head, r->value, r->value_len) == 0)
                raise_id(&rp->next_data, head.data_id);
}

/* Maps come and go with their entries, also where the index has them already. */
static int replay_maps(struct bm_store *store, const struct bm_record *r)
{
        struct bm_map_entry entry;
        if (r->type == BM_REC_MAP && bm_map_entry_decode(&entry, r->value, r->value_len) == 0)
                return bm_maps_ensure(&store->maps, entry.map_id, r->map_id, r->record_id,
                                      entry.buckets_log2, NULL);
        if (r->type == BM_REC_DEL && r->count >= BM_MAP_FIRST)
                bm_maps_remove(&store->maps, r->count);
        return 0;
}

/* A slot for a key that the index does not have, growing as insert would. */
static int make_slot(struct bm_target *t, struct bm_found *found)
{
        struct bm_index *ix = &t->bucket->index;
        struct bm_slot slot = {.kind = BM_SLOT_VALUE};
        uint64_t capacity;
        int r;
        while ((r = bm_index_insert(ix, t->hash, &slot, &found->place, &capacity)) ==
               BM_E_INDEX_NO_SPACE) {
                r = bm_index_grow(ix, t->hash, capacity);
                if (r != 0)
                        return r;
                handle_delayed_grows(ix);
        }
        return r;
}

int bm_replay_apply(struct bm_store *store, struct bm_target *t, struct bm_found *found,
                    const struct bm_record *record, const struct bm_location *where)
{
        int r = !found->there && bm_record_puts(record->type) ? make_slot(t, found) : 0;
        return r != 0 ? r : bm_apply(store, t, found, record, where);
}

/* Whether the part of the index where TARGET belongs has what stands at POSITION of the log. */
static int includes(const struct bm_target *target, uint64_t position, bool *there)
{
        uint64_t applied = target->bucket->applied;
        int r = 0;
        if (position >= applied)
                r = bm_index_applied(&target->bucket->index, target->hash, &applied);
        *there = position < applied;
        return r;
}

int bm_replay_unreadable(struct bm_store *store)
{
        bm_problem_set("a part of the index, or a record that it leads to, cannot be read");
        if (!store->read_only)
                return BM_E_DAMAGED;
        bm_store_note_damage(store);
        return 0;
}

/* The part of the index with a patch's chunk may include more than that with the patch, or less. */
static int replay_mark(struct bm_store *store, const struct bm_record *r, uint64_t position)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_target chunk;
        uint32_t bit;
        bool there = false;
        if (r->key_len != BM_CHUNK_KEY)
                return BM_E_DAMAGED;
        int result = bm_patch_chunk(store, r->key, &chunk, key, &bit);
        if (result == 0)
                result = includes(&chunk, position, &there);
        return result == 0 && !there ? bm_patch_mark(store, r) : result;
}

int bm_replay_record(struct bm_store *store, struct bm_replay *replay, const struct bm_record *r,
                     const struct bm_location *where)
{
        uint64_t position = bm_pos(where->segment->header.number, where->offset);
        struct bm_target target;
        struct bm_found found;
        bool there = false;
        bm_replay_note_ids(replay, r);
        int result = replay_maps(store, r);
        if (result != 0 || r->type == BM_REC_PAD || r->map_id == BM_MAP_ORPHANS)
                return result;
        struct bm_map *map = bm_maps_get(&store->maps, r->map_id);
        if (!map) /* of a map that is gone */
                return 0;
        if (r->type == BM_REC_COUNT)
                result = r->key_len == 8 ? bm_target_init_record(&target, map, bm_load_le64(r->key),
                                                                 r->record_id)
                                         : BM_E_DAMAGED;
        else
                result = bm_target_init(&target, map, r->key, r->key_len);
        if (result == 0)
                result = includes(&target, position, &there);
        if (result == 0 && there && r->flags & BM_RECF_TIME)
                atomic_store(&map->changed_ns, r->time_ns);
        if (result != 0 || there)
                goto out;
        result = bm_target_find(&target, &found);
        if (result == 0)
                result = bm_replay_apply(store, &target, &found, r, where);
out:
        if (result == 0 && map->id == BM_MAP_PATCHES)
                result = replay_mark(store, r, position);
        bm_maps_put(&store->maps, map);
        return result == -EIO      ? bm_replay_unreadable(store)
               : result == -EINVAL ? BM_E_DAMAGED
                                   : result;
}
