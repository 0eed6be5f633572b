/* SPDX-License-Identifier: MIT */
/*
 * Listings: through a map in the order of the cookies. The keys of the next
 * few records are copied under the bucket's shared lock; each is then looked
 * up afresh when its turn comes, so that a listing neither blocks anybody for
 * long nor shows what is gone.
 *
 * Slots know fewer bits of the hash than a cookie: those that agree in what
 * they know are always taken together, and ordered by what their keys say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "store.h"
#include "txn.h"

enum {
        AHEAD_MIN = 32, /* records looked at in one go */
        AHEAD_MAX = 512,
        FETCHED_AHEAD = 16, /* on their way from memory meanwhile */
};

struct entry {
        uint64_t cookie, hash;
        bool bad; /* its record could not be read */
        uint8_t key_len;
        uint8_t key[BM_KEY_MAX];
};

struct bm_cursor {
        struct bm_map *map;
        uint64_t after;                 /* cookie of the last item; what follows is greater */
        uint64_t part_hash;             /* a hash of the part that is looked at next */
        uint64_t first_hash, last_hash; /* the range, inclusive */
        uint64_t known_mask;            /* hash bits that slots and cookies both know */
        bool done;                      /* behind the last part */
        bool attr_only;                 /* items come without values */
        size_t ahead;                   /* records to look at next time */
        struct entry *entries;
        size_t n_entries, cap_entries, next_entry;
        struct bm_view view;
};

static int cursor_new(struct bm_map *map, uint64_t from, struct bm_cursor **cursorp)
{
        unsigned known = map->buckets_log2 + BM_TAG_BITS;
        struct bm_cursor *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->map = map;
        c->after = from;
        c->part_hash = bm_cookie_hash(from);
        c->last_hash = UINT64_MAX;
        c->known_mask = bm_cookie_hash(UINT64_MAX) & ~(UINT64_MAX >> known);
        c->ahead = AHEAD_MIN;
        *cursorp = c;
        return 0;
}

int bm_cursor_open(struct bm_map *map, uint64_t from, struct bm_cursor **cursorp)
{
        return cursor_new(map, from, cursorp);
}

int bm_cursor_open_attr(struct bm_map *map, uint64_t from, struct bm_cursor **cursorp)
{
        int r = cursor_new(map, from, cursorp);
        if (r == 0)
                (*cursorp)->attr_only = true;
        return r;
}

struct bm_cursor *bm_cursor_close(struct bm_cursor *c)
{
        if (c) {
                bm_view_release(&c->view);
                free(c->entries);
                free(c);
        }
        return NULL;
}

static struct entry *new_entry(struct bm_cursor *c)
{
        if (c->n_entries == c->cap_entries) {
                size_t cap = c->cap_entries ? c->cap_entries * 2 : AHEAD_MIN;
                struct entry *grown = realloc(c->entries, cap * sizeof(*grown));
                if (!grown)
                        return NULL;
                c->entries = grown;
                c->cap_entries = cap;
        }
        return &c->entries[c->n_entries++];
}

/* Locked. */
static int read_entry(struct bm_cursor *c, const struct bm_known_slot *known)
{
        struct bm_store *store = c->map->store;
        struct bm_segment *segment;
        struct bm_record record;
        struct entry *e = new_entry(c);
        if (!e)
                return -ENOMEM;
        e->bad = bm_slot_record(store, &known->slot, NULL, BM_TRUST_VALUE, &segment, &record) < 0;
        if (!e->bad) { /* nor is it one that belongs elsewhere */
                e->key_len = record.key_len;
                memcpy(e->key, record.key, record.key_len);
                e->hash = bm_hash_key(store->drives.superblock.hash_secret, e->key, e->key_len);
                e->bad = ((e->hash ^ known->hash) & c->known_mask) != 0 ||
                         !bm_record_intact(&record);
        }
        if (e->bad) { /* behind all that it may be mistaken for */
                e->hash = known->hash;
                e->cookie = bm_cookie(known->hash | ~c->known_mask, UINT8_MAX);
                e->key_len = 0;
                return 0;
        }
        e->cookie = bm_cookie(e->hash, record.disc);
        return 0;
}

static int compare_entries(const void *a, const void *b)
{
        uint64_t x = ((const struct entry *)a)->cookie, y = ((const struct entry *)b)->cookie;
        return (x > y) - (x < y);
}

