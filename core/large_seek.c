/* SPDX-License-Identifier: MIT */
/*
 * Where a value has data and where holes. The index alone answers that for
 * most chunks: no record is read, so a hole of a terabyte is a walk through
 * memory.
 */
#include <errno.h>

#include "base/intmath.h"
#include "large.h"
#include "lookup.h"
#include "patch.h"
#include "store.h"
#include "view.h"

/* A value as it was a moment ago. */
struct extent {
        bool large;
        uint64_t size;
        struct bm_head head;
};

static int look(const struct bm_ref *ref, struct extent *e)
{
        struct bm_view view;
        struct bm_target target;
        struct bm_lookup lookup;
        int r = bm_target_init(&target, ref->map, ref->key, ref->key_len);
        target.trust = BM_TRUST_VALUE;
        if (r == 0)
                r = bm_lookup(ref, &target, NULL, 0, &lookup);
        if (r != 0)
                return r;
        const struct bm_record *record = &lookup.found.record;
        r = bm_view_init(&view, &lookup.found);
        if (r == 0 && view.map_id)
                r = BM_E_IS_MAP;
        if (r == 0) {
                *e = (struct extent){.large = view.large, .size = view.size};
                if (view.large && bm_head_decode(&e->head, record->value, record->value_len) != 0)
                        r = -EIO;
                if (!bm_record_intact(record))
                        r = -EIO;
        }
        bm_read_unlock(&lookup.lock);
        return r;
}

struct probe {
        const struct bm_target *target;
        const struct bm_head *head;
        uint64_t chunk;
};

/* By the slot's tag: one in millions is another's, and makes a hole count as data. */
static int match(void *ctx, const struct bm_slot *slot)
{
        const struct probe *p = ctx;
        struct bm_segment *segment;
        struct bm_record record;
        if (slot->kind != BM_SLOT_CHUNK)
                return 0;
        /* what no cut hits is alive; else the generation in the record tells */
        if (bm_head_has(p->head, p->chunk, 0))
                return 1;
        int r = bm_slot_record(p->target->map->store, slot, p->target, BM_TRUST_VALUE, &segment,
                               &record);
        if (r < 0)
                return r;
        return bm_head_has(p->head, p->chunk, bm_chunk_generation(&record));
}

/* Whether the chunk is there. */
static int has_chunk(struct bm_store *store, const struct bm_head *head, uint64_t chunk, bool *has)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_read_lock lock;
        struct bm_target target;
        struct probe probe = {.target = &target, .head = head, .chunk = chunk};
        struct bm_place place;
        struct bm_slot slot;
        bm_chunk_key(head->data_id, chunk, key);
        int r = bm_target_init(&target, store->chunks, key, sizeof(key));
        if (r < 0)
                return r;
        bm_read_lock(&lock, &target);
        r = bm_index_find(&target.bucket->index, target.hash, match, &probe, &place, &slot);
        bm_read_unlock(&lock);
        *has = r == 0;
        return r == BM_E_NOT_FOUND ? 0 : r;
}

/* The first chunk from CHUNK on, below END, that is there, or is not; END if there is none. */
static int find_chunk(struct bm_store *store, const struct bm_head *head, uint64_t chunk,
                      uint64_t end, bool want, uint64_t *found)
{
        int r = 0;
        bool has = !want;
        /* all or nothing is known without a look */
        if (want && head->allocated == 0)
                chunk = end;
        else if (!want && head->allocated >= head->size && !head->reach_log2)
                chunk = end;
        for (; chunk < end; chunk++) {
                r = has_chunk(store, head, chunk, &has);
                if (r != 0 || has == want)
                        break;
                if (atomic_load_explicit(&store->closing, memory_order_relaxed))
                        return -EINTR;
        }
        *found = chunk;
        return r;
}

static int seek(const struct bm_ref *ref, uint64_t offset, bool want_data, uint64_t *found)
{
        struct extent e, after;
        uint64_t chunk, end;
        int r = look(ref, &e);
        for (;;) {
                if (r != 0)
                        return r;
                if (offset >= e.size)
                        return -ENXIO;
                if (!e.large) {
                        *found = want_data ? offset : e.size;
                        return 0;
                }
                end = bm_div_up(e.size, BM_CHUNK);
                r = find_chunk(ref->map->store, &e.head, offset >> BM_CHUNK_LOG2, end, want_data,
                               &chunk);
                if (r == 0)
                        r = look(ref, &after);
                /* the chunks of a value that was replaced meanwhile are gone */
                if (r == 0 && after.large && after.head.data_id == e.head.data_id)
                        break;
                e = after;
        }
        if (want_data && chunk == end)
                return -ENXIO;
        *found = bm_min_u64(bm_max_u64(offset, chunk << BM_CHUNK_LOG2), e.size);
        return 0;
}

int bm_seek_data(const struct bm_ref *ref, uint64_t offset, uint64_t *found)
{
        return seek(ref, offset, true, found);
}

int bm_seek_hole(const struct bm_ref *ref, uint64_t offset, uint64_t *found)
{
        return seek(ref, offset, false, found);
}
