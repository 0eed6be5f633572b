/* SPDX-License-Identifier: MIT */
/* The second half of a transaction (txn.h): what was decided is made complete, everything that
 * could fail is reserved, one frame is logged, and the indexes follow. */
#include <errno.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/le.h"
#include "pace.h"
#include "patch.h"
#include "store.h"
#include "txn.h"

/* What is logged as the key of a step, whose address no longer changes. */
static const uint8_t *key_of(struct bm_step *s)
{
        if (s->target.key)
                return s->target.key;
        bm_store_le64(s->key_bytes, s->target.by_record);
        return s->key_bytes;
}

/* Completes what a put record says of itself. */
static int complete_put(struct bm_txn *txn, struct bm_step *s)
{
        struct bm_record *n = &s->next;
        n->map_id = s->target.map->id;
        n->key = key_of(s);
        n->key_len = (uint8_t)s->target.key_len;
        if (s->target.map->id == BM_MAP_INODES) {
                n->flags |= BM_RECF_LINKS;
                if (n->links == 0) /* nothing was said of its names */
                        n->links = s->found.record.links;
        }
        if (n->meta_len)
                n->flags |= BM_RECF_META;
        if (s->moved)
                n->flags |= BM_RECF_MOVED;
        if (s->found.there) {
                n->disc = s->found.record.disc;
        } else {
                int disc = bm_found_free_disc(&s->target, &s->found);
                if (disc < 0)
                        return disc;
                n->disc = (uint8_t)disc;
                if (txn->store->stamp_times && bm_map_is_user(s->target.map)) {
                        n->flags |= BM_RECF_TIME;
                        n->time_ns = bm_now_ns();
                }
        }
        if (n->disc)
                n->flags |= BM_RECF_DISC;
        return 0;
}

static void complete_delete(struct bm_txn *txn, struct bm_step *s)
{
        const struct bm_record *was = &s->found.record;
        struct bm_map_entry entry;
        s->next = (struct bm_record){
                .type = BM_REC_DEL,
                .map_id = s->target.map->id,
                .record_id = was->record_id,
                .key = key_of(s),
                .key_len = (uint8_t)s->target.key_len,
        };
        /* a tombstone's count says what became of the record: FORMAT.md */
        if (s->moved)
                s->next.count = s->replaced_map ? s->replaced_map : 1;
        else if (was->type == BM_REC_MAP &&
                 bm_map_entry_decode(&entry, was->value, was->value_len) == 0)
                s->next.count = entry.map_id;
        if (txn->store->stamp_times && bm_map_is_user(s->target.map)) {
                s->next.flags |= BM_RECF_TIME;
                s->next.time_ns = bm_now_ns();
        }
}

static void complete_count(struct bm_step *s)
{
        bm_store_le64(s->key_bytes, s->target.hash);
        s->next = (struct bm_record){
                .type = BM_REC_COUNT,
                .map_id = s->target.map->id,
                .record_id = s->found.record.record_id,
                .count = s->next.count,
                .key = s->key_bytes,
                .key_len = sizeof(s->key_bytes),
        };
}

/* Takes a slot for each new key, so that nothing can fail once the frame is
 * logged. The slots mean nothing until they are set; nobody sees them before. */
static int reserve_slots(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if ((s->action != BM_ACT_PUT && s->action != BM_ACT_ADOPT) || s->found.there)
                        continue;
                struct bm_slot slot = {.kind = BM_SLOT_VALUE};
                struct bm_index *index = &s->target.bucket->index;
                int r = bm_index_insert(index, s->target.hash, &slot, &s->found.place,
                                        &txn->capacity);
                if (r == BM_E_INDEX_NO_SPACE)
                        txn->full = &s->target;
                if (r != 0)
                        return r;
                s->inserted = true;
        }
        return 0;
}

static void give_slots_back(struct bm_txn *txn)
{
        for (size_t i = txn->n_steps; i-- > 0;) {
                struct bm_step *s = &txn->steps[i];
                if (s->inserted)
                        bm_index_erase(&s->target.bucket->index, &s->found.place);
                s->inserted = false;
        }
}

/* Decodes what a step's map record names. False: the step puts no map. */
static bool puts_map(const struct bm_step *s, struct bm_map_entry *entry)
{
        return s->action == BM_ACT_PUT && s->next.type == BM_REC_MAP &&
               bm_map_entry_decode(entry, s->next.value, s->next.value_len) == 0;
}

/* Maps that the frame makes enter the table before it is logged: that may
 * fail. Those that it moves follow behind it: that cannot. */
static int enter_maps(struct bm_txn *txn, bool logged)
{
        struct bm_maps *maps = &txn->store->maps;
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                struct bm_map_entry entry;
                if (!puts_map(s, &entry) || (!logged && bm_maps_parent(maps, entry.map_id) != 0))
                        continue;
                int r = bm_maps_ensure(maps, entry.map_id, s->target.map->id, s->next.record_id,
                                       entry.buckets_log2, &s->entered);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void take_maps_back(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_map_entry entry;
                if (txn->steps[i].entered && puts_map(&txn->steps[i], &entry))
                        bm_maps_remove(&txn->store->maps, entry.map_id);
        }
}

