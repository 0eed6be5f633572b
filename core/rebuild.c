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
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "base/le.h"
#include "error.h"
#include "patch.h"
#include "recover.h"
#include "store.h"
#include "txn.h"

struct rebuild {
        struct bm_store *store;
        struct bm_replay *replay;
        struct bm_segment **list; /* data segments, log ones by ascending number */
        uint64_t *ends;           /* of the same, bytes: behind the last record but a seal */
        size_t n, n_log;
        uint64_t told; /* the highest position of which the log says that it was durable */
};

typedef int (*record_fn)(struct rebuild *rb, const struct bm_record *r,
                         const struct bm_location *where, uint64_t version);

static int compare_segments(const void *a, const void *b)
{
        const struct bm_segment_header *x = &(*(struct bm_segment *const *)a)->header;
        const struct bm_segment_header *y = &(*(struct bm_segment *const *)b)->header;
        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return (x->number > y->number) - (x->number < y->number);
}

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

/* 1: the whole frames of a segment. Behind a seal stands what an earlier
 * recovery discarded. *SEALED: there was one. */
static int measure(struct rebuild *rb, struct bm_segment *s, bool *sealed, uint64_t *end)
{
        uint64_t at = BM_SEGMENT_HEADER, whole = at;
        struct bm_record r;
        int result = 0;
        *sealed = false;
        while (!*sealed && (result = bm_segment_record(s, at, &r)) == 0) {
                *sealed = r.type == BM_REC_SEAL;
                if (r.type == BM_REC_SYNC && r.version > rb->told)
                        rb->told = r.version;
                if (*sealed)
                        *end = at;
                at += r.length;
                if (!r.more)
                        whole = at;
        }
        if (result == -EIO) { /* no end, but something that the medium does not give */
                bm_problem_set("byte %" PRIu64 " of segment %08" PRIx32 " cannot be read", at,
                               s->header.file_id);
                return result;
        }
        if (!*sealed)
                *end = whole;
        atomic_store(&s->used, whole);
        atomic_store(&s->synced, 0);
        atomic_store(&s->n_puts, 0);
        atomic_store(&s->kept_bytes, 0);
        atomic_store(&s->kept_version, 0);
        atomic_store(&s->lowest_version, UINT64_MAX);
        atomic_store(&s->state, BM_SEGMENT_SEALED);
        s->left_open = s->header.kind == BM_SEGMENT_COLD;
        return 0;
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

/* Whether the log, as it is, ever was as long as VERSION says. */
static bool was_logged(const struct rebuild *rb, uint64_t version)
{
        for (size_t i = 0; i < rb->n_log; i++) {
                if (rb->list[i]->header.number == bm_pos_number(version))
                        return bm_pos_offset(version) <= rb->ends[i];
        }
        return version <= rb->replay->end; /* in a segment that is gone */
}

/*
 * A copy that compaction made of what the log lost, in this crash or an
 * earlier one: no manifest can have named it, for each syncs the log first, so
 * what it is a copy of still stands where it was. From there on the segment is
 * not used.
 */
static void cut_cold(struct rebuild *rb, struct bm_segment *s)
{
        uint64_t used = atomic_load(&s->used), at = BM_SEGMENT_HEADER;
        struct bm_record r;
        while (at < used) {
                if (bm_segment_record(s, at, &r) != 0)
                        at = bm_salvage_next(s, at, used);
                else if (was_logged(rb, r.version))
                        at += r.length;
                else
                        break;
        }
        atomic_store(&s->used, at);
}

/*
 * For a repair: what was durable counts, with holes in it. The last segment
 * that has any of it; those before it to the last record that is whole, that
 * one to the last before the durable end and what follows without a hole.
 */
static size_t last_durable(struct rebuild *rb, size_t n_log, size_t last)
{
        struct bm_salvage *sv = rb->store->salvage;
        struct bm_replay *replay = rb->replay;
        uint64_t epoch = rb->list[last]->header.epoch;
        sv->rebuilt = true;
        if (bm_replay_look_beyond(rb->store, replay) != 0 || replay->end >= replay->durable)
                return last;
        sv->skipped = sv->data_damaged = true;
        while (last + 1 < n_log &&
               rb->list[last + 1]->header.number <= bm_pos_number(replay->durable) &&
               rb->list[last + 1]->header.epoch < epoch + BM_SALVAGE_EPOCHS)
                last++;
        for (size_t i = 0; i <= last; i++) {
                struct bm_segment *s = rb->list[i];
                uint64_t at = atomic_load(&s->used);
                while (at < s->size &&
                       (i < last || bm_pos(s->header.number, at) < replay->durable)) {
                        struct bm_record r;
                        (void)!bm_salvage_note(rb->store, s, at); /* for want of memory unnamed */
                        at = bm_salvage_next(s, at, s->size);
                        while (at < s->size && bm_segment_record(s, at, &r) == 0) {
                                at += r.length;
                                atomic_store(&s->used, at);
                                rb->ends[i] = at;
                        }
                }
        }
        replay->end = bm_pos(rb->list[last]->header.number, atomic_load(&rb->list[last]->used));
        return last;
}

/*
 * Whether the log went on from segment I of the list to the next. Between them there may be some
 * that were emptied and removed. Others are missing because no sync came to them: the log does not
 * say then that it was durable up to the last of them.
 */
static bool goes_on(const struct rebuild *rb, size_t i)
{
        uint64_t next = rb->list[i + 1]->header.number;
        return next == rb->list[i]->header.number + 1 ||
               rb->told >= bm_pos(next - 1, BM_SEGMENT_HEADER);
}

/*
 * Where the log ended: behind what is whole in the first segment without a
 * seal. Later ones were made ahead, or lost what led to them in a power cut;
 * they are left out, unless something says that more was durable.
 */
static int find_end(struct rebuild *rb, const bool *sealed)
{
        struct bm_replay *replay = rb->replay;
        size_t n_log = 0, last = 0;
        for (; n_log < rb->n && rb->list[n_log]->header.kind == BM_SEGMENT_LOG; n_log++)
                rb->told = bm_max_u64(rb->told, rb->list[n_log]->header.durable);
        while (last + 1 < n_log && sealed[last] && goes_on(rb, last))
                last++;
        if (n_log == 0 && rb->n > 0 && rb->store->salvage) {
                /* copies are left, and no log to judge them by */
                rb->store->salvage->rebuilt = rb->store->salvage->skipped = true;
                replay->end = UINT64_MAX;
                return 0;
        }
        if (n_log == 0) {
                bm_problem_set("no manifest and no log");
                return BM_E_DAMAGED;
        }
        if (sealed[last] &&
            !rb->store->salvage) /* and leads to nothing: another seal takes the place of this */
                atomic_store(&rb->list[last]->used, rb->ends[last]);
        replay->end = bm_pos(rb->list[last]->header.number, atomic_load(&rb->list[last]->used));
        if (rb->store->salvage)
                last = last_durable(rb, n_log, last);
        rb->n_log = last + 1;
        memmove(rb->list + last + 1, rb->list + n_log, (rb->n - n_log) * sizeof(*rb->list));
        rb->n -= n_log - last - 1;
        int r = bm_replay_look_beyond(rb->store, replay);
        if (r == 0 && replay->end < replay->durable && !rb->store->salvage) {
                bm_problem_set("log segment number %" PRIu64 " is damaged at byte %" PRIu64,
                               bm_pos_number(replay->end), bm_pos_offset(replay->end));
                if (!rb->store->read_only)
                        return BM_E_DAMAGED;
                bm_store_note_damage(rb->store);
        }
        return r;
}

/* The data segments in order, and how much of each counts. */
static int collect(struct rebuild *rb)
{
        bool *sealed = NULL;
        size_t n, kept = 0;
        int r = bm_drives_list(&rb->store->drives, &rb->list, &n);
        if (r == 0) {
                sealed = calloc(n + 1, sizeof(*sealed));
                rb->ends = calloc(n + 1, sizeof(*rb->ends));
                r = sealed && rb->ends ? 0 : -ENOMEM;
        }
        for (size_t i = 0; i < n && r == 0; i++) {
                if (rb->list[i]->header.kind != BM_SEGMENT_INDEX)
                        rb->list[kept++] = rb->list[i];
        }
        rb->n = kept;
        if (r == 0 && kept > 0)
                qsort(rb->list, kept, sizeof(struct bm_segment *), compare_segments);
        const uint64_t durable = bm_rebuild_durable_copies(rb->store);
        for (size_t i = 0; i < kept && r == 0; i++) {
                r = measure(rb, rb->list[i], &sealed[i], &rb->ends[i]);
                if (r == 0 && rb->list[i]->header.kind == BM_SEGMENT_COLD)
                        r = bm_rebuild_measure_cold(rb->store, rb->list[i], durable);
        }
        if (r == 0)
                r = find_end(rb, sealed);
        for (size_t i = 0; i < rb->n && r == 0; i++) {
                if (rb->list[i]->header.kind == BM_SEGMENT_COLD)
                        cut_cold(rb, rb->list[i]);
        }
        free(sealed);
        return r;
}

int bm_rebuild(struct bm_store *store, struct bm_replay *replay)
{
        struct rebuild rb = {.store = store, .replay = replay};
        int r = collect(&rb);
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
