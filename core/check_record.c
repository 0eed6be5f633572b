/* SPDX-License-Identifier: MIT */
/*
 * One slot of a check, and the record that it leads to: slots are copied under
 * their bucket's lock and their segments pinned; then the records are verified
 * without it, for what stands in a segment never changes. What looks wrong is
 * looked at once more under the lock: the slot may have been given up, or a
 * map moved, in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_private.h"
#include "hash.h"
#include "store.h"

enum { PLACES_MAX = 1 << 20 }; /* of damaged records; further ones may be reported twice */

const char *bm_check_place_of(const struct bm_check_walk *w, const struct bm_check_slot *slot,
                              char *buf, size_t len)
{
        char where[4200];
        if (slot->segment)
                bm_drives_place(&w->check->store->drives, slot->segment, where, sizeof(where));
        else
                snprintf(where, sizeof(where), "segment %08" PRIx32 ", which is missing",
                         slot->known.slot.file_id);
        snprintf(buf, len, "byte %" PRIu32 " of %s", slot->known.slot.offset, where);
        return buf;
}

int bm_check_note_place(struct bm_checker *c, const struct bm_slot *slot)
{
        if (c->n_places == c->cap_places) {
                if (c->cap_places == PLACES_MAX)
                        return 0;
                size_t cap = c->cap_places ? c->cap_places * 2 : 64;
                struct bm_check_place *grown = realloc(c->places, cap * sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                c->places = grown;
                c->cap_places = cap;
        }
        c->places[c->n_places++] = (struct bm_check_place){
                .file_id = slot->file_id, .offset = slot->offset, .length = slot->length};
        return 0;
}

/* The key of a record whose checksum fails can be believed if it hashes to the slot. */
static bool guess_key(const struct bm_check_walk *w, const struct bm_check_slot *slot,
                      struct bm_record *record)
{
        const struct bm_segment *s = slot->segment;
        uint32_t offset = slot->known.slot.offset;
        if (!s || offset >= s->size ||
            bm_record_parse(record, s->base + offset, s->size - offset, s->header.base_time) != 0)
                return false;
        uint64_t hash = bm_hash_key(w->check->store->drives.superblock.hash_secret, record->key,
                                    record->key_len);
        return ((hash ^ slot->known.hash) & w->known_mask) == 0;
}

static void judge_value(const struct bm_check_walk *w, const struct bm_slot *slot,
                        struct bm_check_verdict *v)
{
        struct bm_store *store = w->check->store;
        const struct bm_record *r = &v->record;
        struct bm_map_entry entry;
        struct bm_head head;
        v->kind = BM_CHECK_STRUCTURE;
        v->bad = true;
        if (r->type == BM_REC_MAP && (bm_map_entry_decode(&entry, r->value, r->value_len) != 0 ||
                                      bm_maps_parent(&store->maps, entry.map_id) != w->map->id)) {
                v->what = "names a map that is not there";
                v->usable = false;
        } else if (r->type == BM_REC_HEAD && bm_head_decode(&head, r->value, r->value_len) != 0) {
                v->what = "its head makes no sense";
                v->usable = false;
        } else if (slot->count == BM_SLOT_COUNT_OVERFLOW &&
                   bm_counts_get(&store->counts, r->record_id) == 0) {
                v->what = "its reference count is lost";
        } else {
                v->bad = false;
        }
}

static struct bm_check_verdict judge(const struct bm_check_walk *w,
                                     const struct bm_check_slot *slot)
{
        const struct bm_slot *sl = &slot->known.slot;
        struct bm_check_verdict v = {.bad = true, .placed = true, .kind = BM_CHECK_RECORD};
        struct bm_record *r = &v.record;
        int result = slot->segment ? bm_segment_record(slot->segment, sl->offset, r) : 0;
        if (!slot->segment || result != 0) {
                bool guessed = guess_key(w, slot, r);
                if (!guessed)
                        r->key = NULL;
                v.what = !slot->segment   ? "its record is lost: it stood at"
                         : result == -EIO ? "its record cannot be read (I/O error):"
                         : guessed        ? "its record fails the checksum:"
                                          : "a record fails its checksum:";
                return v;
        }
        uint64_t hash =
                bm_hash_key(w->check->store->drives.superblock.hash_secret, r->key, r->key_len);
        if (r->map_id != w->map->id || ((hash ^ slot->known.hash) & w->known_mask) != 0 ||
            bm_record_slot_kind(r->type) != sl->kind) {
                v.kind = BM_CHECK_INDEX;
                v.what = "the index leads to another record, at";
                return v;
        }
        v.usable = true;
        if (sl->length && sl->length != r->length) {
                v.kind = BM_CHECK_INDEX;
                v.what = "the index has the wrong length of the record at";
                return v;
        }
        v.placed = false;
        judge_value(w, sl, &v);
        return v;
}

struct at_place {
        uint32_t file_id, offset;
};

static int is_at(void *ctx, const struct bm_slot *slot)
{
        const struct at_place *p = ctx;
        return slot->file_id == p->file_id && slot->offset == p->offset;
}

/* Locked. */
static bool is_there(const struct bm_check_walk *w, const struct bm_check_slot *slot)
{
        struct at_place here = {.file_id = slot->known.slot.file_id,
                                .offset = slot->known.slot.offset};
        struct bm_place place;
        struct bm_slot found;
        return bm_index_find(&w->map->buckets[w->bucket].index, slot->known.hash, is_at, &here,
                             &place, &found) == 0;
}

static pthread_rwlock_t *lock_of(const struct bm_check_walk *w)
{
        return &w->map->store->stripes[bm_stripe_of(w->map->id, w->bucket)].lock;
}

bool bm_check_is_there(const struct bm_check_walk *w, const struct bm_check_slot *slot)
{
        pthread_rwlock_rdlock(lock_of(w));
        bool there = is_there(w, slot);
        pthread_rwlock_unlock(lock_of(w));
        return there;
}

bool bm_check_judge(struct bm_check_walk *w, const struct bm_check_slot *slot,
                    struct bm_check_verdict *v)
{
        *v = judge(w, slot);
        if (!v->bad)
                return true;
        pthread_rwlock_rdlock(lock_of(w));
        bool there = is_there(w, slot);
        if (there)
                *v = judge(w, slot);
        pthread_rwlock_unlock(lock_of(w));
        return there;
}

int bm_check_report_verdict(struct bm_check_walk *w, const struct bm_check_slot *slot,
                            const struct bm_check_verdict *v)
{
        struct bm_check_where where = {.map_id = w->map->id, .path = w->path};
        char place[BM_CHECK_MESSAGE] = "";
        if (v->record.key) {
                where.key = v->record.key;
                where.key_len = v->record.key_len;
                if (w->map->id == BM_MAP_INODES)
                        bm_check_name_of(w->check, v->record.key, v->record.key_len, &where);
        }
        if (v->placed)
                bm_check_place_of(w, slot, place, sizeof(place));
        bm_check_report(w->check, v->kind, &where, v->placed ? "%s %s" : "%s", v->what, place);
        return v->kind == BM_CHECK_RECORD ? bm_check_note_place(w->check, &slot->known.slot) : 0;
}
