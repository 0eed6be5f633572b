/* SPDX-License-Identifier: MIT */
/*
 * What a growth builds: the next size class; where the largest is full, the
 * two halves of a split, each sized for its keys. Whatever turns out to be too
 * small (a short window, skewed hashes) is tried larger, then split again,
 * down to the depth limit, where an overflow chain takes the rest. So it
 * always ends with room for the hash that asked. It reads no key.
 */
#include <errno.h>
#include <stdlib.h>

#include "index_private.h"

enum {
        SPLIT_AHEAD_KEYS = BM_BLOCK_SLOTS_MAX * 3 / 4, /* more than that expected: split at once */
        SPLIT_AHEAD_DEPTH = 6, /* by one growth: what a wrong hint may cost is bounded */
};

struct layout {
        const struct bm_index *ix;
        struct Reallocated *grown;
        uint64_t applied;
        uint64_t anticipated; /* keys of the bucket */
        unsigned depth_limit, ahead_limit;
};

/* Keys of one part to be. */
struct keys {
        struct bm_entry_words *at;
        size_t n;
        unsigned depth;
        uint64_t prefix;
        uint32_t min_lines;
};

static bool wants_room(const struct layout *l, const struct keys *k)
{
        return bm_tag_prefix(l->grown->tag, k->depth) == k->prefix;
}

static struct bm_block *layout_block(const struct layout *l, uint32_t lines, unsigned depth)
{
        struct bm_block *block = bm_block_new(lines, depth);

        if (block)
                bm_image_set_applied(bm_block_image(block), l->applied);
        return block;
}

static int add_part(struct Reallocated *grown, struct bm_block *block)
{
        if (grown->n_parts == grown->max_parts) {
                size_t max = grown->max_parts ? grown->max_parts * 2 : 2;
                struct bm_block **parts = reallocarray(grown->parts, max, sizeof(parts[0]));

                if (!parts)
                        return -ENOMEM;
                grown->parts = parts;
                grown->max_parts = max;
        }
        grown->parts[grown->n_parts++] = block;
        if (block->depth > grown->depth)
                grown->depth = block->depth;
        return 0;
}

/* All KEYS in one block of LINES, with room for what asked. *FITS says whether
 * that was possible. */
static int lay_single(struct layout *l, const struct keys *k, uint32_t lines, bool *fits)
{
        struct bm_block *block = layout_block(l, lines, k->depth);
        struct bm_vacancy vacancy;
        int r = 0;

        *fits = false;
        if (!block)
                return -ENOMEM;
        if (bm_block_fill(block, k->at, k->n, l->ix->window_lines) == k->n &&
            (!wants_room(l, k) ||
             bm_block_room(block, l->grown->tag, l->ix->window_lines, &vacancy)))
                r = add_part(l->grown, block);
        else
                r = 1;
        if (r)
                bm_block_free(block);
        *fits = r == 0;
        return r < 0 ? r : 0;
}

/* The depth limit: what does not fit the block goes to its chain. Moves those
 * to the front of the keys. */
static int lay_chained(struct layout *l, const struct keys *k)
{
        struct bm_block *head = layout_block(l, bm_block_lines_for(k->n), k->depth);
        struct bm_block *tail = head;
        struct bm_vacancy vacancy;
        size_t left = 0, asked;

        if (!head)
                return -ENOMEM;
        for (size_t i = 0; i < k->n; i++) {
                if (bm_block_put(head, &k->at[i], l->ix->window_lines))
                        continue;
                bm_block_pass(head, k->at[i].tag & BM_TAG_MASK, l->ix->window_lines, +1);
                k->at[left++] = k->at[i];
        }
        asked = wants_room(l, k) &&
                !bm_block_room(head, l->grown->tag, l->ix->window_lines, &vacancy);
        for (size_t at = 0; at < left + asked;) {
                struct bm_block *block =
                        layout_block(l, bm_block_lines_for(left + asked - at), k->depth);

                if (!block) {
                        bm_block_free(head);
                        return -ENOMEM;
                }
                block->chained = true;
                tail->chain = block;
                tail = block;
                while (at < left && bm_block_put(block, &k->at[at], l->ix->window_lines))
                        at++;
                if (at < left)
                        bm_block_pass_many(block, left - at);
                else if (!asked || block->live < block->lines * BM_LINE_SLOTS)
                        break;
        }
        if (add_part(l->grown, head)) {
                bm_block_free(head);
                return -ENOMEM;
        }
        return 0;
}