/* Large counts get their place before the frame is logged, likewise. */
static int reserve_counts(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if ((s->action != BM_ACT_PUT && s->action != BM_ACT_COUNT) ||
                    s->next.count <= BM_SLOT_COUNT_MAX || s->next.type == BM_REC_CHUNK)
                        continue;
                int r = bm_counts_reserve(&txn->store->counts, s->next.record_id);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_step(struct bm_txn *txn, struct bm_step *s, const struct bm_location *w)
{
        uint64_t position = bm_pos(w->segment->header.number, w->offset);
        int r = bm_apply(txn->store, &s->target, &s->found, &s->next, w);
        /* one in place of another changes nothing there */
        if (s->target.map->id == BM_MAP_PATCHES && (s->inserted || s->action == BM_ACT_DELETE))
                r = r < 0 ? r : bm_patch_mark(txn->store, &s->next);
        if (s->action == BM_ACT_DELETE && s->target.map->id != BM_MAP_ORPHANS)
                bm_segment_count_tombstone(w->segment, w->length, position);
        if (s->action == BM_ACT_DELETE && s->next.count >= BM_MAP_FIRST)
                bm_maps_remove(&txn->store->maps, s->next.count);
        return r;
}

/* What a transaction comes to, apart from its records. */
struct commit {
        struct bm_record *records; /* to log, in the order of the steps */
        struct bm_location *where;
        size_t n;
        bool maps, moves, adopts; /* is there such a step? There rarely is. */
};

static int apply_all(struct bm_txn *txn, const struct commit *c)
{
        const struct bm_location *w = c->where;
        int r = 0;
        if (c->moves) /* before it shows: a walk of all keys that may have missed one wants to know
                       */
                atomic_fetch_add(&txn->store->n_moves, 1);
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if (s->action == BM_ACT_LOOK || s->action == BM_ACT_ADOPT)
                        continue;
                int one = apply_step(txn, s, w++);
                if (one < 0)
                        r = one;
        }
        /* after the deletions, which give up what is adopted here */
        for (size_t i = 0; c->adopts && i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if (s->action == BM_ACT_ADOPT && bm_apply_adopt(txn->store, &s->target, &s->found,
                                                                &txn->steps[s->from].found) < 0)
                        r = -ENOMEM;
        }
        return r;
}

/* 1: what the step does is logged, as s->next. */
static int complete(struct bm_txn *txn, struct bm_step *s)
{
        int r = 0;
        switch (s->action) {
        case BM_ACT_PUT:
                r = complete_put(txn, s);
                break;
        case BM_ACT_DELETE:
                complete_delete(txn, s);
                break;
        case BM_ACT_COUNT:
                complete_count(s);
                break;
        case BM_ACT_LOOK:
        case BM_ACT_ADOPT:
                return 0;
        }
        return r < 0 ? r : 1;
}

static int complete_all(struct bm_txn *txn, struct commit *c)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                int r = complete(txn, s);
                if (r < 0)
                        return r;
                c->moves |= s->moved;
                c->adopts |= s->action == BM_ACT_ADOPT;
                c->maps |= r && s->next.type == BM_REC_MAP;
                /* the one of a single step is logged from where it is */
                if (r && txn->n_steps > 1)
                        c->records[c->n] = s->next;
                c->n += (size_t)r;
        }
        if (txn->n_steps == 1)
                c->records = &txn->steps[0].next;
        return 0;
}

/* Locked. Everything that can fail comes before the frame. */
static int log_and_apply(struct bm_txn *txn, const struct commit *c)
{
        int r = reserve_slots(txn);
        if (r == 0)
                r = reserve_counts(txn);
        if (r == 0 && c->maps)
                r = enter_maps(txn, false);
        if (r == 0)
                r = bm_log_append(&txn->store->log, c->records, c->n, txn->claim, c->where,
                                  &txn->capacity);
        if (r != 0) {
                if (c->maps)
                        take_maps_back(txn);
                give_slots_back(txn);
                return r;
        }
        r = c->maps ? enter_maps(txn, true) : 0;
        return r < 0 ? r : apply_all(txn, c);
}

int bm_txn_commit(struct bm_txn *txn)
{
        struct bm_record few[bm_array_size(txn->few)];
        struct bm_location few_places[bm_array_size(txn->few)];
        struct commit c = {.records = few, .where = few_places};
        int r = 0;
        if (txn->n_steps > bm_array_size(few)) {
                c.records = calloc(txn->n_steps, sizeof(*c.records));
                c.where = calloc(txn->n_steps, sizeof(*c.where));
                if (!c.records || !c.where)
                        r = -ENOMEM;
        }
        if (r == 0)
                r = complete_all(txn, &c);
        if (r == 0 && c.n > 0)
                r = log_and_apply(txn, &c);
        if (r == 0 && bm_pace_is_set(txn->store) && txn->claim == BM_CLAIM_NONE && !txn->no_grow)
                bm_pace_charge(txn->store, c.where, c.n);
        if (txn->n_steps > bm_array_size(few)) {
                free(c.records);
                free(c.where);
        }
        return r;
}