/* Locked. Takes the next records of a part, and all that agree with the last. */
static int read_part(struct bm_cursor *c, const struct bm_known_slot *slots, size_t n, bool *whole)
{
        uint64_t floor = bm_cookie_hash(c->after) & c->known_mask;
        size_t i = 0, end;
        int r = 0;
        while (i < n && (slots[i].hash & c->known_mask) < floor)
                i++;
        end = n - i > c->ahead ? i + c->ahead : n;
        while (end < n && ((slots[end].hash ^ slots[end - 1].hash) & c->known_mask) == 0)
                end++;
        for (size_t fetched = i; i < end && r == 0; i++) {
                for (; fetched < end && fetched <= i + FETCHED_AHEAD; fetched++)
                        bm_slot_prefetch(c->map->store, &slots[fetched].slot);
                r = read_entry(c, &slots[i]);
        }
        *whole = end == n;
        return r;
}

/* Fills the list of entries from the next part. It may come out empty. */
static int fetch(struct bm_cursor *c)
{
        struct bm_map *map = c->map;
        size_t bucket = map->buckets_log2 ? c->part_hash >> 1 >> (63 - map->buckets_log2) : 0;
        pthread_rwlock_t *lock = &map->store->stripes[bm_stripe_of(map->id, bucket)].lock;
        struct bm_known_slot *slots = NULL;
        uint64_t last;
        size_t n;
        bool whole = false;
        c->n_entries = c->next_entry = 0;
        (void)bm_stripe_lock_shared(lock);
        int r = bm_index_collect(&map->buckets[bucket].index, c->part_hash, &slots, &n, &last);
        if (r == 0)
                r = read_part(c, slots, n, &whole);
        pthread_rwlock_unlock(lock);
        free(slots);
        if (r < 0)
                return r;
        if (c->n_entries > 1)
                qsort(c->entries, c->n_entries, sizeof(c->entries[0]), compare_entries);
        if (whole) {
                c->done = last >= c->last_hash;
                c->part_hash = last + 1;
        } else {
                c->part_hash = c->entries[c->n_entries - 1].hash;
        }
        if (c->ahead < AHEAD_MAX)
                c->ahead *= 2;
        return 0;
}

int bm_cursor_next(struct bm_cursor *c, struct bm_item *item)
{
        bm_view_release(&c->view);
        for (;;) {
                while (c->next_entry < c->n_entries) {
                        struct entry *e = &c->entries[c->next_entry++];
                        if (e->cookie <= c->after || e->hash < c->first_hash ||
                            e->hash > c->last_hash)
                                continue;
                        c->after = e->cookie;
                        if (e->bad)
                                return -EIO;
                        const struct bm_ref ref = {
                                .map = c->map, .key = e->key, .key_len = e->key_len};
                        int r = (c->attr_only ? bm_read_attr : bm_read_ref)(&ref, &c->view);
                        if (r == BM_E_NOT_FOUND)
                                continue;
                        if (r != 0)
                                return r;
                        *item = (struct bm_item){.key = e->key,
                                                 .key_len = e->key_len,
                                                 .cookie = e->cookie,
                                                 .view = c->view};
                        return 0;
                }
                if (c->done || atomic_load(&c->map->dead))
                        return BM_E_NOT_FOUND;
                int r = fetch(c);
                if (r < 0)
                        return r;
        }
}

static int walk(struct bm_cursor *c, bm_item_fn fn, void *ctx)
{
        struct bm_item item;
        int r;
        while ((r = bm_cursor_next(c, &item)) == 0) {
                r = fn(ctx, &item);
                if (r != 0)
                        break;
        }
        bm_cursor_close(c);
        return r == BM_E_NOT_FOUND ? 0 : r;
}

int bm_keys(struct bm_map *map, bm_item_fn fn, void *ctx)
{
        return bm_items_in_range(map, 0, UINT64_MAX, fn, ctx);
}

int bm_items_in_range(struct bm_map *map, uint64_t first, uint64_t last, bm_item_fn fn, void *ctx)
{
        struct bm_cursor *c;
        if (first > last)
                return -EINVAL;
        int r = cursor_new(map, 0, &c);
        if (r < 0)
                return r;
        c->first_hash = first;
        c->last_hash = last;
        c->part_hash = first;
        /* the largest cookie that lies before the range */
        uint64_t cookie = bm_cookie(first, 0);
        c->after = cookie > 0 ? cookie - 1 : 0;
        return walk(c, fn, ctx);
}
