/* SPDX-License-Identifier: MIT */
/* See bucket.h. */
#include "bucket.h"

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "base/le.h"
#include "hash.h"
#include "store.h"
#include "unreadable.h"

enum { LOCK_TRIES = 100 };

unsigned bm_stripe_of(uint64_t map_id, uint64_t bucket)
{
        /* neighbouring buckets of a map go to different stripes; maps are spread */
        return (unsigned)((map_id * 0x9e3779b97f4a7c15u >> 32) + bucket) % BM_STRIPES;
}

/*
 * It is held for less time than going to sleep takes, nearly always: so it is
 * worth some tries. Above all for work in the background: who gives up a lock
 * for which another sleeps has to wake that up, which takes longer than what
 * it was locked for. And for who reads beside such work.
 */
static inline int try_and_lock(pthread_rwlock_t *stripe, int (*try)(pthread_rwlock_t *),
                               int (*lock)(pthread_rwlock_t *))
{
        for (unsigned i = 0; i < LOCK_TRIES; i++) {
                if (try(stripe) == 0)
                        return 0;
                bm_spin_pause();
        }
        return lock(stripe);
}

int bm_stripe_lock(pthread_rwlock_t *stripe)
{
        return try_and_lock(stripe, pthread_rwlock_trywrlock, pthread_rwlock_wrlock);
}

int bm_stripe_lock_shared(pthread_rwlock_t *stripe)
{
        return try_and_lock(stripe, pthread_rwlock_tryrdlock, pthread_rwlock_rdlock);
}

static void place_target(struct bm_target *t, uint64_t hash)
{
        struct bm_map *map = t->map;
        t->hash = hash;
        /* a shift by 64 is undefined, hence two */
        size_t bucket = map->buckets_log2 ? hash >> 1 >> (63 - map->buckets_log2) : 0;
        t->bucket = &map->buckets[bucket];
        t->stripe = bm_stripe_of(map->id, bucket);
}

int bm_target_init_record(struct bm_target *t, struct bm_map *map, uint64_t hash,
                          uint64_t record_id)
{
        *t = (struct bm_target){.map = map, .by_record = record_id};
        place_target(t, hash);
        return 0;
}

void bm_target_init_id(struct bm_target *t, struct bm_map *map, uint64_t record_id)
{
        uint8_t key[8];
        bm_store_le64(key, record_id);
        *t = (struct bm_target){.map = map, .key_len = sizeof(key), .by_record = record_id};
        place_target(t, bm_hash_key(map->store->drives.superblock.hash_secret, key, sizeof(key)));
}

int bm_target_init(struct bm_target *t, struct bm_map *map, const void *key, size_t key_len)
{
        if (key_len == 0 || key_len > BM_KEY_MAX)
                return -EINVAL;
        if (bm_map_is_user(map) && (memchr(key, '/', key_len) || memchr(key, 0, key_len)))
                return -EINVAL;
        t->map = map;
        t->key = key;
        t->key_len = key_len;
        t->trust = BM_TRUST_NOTHING;
        /* an orphan's record still carries the key that it had */
        t->by_record = bm_map_goes_by_id(map) && key_len == 8 ? bm_load_le64(key) : 0;
        place_target(t, bm_hash_key(map->store->drives.superblock.hash_secret, key, key_len));
        return 0;
}

uint64_t bm_record_value_size(const struct bm_record *record)
{
        struct bm_head head;
        if (record->type == BM_REC_PUT)
                return record->value_len;
        if (record->type == BM_REC_HEAD &&
            bm_head_decode(&head, record->value, record->value_len) == 0)
                return head.size;
        return 0;
}

enum bm_slot_kind bm_record_slot_kind(uint8_t type)
{
        switch (type) {
        case BM_REC_PUT:
                return BM_SLOT_VALUE;
        case BM_REC_HEAD:
                return BM_SLOT_LARGE;
        case BM_REC_MAP:
                return BM_SLOT_MAP;
        case BM_REC_NAME:
                return BM_SLOT_NAME;
        case BM_REC_CHUNK:
                return BM_SLOT_CHUNK;
        case BM_REC_PATCH:
                return BM_SLOT_PATCH;
        default:
                return BM_SLOT_EMPTY;
        }
}

static __typeof__(bm_segment_record) *reader_for(enum bm_trust trust)
{
        if (trust == BM_TRUST_VALUE)
                return bm_segment_record_head;
        return trust == BM_TRUST_ALL ? bm_segment_record_unverified : bm_segment_record;
}

enum { PREFETCHED = 512 };

static void prefetch(const struct bm_segment *s, const struct bm_slot *slot, uint32_t from)
{
        if (!s || !s->base)
                return;
        for (uint32_t at = from; at < slot->length && at < PREFETCHED; at += BM_CACHE_LINE)
                __builtin_prefetch(s->base + slot->offset + at);
}

void bm_slot_prefetch(const struct bm_store *store, const struct bm_slot *slot)
{
        prefetch(bm_drives_segment(&store->drives, slot->file_id), slot, 0);
}

