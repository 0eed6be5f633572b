/* SPDX-License-Identifier: MIT */
/* Finding and changing slots. */
#include "index.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "bucketmap.h"
#include "index_private.h"

void bm_index_init(struct bm_index *ix, uint32_t bucket, uint8_t skip, uint16_t max_search,
                   const struct bm_block_source *source, struct bm_index_stats *stats)
{
        assert(max_search >= BM_LINE_SLOTS && max_search <= BM_BLOCK_SLOTS_MAX);
        assert(skip <= 64 - BM_TAG_BITS && (uint64_t)bucket >> skip == 0);
        *ix = (struct bm_index){
                .source = source,
                .stats = stats,
                .bucket = bucket,
                .window_lines = max_search / BM_LINE_SLOTS,
                .skip = skip,
        };
}

void bm_index_account(struct bm_index *ix, const struct bm_block *block, int way)
{
        for (; block; block = block->chain) {
                uint64_t slots = (uint64_t)block->lines * BM_LINE_SLOTS;

                /* unsigned, so that adding a negative number takes away */
                ix->n_blocks += (uint32_t)way;
                bm_figure_add(&ix->n_used, (uint64_t)way * block->live);
                bm_stat_add(&ix->stats->slots, (uint64_t)way * slots);
                bm_stat_add(&ix->stats->bytes, (uint64_t)way * bm_block_bytes(block));
                if (way > 0)
                        bm_stat_max(&ix->stats->max_slots, slots);
        }
}

struct bm_entry_words *bm_part_copy(const struct bm_block *a, const struct bm_block *b, size_t *n)
{
        const struct bm_block *const parts[] = {a, b};
        struct bm_entry_words *out;

        *n = bm_part_live(a) + bm_part_live(b);
        out = malloc((*n ? *n : 1) * sizeof(*out));
        *n = 0;
        for (size_t i = 0; i < bm_array_size(parts) && out; i++) {
                for (const struct bm_block *block = parts[i]; block; block = block->chain) {
                        bm_block_copy(block, out + *n);
                        *n += block->live;
                }
        }
        return out;
}

void bm_index_clear(struct bm_index *ix)
{
        size_t n = bm_index_dir_len(ix);

        for (size_t at = 0; at < n;) {
                struct bm_block *block = ix->dir[at];

                at = bm_index_next_part(ix, at);
                bm_index_account(ix, block, -1);
                bm_block_free(block);
        }
        if (ix->dir != &ix->dir0)
                free(ix->dir);
        ix->dir = NULL;
        ix->dir0 = NULL;
        ix->depth = 0;
}

void bm_index_deinit(struct bm_index *ix)
{
        bm_reallocated_free(get_reallocated(ix));
        bm_index_clear(ix);
}

/* How a probe of one block went: here it is; there is no such slot; or others
 * passed the whole window, so that the chain may have it. */
enum probe_end { PROBE_FOUND, PROBE_ENDED, PROBE_PASSED_ALL };

struct probe {
        uint64_t tag;
        uint32_t window_lines;
        uint32_t lines; /* looked at so far */
        uint32_t slot;
        uint64_t location;
        bm_match_fn match;
        void *ctx;
};

/* A slot with the right tag, or an empty one where that is 0. */
static inline int offer(struct probe *p, const uint8_t *at, struct bm_slot *slot)
{
        uint64_t place = bm_slot_place(at);

        if (bm_unlikely(bm_slot_kind(place) == BM_SLOT_EMPTY))
                return 0;
        bm_slot_decode(slot, place, bm_slot_tag(at));
        p->location = place & BM_LOCATION_MASK;
        return p->match(p->ctx, slot);
}

/* Negative errno, or enum probe_end. */
static inline int probe_block(struct probe *p, const struct bm_block *block, struct bm_slot *slot)
{
        uint8_t *image = bm_block_image(block);
        uint32_t window = bm_block_window(block, p->window_lines);
        uint32_t line = bm_block_home(block, p->tag);

        for (uint32_t n = 1; n <= window; n++, line = bm_block_line_after(block, line)) {
                const uint8_t *at = bm_image_line(image, line);
                uint64_t shares = 0;
                unsigned hits = 0;

                for (uint32_t k = 0; k < BM_LINE_SLOTS; k++) {
                        uint64_t tag = bm_slot_tag(at + k * sizeof(struct bm_disk_slot));

                        shares |= tag;
                        hits |= (unsigned)((tag & BM_TAG_MASK) == p->tag) << k;
                }
                for (; hits; hits &= hits - 1) {
                        uint32_t k = (uint32_t)__builtin_ctz(hits);
                        int r = offer(p, at + k * sizeof(struct bm_disk_slot), slot);

                        if (bm_likely(r > 0)) {
                                p->lines += n;
                                p->slot = line * BM_LINE_SLOTS + k;
                                return PROBE_FOUND;
                        }
                        if (r < 0)
                                return r;
                }
                if (!(shares & BM_SLOT_SHARE_MASK)) { /* nothing ever passed this line */
                        p->lines += n;
                        return PROBE_ENDED;
                }
        }
        p->lines += window;
        return PROBE_PASSED_ALL;
}

