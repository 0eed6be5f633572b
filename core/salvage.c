/* SPDX-License-Identifier: MIT */
/* See salvage.h. Nobody else has the store. */
#include "salvage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "hash.h"
#include "store.h"

void bm_salvage_free(struct bm_salvage *salvage)
{
        free(salvage->losses);
        salvage->losses = NULL;
        salvage->n = salvage->cap = 0;
}

uint64_t bm_salvage_next(const struct bm_segment *s, uint64_t at, uint64_t end)
{
        struct bm_record r;
        for (at += BM_UNIT; at < end; at += BM_UNIT) {
                if (bm_record_length(s->base + at, end - at) != 0 &&
                    bm_segment_record(s, at, &r) == 0)
                        return at;
        }
        return end;
}

/* A key can be believed if it hashes to its slot. */
static void guess_key(struct bm_store *store, const struct bm_slot *slot, struct bm_loss *loss)
{
        struct bm_segment *s = bm_drives_segment(&store->drives, slot->file_id);
        struct bm_record r;
        if (!s || !s->base || slot->offset >= s->size ||
            bm_record_parse(&r, s->base + slot->offset, s->size - slot->offset,
                            s->header.base_time) != 0 ||
            ((bm_hash_key(store->drives.superblock.hash_secret, r.key, r.key_len) ^ loss->hash) &
             loss->mask) != 0)
                return;
        loss->key_len = r.key_len;
        memcpy(loss->key, r.key, r.key_len);
}

static struct bm_loss *new_loss(struct bm_salvage *sv)
{
        if (sv->n == sv->cap) {
                size_t cap = sv->cap ? sv->cap * 2 : 64;
                struct bm_loss *grown = realloc(sv->losses, cap * sizeof(*grown));
                if (!grown)
                        return NULL;
                sv->losses = grown;
                sv->cap = cap;
        }
        sv->data_damaged = true;
        return &sv->losses[sv->n++];
}

static int add_loss(struct bm_map *map, const struct bm_known_slot *known, uint64_t mask)
{
        struct bm_loss *loss = new_loss(map->store->salvage);
        if (!loss)
                return -ENOMEM;
        *loss = (struct bm_loss){.map_id = map->id, .hash = known->hash, .mask = mask};
        guess_key(map->store, &known->slot, loss);
        return 0;
}

int bm_salvage_note(struct bm_store *store, const struct bm_segment *s, uint64_t at)
{
        struct bm_record r;
        if (bm_record_parse(&r, s->base + at, s->size - at, s->header.base_time) != 0 ||
            r.key_len == 0 || bm_record_slot_kind(r.type) == BM_SLOT_EMPTY ||
            (r.map_id != BM_MAP_ROOT && r.map_id < BM_MAP_FIRST) || memchr(r.key, 0, r.key_len) ||
            memchr(r.key, '/', r.key_len))
                return 0;
        struct bm_loss *loss = new_loss(store->salvage);
        if (!loss)
                return -ENOMEM;
        *loss = (struct bm_loss){.map_id = r.map_id, .change = true, .key_len = r.key_len};
        memcpy(loss->key, r.key, r.key_len);
        return 0;
}

static bool leads_somewhere(struct bm_map *map, const struct bm_known_slot *known, uint64_t mask)
{
        struct bm_store *store = map->store;
        struct bm_segment *s = bm_drives_segment(&store->drives, known->slot.file_id);
        struct bm_map_entry entry;
        struct bm_head head;
        struct bm_record r;
        uint64_t data_id, chunk;
        if (!s || !s->base || bm_segment_record(s, known->slot.offset, &r) != 0 ||
            r.map_id != map->id || bm_record_slot_kind(r.type) != known->slot.kind ||
            ((bm_hash_key(store->drives.superblock.hash_secret, r.key, r.key_len) ^ known->hash) &
             mask) != 0)
                return false;
        if (r.type == BM_REC_MAP)
                return bm_map_entry_decode(&entry, r.value, r.value_len) == 0;
        if (r.type == BM_REC_HEAD)
                return bm_head_decode(&head, r.value, r.value_len) == 0;
        if (map->id == BM_MAP_CHUNKS || map->id == BM_MAP_PATCHES)
                return bm_chunk_key_decode(r.key, r.key_len, &data_id, &chunk) == 0;
        return true;
}

struct at_place {
        uint32_t file_id, offset;
};

static int is_at(void *ctx, const struct bm_slot *slot)
{
        const struct at_place *p = ctx;
        return slot->file_id == p->file_id && slot->offset == p->offset;
}

static int look_at_slot(struct bm_map *map, struct bm_bucket *bucket,
                        const struct bm_known_slot *known)
{
        const uint64_t mask = ~(UINT64_MAX >> (map->buckets_log2 + BM_TAG_BITS));
        struct at_place here = {.file_id = known->slot.file_id, .offset = known->slot.offset};
        struct bm_place place;
        struct bm_slot slot;
        if (leads_somewhere(map, known, mask))
                return 0;
        int r = add_loss(map, known, mask);
        if (r == 0)
                r = bm_index_find(&bucket->index, known->hash, is_at, &here, &place, &slot);
        if (r == 0)
                bm_index_erase(&bucket->index, &place);
        return r == BM_E_NOT_FOUND ? BM_E_DAMAGED : r;
}

static int look_at_bucket(struct bm_map *map, size_t i)
{
        struct bm_bucket *bucket = &map->buckets[i];
        unsigned skip = map->buckets_log2;
        uint64_t hash = skip ? (uint64_t)i << (64 - skip) : 0;
        uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last;
        int r;
        do {
                struct bm_known_slot *slots;
                size_t n;
                r = bm_index_collect(&bucket->index, hash, &slots, &n, &last);
                if (r == -EIO) {
                        bm_problem_set("a part of the index cannot be read");
                        return BM_E_DAMAGED;
                }
                for (size_t k = 0; k < n && r == 0; k++)
                        r = look_at_slot(map, bucket, &slots[k]);
                free(slots);
                hash = last + 1;
        } while (r == 0 && last < end);
        return r;
}

int bm_salvage_index(struct bm_store *store)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                for (size_t k = 0; k < (size_t)1 << maps[i]->buckets_log2 && r == 0; k++)
                        r = look_at_bucket(maps[i], k);
        }
        bm_maps_list_free(&store->maps, maps, n);
        return r;
}
