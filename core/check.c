/* SPDX-License-Identifier: MIT */
/*
 * Verifying a store: every key's record through the index, map after map;
 * then the chunks of large values, by the heads met on the way; then every
 * record of every segment, needed or not; then the copies of superblock and
 * manifest. Writes nothing; may run beside readers and writers, whose locks
 * it takes a block at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "base/le.h"
#include "error.h"
#include "hash.h"
#include "store.h"
#include "superblock.h"

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

struct check {
        struct bm_store *store;
        const struct bm_check_args *args;
        uint64_t done, total; /* bytes */
        uint64_t n_findings;
        uint64_t next_data; /* data ids from here on are younger than the check */
        struct owner *owners;
        struct bm_counts dropped; /* data ids whose chunks wait for the sweeper */
        struct todo *first, **last, *walked;
};

/* WHERE: the key, if it is known. */
struct where {
        uint64_t map_id;
        const char *path;
        const void *key;
        size_t key_len;
};

static void __attribute__((format(printf, 4, 5)))
report(struct check *c, enum bm_check_kind kind, const struct where *w, const char *fmt, ...)
{
        static const struct where nowhere = {.path = ""};
        char message[4600];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        w = w ? w : &nowhere;
        const struct bm_finding finding = {
                .kind = kind,
                .map_id = w->map_id,
                .key = w->key,
                .key_len = w->key_len,
                .path = w->path,
                .message = message,
        };
        c->n_findings++;
        c->args->finding(c->args->ctx, &finding);
}

static void advance(struct check *c, uint64_t bytes)
{
        c->done += bytes;
        if (c->args->progress)
                c->args->progress(c->args->ctx, c->done, c->total);
}

static int add_todo(struct check *c, uint64_t map_id, const char *path, const void *name,
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

static int add_owner(struct check *c, const struct where *w, const struct bm_head *head)
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
        struct check *check;
        struct bm_map *map;
        const char *path;
        uint64_t known_mask;
};

static const char *place_of(struct check *c, const struct bm_slot *slot, char *buf, size_t len)
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
static void name_chunk(struct check *c, const struct bm_record *record, struct where *where)
{
        struct owner *o;
        uint64_t data_id, chunk;
        if (bm_chunk_key_decode(record->key, record->key_len, &data_id, &chunk) != 0)
                return;
        HASH_FIND(hh, c->owners, &data_id, sizeof(data_id), o);
        if (o)
                *where = (struct where){
                        .map_id = o->map_id, .path = o->path, .key = o->key, .key_len = o->key_len};
}

static void report_unreadable(struct walk *w, const struct bm_known_slot *known)
{
        struct where where = {.map_id = w->map->id, .path = w->path};
        struct bm_record record;
        char place[4600];
        if (guess_key(w, known, &record)) {
                where.key = record.key;
                where.key_len = record.key_len;
                if (w->map->id == BM_MAP_CHUNKS)
                        name_chunk(w->check, &record, &where);
        }
        report(w->check, BM_CHECK_RECORD, &where, "%s of the record at %s fails its checksum",
               where.key ? "content" : "key and content",
               place_of(w->check, &known->slot, place, sizeof(place)));
}

static int check_value(struct walk *w, const struct bm_record *r, const struct where *where)
{
        struct check *c = w->check;
        struct bm_map_entry entry;
        struct bm_head head;
        struct bm_drop drop;
        uint64_t data_id, chunk;
        struct owner *o;
        switch (r->type) {
        case BM_REC_MAP:
                if (bm_map_entry_decode(&entry, r->value, r->value_len) != 0 ||
                    bm_maps_parent(&c->store->maps, entry.map_id) != w->map->id) {
                        report(c, BM_CHECK_STRUCTURE, where, "names a map that is not there");
                        return 0;
                }
                return w->map->id == BM_MAP_TOP
                               ? 0
                               : add_todo(c, entry.map_id, w->path, r->key, r->key_len);
        case BM_REC_HEAD:
                if (bm_head_decode(&head, r->value, r->value_len) != 0) {
                        report(c, BM_CHECK_STRUCTURE, where, "its head makes no sense");
                        return 0;
                }
                return add_owner(c, where, &head);
        case BM_REC_CHUNK:
                if (bm_chunk_key_decode(r->key, r->key_len, &data_id, &chunk) != 0) {
                        report(c, BM_CHECK_STRUCTURE, NULL, "a chunk's key makes no sense");
                        return 0;
                }
                HASH_FIND(hh, c->owners, &data_id, sizeof(data_id), o);
                /* what came after the check began may belong to what it passed before */
                if (!o && data_id < c->next_data && !bm_counts_get(&c->dropped, data_id))
                        report(c, BM_CHECK_STRUCTURE, NULL,
                               "chunk %" PRIu64 " of data id %" PRIu64 " belongs to no value",
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
        struct check *c = w->check;
        struct bm_segment *s = bm_drives_segment(&c->store->drives, known->slot.file_id);
        struct bm_record r;
        char place[4600];
        if (!s || !s->base || bm_segment_record(s, known->slot.offset, &r) != 0) {
                report_unreadable(w, known);
                return 0;
        }
        struct where where = {
                .map_id = w->map->id, .path = w->path, .key = r.key, .key_len = r.key_len};
        uint64_t hash = bm_hash_key(c->store->drives.superblock.hash_secret, r.key, r.key_len);
        if (r.map_id != w->map->id || ((hash ^ known->hash) & w->known_mask) != 0 ||
            bm_record_slot_kind(r.type) != known->slot.kind) {
                report(c, BM_CHECK_INDEX, &where, "the index leads to another record, at %s",
                       place_of(c, &known->slot, place, sizeof(place)));
                return 0;
        }
        if (known->slot.length && known->slot.length != r.length)
                report(c, BM_CHECK_INDEX, &where,
                       "the index says %" PRIu32 " bytes, the record %" PRIu32, known->slot.length,
                       r.length);
        advance(c, r.length);
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
                        report(w->check, BM_CHECK_INDEX,
                               &(struct where){.map_id = map->id, .path = w->path},
                               "a part of the index from hash %016" PRIx64 " on cannot be read",
                               hash);
                        /* how far it reaches stands in what cannot be read */
                        return 0;
                }
                hash = last + 1;
        } while (r == 0 && last < end);
        return r;
}

