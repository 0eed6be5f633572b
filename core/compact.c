/* SPDX-License-Identifier: MIT */
/* See compact.h: what lives in a segment is copied, and the index pointed there. */
#include "compact.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/le.h"
#include "compact_private.h"
#include "lookup.h"
#include "store.h"
#include "txn.h"

struct compaction {
        struct bm_store *store;
        struct bm_segment *victim;
        bool cannot_tell; /* what a record of the victim is about cannot be read */
        uint32_t witness; /* file id of a segment that had something dead, as last seen; or 0 */
};

/* Before a bucket is locked: to make a segment takes a while, and so does to fill a piece of it.
 * What is dead needs no room. */
static int make_room(struct compaction *c, const struct bm_record *record)
{
        const uint32_t room = record->length + 2 * BM_SEAL_ROOM;
        if (atomic_load(&c->victim->n_live) == 0)
                return 0;
        int r = bm_cold_room(c->store, room);
        if (r == 0)
                bm_segment_fill_to(c->store->cold, atomic_load(&c->store->cold->used) + room);
        return r;
}

struct at_place {
        uint32_t file_id, offset;
};

static int is_at(void *ctx, const struct bm_slot *slot)
{
        const struct at_place *p = ctx;
        return slot->file_id == p->file_id && slot->offset == p->offset;
}

/* Locked (exclusive). Copies what SLOT leads to and points it there. */
static int move_slot(struct compaction *c, struct bm_target *t, struct bm_place *place,
                     struct bm_slot *slot, struct bm_record *copy, struct bm_segment *from,
                     uint32_t old_length)
{
        struct bm_store *store = c->store;
        struct bm_location where;
        /* The last byte of the log: not below anything that was logged of this
         * record, its present count too, and below what will be, the next frame
         * included, for the bucket is locked. */
        store->copied_at = bm_log_tail(&store->log);
        copy->version = store->copied_at - 1;
        if (copy->type != BM_REC_CHUNK)
                copy->count = slot->count == BM_SLOT_COUNT_OVERFLOW
                                      ? bm_counts_get(&store->counts, copy->record_id)
                                      : slot->count;
        int r = bm_cold_append(store, copy, &where);
        if (r < 0)
                return r;
        slot->file_id = where.segment->header.file_id;
        slot->offset = where.offset;
        slot->length = where.length;
        bm_index_set(&t->bucket->index, place, slot);
        bm_segment_add_put(where.segment, where.length, copy->version);
        bm_segment_drop_live(from, old_length);
        bm_sum_add(store, t->stripe, BM_SUM_LIVE_BYTES, (uint64_t)where.length - old_length);
        return 0;
}

/* Moves the record at AT of the victim if TARGET's bucket still points there. */
static int move_if_alive(struct compaction *c, struct bm_target *t, const struct bm_record *record,
                         const struct bm_record *copy, uint32_t at, bool *alive)
{
        struct at_place here = {.file_id = c->victim->header.file_id, .offset = at};
        pthread_rwlock_t *lock = &c->store->stripes[t->stripe].lock;
        struct bm_record moved = *copy;
        struct bm_place place;
        struct bm_slot slot;
        int r = make_room(c, record);
        if (r < 0)
                return r;
        bm_stripe_lock(lock);
        r = bm_index_find(&t->bucket->index, t->hash, is_at, &here, &place, &slot);
        *alive = r == 0;
        if (r == 0 && !bm_record_value_verified(record)) /* of what is dead nobody looks at it */
                r = BM_E_DAMAGED;
        if (r == 0)
                r = move_slot(c, t, &place, &slot, &moved, c->victim, record->length);
        pthread_rwlock_unlock(lock);
        return r == BM_E_NOT_FOUND ? 0 : r;
}

static int compact_put(struct compaction *c, const struct bm_record *record, uint32_t at)
{
        struct bm_map *map = bm_maps_get(&c->store->maps, record->map_id);
        struct bm_target t;
        bool alive = false;
        int r = 0;
        if (map && map->id != BM_MAP_ORPHANS) {
                r = bm_target_init(&t, map, record->key, record->key_len);
                if (r == 0)
                        r = move_if_alive(c, &t, record, record, at, &alive);
        }
        bm_maps_put(&c->store->maps, map);
        if (r != 0 || alive)
                return r;
        /* a removed but open record is copied as what it is, so that nobody
         * ever takes it for its old key's */
        uint8_t key[8];
        struct bm_record copy = *record;
        bm_store_le64(key, record->record_id);
        copy.map_id = BM_MAP_ORPHANS;
        copy.flags &= (uint8_t)~BM_RECF_LINKS;
        copy.key = key;
        copy.key_len = sizeof(key);
        r = bm_target_init(&t, c->store->orphans, key, sizeof(key));
        return r < 0 ? r : move_if_alive(c, &t, record, &copy, at, &alive);
}

