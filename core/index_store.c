/* SPDX-License-Identifier: MIT */
/*
 * Blocks between memory and disk: the checkpoint walks them in the order of
 * the pages table, loading builds the directory from that table's rows, and a
 * block's bytes come in, verified, when somebody first probes it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"
#include "index_memory.h"
#include "index_private.h"

static struct bm_block_row block_row(const struct bm_block *block)
{
        return (struct bm_block_row){
                .file_id = block->file_id,
                .offset_units = block->offset_units,
                .lines = block->lines,
                .live = block->live,
                .depth = block->depth,
                .flags = block->chained ? BM_BLOCK_CHAINED : 0,
                .check = block->check,
        };
}

bm_cold int bm_index_load_block(struct bm_index *ix, struct bm_block *block, uint64_t tag)
{
        struct bm_block_row row = block_row(block);
        uint64_t prefix = bm_index_hash(ix, bm_tag_prefix(tag, block->depth));
        size_t len = bm_block_bytes(block);
        uint8_t *none = NULL, *image = bm_image_new(len);
        int r;

        if (!image)
                return -ENOMEM;
        r = ix->source->read(ix->source->ctx, &row, image, len);
        if (!r && !bm_block_verify(block, image, prefix, ix->skip))
                r = -EIO;
        /* Many may load the same block; the first one's stays. Release: who
         * sees the pointer sees the bytes. */
        if (r || !atomic_compare_exchange_strong_explicit(
                         &block->image, &none, image, memory_order_release, memory_order_relaxed))
                bm_image_free(image);
        return r;
}

/* Of a part whose blocks are loaded. A block that was clean at a checkpoint
 * keeps its older position, though the part includes the newer one. */
uint64_t bm_part_applied(const struct bm_block *block)
{
        uint64_t applied = 0;

        for (; block; block = block->chain)
                applied = bm_max_u64(applied, bm_image_applied(bm_block_image(block)));
        return applied;
}

int bm_index_applied(struct bm_index *ix, uint64_t hash, uint64_t *applied)
{
        uint64_t tag = bm_index_tag(ix, hash);
        struct bm_block *part = bm_index_part(ix, tag);
        int r = bm_index_touch_part(ix, part, tag);

        if (!r)
                *applied = bm_part_applied(part);
        return r;
}

/* Checkpoint */

enum { RUN_BLOCKS = 1024 }; /* clean ones, which only give their row, in a run */

/* A block that cannot be read stays where it is, and so does the file that it stands in. */
static bool is_to_be_written(struct bm_index *ix, struct bm_block *block, uint64_t tag,
                             uint32_t rewrite)
{
        if (block->dirty || !block->offset_units || rewrite == BM_REWRITE_NONE)
                return block->dirty;
        return (rewrite == BM_REWRITE_ALL || rewrite == block->file_id) &&
               bm_index_touch(ix, block, tag) == 0;
}

static int checkpoint_block(struct bm_block *block, bool write, uint64_t prefix, uint64_t chain,
                            const struct bm_index_run *run, bm_block_fn fn, void *ctx)
{
        struct bm_block_row row;
        const void *image = NULL;
        int r;

        if (write) {
                bm_block_seal(block, run->map_id, run->applied, prefix, chain);
                image = bm_block_image(block);
        }
        row = block_row(block);
        r = fn(ctx, &row, image, bm_block_bytes(block));
        if (!r && image) {
                block->file_id = row.file_id;
                block->offset_units = row.offset_units;
                block->dirty = false;
        }
        return r;
}

int bm_index_checkpoint(struct bm_index *ix, struct bm_index_run *run, bm_block_fn fn, void *ctx)
{
        unsigned shift = BM_TAG_BITS - ix->depth;
        size_t n = bm_index_dir_len(ix), bytes = 0, blocks = 0;
        /* parts only split meanwhile, so one begins where the last run ended */
        size_t at = ix->copied >> shift;

        while (at < n && bytes < run->max_bytes && blocks < RUN_BLOCKS) {
                uint64_t tag = (uint64_t)at << shift, chain = 0;

                for (struct bm_block *b = ix->dir[at]; b; b = b->chain) {
                        bool write = is_to_be_written(ix, b, tag, run->rewrite);
                        int r = checkpoint_block(b, write, bm_index_hash(ix, tag), chain++, run, fn,
                                                 ctx);

                        if (r)
                                return r;
                        bytes += write ? bm_block_bytes(b) : 0;
                        blocks++;
                        run->n_rows++;
                }
                at = bm_index_next_part(ix, at);
                ix->copied = (uint64_t)at << shift;
        }
        run->done = at >= n;
        if (run->done)
                ix->copied = 0;
        return 0;
}

