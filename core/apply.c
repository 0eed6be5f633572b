/* SPDX-License-Identifier: MIT */
/* What a log record means for index, counters and maps: for commits and for replay alike. */
#include <errno.h>

#include "base/le.h"
#include "patch.h"
#include "store.h"
#include "txn.h"

/* Room that a slot gives to the length; a longer record says it itself. */
static uint32_t slot_length(struct bm_found *found)
{
        return found->slot.length ? found->slot.length : found->record.length;
}

static void add_totals(const struct bm_target *t, int64_t keys, int64_t maps, int64_t bytes)
{
        struct bm_map *map = t->map;
        struct bm_store *store = map->store;
        bm_figure_add(&t->bucket->n_maps, (uint64_t)maps);
        bm_figure_add(&t->bucket->value_bytes, (uint64_t)bytes);
        if (bm_index_is_copied(&t->bucket->index, t->hash)) {
                t->bucket->late_maps += (uint64_t)maps;
                t->bucket->late_bytes += (uint64_t)bytes;
        }
        if (bm_map_has_values(map))
                bm_sum_add(store, t->stripe, BM_SUM_VALUE_BYTES, (uint64_t)bytes);
        if (bm_map_is_user(map))
                bm_sum_add(store, t->stripe, BM_SUM_KEYS, (uint64_t)(keys - maps));
}

static void drop_old(struct bm_store *store, const struct bm_target *t, struct bm_found *found)
{
        if (!found->there)
                return;
        uint32_t length = slot_length(found);
        bm_segment_drop_live(found->segment, length);
        bm_sum_add(store, t->stripe, BM_SUM_LIVE_BYTES, UINT64_C(0) - length);
}

static int set_count(struct bm_store *store, uint64_t record_id, uint64_t count,
                     struct bm_slot *slot)
{
        if (count <= BM_SLOT_COUNT_MAX) {
                if (slot->count == BM_SLOT_COUNT_OVERFLOW)
                        bm_counts_drop(&store->counts, record_id);
                slot->count = (uint32_t)count;
                return 0;
        }
        int r = bm_counts_set(&store->counts, record_id, count);
        if (r == 0)
                slot->count = BM_SLOT_COUNT_OVERFLOW;
        return r;
}

/* A map whose entry is replaced is gone, unless it moved. */
static void drop_replaced_map(struct bm_store *store, struct bm_found *found,
                              const struct bm_record *record)
{
        struct bm_map_entry was, is;
        if (!found->there || found->record.type != BM_REC_MAP || record->flags & BM_RECF_MOVED ||
            bm_map_entry_decode(&was, found->record.value, found->record.value_len) != 0)
                return;
        if (record->type == BM_REC_MAP &&
            bm_map_entry_decode(&is, record->value, record->value_len) == 0 &&
            is.map_id == was.map_id)
                return;
        bm_maps_remove(&store->maps, was.map_id);
}

static int apply_put(struct bm_store *store, const struct bm_target *t, struct bm_found *found,
                     const struct bm_record *record, const struct bm_location *where)
{
        struct bm_slot slot = {
                .file_id = where->segment->header.file_id,
                .offset = where->offset,
                .length = where->length,
                .kind = bm_record_slot_kind(record->type),
                .count = found->there ? found->slot.count : 0,
        };
        bool is_map = record->type == BM_REC_MAP;
        bool was_map = found->there && found->record.type == BM_REC_MAP;
        int64_t old_bytes = found->there ? (int64_t)bm_record_value_size(&found->record) : 0;
        int64_t bytes = (int64_t)bm_record_value_size(record) - old_bytes;
        /* a chunk's count is its generation, which is read from the record */
        uint64_t count = record->type == BM_REC_CHUNK ? bm_chunk_needs(record) : record->count;
        int r = 0;
        if (found->there && found->record.record_id != record->record_id) {
                /* an exchanged record's count was set a moment ago, under its new key */
                if (slot.count == BM_SLOT_COUNT_OVERFLOW && !(record->flags & BM_RECF_MOVED))
                        bm_counts_drop(&store->counts, found->record.record_id);
                slot.count = 0;
        }
        if (record->type == BM_REC_NAME) /* the count is with the record that it names */
                slot.count = 0;
        else
                r = set_count(store, record->record_id, count, &slot);
        if (r < 0)
                return r;
        drop_replaced_map(store, found, record);
        drop_old(store, t, found);
        bm_sum_add(store, t->stripe, BM_SUM_LIVE_BYTES, where->length);
        bm_index_set(&t->bucket->index, &found->place, &slot);
        bm_watch_put(&store->watch, record);
        add_totals(t, !found->there, is_map - was_map, bytes);
        return 0;
}

static int apply_delete(struct bm_store *store, const struct bm_target *t, struct bm_found *found,
                        const struct bm_record *record)
{
        if (!found->there)
                return 0;
        if (found->slot.count == BM_SLOT_COUNT_OVERFLOW && record->count != 1)
                bm_counts_drop(&store->counts, found->record.record_id);
        drop_old(store, t, found);
        bm_index_erase(&t->bucket->index, &found->place);
        add_totals(t, -1, -(found->record.type == BM_REC_MAP),
                   -(int64_t)bm_record_value_size(&found->record));
        return 0;
}

int bm_apply_adopt(struct bm_store *store, const struct bm_target *t, struct bm_found *found,
                   const struct bm_found *from)
{
        bm_index_set(&t->bucket->index, &found->place, &from->slot);
        bm_segment_add_live(from->segment, from->record.length);
        bm_sum_add(store, t->stripe, BM_SUM_LIVE_BYTES, from->record.length);
        add_totals(t, 1, 0, (int64_t)bm_record_value_size(&from->record));
        return from->slot.count == BM_SLOT_COUNT_OVERFLOW
                       ? bm_counts_set(&store->counts, from->record.record_id, from->count)
                       : 0;
}

static int apply_count(struct bm_store *store, const struct bm_target *t, struct bm_found *found,
                       const struct bm_record *record)
{
        struct bm_slot slot = found->slot;
        if (!found->there || found->record.record_id != record->record_id)
                return 0;
        int r = set_count(store, record->record_id, record->count, &slot);
        if (r == 0)
                bm_index_set(&t->bucket->index, &found->place, &slot);
        return r;
}

int bm_apply(struct bm_store *store, const struct bm_target *t, struct bm_found *found,
             const struct bm_record *record, const struct bm_location *where)
{
        int r;
        switch (record->type) {
        case BM_REC_PUT:
        case BM_REC_HEAD:
        case BM_REC_MAP:
        case BM_REC_CHUNK:
        case BM_REC_PATCH:
        case BM_REC_NAME:
                r = apply_put(store, t, found, record, where);
                break;
        case BM_REC_DEL:
                r = apply_delete(store, t, found, record);
                break;
        case BM_REC_COUNT:
                r = apply_count(store, t, found, record);
                break;
        default:
                r = 0;
                break;
        }
        if (r == 0 && record->flags & BM_RECF_TIME)
                atomic_store(&t->map->changed_ns, record->time_ns);
        return r;
}
