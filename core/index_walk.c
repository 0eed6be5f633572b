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

static void visit_block(const struct bm_index *ix, const struct bm_block *block,
                        bm_known_slot_fn fn, void *ctx)
{
        uint8_t *image = bm_block_image(block);

        for (uint32_t slot = 0; slot < block->lines * BM_LINE_SLOTS; slot++) {
                const uint8_t *at = bm_image_slot(image, slot);
                uint64_t place = bm_slot_place(at), tag = bm_slot_tag(at);
                struct bm_known_slot known;

                if (bm_slot_kind(place) == BM_SLOT_EMPTY)
                        continue;
                known.hash = bm_index_hash(ix, tag & BM_TAG_MASK);
                bm_slot_decode(&known.slot, place, tag);
                fn(ctx, &known);
        }
}

/* The part where HASH belongs, and the last hash of it. Index: shared. */
static int touch_part(struct bm_index *ix, uint64_t hash, struct bm_block **partp, uint64_t *last)
{
        uint64_t tag = bm_index_tag(ix, hash);
        struct bm_block *part = bm_index_part(ix, tag);
        unsigned depth = part ? part->depth : 0;
        unsigned below = 64 - BM_TAG_BITS - ix->skip; /* hash bits that no slot keeps */

        *last = bm_index_hash(ix, tag | BM_TAG_MASK >> depth) | ((UINT64_C(1) << below) - 1);
        *partp = part;
        return bm_index_touch_part(ix, part, tag);
}

int bm_index_visit(struct bm_index *ix, uint64_t hash, bm_known_slot_fn fn, void *ctx,
                   uint64_t *last)
{
        struct bm_block *part;
        int r = touch_part(ix, hash, &part, last);

        for (const struct bm_block *b = part; r == 0 && b; b = b->chain)
                visit_block(ix, b, fn, ctx);
        return r;
}

struct collection {
        struct bm_known_slot *slots;
        size_t n;
};

static void collect(void *ctx, const struct bm_known_slot *known)
{
        struct collection *c = ctx;

        c->slots[c->n++] = *known;
}

int bm_index_collect(struct bm_index *ix, uint64_t hash, struct bm_known_slot **slots, size_t *n,
                     uint64_t *last)
{
        struct collection c = {0};
        struct bm_block *part;
        size_t live = 0;
        int r = touch_part(ix, hash, &part, last);

        *slots = NULL;
        *n = 0;
        if (r)
                return r;
        for (const struct bm_block *b = part; b; b = b->chain)
                live += b->live;
        if (live == 0)
                return 0;
        c.slots = malloc(live * sizeof(*c.slots));
        if (!c.slots)
                return -ENOMEM;
        for (const struct bm_block *b = part; b; b = b->chain)
                visit_block(ix, b, collect, &c);
        qsort(c.slots, c.n, sizeof(*c.slots), compare_hash);
        *slots = c.slots;
        *n = c.n;
        return 0;
}
