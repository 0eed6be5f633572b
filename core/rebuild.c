/* SPDX-License-Identifier: MIT */
/*
 * Opening without any usable manifest: the index is made anew from all
 * records of all segments. Of each key the record or tombstone of the highest
 * version counts, of each record the last count behind it; the order in which
 * segments are read does not matter, and what compaction left in several
 * places is the same everywhere.
 *
 * Six walks: what is whole and which maps there are; all that puts
 * something; tombstones; counts in the records; counts behind them; patches. Then maps that no
 * entry names are dropped.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/le.h"
#include "patch.h"
#include "rebuild_private.h"
#include "recover.h"
#include "store.h"
#include "txn.h"

typedef int (*record_fn)(struct rebuild *rb, const struct bm_record *r,
                         const struct bm_location *where, uint64_t version);

static int walk_segment(struct rebuild *rb, struct bm_segment *s, record_fn fn)
{
        uint64_t used = atomic_load(&s->used);
        for (uint64_t at = BM_SEGMENT_HEADER; at < used;) {
                struct bm_record r;
                if (bm_segment_record(s, at, &r) != 0) {
                        if (!rb->store->read_only)
                                return BM_E_DAMAGED;
                        at = bm_salvage_next(s, at, used);
                        continue;
                }
                const struct bm_location where = {
                        .segment = s, .offset = (uint32_t)at, .length = r.length};
                uint64_t version = r.flags & BM_RECF_VERSION && r.type != BM_REC_SYNC
                                           ? r.version
                                           : bm_pos(s->header.number, at);
                int result = fn(rb, &r, &where, version);
                if (result == 0 && !bm_record_intact(&r))
                        result = -EIO;
                if (result != 0)
                        return result;
                at += r.length;
        }
        return 0;
}

static int walk(struct rebuild *rb, record_fn fn)
{
        int r = 0;
        for (size_t i = 0; i < rb->n && r == 0; i++)
                r = walk_segment(rb, rb->list[i], fn);
        return r;
}

static int take_maps(struct rebuild *rb, const struct bm_record *r, const struct bm_location *where,
                     uint64_t version)
{
        struct bm_map_entry entry;
        bm_replay_note_ids(rb->replay, r);
        if (bm_record_puts(r->type))
                bm_segment_count_put(where->segment, version);
        if (r->type == BM_REC_DEL && r->map_id != BM_MAP_ORPHANS)
                bm_segment_count_tombstone(where->segment, r->length, version);
        if (r->type != BM_REC_MAP || bm_map_entry_decode(&entry, r->value, r->value_len) != 0 ||
            entry.map_id < BM_MAP_FIRST)
                return 0;
        /* its parent is known once it is known which entry counts */
        return bm_maps_ensure(&rb->store->maps, entry.map_id, 0, 0, entry.buckets_log2, NULL);
}

/* The version that what is in the index has. */
static uint64_t version_of(const struct bm_found *found)
{
        return found->record.flags & BM_RECF_VERSION
                       ? found->record.version
                       : bm_pos(found->segment->header.number, found->slot.offset);
}

/* Finds the map and key of a record; false: nobody's any more. */
static int locate(struct rebuild *rb, const struct bm_record *r, struct bm_target *t,
                  struct bm_found *found, bool *known)
{
        struct bm_map *map = bm_maps_get(&rb->store->maps, r->map_id);
        int result;
        *known = map && map->id != BM_MAP_ORPHANS;
        if (*known && r->type == BM_REC_COUNT)
                result = bm_target_init_record(t, map, bm_load_le64(r->key), r->record_id);
        else if (*known)
                result = bm_target_init(t, map, r->key, r->key_len);
        else
                result = 0;
        /* one thread, and the table keeps the map */
        bm_maps_put(&rb->store->maps, map);
        return *known && result == 0 ? bm_target_find(t, found) : result;
}

/* 2 */
static int take_put(struct rebuild *rb, const struct bm_record *r, const struct bm_location *where,
                    uint64_t version)
{
        struct bm_target t;
        struct bm_found found;
        bool known;
        if (!bm_record_puts(r->type))
                return 0;
        int result = locate(rb, r, &t, &found, &known);
        if (result != 0 || !known || (found.there && version_of(&found) >= version))
                return result;
        /* maps are kept or dropped at the end, not with each entry on the way */
        struct bm_record record = *r;
        record.flags |= BM_RECF_MOVED;
        rb->replay->records++;
        return bm_replay_apply(rb->store, &t, &found, &record, where);
}

