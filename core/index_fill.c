/* SPDX-License-Identifier: MIT */
/*
 * Filling an empty block with all that a growth moves into it. A key is moved
 * about six times while its block grows and splits, so this is a fifth of the
 * work of an insertion: what the lines hold is counted beside them, and each
 * line's overflow is written once instead of once for every entry that passed.
 */
#include <assert.h>

#include "index_block.h"

static_assert((int)BM_BLOCK_SLOTS_MAX <= (int)BM_OVERFLOW_MAX,
              "no counter of a fresh block is full");

struct filling {
        struct bm_block *block;
        uint8_t *image;
        uint32_t window;
        uint8_t used[BM_BLOCK_LINES_MAX];
        uint16_t passed[BM_BLOCK_LINES_MAX];
};

/* False if the window is full: only hops can help. */
static bool fill_one(struct filling *f, const struct bm_entry_words *words)
{
        uint32_t home = bm_block_home(f->block, words->tag & BM_TAG_MASK), line = home;
        uint8_t *at;

        for (uint32_t n = 0; f->used[line] == BM_LINE_SLOTS;) {
                if (++n == f->window)
                        return false;
                line = bm_block_line_after(f->block, line);
        }
        for (; home != line; home = bm_block_line_after(f->block, home))
                f->passed[home]++;
        at = bm_image_line(f->image, line) + f->used[line]++ * sizeof(struct bm_disk_slot);
        bm_store_le64(at, words->place);
        bm_store_le64(at + offsetof(struct bm_disk_slot, tag), words->tag);
        return true;
}

size_t bm_block_fill(struct bm_block *block, const struct bm_entry_words *words, size_t n,
                     uint32_t window_lines)
{
        struct filling f = {
                .block = block,
                .image = bm_block_image(block),
                .window = bm_block_window(block, window_lines),
        };
        size_t i = 0;

        assert(block->live == 0 && block->lines <= BM_BLOCK_LINES_MAX);
        while (i < n && fill_one(&f, &words[i]))
                i++;
        for (uint32_t line = 0; line < block->lines; line++)
                if (f.passed[line])
                        bm_line_set_overflow(bm_image_line(f.image, line), f.passed[line]);
        block->live = (uint16_t)i;
        while (i < n && bm_block_put(block, &words[i], window_lines))
                i++;
        return i;
}