__attribute__((hot)) int bm_index_find(struct bm_index *ix, uint64_t hash, bm_match_fn match,
                                       void *ctx, struct bm_place *place, struct bm_slot *slot)
{
        struct probe p = {
                .tag = bm_index_tag(ix, hash),
                .window_lines = ix->window_lines,
                .match = match,
                .ctx = ctx,
        };
        struct bm_block *block = bm_index_part(ix, p.tag);
        int r = PROBE_PASSED_ALL;

        for (; block && r == PROBE_PASSED_ALL; block = block->chain) {
                r = bm_index_touch(ix, block, p.tag);
                if (bm_unlikely(r))
                        return r;
                r = probe_block(&p, block, slot);
                if (bm_unlikely(r < 0))
                        return r;
                if (r == PROBE_FOUND)
                        place->block = block;
        }
        place->slot = p.slot;
        place->tag = p.tag;
        place->location = p.location;
        place->probes = p.lines;
        return r == PROBE_FOUND ? 0 : BM_E_NOT_FOUND;
}

void bm_index_prefetch(const struct bm_index *ix, uint64_t hash)
{
        uint64_t tag = bm_index_tag(ix, hash);
        const struct bm_block *block = bm_index_part(ix, tag);
        uint8_t *image = block ? bm_block_image(block) : NULL;

        if (image)
                __builtin_prefetch(bm_image_line(image, bm_block_home(block, tag)));
}

/* Where a new slot for a tag would go. */
struct room {
        struct bm_block *part, *block;
        struct bm_vacancy vacancy;
};

static int find_room(struct bm_index *ix, uint64_t tag, struct room *room, uint64_t *capacity)
{
        room->part = bm_index_part(ix, tag);
        for (room->block = room->part; room->block; room->block = room->block->chain) {
                int r = bm_index_touch(ix, room->block, tag);

                if (bm_unlikely(r))
                        return r;
                if (bm_block_room(room->block, tag, ix->window_lines, &room->vacancy))
                        return 0;
        }
        *capacity = bm_part_slots(room->part);
        return BM_E_INDEX_NO_SPACE;
}

int bm_index_room(struct bm_index *ix, uint64_t hash, uint64_t *capacity)
{
        struct room room;

        return find_room(ix, bm_index_tag(ix, hash), &room, capacity);
}

__attribute__((hot)) int bm_index_insert(struct bm_index *ix, uint64_t hash,
                                         const struct bm_slot *slot, struct bm_place *place,
                                         uint64_t *capacity)
{
        uint64_t tag = bm_index_tag(ix, hash);
        struct bm_entry_words words;
        struct room room;
        int r = bm_slot_encode(slot, tag, &words);

        if (!r)
                r = find_room(ix, tag, &room, capacity);
        if (bm_unlikely(r))
                return r;
        for (struct bm_block *b = room.part; b != room.block; b = b->chain)
                bm_block_pass(b, tag, ix->window_lines, +1);
        bm_block_place(room.block, &words, &room.vacancy);
        bm_figure_add(&ix->n_used, 1);
        bm_stat_max(&ix->stats->longest_probe, room.vacancy.passed + 1);
        if (place)
                *place = (struct bm_place){
                        .block = room.block,
                        .slot = room.vacancy.slot,
                        .probes = room.vacancy.passed + 1,
                        .tag = tag,
                        .location = words.place & BM_LOCATION_MASK,
                };
        return 0;
}

/* An insertion may have moved the slot within its window; the record's
 * location tells it from all others. */
static bool still_there(const struct bm_place *place, uint32_t slot)
{
        const uint8_t *at = bm_image_slot(bm_block_image(place->block), slot);

        return (bm_slot_place(at) & BM_LOCATION_MASK) == place->location &&
               (bm_slot_tag(at) & BM_TAG_MASK) == place->tag &&
               bm_slot_kind(bm_slot_place(at)) != BM_SLOT_EMPTY;
}

static bool follow(struct bm_place *place)
{
        uint32_t n_slots = place->block->lines * (uint32_t)BM_LINE_SLOTS;
        uint32_t slot = place->slot;

        for (uint32_t n = 0; n < n_slots; n++, slot++) {
                if (slot == n_slots)
                        slot = 0;
                if (still_there(place, slot)) {
                        place->slot = slot;
                        return true;
                }
        }
        assert(!"a place outlived its slot");
        return false;
}

void bm_index_set(struct bm_index *ix, struct bm_place *place, const struct bm_slot *slot)
{
        struct bm_entry_words words;
        int r = bm_slot_encode(slot, place->tag, &words);

        assert(!r);
        if (r || !follow(place))
                return;
        bm_block_set(place->block, place->slot, &words);
        place->location = words.place & BM_LOCATION_MASK;
}

void bm_index_erase(struct bm_index *ix, struct bm_place *place)
{
        if (!follow(place))
                return;
        /* a chained one was reached through loaded blocks: the probe read them */
        for (struct bm_block *b = bm_index_part(ix, place->tag); b != place->block; b = b->chain)
                bm_block_pass(b, place->tag, ix->window_lines, -1);
        bm_block_erase(place->block, place->slot);
        bm_figure_add(&ix->n_used, UINT64_C(0) - 1);
}
