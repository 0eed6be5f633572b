/* SPDX-License-Identifier: MIT */
/*
 * The chunks of large values, whole and belonging to some value, and their
 * patches. A damaged one belongs to a key, but only the other way leads from one to the other: so
 * if there are any, the heads are gone through once more, and each chunk that one has is compared
 * with those by its hash, which their slots know.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "check_private.h"
#include "hash.h"
#include "large.h"
#include "patch.h"
#include "store.h"

enum {
        CHUNKS_MAX = 1 << 16, /* to be named; further ones are reported without a name */
        CHUNKS_A_STEP = 4096, /* hashes between two looks at whether to go on */
};

struct bm_check_chunk {
        bool patch;    /* of a piece of one */
        uint64_t hash; /* as far as the slot knows it */
        uint32_t file_id, offset;
        bool named;
};

static const char unreadable[] = "a record fails its checksum, or is lost:";

static void report_chunk(struct bm_checker *c, const struct bm_check_chunk *chunk,
                         const struct bm_check_where *where, uint64_t from, uint64_t to)
{
        struct bm_segment *s = bm_drives_segment(&c->store->drives, chunk->file_id);
        char place[4200] = "a segment that is missing";
        if (s)
                bm_drives_place(&c->store->drives, s, place, sizeof(place));
        if (where)
                bm_check_report(c, BM_CHECK_RECORD, where,
                                "bytes %" PRIu64 " to %" PRIu64 " are lost: %s byte %" PRIu32
                                " of %s",
                                from, to - 1, unreadable, chunk->offset, place);
        else
                bm_check_report(c, BM_CHECK_RECORD,
                                &(struct bm_check_where){.map_id = chunk->patch ? BM_MAP_PATCHES
                                                                                : BM_MAP_CHUNKS,
                                                         .path = ""},
                                "part of a large value: %s byte %" PRIu32 " of %s", unreadable,
                                chunk->offset, place);
}

