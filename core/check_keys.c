/* SPDX-License-Identifier: MIT */
/*
 * The keys' part of a check: every slot of every map, from the root down; then
 * the maps that no name leads to, and the hidden ones, chunks last, when it is
 * known whose they may be.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "check_private.h"
#include "store.h"

/* A map to walk. */
struct bm_check_todo {
        struct bm_check_todo *next;
        uint64_t map_id;
        char path[];
};

static int add_todo(struct bm_checker *c, uint64_t map_id, const char *path, const void *name,
                    size_t name_len)
{
        size_t len = strlen(path);
        int added = bm_id_set_add(&c->walked, map_id);
        if (added <= 0) /* a name that leads there twice is reported where it stands */
                return added;
        struct bm_check_todo *t = malloc(sizeof(*t) + len + name_len + 2);
        if (!t)
                return -ENOMEM;
        t->next = NULL;
        t->map_id = map_id;
        memcpy(t->path, path, len);
        memcpy(t->path + len, name, name_len);
        strcpy(t->path + len + name_len, name_len ? "/" : "");
        *c->last = t;
        c->last = &t->next;
        return 0;
}

/* Walking one map */

/* Locked (shared). Copies slots, and keeps their segments mapped. */
static int take_slots(struct bm_store *store, const struct bm_known_slot *known, size_t n,
                      struct bm_check_slot **slots)
{
        *slots = calloc(n + 1, sizeof(**slots));
        if (!*slots)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, known[i].slot.file_id);
                (*slots)[i].known = known[i];
                if (!s || !s->base)
                        continue;
                bm_segment_pin(s);
                (*slots)[i].segment = s;
        }
        return 0;
}

/* The part of the index from HASH on; *LAST gets where it ends. */
static int walk_part(struct bm_check_walk *w, uint64_t hash, uint64_t *last)
{
        struct bm_map *map = w->map;
        pthread_rwlock_t *lock = &map->store->stripes[bm_stripe_of(map->id, w->bucket)].lock;
        struct bm_known_slot *known = NULL;
        struct bm_check_slot *slots = NULL;
        size_t n = 0;
        pthread_rwlock_rdlock(lock);
        int r = bm_index_collect(&map->buckets[w->bucket].index, hash, &known, &n, last);
        bool readable = r != -EIO;
        if (r == 0)
                r = take_slots(map->store, known, n, &slots);
        pthread_rwlock_unlock(lock);
        free(known);
        for (size_t i = 0; i < n && r == 0; i++)
                r = w->visit(w, &slots[i]);
        for (size_t i = 0; slots && i < n; i++) {
                if (slots[i].segment)
                        bm_segment_unpin(slots[i].segment);
        }
        free(slots);
        if (readable)
                return r;
        w->check->heads_unknown = true;
        if (!w->check->naming)
                bm_check_report(w->check, BM_CHECK_INDEX,
                                &(struct bm_check_where){.map_id = map->id, .path = w->path},
                                "the index of hashes %016" PRIx64 " to %016" PRIx64
                                " cannot be read",
                                hash, *last);
        return 0;
}

int bm_check_walk_map(struct bm_checker *c, uint64_t map_id, const char *path, bm_check_visit visit)
{
        struct bm_map *map = bm_maps_get(&c->store->maps, map_id);
        int r = 0;
        if (!map)
                return 0; /* removed meanwhile */
        unsigned skip = map->buckets_log2;
        struct bm_check_walk w = {
                .check = c,
                .map = map,
                .path = path,
                .known_mask = ~(UINT64_MAX >> (skip + BM_TAG_BITS)),
                .visit = visit,
        };
        for (; w.bucket < (size_t)1 << skip && r == 0; w.bucket++) {
                uint64_t hash = skip ? (uint64_t)w.bucket << (64 - skip) : 0;
                uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last;
                do {
                        r = walk_part(&w, hash, &last);
                        hash = last + 1;
                } while (r == 0 && last < end);
        }
        bm_maps_put(&c->store->maps, map);
        return r;
}

/* Walking all maps */

static int walk_todo(struct bm_checker *c, bm_check_visit visit)
{
        int r = 0;
        while (c->first) {
                struct bm_check_todo *t = c->first;
                c->first = t->next;
                if (!c->first)
                        c->last = &c->first;
                if (r == 0)
                        r = bm_check_walk_map(c, t->map_id, t->path, visit);
                free(t);
        }
        return r;
}

/* Lets whoever is in the middle of a change finish it. */
static void await_writers(struct bm_store *store)
{
        for (unsigned i = 0; i < BM_STRIPES; i++) {
                pthread_rwlock_rdlock(&store->stripes[i].lock);
                pthread_rwlock_unlock(&store->stripes[i].lock);
        }
}

static bool is_left(const struct bm_checker *c, struct bm_map *map)
{
        return map->id >= BM_MAP_FIRST && map->id < c->next_map && !atomic_load(&map->dead) &&
               !bm_id_set_has(&c->walked, map->id);
}

static int add_lost(struct bm_checker *c, struct bm_map *map)
{
        char path[64];
        snprintf(path, sizeof(path), "(map %" PRIu64 ")/", map->id);
        if (!c->naming)
                bm_check_report(c, BM_CHECK_STRUCTURE,
                                &(struct bm_check_where){.map_id = map->id, .path = ""},
                                "no name leads to map %" PRIu64 ", which has %" PRIu64 " keys",
                                map->id, bm_map_sums(map).n_keys);
        return add_todo(c, map->id, path, "", 0);
}