static uint64_t version_at(const struct bm_segment *s, const struct bm_record *record, uint32_t at)
{
        return record->flags & BM_RECF_VERSION ? record->version : bm_pos(s->header.number, at);
}

/*
 * A count that is still the record's, and newer than the record: the record is
 * copied with it, for without the index (both checkpoints lost) this count
 * would be the only trace.
 */
static int compact_count(struct compaction *c, const struct bm_record *record, uint32_t at)
{
        struct bm_map *map = bm_maps_get(&c->store->maps, record->map_id);
        struct bm_target t;
        struct bm_found found;
        if (!map)
                return 0;
        int r = bm_target_init_record(&t, map, bm_load_le64(record->key), record->record_id);
        pthread_rwlock_t *lock = &c->store->stripes[t.stripe].lock;
        bm_stripe_lock(lock);
        r = bm_target_find(&t, &found);
        c->cannot_tell = r == -EIO;
        if (r == 0 && found.there && found.count == record->count &&
            version_at(found.segment, &found.record, found.slot.offset) <
                    version_at(c->victim, record, at)) {
                struct bm_record copy = found.record;
                r = move_slot(c, &t, &found.place, &found.slot, &copy, found.segment,
                              found.record.length);
        }
        pthread_rwlock_unlock(lock);
        bm_maps_put(&c->store->maps, map);
        return r;
}

struct older {
        const struct bm_segment *victim;
        uint64_t version;
};

/* Its file id if it does, else 0. */
static int holds_older_dead(void *ctx, struct bm_segment *s)
{
        const struct older *o = ctx;
        const bool holds = s != o->victim && s->header.kind != BM_SEGMENT_INDEX &&
                           atomic_load(&s->lowest_version) < o->version &&
                           atomic_load(&s->n_puts) > atomic_load(&s->n_live);
        return holds ? (int)s->header.file_id : 0;
}

/* Whether any segment could hold what a tombstone hides. Most often it is the one of the last
 * tombstone; none is freed meanwhile, for that takes the checkpoint_lock. */
static bool hides_something(struct compaction *c, uint64_t version)
{
        struct older o = {.victim = c->victim, .version = version};
        struct bm_drives *d = &c->store->drives;
        struct bm_segment *last = c->witness ? bm_drives_segment(d, c->witness) : NULL;
        if (last && holds_older_dead(&o, last))
                return true;
        c->witness = (uint32_t)bm_drives_each(d, holds_older_dead, &o);
        return c->witness != 0;
}

/* A record that was removed and is still open counts as alive where it stands,
 * and yet must stay dead by its key once it is closed. */
static int is_orphan(struct bm_store *store, uint64_t record_id, bool *orphan)
{
        struct bm_read_lock lock;
        struct bm_target t;
        struct bm_found found;
        bm_target_init_id(&t, store->orphans, record_id);
        bm_read_lock(&lock, &t);
        int r = bm_target_find(&t, &found);
        *orphan = r == 0 && found.there;
        bm_read_unlock(&lock);
        return r;
}

/* A tombstone goes only when no segment that still has a file could hold what it hides. */
static int compact_tombstone(struct compaction *c, const struct bm_record *record, uint32_t at)
{
        const uint64_t version = version_at(c->victim, record, at);
        struct bm_record copy = *record;
        struct bm_location where;
        bool orphan = false;
        if (record->map_id == BM_MAP_ORPHANS)
                return 0;
        int r = is_orphan(c->store, record->record_id, &orphan);
        c->cannot_tell = r == -EIO;
        if (r < 0)
                return r;
        if (!orphan && !hides_something(c, version))
                return 0;
        copy.version = version;
        r = bm_cold_append(c->store, &copy, &where);
        if (r < 0)
                return r;
        bm_segment_count_tombstone(where.segment, where.length, version);
        if (version < atomic_load(&where.segment->lowest_version))
                atomic_store(&where.segment->lowest_version, version);
        return 0;
}

static int compact_record(struct compaction *c, const struct bm_record *record, uint32_t at)
{
        switch (record->type) {
        case BM_REC_PUT:
        case BM_REC_HEAD:
        case BM_REC_MAP:
        case BM_REC_CHUNK:
        case BM_REC_PATCH:
        case BM_REC_NAME:
                return compact_put(c, record, at);
        case BM_REC_COUNT:
                return compact_count(c, record, at);
        case BM_REC_DEL:
                return compact_tombstone(c, record, at);
        default:
                return 0;
        }
}