static int lay_out(struct layout *l, const struct keys *k);

static int lay_split(struct layout *l, const struct keys *k)
{
        uint64_t bit = UINT64_C(1) << (BM_TAG_BITS - 1 - k->depth);
        struct bm_entry_words *ones = malloc((k->n ? k->n : 1) * sizeof(*ones));
        struct keys half = {.at = k->at,
                            .depth = k->depth + 1,
                            .prefix = k->prefix,
                            .min_lines = BM_BLOCK_LINES_MIN};
        size_t n_ones = 0;
        int r;

        if (!ones)
                return -ENOMEM;
        for (size_t i = 0; i < k->n; i++) {
                if (k->at[i].tag & bit)
                        ones[n_ones++] = k->at[i];
                else
                        k->at[half.n++] = k->at[i];
        }
        r = lay_out(l, &half);
        if (!r) {
                half.at = ones;
                half.n = n_ones;
                half.prefix |= bit;
                r = lay_out(l, &half);
        }
        free(ones);
        return r;
}

/* Makes parts for the keys, in the order of their prefixes. At most
 * BM_INDEX_DEPTH_MAX deep. */
static int lay_out(struct layout *l, const struct keys *k)
{
        uint64_t ahead = l->anticipated >> k->depth;
        uint64_t want = bm_max_u64(k->n + wants_room(l, k), ahead);
        uint32_t lines = bm_block_lines_for(want);
        bool fits = false;
        int r = 0;

        if (ahead > SPLIT_AHEAD_KEYS && ahead > k->n && k->depth < l->ahead_limit)
                return lay_split(l, k);
        if (lines < k->min_lines)
                lines = k->min_lines;
        if (lines > BM_BLOCK_LINES_MAX || k->n >= BM_BLOCK_SLOTS_MAX)
                lines = 0;
        for (; lines && !r && !fits; lines = bm_block_lines_next(lines))
                r = lay_single(l, k, lines, &fits);
        if (r || fits)
                return r;
        return k->depth < l->depth_limit ? lay_split(l, k) : lay_chained(l, k);
}

int bm_index_build(struct bm_index *ix, uint64_t tag, struct Reallocated **grownp)
{
        struct bm_block *source = bm_index_part(ix, tag);
        struct layout l = {.ix = ix};
        struct keys all = {.min_lines = BM_BLOCK_LINES_MIN};
        struct Reallocated *grown;
        int r = bm_index_touch_part(ix, source, tag);

        if (r)
                return r;
        grown = calloc(1, sizeof(*grown));
        all.at = bm_part_copy(source, NULL, &all.n);
        if (!grown || !all.at) {
                free(grown);
                free(all.at);
                return -ENOMEM;
        }
        grown->source = source;
        grown->version = bm_part_version(source);
        grown->tag = tag;

        l.grown = grown;
        l.applied = bm_part_applied(source);
        l.anticipated = atomic_load_explicit(&ix->anticipated, memory_order_relaxed);
        all.depth = source ? source->depth : 0;
        all.prefix = bm_tag_prefix(tag, all.depth);
        if (source && !source->chain)
                /* one more than the largest: no single block will do */
                all.min_lines = source->lines < BM_BLOCK_LINES_MAX
                                        ? bm_block_lines_next(source->lines)
                                        : BM_BLOCK_LINES_MAX + 1;
        l.depth_limit = bm_index_depth_limit(ix->n_blocks);
        if (l.depth_limit < all.depth)
                l.depth_limit = all.depth;
        l.ahead_limit = l.depth_limit < all.depth + SPLIT_AHEAD_DEPTH
                                ? l.depth_limit
                                : all.depth + SPLIT_AHEAD_DEPTH;
        r = lay_out(&l, &all);
        free(all.at);
        if (!r && grown->depth > ix->depth) {
                grown->dir = calloc((size_t)1 << grown->depth, sizeof(grown->dir[0]));
                if (!grown->dir)
                        r = -ENOMEM;
        }
        if (r) {
                bm_reallocated_free(grown);
                return r;
        }
        *grownp = grown;
        return 0;
}