/* 3 */
static int take_tombstone(struct rebuild *rb, const struct bm_record *r,
                          const struct bm_location *where, uint64_t version)
{
        struct bm_target t;
        struct bm_found found;
        bool known;
        if (r->type != BM_REC_DEL)
                return 0;
        int result = locate(rb, r, &t, &found, &known);
        if (result != 0 || !known || !found.there || version_of(&found) > version)
                return result;
        return bm_replay_apply(rb->store, &t, &found, r, where);
}

/* 4: large counts are kept by record id alone, and an older record of the same
 * id under another key may have set it: that of the one that counts is set again. */
static int take_large_count(struct rebuild *rb, const struct bm_record *r,
                            const struct bm_location *where, uint64_t version)
{
        struct bm_target t;
        struct bm_found found;
        bool known;
        if (!bm_record_puts(r->type) || r->type == BM_REC_CHUNK || r->count <= BM_SLOT_COUNT_MAX)
                return 0;
        int result = locate(rb, r, &t, &found, &known);
        if (result != 0 || !known || !found.there || found.segment != where->segment ||
            found.slot.offset != where->offset)
                return result;
        return bm_counts_set(&rb->store->counts, r->record_id, r->count);
}

/* 5: the log in order, so that the last one stays. */
static int take_count(struct rebuild *rb, const struct bm_record *r,
                      const struct bm_location *where, uint64_t version)
{
        struct bm_target t;
        struct bm_found found;
        bool known;
        if (r->type != BM_REC_COUNT)
                return 0;
        int result = locate(rb, r, &t, &found, &known);
        if (result != 0 || !known || !found.there || version_of(&found) > version)
                return result;
        return bm_replay_apply(rb->store, &t, &found, r, where);
}

/* 6: patches that count show in their chunks. */
static int take_patch(struct rebuild *rb, const struct bm_record *r,
                      const struct bm_location *where, uint64_t version)
{
        struct bm_target t;
        struct bm_found found;
        bool known;
        if (r->type != BM_REC_PATCH)
                return 0;
        int result = locate(rb, r, &t, &found, &known);
        return result == 0 && known && found.there ? bm_patch_mark(rb->store, r) : result;
}

/* Entries that count say whose child a map is. */
static int adopt_map(void *ctx, const struct bm_item *item)
{
        struct bm_map *parent = ctx;
        struct bm_store *store = parent->store;
        if (item->view.map_id == 0)
                return 0;
        return bm_maps_ensure(&store->maps, item->view.map_id, parent->id, item->view.record_id, 0,
                              NULL);
}

static int adopt_maps(struct bm_store *store)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                if (bm_map_is_user(maps[i]))
                        r = bm_keys(maps[i], adopt_map, maps[i]);
        }
        for (size_t i = 0; i < n && r == 0; i++) {
                /* with keys in it, its name is lost: a repair gives it another */
                if (store->salvage && !bm_map_is_empty(maps[i]))
                        continue;
                if (maps[i]->id >= BM_MAP_FIRST && bm_maps_parent(&store->maps, maps[i]->id) == 0)
                        bm_maps_remove(&store->maps, maps[i]->id);
        }
        bm_maps_list_free(&store->maps, maps, n);
        return r;
}

int bm_rebuild(struct bm_store *store, struct bm_replay *replay)
{
        struct rebuild rb = {.store = store, .replay = replay};
        int r = bm_rebuild_collect(&rb);
        if (r == 0)
                r = walk(&rb, take_maps);
        if (r == 0)
                r = walk(&rb, take_put);
        if (r == 0)
                r = walk(&rb, take_tombstone);
        if (r == 0)
                r = walk(&rb, take_large_count);
        if (r == 0)
                r = walk(&rb, take_count);
        if (r == 0)
                r = walk(&rb, take_patch);
        if (r == 0)
                r = adopt_maps(store);
        free(rb.list);
        free(rb.ends);
        return r;
}