static int check_map(struct check *c, uint64_t map_id, const char *path)
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

static int check_maps(struct check *c)
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
        return r;
}

/* Segments */

static uint64_t next_valid(const struct bm_segment *s, uint64_t at, uint64_t used)
{
        struct bm_record r;
        for (at += BM_UNIT; at < used; at += BM_UNIT) {
                if (bm_record_length(s->base + at, used - at) != 0 &&
                    bm_segment_record(s, at, &r) == 0)
                        return at;
        }
        return used;
}

/* What keys need was named by the walk of the maps; this finds the rest. */
static void check_segment(struct check *c, struct bm_segment *s)
{
        char place[4200];
        uint64_t used = atomic_load_explicit(&s->used, memory_order_acquire), counted = 0;
        for (uint64_t at = BM_SEGMENT_HEADER; at < used;) {
                struct bm_record r;
                if (bm_segment_record(s, at, &r) == 0) {
                        at += r.length;
                } else {
                        uint64_t next = next_valid(s, at, used);
                        report(c, BM_CHECK_DEAD, NULL,
                               "%" PRIu64 " bytes from byte %" PRIu64 " of %s are damaged",
                               next - at, at,
                               bm_drives_place(&c->store->drives, s, place, sizeof(place)));
                        at = next;
                }
                if (at - counted > 1 << 20) {
                        advance(c, at - counted);
                        counted = at;
                }
        }
        advance(c, used - counted);
}

static void check_segments(struct check *c)
{
        struct bm_segment *s;
        uint32_t file_id = 0;
        while ((s = bm_drives_pin_next(&c->store->drives, &file_id))) {
                check_segment(c, s);
                bm_segment_unpin(s);
        }
}

static int add_used(void *ctx, struct bm_segment *s)
{
        struct check *c = ctx;
        if (s->base && atomic_load(&s->state) != BM_SEGMENT_PREPARED)
                c->total += atomic_load(&s->used);
        return 0;
}

/* Copies */

static int check_superblocks(struct check *c)
{
        struct bm_drives *d = &c->store->drives;
        for (unsigned i = 0; i < d->n_drives; i++) {
                uint8_t bytes[BM_SUPERBLOCK];
                struct bm_superblock sb;
                int fd = bm_io_call(c->store->io, open_at, d->drives[i].dir, BM_FILE_SUPERBLOCK,
                                    O_RDONLY, 0);
                if (fd < 0)
                        return fd;
                for (unsigned copy = 0; copy < 2; copy++) {
                        int r = bm_io_call(c->store->io, pread, fd, bytes, sizeof(bytes),
                                           (uint64_t)copy * BM_SUPERBLOCK);
                        if (r != 0 || bm_superblock_decode(&sb, bytes) != 0)
                                report(c, BM_CHECK_INDEX, NULL,
                                       "copy %u of the superblock on %s is damaged", copy + 1,
                                       d->drives[i].path);
                }
                (void)bm_io_call(c->store->io, close, fd);
        }
        return 0;
}

static void check_manifests(struct check *c)
{
        for (unsigned place = 0; place < 2; place++) {
                uint8_t bytes[BM_MANIFEST_ROOT];
                struct bm_manifest m;
                int r = bm_io_call(c->store->io, pread, c->store->manifests.fd, bytes,
                                   sizeof(bytes), (uint64_t)place * BM_MANIFEST_ROOT);
                if (r == 0)
                        r = bm_manifest_decode(&m, bytes);
                if (r != 0 && r != BM_E_NOT_FOUND)
                        report(c, BM_CHECK_INDEX, NULL, "manifest %u is damaged", place + 1);
        }
}

static void free_all(struct check *c)
{
        struct owner *o, *next;
        HASH_ITER(hh, c->owners, o, next)
        {
                HASH_DEL(c->owners, o);
                free(o);
        }
        bm_counts_deinit(&c->dropped);
        *c->last = c->walked;
        while (c->first) {
                struct todo *t = c->first;
                c->first = t->next;
                free(t);
        }
}

int bm_check(struct bm_store *store, const struct bm_check_args *args)
{
        struct check c = {
                .store = store, .args = args, .next_data = atomic_load(&store->next_data)};
        c.last = &c.first;
        bm_counts_init(&c.dropped);
        bm_problem_clear();
        bm_drives_each(&store->drives, add_used, &c);
        c.total += atomic_load(&store->live_bytes);
        if (store->found_damage)
                report(&c, BM_CHECK_STRUCTURE, NULL,
                       "the log ends before a place that was once durable");
        int r = check_maps(&c);
        if (r == 0) {
                check_segments(&c);
                r = check_superblocks(&c);
        }
        if (r == 0)
                check_manifests(&c);
        free_all(&c);
        if (r < 0)
                return r;
        return c.n_findings ? BM_E_DAMAGED : 0;
}