int bm_slot_record(struct bm_store *store, const struct bm_slot *slot,
                   const struct bm_target *wanted, enum bm_trust trust,
                   struct bm_segment **segmentp, struct bm_record *record)
{
        struct bm_segment *s = bm_drives_segment(&store->drives, slot->file_id);
        *segmentp = s;
        /* the check reads all of it, and would wait for one line after the other */
        prefetch(s, slot, BM_CACHE_LINE);
        int r = BM_E_DAMAGED;
        if (s && s->base)
                r = reader_for(trust)(s, slot->offset, record);
        if (r == 0 && bm_record_slot_kind(record->type) == slot->kind)
                return 0;
        bm_log_unreadable(store, slot, r, wanted);
        return -EIO;
}

/* Listings know this much of a hash; equal ones differ by the discriminator. */
enum { COOKIE_HASH_BITS = 54, COOKIE_DISC_BITS = 8 };

static uint64_t cookie_hash(uint64_t hash)
{
        return hash >> (64 - COOKIE_HASH_BITS);
}

/* Cookies 0 to 2 mean the start, "." and "..". */
static unsigned lowest_disc(uint64_t hash)
{
        return cookie_hash(hash) == 0 ? 3 : 0;
}

uint64_t bm_cookie(uint64_t hash, uint8_t disc)
{
        return cookie_hash(hash) << COOKIE_DISC_BITS | disc;
}

uint64_t bm_cookie_hash(uint64_t cookie)
{
        return cookie >> COOKIE_DISC_BITS << (64 - COOKIE_HASH_BITS);
}

struct probe {
        const struct bm_target *target;
        struct bm_found *found;
};

static bool is_same_key(const struct bm_target *t, const struct bm_record *record)
{
        if (t->by_record)
                return t->by_record == record->record_id;
        return record->key_len == t->key_len && memcmp(record->key, t->key, t->key_len) == 0;
}

/* Whether the record says to be the target's; no more of it is read than says so. */
static bool claims_key(const struct probe *p, const struct bm_slot *slot)
{
        struct bm_found *f = p->found;
        f->segment = bm_drives_segment(&p->target->map->store->drives, slot->file_id);
        return f->segment && f->segment->base &&
               bm_segment_record_unverified(f->segment, slot->offset, &f->record) == 0 &&
               bm_record_slot_kind(f->record.type) == slot->kind &&
               is_same_key(p->target, &f->record);
}

static int match(void *ctx, const struct bm_slot *slot)
{
        struct probe *p = ctx;
        struct bm_store *store = p->target->map->store;
        struct bm_found *f = p->found;
        const enum bm_trust trust = p->target->trust;
        if ((trust == BM_TRUST_KEY || (trust == BM_TRUST_PATCHED && slot->count)) &&
            claims_key(p, slot))
                return 1;
        int r = bm_slot_record(store, slot, p->target, trust, &f->segment, &f->record);
        if (r < 0)
                return r;
        bool same = is_same_key(p->target, &f->record);
        if (!bm_record_intact(&f->record)) {
                bm_log_unreadable(store, slot, -EIO, p->target);
                return -EIO;
        }
        if (same)
                return 1;
        uint64_t hash =
                bm_hash_key(store->drives.superblock.hash_secret, f->record.key, f->record.key_len);
        if (cookie_hash(hash) == cookie_hash(p->target->hash))
                f->used_discs[f->record.disc / 64] |= UINT64_C(1) << f->record.disc % 64;
        return 0;
}

int bm_target_find(const struct bm_target *t, struct bm_found *found)
{
        struct probe probe = {.target = t, .found = found};
        memset(found->used_discs, 0, sizeof(found->used_discs));
        found->trust = t->trust;
        int r = bm_index_find(&t->bucket->index, t->hash, match, &probe, &found->place,
                              &found->slot);
        found->there = r == 0;
        if (r == BM_E_NOT_FOUND)
                return 0;
        if (r != 0)
                return r;
        found->by_id = t->map->id == BM_MAP_INODES;
        found->links = t->map->id == BM_MAP_ORPHANS ? 0 : found->by_id ? found->record.links : 1;
        found->count = found->slot.count;
        if (found->slot.count == BM_SLOT_COUNT_OVERFLOW)
                found->count = bm_counts_get(&t->map->store->counts, found->record.record_id);
        return 0;
}

void bm_target_fetch_line(const struct bm_target *t)
{
        bm_index_prefetch(&t->bucket->index, t->hash);
}

/* The first slot with the tag is nearly always the right one. */
static int fetch(void *ctx, const struct bm_slot *slot)
{
        bm_slot_prefetch(ctx, slot);
        return 1;
}

void bm_target_fetch_record(const struct bm_target *t)
{
        struct bm_place place;
        struct bm_slot slot;

        /* what fails here fails again where it is found */
        (void)bm_index_find(&t->bucket->index, t->hash, fetch, t->map->store, &place, &slot);
}

int bm_found_verify(const struct bm_target *t, struct bm_found *found)
{
        if (found->trust == BM_TRUST_NOTHING)
                return 0;
        int r = bm_slot_record(t->map->store, &found->slot, t, BM_TRUST_NOTHING, &found->segment,
                               &found->record);
        if (r == 0)
                found->trust = BM_TRUST_NOTHING;
        return r;
}

int bm_found_free_disc(const struct bm_target *t, const struct bm_found *found)
{
        for (unsigned disc = lowest_disc(t->hash); disc < 256; disc++) {
                if (!(found->used_discs[disc / 64] >> disc % 64 & 1))
                        return (int)disc;
        }
        return -ENOSPC;
}