void bm_index_end_run(struct bm_index *ix)
{
        ix->copied = 0;
}

bool bm_index_is_copied(const struct bm_index *ix, uint64_t hash)
{
        return bm_index_tag(ix, hash) < ix->copied;
}

int bm_index_dirty_file(struct bm_index *ix, uint32_t file_id)
{
        size_t n = bm_index_dir_len(ix);

        for (size_t at = 0; at < n; at = bm_index_next_part(ix, at)) {
                uint64_t tag = (uint64_t)at << (BM_TAG_BITS - ix->depth);

                for (struct bm_block *b = ix->dir[at]; b; b = b->chain) {
                        int r;

                        if (b->dirty || !b->offset_units || b->file_id != file_id)
                                continue;
                        r = bm_index_touch(ix, b, tag);
                        if (r)
                                return r;
                        b->dirty = true;
                }
        }
        return 0;
}

/* Loading */

/* Whether the rows tile the space of prefixes; *DEPTH gets the deepest. */
static bool rows_tile(const struct bm_block_row *rows, uint32_t n, unsigned *depth)
{
        const uint64_t whole = UINT64_C(1) << BM_INDEX_DEPTH_MAX;
        uint64_t at = 0;

        *depth = 0;
        for (uint32_t i = 0; i < n; i++) {
                const struct bm_block_row *row = &rows[i];
                uint64_t span;

                if (row->depth > BM_INDEX_DEPTH_MAX || row->lines == 0 ||
                    row->lines > BM_BLOCK_LINES_MAX || row->live > row->lines * BM_LINE_SLOTS ||
                    row->flags & ~BM_BLOCK_CHAINED)
                        return false;
                if (row->flags & BM_BLOCK_CHAINED) {
                        if (i == 0 || rows[i - 1].depth != row->depth)
                                return false;
                        continue;
                }
                span = whole >> row->depth;
                if (at % span || span > whole - at)
                        return false;
                at += span;
                if (row->depth > *depth)
                        *depth = row->depth;
        }
        return at == whole;
}

static struct bm_block *block_of_row(const struct bm_block_row *row)
{
        struct bm_block *block = calloc(1, sizeof(*block));

        if (!block)
                return NULL;
        block->file_id = row->file_id;
        block->offset_units = row->offset_units;
        block->lines = row->lines;
        block->live = row->live;
        block->depth = row->depth;
        block->check = row->check;
        block->chained = row->flags & BM_BLOCK_CHAINED;
        return block;
}

int bm_index_load(struct bm_index *ix, const struct bm_block_row *rows, uint32_t n)
{
        struct bm_block **dir = &ix->dir0, *last = NULL;
        unsigned depth;
        size_t at = 0, len;

        if (n == 0)
                return 0;
        if (!rows_tile(rows, n, &depth))
                return BM_E_DAMAGED;
        len = (size_t)1 << depth;
        if (depth > 0)
                dir = calloc(len, sizeof(dir[0]));
        if (!dir)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++) {
                struct bm_block *block = block_of_row(&rows[i]);
                size_t end;

                if (!block)
                        goto no_memory;
                if (block->chained) {
                        last->chain = block;
                } else {
                        end = at + ((size_t)1 << (depth - block->depth));
                        while (at < end)
                                dir[at++] = block;
                }
                last = block;
        }
        ix->dir = dir;
        ix->depth = (uint8_t)depth;
        for (at = 0; at < len; at = bm_index_next_part(ix, at))
                bm_index_account(ix, dir[at], +1);
        return 0;

no_memory:
        for (size_t i = 0; i < at; i += (size_t)1 << (depth - dir[i]->depth))
                bm_block_free(dir[i]);
        if (dir != &ix->dir0)
                free(dir);
        ix->dir0 = NULL;
        return -ENOMEM;
}