/*
 * Maps that the way from the root missed: moved meanwhile, from before us to
 * behind us; or lost. Of what is lost together the uppermost are first.
 */
static int add_left(struct bm_checker *c, struct bm_map **maps, size_t n)
{
        struct bm_watch *watch = &c->store->watch;
        struct bm_map *any = NULL;
        size_t n_upper = 0, n_left = 0;
        int r = 0;
        for (size_t i = 0; i < n; i++)
                n_left += is_left(c, maps[i]);
        if (n_left == 0)
                return 0;
        /* the list may hold maps whose entry is being put right now */
        await_writers(c->store);
        for (size_t i = 0; i < n && r == 0; i++) {
                if (!is_left(c, maps[i]))
                        continue;
                int moved = bm_watch_has_map(watch, maps[i]->id);
                if (moved < 0)
                        r = moved;
                else if (moved)
                        r = add_todo(c, maps[i]->id, "(moved)/", "", 0);
                else
                        any = maps[i];
        }
        if (!any || c->first || r != 0)
                return r;
        /* those whose parent was walked, or is nowhere; found before any of them is entered */
        for (size_t i = 0; i < n; i++) {
                uint64_t parent = bm_maps_parent(&c->store->maps, maps[i]->id);
                if (!is_left(c, maps[i]) || (parent != 0 && !bm_id_set_has(&c->walked, parent)))
                        continue;
                struct bm_map *upper = maps[i];
                maps[i] = maps[n_upper];
                maps[n_upper++] = upper;
        }
        for (size_t i = 0; i < n_upper && r == 0; i++)
                r = add_lost(c, maps[i]);
        return c->first || r != 0 ? r : add_lost(c, any);
}

int bm_check_user_maps(struct bm_checker *c, bm_check_visit visit)
{
        bm_id_set_deinit(&c->walked);
        int r = add_todo(c, BM_MAP_ROOT, "", "", 0);
        while (r == 0 && c->first) {
                struct bm_map **maps;
                size_t n;
                r = walk_todo(c, visit);
                if (r != 0)
                        break;
                r = bm_maps_list(&c->store->maps, &maps, &n);
                if (r < 0)
                        break;
                r = add_left(c, maps, n);
                bm_maps_list_free(&c->store->maps, maps, n);
        }
        while (c->first) {
                struct bm_check_todo *t = c->first;
                c->first = t->next;
                free(t);
        }
        c->last = &c->first;
        return r;
}

/* Keys */

int bm_check_follow(struct bm_check_walk *w, const struct bm_record *r)
{
        struct bm_checker *c = w->check;
        struct bm_map_entry entry;
        struct bm_drop drop;
        int added = 0;
        if (r->type == BM_REC_MAP && w->map->id != BM_MAP_TOP) {
                if (bm_map_entry_decode(&entry, r->value, r->value_len) == 0)
                        return add_todo(c, entry.map_id, w->path, r->key, r->key_len);
        } else if (r->type == BM_REC_HEAD) {
                bm_watch_put(&c->store->watch, r);
        } else if (w->map->id == BM_MAP_DROPS && r->type == BM_REC_PUT &&
                   bm_drop_decode(&drop, r->key, r->key_len, r->value, r->value_len) == 0) {
                added = bm_id_set_add(&c->dropped, drop.data_id);
        }
        return added < 0 ? added : 0;
}

static int visit_key(struct bm_check_walk *w, const struct bm_check_slot *slot)
{
        struct bm_checker *c = w->check;
        struct bm_check_verdict v;
        int r = 0;
        if (bm_check_judge(w, slot, &v) && v.bad) {
                r = bm_check_report_verdict(w, slot, &v);
                if (slot->known.slot.kind == BM_SLOT_LARGE && !v.usable)
                        c->heads_unknown = true;
        }
        if (r == 0 && v.usable && v.record.type == BM_REC_NAME)
                r = bm_check_name(c,
                                  &(struct bm_check_where){.map_id = w->map->id,
                                                           .path = w->path,
                                                           .key = v.record.key,
                                                           .key_len = v.record.key_len},
                                  v.record.record_id);
        else if (r == 0 && v.usable)
                r = bm_check_follow(w, &v.record);
        if (v.usable && w->map->id == BM_MAP_INODES)
                bm_check_links(
                        c, &v.record,
                        v.record.flags & BM_RECF_VERSION
                                ? v.record.version
                                : bm_pos(slot->segment->header.number, slot->known.slot.offset));
        return r != 0 ? r : bm_check_advance(c, slot->known.slot.length);
}

int bm_check_keys(struct bm_checker *c)
{
        static const uint64_t hidden[] = {BM_MAP_TOP, BM_MAP_INODES, BM_MAP_DROPS};
        int r = bm_check_user_maps(c, visit_key);
        for (size_t i = 0; i < bm_array_size(hidden) && r == 0; i++)
                r = bm_check_walk_map(c, hidden[i], "", visit_key);
        if (r == 0)
                r = bm_check_chunks(c);
        if (r == 0)
                bm_check_names_left(c);
        return r;
}
