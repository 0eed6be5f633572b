/* SPDX-License-Identifier: MIT */
/* Walking an index in the order of the hashes, one part at a time. */
#include <errno.h>
#include <stdlib.h>

#include "bucketmap.h"
#include "index_private.h"

static int compare_hash(const void *a, const void *b)
{
        uint64_t x = ((const struct bm_known_slot *)a)->hash;
        uint64_t y = ((const struct bm_known_slot *)b)->hash;

        return (x > y) - (x < y);
}

static void collect_block(const struct bm_index *ix, const struct bm_block *block,
                          struct bm_known_slot *out, size_t *n)
{
        uint8_t *image = bm_block_image(block);

        for (uint32_t slot = 0; slot < block->lines * BM_LINE_SLOTS; slot++) {
                const uint8_t *at = bm_image_slot(image, slot);
                uint64_t place = bm_slot_place(at), tag = bm_slot_tag(at);

                if (bm_slot_kind(place) == BM_SLOT_EMPTY)
                        continue;
                out[*n].hash = bm_index_hash(ix, tag & BM_TAG_MASK);
                bm_slot_decode(&out[*n].slot, place, tag);
                (*n)++;
        }
}

int bm_index_collect(struct bm_index *ix, uint64_t hash, struct bm_known_slot **slots, size_t *n,
                     uint64_t *last)
{
        uint64_t tag = bm_index_tag(ix, hash);
        struct bm_block *part = bm_index_part(ix, tag);
        unsigned depth = part ? part->depth : 0;
        unsigned below = 64 - BM_TAG_BITS - ix->skip; /* hash bits that no slot keeps */
        size_t live = 0;
        int r;

        *last = bm_index_hash(ix, tag | BM_TAG_MASK >> depth) | ((UINT64_C(1) << below) - 1);
        *slots = NULL;
        *n = 0;
        r = bm_index_touch_part(ix, part, tag);
        if (r)
                return r;
        for (const struct bm_block *b = part; b; b = b->chain)
                live += b->live;
        if (live == 0)
                return 0;
        *slots = malloc(live * sizeof(**slots));
        if (!*slots)
                return -ENOMEM;
        for (const struct bm_block *b = part; b; b = b->chain)
                collect_block(ix, b, *slots, n);
        qsort(*slots, *n, sizeof(**slots), compare_hash);
        return 0;
}