/* Damage is neither copied nor lost: the victim stays as it is. */
static void give_up(struct compaction *c, uint64_t at, int result)
{
        char place[4200];
        c->victim->unreadable = true;
        bm_store_log(c->store, BM_LOG_ERROR, "compaction leaves %s as it is: %s at byte %" PRIu64,
                     bm_drives_place(&c->store->drives, c->victim, place, sizeof(place)),
                     result == -EIO ? "I/O error" : "damaged record", at);
}

int bm_compact_segment(struct bm_store *store, struct bm_segment *victim)
{
        struct compaction c = {.store = store, .victim = victim};
        uint64_t used = atomic_load(&victim->used);
        for (uint64_t at = BM_SEGMENT_HEADER; at < used;) {
                struct bm_record record;
                int r = bm_segment_record_head(victim, at, &record);
                if (r != 0) {
                        give_up(&c, at, r);
                        return 0;
                }
                r = compact_record(&c, &record, (uint32_t)at);
                if (r == BM_E_DAMAGED ||
                    (r == -EIO && (c.cannot_tell || !bm_record_intact(&record)))) {
                        give_up(&c, at, r);
                        return 0;
                }
                if (r < 0)
                        return r;
                at += record.length;
        }
        atomic_fetch_add(&store->compacted_bytes, used);
        victim->emptied = true;
        return 0;
}

/* Everything, slot by slot: a segment that is damaged cannot be gone through. */

static bool is_new(const struct bm_segment *s, uint64_t log, uint64_t cold)
{
        return s->header.number >= (s->header.kind == BM_SEGMENT_LOG ? log : cold);
}

static int copy_slot(struct compaction *c, struct bm_map *map, struct bm_bucket *bucket,
                     const struct bm_known_slot *known, uint64_t log, uint64_t cold)
{
        struct at_place here = {.file_id = known->slot.file_id, .offset = known->slot.offset};
        struct bm_target t = {.map = map, .bucket = bucket};
        struct bm_place place;
        struct bm_slot slot;
        struct bm_record record;
        struct bm_segment *s;
        int r = bm_slot_record(c->store, &known->slot, NULL, BM_TRUST_NOTHING, &s, &record);
        if (r != 0 || is_new(s, log, cold))
                return r;
        r = bm_index_find(&bucket->index, known->hash, is_at, &here, &place, &slot);
        if (r == 0)
                r = move_slot(c, &t, &place, &slot, &record, s, record.length);
        return r == BM_E_NOT_FOUND ? -EIO : r;
}

static int copy_bucket(struct compaction *c, struct bm_map *map, size_t i, uint64_t log,
                       uint64_t cold)
{
        unsigned skip = map->buckets_log2;
        uint64_t hash = skip ? (uint64_t)i << (64 - skip) : 0;
        uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last;
        int r;
        do {
                struct bm_known_slot *slots;
                size_t n;
                r = bm_index_collect(&map->buckets[i].index, hash, &slots, &n, &last);
                if (r < 0)
                        return r;
                for (size_t k = 0; k < n && r == 0; k++)
                        r = copy_slot(c, map, &map->buckets[i], &slots[k], log, cold);
                free(slots);
                hash = last + 1;
        } while (r == 0 && last < end);
        return r;
}

int bm_compact_all(struct bm_store *store, uint64_t log, uint64_t cold)
{
        struct compaction c = {.store = store};
        struct bm_segment **segments;
        struct bm_map **maps;
        size_t n, n_segments;
        pthread_mutex_lock(&store->checkpoint_lock);
        int r = bm_maps_list(&store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                for (size_t k = 0; k < (size_t)1 << maps[i]->buckets_log2 && r == 0; k++)
                        r = copy_bucket(&c, maps[i], k, log, cold);
        }
        bm_maps_list_free(&store->maps, maps, n);
        if (r == 0)
                r = bm_drives_list(&store->drives, &segments, &n_segments);
        for (size_t i = 0; r == 0 && i < n_segments; i++) {
                struct bm_segment *s = segments[i];
                if (s->header.kind == BM_SEGMENT_INDEX || is_new(s, log, cold))
                        continue;
                s->emptied = true;
                atomic_store(&s->state, BM_SEGMENT_SEALED);
        }
        if (r == 0)
                free(segments);
        pthread_mutex_unlock(&store->checkpoint_lock);
        return r;
}