static int add_lost(struct bm_checker *c, const struct bm_check_slot *slot, bool patch)
{
        const struct bm_check_chunk chunk = {.patch = patch,
                                             .hash = slot->known.hash,
                                             .file_id = slot->known.slot.file_id,
                                             .offset = slot->known.slot.offset};
        int r = bm_check_note_place(c, &slot->known.slot);
        if (r < 0)
                return r;
        if (c->n_chunks == CHUNKS_MAX) {
                report_chunk(c, &chunk, NULL, 0, 0);
                return 0;
        }
        if (c->n_chunks == c->cap_chunks) {
                size_t cap = c->cap_chunks ? c->cap_chunks * 2 : 64;
                struct bm_check_chunk *grown = realloc(c->chunks, cap * sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                c->chunks = grown;
                c->cap_chunks = cap;
        }
        c->chunks[c->n_chunks++] = chunk;
        return 0;
}

/* Whether anything in sight may have the chunks of DATA_ID. */
static int may_belong(struct bm_checker *c, uint64_t data_id)
{
        if (c->heads_unknown || data_id >= c->next_data || bm_id_set_has(&c->dropped, data_id) ||
            bm_id_set_has(&c->strays, data_id))
                return 1;
        return bm_watch_has_head(&c->store->watch, data_id);
}

int bm_check_part(struct bm_check_walk *w, const struct bm_check_slot *slot, bool patch,
                  struct bm_check_part *part)
{
        struct bm_checker *c = w->check;
        struct bm_check_verdict v;
        int r = bm_check_advance(c, slot->known.slot.length);
        part->whole = false;
        if (r != 0 || !bm_check_judge(w, slot, &v))
                return r;
        if (v.bad && v.kind == BM_CHECK_RECORD)
                return add_lost(c, slot, patch);
        if (v.bad)
                return bm_check_report_verdict(w, slot, &v);
        part->record = v.record;
        part->whole = bm_chunk_key_decode(v.record.key, v.record.key_len, &part->data_id,
                                          &part->number) == 0;
        if (!part->whole)
                bm_check_report(c, BM_CHECK_STRUCTURE, NULL, "a %s's key makes no sense",
                                patch ? "patch" : "chunk");
        return 0;
}

static int visit_chunk(struct bm_check_walk *w, const struct bm_check_slot *slot)
{
        struct bm_checker *c = w->check;
        struct bm_check_part part;
        int r = bm_check_part(w, slot, false, &part);
        if (r != 0 || !part.whole)
                return r;
        const uint64_t data_id = part.data_id, chunk = part.number;
        if (slot->known.slot.count || bm_chunk_needs(&part.record)) {
                r = bm_check_patches_of(c, data_id, chunk, BM_CHUNK_PIECES);
                if (r != 0)
                        return r;
        }
        int known = may_belong(c, data_id);
        if (known != 0 || !bm_check_is_there(w, slot))
                return known < 0 ? known : 0;
        bm_check_report(c, BM_CHECK_STRUCTURE, NULL,
                        "chunk %" PRIu64 " of data id %" PRIu64 " belongs to no value", chunk,
                        data_id);
        r = bm_id_set_add(&c->strays, data_id);
        return r < 0 ? r : 0;
}

/* Names */

static int compare_hash(const void *a, const void *b)
{
        const struct bm_check_chunk *x = a, *y = b;
        if (x->patch != y->patch)
                return x->patch ? 1 : -1;
        return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The parts of a value that may be damaged: its chunks, or the patches of their pieces. */
static int name_parts(struct bm_checker *c, const struct bm_check_where *where,
                      const struct bm_head *head, bool patches)
{
        struct bm_map *map = patches ? c->store->patches : c->store->chunks;
        const unsigned size_log2 = patches ? BM_PATCH_LOG2 : BM_CHUNK_LOG2;
        const uint64_t mask = ~(UINT64_MAX >> (map->buckets_log2 + BM_TAG_BITS));
        const uint64_t n = bm_head_chunks(head) << (BM_CHUNK_LOG2 - size_log2);
        int r = 0;
        for (uint64_t i = 0; i < n && r == 0; i++) {
                uint8_t key[BM_CHUNK_KEY];
                bm_chunk_key(head->data_id, i, key);
                const struct bm_check_chunk wanted = {
                        .patch = patches,
                        .hash = bm_hash_key(c->store->drives.superblock.hash_secret, key,
                                            sizeof(key)) &
                                mask};
                struct bm_check_chunk *found =
                        bsearch(&wanted, c->chunks, c->n_chunks, sizeof(wanted), compare_hash);
                if (found && !found->named) {
                        uint64_t from = i << size_log2, to = (i + 1) << size_log2;
                        found->named = true;
                        /* or it is one that was allocated beyond the end */
                        if (from < head->size)
                                to = bm_min_u64(to, head->size);
                        report_chunk(c, found, where, from, to);
                }
                if (i % CHUNKS_A_STEP == CHUNKS_A_STEP - 1)
                        r = bm_check_advance(c, 0);
        }
        return r;
}

static int name_chunks(struct bm_check_walk *w, const struct bm_record *record,
                       const struct bm_head *head)
{
        struct bm_checker *c = w->check;
        struct bm_check_where where = {.map_id = w->map->id,
                                       .path = w->path,
                                       .key = record->key,
                                       .key_len = record->key_len};
        int r = 0;
        if (w->map->id == BM_MAP_INODES)
                bm_check_name_of(c, record->key, record->key_len, &where);
        if (!c->chunks[0].patch)
                r = name_parts(c, &where, head, false);
        if (r == 0 && c->chunks[c->n_chunks - 1].patch)
                r = name_parts(c, &where, head, true);
        return r;
}

static int visit_head(struct bm_check_walk *w, const struct bm_check_slot *slot)
{
        struct bm_check_verdict v;
        struct bm_head head;
        enum bm_slot_kind kind = slot->known.slot.kind;
        int r = bm_check_advance(w->check, 0);
        if (r != 0 || (kind != BM_SLOT_LARGE && kind != BM_SLOT_MAP) ||
            !bm_check_judge(w, slot, &v) || !v.usable)
                return r;
        if (v.record.type == BM_REC_HEAD &&
            bm_head_decode(&head, v.record.value, v.record.value_len) == 0)
                return name_chunks(w, &v.record, &head);
        return bm_check_follow(w, &v.record);
}

int bm_check_chunks(struct bm_checker *c)
{
        int r = bm_check_walk_map(c, BM_MAP_CHUNKS, "", visit_chunk);
        if (r == 0)
                r = bm_check_patches(c);
        if (r != 0 || c->n_chunks == 0)
                return r;
        qsort(c->chunks, c->n_chunks, sizeof(*c->chunks), compare_hash);
        c->naming = true;
        r = bm_check_user_maps(c, visit_head);
        if (r == 0)
                r = bm_check_walk_map(c, BM_MAP_INODES, "", visit_head);
        c->naming = false;
        for (size_t i = 0; i < c->n_chunks && r == 0; i++) {
                if (!c->chunks[i].named)
                        report_chunk(c, &c->chunks[i], NULL, 0, 0);
        }
        return r;
}
