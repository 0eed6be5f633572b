/* SPDX-License-Identifier: MIT */
/*
 * The way back from growth, for an index that lost most of its keys: sparse
 * blocks become smaller, sparse neighbours one. What is made is at most half
 * full of what would split it again, so that the two do not chase each other.
 */
#include <stdlib.h>

#include "bucketmap.h"
#include "index_private.h"

/* Puts the keys of A, and of B if that is not NULL, into one block of fewer
 * lines than they have. NULL: not possible, or no memory: nothing is lost. */
static struct bm_block *combine(const struct bm_index *ix, const struct bm_block *a,
                                const struct bm_block *b)
{
        uint64_t before = (bm_part_slots(a) + bm_part_slots(b)) / BM_LINE_SLOTS;
        size_t n;
        struct bm_entry_words *keys = bm_part_copy(a, b, &n);
        struct bm_block *block = NULL;
        uint32_t lines;

        if (!keys)
                return NULL;
        for (lines = bm_block_lines_for(n); lines && lines < before && !block;
             lines = bm_block_lines_next(lines)) {
                block = bm_block_new(lines, b ? a->depth - 1u : a->depth);
                if (!block)
                        break;
                if (bm_block_fill(block, keys, n, ix->window_lines) < n) {
                        bm_block_free(block);
                        block = NULL;
                }
        }
        if (block)
                bm_image_set_applied(bm_block_image(block),
                                     bm_max_u64(bm_part_applied(a), bm_part_applied(b)));
        free(keys);
        return block;
}

/* Whether a part is in memory, so that nothing has to be read for it. */
static bool in_memory(const struct bm_block *part)
{
        for (; part; part = part->chain)
                if (!bm_block_image(part))
                        return false;
        return true;
}

/* A short window never fills a block, so what is sparse lies lower there. */
static bool sparse(const struct bm_index *ix, const struct bm_block *a, const struct bm_block *b)
{
        unsigned slots_a_key = ix->window_lines < 4 ? 8 : 4;

        return (bm_part_live(a) + bm_part_live(b)) * slots_a_key <=
               bm_part_slots(a) + bm_part_slots(b);
}

/* The other half of the part at AT, if it is a part and AT is the first half. */
static struct bm_block *sibling(const struct bm_index *ix, size_t at)
{
        size_t next = bm_index_next_part(ix, at);

        if (ix->dir[at]->depth == 0 || at % (2 * (next - at)) != 0 ||
            ix->dir[next]->depth != ix->dir[at]->depth)
                return NULL;
        return ix->dir[next];
}

static void replace(struct bm_index *ix, size_t at, struct bm_block *block, struct bm_block *a,
                    struct bm_block *b)
{
        size_t end = at + ((size_t)1 << (ix->depth - block->depth));

        while (at < end)
                ix->dir[at++] = block;
        bm_index_account(ix, block, +1);
        bm_index_account(ix, a, -1);
        bm_index_account(ix, b, -1);
        bm_block_free(a);
        bm_block_free(b);
}

/* A directory no deeper than its deepest block. */
static void flatten(struct bm_index *ix)
{
        size_t len = bm_index_dir_len(ix);
        struct bm_block **dir = &ix->dir0;
        unsigned depth = 0;

        for (size_t at = 0; at < len; at = bm_index_next_part(ix, at))
                if (ix->dir[at]->depth > depth)
                        depth = ix->dir[at]->depth;
        if (depth == ix->depth)
                return;
        if (depth > 0)
                dir = malloc(sizeof(dir[0]) << depth);
        if (!dir)
                return; /* the larger one is as good */
        for (size_t at = 0; at < (size_t)1 << depth; at++)
                dir[at] = ix->dir[at << (ix->depth - depth)];
        free(ix->dir);
        ix->dir = dir;
        ix->depth = (uint8_t)depth;
}

bool bm_index_shrink(struct bm_index *ix, unsigned max)
{
        size_t len = bm_index_dir_len(ix), at = 0;

        if (atomic_load_explicit(&ix->anticipated, memory_order_relaxed) > bm_figure(&ix->n_used))
                return false;
        /* what is parked would find its source gone */
        bm_reallocated_free(get_reallocated(ix));
        while (at < len) {
                struct bm_block *a = ix->dir[at], *b = sibling(ix, at), *block = NULL;
                size_t span = bm_index_next_part(ix, at) - at;

                if (b && sparse(ix, a, b) && in_memory(a) && in_memory(b)) {
                        if (max == 0)
                                return true;
                        block = combine(ix, a, b);
                }
                if (block) {
                        replace(ix, at, block, a, b);
                        at &= ~(4 * span - 1); /* now it may be a sibling itself */
                        max--;
                        continue;
                }
                if (a->lines > BM_BLOCK_LINES_MIN && sparse(ix, a, NULL) && in_memory(a)) {
                        if (max == 0)
                                return true;
                        block = combine(ix, a, NULL);
                        if (block) {
                                replace(ix, at, block, a, NULL);
                                max--;
                        }
                }
                at += span;
        }
        if (len)
                flatten(ix);
        return false;
}
