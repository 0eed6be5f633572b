/* SPDX-License-Identifier: MIT */
/*
 * The keys' part of a check: every slot of every map, from the root down, and
 * the record that it leads to; then the hidden maps, chunks last, by the heads
 * met on the way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "check_private.h"
#include "hash.h"
#include "store.h"

/* A large value met while walking, to name its chunks by. */
struct owner {
        uint64_t data_id, map_id;
        char *path; /* the walk's */
        struct bm_head head;
        UT_hash_handle hh;
        size_t key_len;
        uint8_t key[];
};

/* A map to walk. */
struct todo {
        struct todo *next;
        uint64_t map_id;
        char path[];
};

static int add_todo(struct bm_checker *c, uint64_t map_id, const char *path, const void *name,
                    size_t name_len)
{
        size_t len = strlen(path);
        struct todo *t = malloc(sizeof(*t) + len + name_len + 2);
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

static int add_owner(struct bm_checker *c, const struct bm_check_where *w,
                     const struct bm_head *head)
{
        struct owner *o = calloc(1, sizeof(*o) + w->key_len);
        if (!o)
                return -ENOMEM;
        o->data_id = head->data_id;
        o->map_id = w->map_id;
        o->path = (char *)w->path;
        o->head = *head;
        o->key_len = w->key_len;
        memcpy(o->key, w->key, w->key_len);
        HASH_ADD(hh, c->owners, data_id, sizeof(o->data_id), o);
        if (!o->hh.tbl) {
                free(o);
                return -ENOMEM;
        }
        return 0;
}

/* Slots */

struct walk {
        struct bm_checker *check;
        struct bm_map *map;
        const char *path;
        uint64_t known_mask;
};

static const char *place_of(struct bm_checker *c, const struct bm_slot *slot, char *buf, size_t len)
{
        char where[4200];
        struct bm_segment *s = bm_drives_segment(&c->store->drives, slot->file_id);
        if (s)
                bm_drives_place(&c->store->drives, s, where, sizeof(where));
        else
                snprintf(where, sizeof(where), "segment %08" PRIx32 ", which is missing",
                         slot->file_id);
        snprintf(buf, len, "byte %" PRIu32 " of %s", slot->offset, where);
        return buf;
}

/* The key of a record whose checksum fails can be believed if it hashes to the slot. */
static bool guess_key(const struct walk *w, const struct bm_known_slot *known,
                      struct bm_record *record)
{
        struct bm_store *store = w->check->store;
        struct bm_segment *s = bm_drives_segment(&store->drives, known->slot.file_id);
        if (!s || !s->base || known->slot.offset >= s->size ||
            bm_record_parse(record, s->base + known->slot.offset, s->size - known->slot.offset,
                            s->header.base_time) != 0)
                return false;
        uint64_t hash =
                bm_hash_key(store->drives.superblock.hash_secret, record->key, record->key_len);
        return ((hash ^ known->hash) & w->known_mask) == 0;
}

/* A damaged chunk is named by the value that it belongs to. */
static void name_chunk(struct bm_checker *c, const struct bm_record *record,
                       struct bm_check_where *where)
{
        struct owner *o;
        uint64_t data_id, chunk;
        if (bm_chunk_key_decode(record->key, record->key_len, &data_id, &chunk) != 0)
                return;
        HASH_FIND(hh, c->owners, &data_id, sizeof(data_id), o);
        if (o)
                *where = (struct bm_check_where){
                        .map_id = o->map_id, .path = o->path, .key = o->key, .key_len = o->key_len};
}

static void report_unreadable(struct walk *w, const struct bm_known_slot *known, int result)
{
        struct bm_check_where where = {.map_id = w->map->id, .path = w->path};
        struct bm_record record;
        char place[4600];
        if (guess_key(w, known, &record)) {
                where.key = record.key;
                where.key_len = record.key_len;
                if (w->map->id == BM_MAP_CHUNKS)
                        name_chunk(w->check, &record, &where);
                else if (w->map->id == BM_MAP_INODES)
                        bm_check_name_of(w->check, record.key, record.key_len, &where);
        }
        bm_check_report(w->check, BM_CHECK_RECORD, &where, "%s of the record at %s %s",
                        where.key ? "content" : "key and content",
                        place_of(w->check, &known->slot, place, sizeof(place)),
                        result == -EIO ? "cannot be read (I/O error)" : "fails its checksum");
}

static int check_value(struct walk *w, const struct bm_record *r,
                       const struct bm_check_where *where)
{
        struct bm_checker *c = w->check;
        struct bm_map_entry entry;
        struct bm_head head;
        struct bm_drop drop;
        uint64_t data_id, chunk;
        struct owner *o;
        switch (r->type) {
        case BM_REC_MAP:
                if (bm_map_entry_decode(&entry, r->value, r->value_len) != 0 ||
                    bm_maps_parent(&c->store->maps, entry.map_id) != w->map->id) {
                        bm_check_report(c, BM_CHECK_STRUCTURE, where,
                                        "names a map that is not there");
                        return 0;
                }
                return w->map->id == BM_MAP_TOP
                               ? 0
                               : add_todo(c, entry.map_id, w->path, r->key, r->key_len);
        case BM_REC_HEAD:
                if (bm_head_decode(&head, r->value, r->value_len) != 0) {
                        bm_check_report(c, BM_CHECK_STRUCTURE, where, "its head makes no sense");
                        return 0;
                }
                return add_owner(c, where, &head);
        case BM_REC_CHUNK:
                if (bm_chunk_key_decode(r->key, r->key_len, &data_id, &chunk) != 0) {
                        bm_check_report(c, BM_CHECK_STRUCTURE, NULL,
                                        "a chunk's key makes no sense");
                        return 0;
                }
                HASH_FIND(hh, c->owners, &data_id, sizeof(data_id), o);
                /* what came after the check began may belong to what it passed before */
                if (!o && data_id < c->next_data && !bm_counts_get(&c->dropped, data_id) &&
                    !bm_check_moved(c))
                        bm_check_report(c, BM_CHECK_STRUCTURE, NULL,
                                        "chunk %" PRIu64 " of data id %" PRIu64
                                        " belongs to no value",
                                        chunk, data_id);
                return 0;
        case BM_REC_PUT:
                if (w->map->id == BM_MAP_DROPS &&
                    bm_drop_decode(&drop, r->key, r->key_len, r->value, r->value_len) == 0)
                        return bm_counts_set(&c->dropped, drop.data_id, 1);
                return 0;
        default:
                return 0;
        }
}

static int check_slot(struct walk *w, const struct bm_known_slot *known)
{
        struct bm_checker *c = w->check;
        struct bm_segment *s = bm_drives_segment(&c->store->drives, known->slot.file_id);
        struct bm_record r;
        char place[4600];
        int result = s && s->base ? bm_segment_record(s, known->slot.offset, &r) : BM_E_DAMAGED;
        if (result != 0) {
                report_unreadable(w, known, result);
                return 0;
        }
        struct bm_check_where where = {
                .map_id = w->map->id, .path = w->path, .key = r.key, .key_len = r.key_len};
        uint64_t hash = bm_hash_key(c->store->drives.superblock.hash_secret, r.key, r.key_len);
        if (r.map_id != w->map->id || ((hash ^ known->hash) & w->known_mask) != 0 ||
            bm_record_slot_kind(r.type) != known->slot.kind) {
                bm_check_report(c, BM_CHECK_INDEX, &where,
                                "the index leads to another record, at %s",
                                place_of(c, &known->slot, place, sizeof(place)));
                return 0;
        }
        if (known->slot.length && known->slot.length != r.length)
                bm_check_report(c, BM_CHECK_INDEX, &where,
                                "the index says %" PRIu32 " bytes, the record %" PRIu32,
                                known->slot.length, r.length);
        bm_check_advance(c, r.length);
        if (r.type == BM_REC_NAME)
                return bm_check_name(c, &where, r.record_id);
        if (w->map->id == BM_MAP_INODES) {
                bm_check_links(c, &r,
                               r.flags & BM_RECF_VERSION
                                       ? r.version
                                       : bm_pos(s->header.number, known->slot.offset));
                bm_check_name_of(c, r.key, r.key_len, &where);
        }
        return check_value(w, &r, &where);
}

static int check_bucket(struct walk *w, size_t i)
{
        struct bm_map *map = w->map;
        unsigned skip = map->buckets_log2;
        pthread_rwlock_t *lock = &map->store->stripes[bm_stripe_of(map->id, i)].lock;
        uint64_t hash = skip ? (uint64_t)i << (64 - skip) : 0;
        uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last = 0;
        int r = 0;
        do {
                struct bm_known_slot *slots = NULL;
                size_t n = 0;
                pthread_rwlock_rdlock(lock);
                r = bm_index_collect(&map->buckets[i].index, hash, &slots, &n, &last);
                for (size_t k = 0; k < n && r == 0; k++)
                        r = check_slot(w, &slots[k]);
                pthread_rwlock_unlock(lock);
                free(slots);
                if (r == -EIO) {
                        bm_check_report(
                                w->check, BM_CHECK_INDEX,
                                &(struct bm_check_where){.map_id = map->id, .path = w->path},
                                "a part of the index from hash %016" PRIx64 " on cannot be read",
                                hash);
                        /* how far it reaches stands in what cannot be read */
                        return 0;
                }
                hash = last + 1;
        } while (r == 0 && last < end);
        return r;
}

static int check_map(struct bm_checker *c, uint64_t map_id, const char *path)
{
        struct bm_map *map = bm_maps_get(&c->store->maps, map_id);
        int r = 0;
        if (!map)
                return 0; /* removed meanwhile */
        struct walk w = {
                .check = c,
                .map = map,
                .path = path,
                .known_mask = ~(UINT64_MAX >> (map->buckets_log2 + BM_TAG_BITS)),
        };
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2 && r == 0; i++)
                r = check_bucket(&w, i);
        bm_maps_put(&c->store->maps, map);
        return r;
}

int bm_check_keys(struct bm_checker *c)
{
        int r = add_todo(c, BM_MAP_ROOT, "", "", 0);
        while (c->first && r == 0) {
                struct todo *t = c->first;
                c->first = t->next;
                if (!c->first)
                        c->last = &c->first;
                t->next = c->walked; /* its path is still referred to */
                c->walked = t;
                r = check_map(c, t->map_id, t->path);
        }
        /* chunks last, when it is known who needs them */
        static const uint64_t hidden[] = {BM_MAP_TOP, BM_MAP_INODES, BM_MAP_DROPS, BM_MAP_CHUNKS};
        for (size_t i = 0; i < bm_array_size(hidden) && r == 0; i++)
                r = check_map(c, hidden[i], "");
        if (r == 0)
                bm_check_names_left(c);
        return r;
}

void bm_check_keys_free(struct bm_checker *c)
{
        struct owner *o, *next;
        HASH_ITER(hh, c->owners, o, next)
        {
                HASH_DEL(c->owners, o);
                free(o);
        }
        bm_check_names_free(c);
        bm_counts_deinit(&c->dropped);
        *c->last = c->walked;
        while (c->first) {
                struct todo *t = c->first;
                c->first = t->next;
                free(t);
        }
}
