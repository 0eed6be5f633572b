/* SPDX-License-Identifier: MIT */
/* A block by itself: sizes, lines, and where an entry goes. */
#include "index_block.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/intmath.h"
#include "index_memory.h"

static void slot_write(uint8_t *slot, uint64_t place, uint64_t tag)
{
        bm_store_le64(slot, place);
        bm_store_le64(slot + offsetof(struct bm_disk_slot, tag), tag);
}

/* Lines */

unsigned bm_line_overflow(const uint8_t *line)
{
        unsigned n = 0;

        for (unsigned k = 0; k < BM_LINE_SLOTS; k++)
                n |= (unsigned)(bm_slot_tag(line + k * sizeof(struct bm_disk_slot)) >>
                                BM_SLOT_SHARE_SHIFT)
                     << k * BM_SLOT_SHARE_BITS;
        return n;
}

void bm_line_set_overflow(uint8_t *line, unsigned n)
{
        for (unsigned k = 0; k < BM_LINE_SLOTS; k++) {
                uint8_t *at =
                        line + k * sizeof(struct bm_disk_slot) + offsetof(struct bm_disk_slot, tag);
                uint64_t share = n >> k * BM_SLOT_SHARE_BITS & 15;

                bm_store_le64(at, (bm_load_le64(at) & ~BM_SLOT_SHARE_MASK) |
                                          share << BM_SLOT_SHARE_SHIFT);
        }
}

/* A full counter has forgotten how many there were: it stays, and costs
 * misses a line. */
static void line_add(uint8_t *line, uint64_t n)
{
        uint64_t sum = bm_line_overflow(line) + n;

        bm_line_set_overflow(line, sum > BM_OVERFLOW_MAX ? BM_OVERFLOW_MAX : (unsigned)sum);
}

static void line_leave(uint8_t *line)
{
        unsigned n = bm_line_overflow(line);

        if (n > 0 && n < BM_OVERFLOW_MAX)
                bm_line_set_overflow(line, n - 1);
}

/* Blocks */

static const uint16_t size_classes[] = {8, 16, 32, 64, 128, 160, 192, 224, 256};
enum { N_CLASSES = bm_array_size(size_classes) };
static_assert(BM_BLOCK_LINES_MIN == 8 && BM_BLOCK_LINES_MAX == 256, "ends of size_classes");

uint32_t bm_block_lines_for(uint64_t keys)
{
        /* a quarter more slots than keys */
        uint64_t slots = bm_min_u64(keys, BM_BLOCK_SLOTS_MAX) * 5 / 4;
        unsigned i = 0;

        while (i + 1 < N_CLASSES && size_classes[i] * (uint64_t)BM_LINE_SLOTS < slots)
                i++;
        return size_classes[i];
}

uint32_t bm_block_lines_next(uint32_t lines)
{
        for (unsigned i = 0; i < N_CLASSES; i++)
                if (size_classes[i] > lines)
                        return size_classes[i];
        return 0;
}

struct bm_block *bm_block_new(uint32_t lines, unsigned depth)
{
        struct bm_block *block = calloc(1, sizeof(*block));
        size_t bytes = BM_BLOCK_HEADER + (size_t)lines * BM_LINE_BYTES;
        uint8_t *image;

        if (!block)
                return NULL;
        image = bm_image_new(bytes); /* a line is one cache line */
        if (!image) {
                free(block);
                return NULL;
        }
        memset(image, 0, bytes);
        atomic_init(&block->image, image);
        block->lines = (uint16_t)lines;
        block->depth = (uint8_t)depth;
        block->dirty = true;
        return block;
}

void bm_block_free(struct bm_block *block)
{
        while (block) {
                struct bm_block *next = block->chain;

                bm_image_free(bm_block_image(block));
                free(block);
                block = next;
        }
}

static void changed(struct bm_block *block)
{
        block->version++;
        block->dirty = true;
}

/* Number of the first free slot of LINE, or BM_LINE_SLOTS. Without a branch
 * a slot: where lines are half full it would be guessed wrong every time. */
static inline uint32_t free_in_line(uint8_t *image, uint32_t line)
{
        const uint8_t *at = bm_image_line(image, line);
        unsigned free = 1u << BM_LINE_SLOTS;

        for (uint32_t k = 0; k < BM_LINE_SLOTS; k++)
                free |= (unsigned)(bm_slot_kind(bm_slot_place(
                                           at + k * sizeof(struct bm_disk_slot))) == BM_SLOT_EMPTY)
                        << k;
        return (uint32_t)__builtin_ctz(free);
}

static uint32_t line_at(const struct bm_block *block, uint32_t home, uint32_t distance)
{
        uint32_t line = home + distance; /* both below lines */

        return line < block->lines ? line : line - block->lines;
}

/* A slot of LINE whose entry may as well stand in line TO, or BM_LINE_SLOTS. */
static uint32_t movable_in_line(const struct bm_block *block, uint32_t line, uint32_t to,
                                uint32_t window)
{
        const uint8_t *at = bm_image_line(bm_block_image(block), line);

        for (uint32_t k = 0; k < BM_LINE_SLOTS; k++, at += sizeof(struct bm_disk_slot)) {
                uint32_t home = bm_block_home(block, bm_slot_tag(at) & BM_TAG_MASK);
                uint32_t distance = to >= home ? to - home : to + block->lines - home;

                if (distance < window)
                        return k;
        }
        return BM_LINE_SLOTS;
}

/*
 * The window is full: looks behind it for a free slot, and from there back for
 * entries that may move up, the farthest first. Each hop frees a slot nearer
 * to the window. Without this a block of 1024 slots is given up when it is 0.7
 * full. From 7/8 on it would cost misses more lines than it saves bytes.
 */
static bm_cold bool room_by_hops(const struct bm_block *block, uint32_t home, uint32_t window,
                                 struct bm_vacancy *v)
{
        enum { REACH_LINES = 64 };
        uint8_t *image = bm_block_image(block);
        uint32_t end = (uint32_t)bm_min_u64(block->lines, window + REACH_LINES);
        uint32_t distance = window, k = BM_LINE_SLOTS;

        while (distance < end &&
               (k = free_in_line(image, line_at(block, home, distance))) == BM_LINE_SLOTS)
                distance++;
        if (distance >= end || block->live >= block->lines * BM_LINE_SLOTS / 8 * 7)
                return false;
        v->n_hops = 0;
        v->hops[0] = (uint16_t)(line_at(block, home, distance) * BM_LINE_SLOTS + k);
        while (distance >= window) {
                uint32_t to = line_at(block, home, distance);
                uint32_t from = distance - window + 1;

                k = BM_LINE_SLOTS;
                while (from < distance && (k = movable_in_line(block, line_at(block, home, from),
                                                               to, window)) == BM_LINE_SLOTS)
                        from++;
                if (k == BM_LINE_SLOTS || v->n_hops == BM_HOPS_MAX)
                        return false;
                v->hops[++v->n_hops] = (uint16_t)(line_at(block, home, from) * BM_LINE_SLOTS + k);
                distance = from;
        }
        v->slot = v->hops[v->n_hops];
        v->passed = distance;
        return true;
}

__attribute__((hot)) bool bm_block_room(const struct bm_block *block, uint64_t tag,
                                        uint32_t window_lines, struct bm_vacancy *vacancy)
{
        uint8_t *image = bm_block_image(block);
        uint32_t window = bm_block_window(block, window_lines);
        uint32_t home = bm_block_home(block, tag), line = home;

        for (uint32_t n = 0; n < window; n++, line = bm_block_line_after(block, line)) {
                uint32_t k = free_in_line(image, line);

                if (k < BM_LINE_SLOTS) {
                        vacancy->slot = line * BM_LINE_SLOTS + k;
                        vacancy->passed = n;
                        vacancy->n_hops = 0;
                        return true;
                }
        }
        return room_by_hops(block, home, window, vacancy);
}

/* Within its window, towards the window's end. The slot that it leaves is
 * filled by the caller. */
static bm_cold void hop(const struct bm_block *block, uint32_t from, uint32_t to)
{
        uint8_t *image = bm_block_image(block);
        uint8_t *source = bm_image_slot(image, from), *target = bm_image_slot(image, to);
        uint32_t line = from / BM_LINE_SLOTS;

        slot_write(target, bm_slot_place(source),
                   (bm_slot_tag(source) & ~BM_SLOT_SHARE_MASK) |
                           (bm_slot_tag(target) & BM_SLOT_SHARE_MASK));
        for (; line != to / BM_LINE_SLOTS; line = bm_block_line_after(block, line))
                line_add(bm_image_line(image, line), 1);
}

__attribute__((hot)) void bm_block_place(struct bm_block *block, const struct bm_entry_words *words,
                                         const struct bm_vacancy *vacancy)
{
        uint8_t *image = bm_block_image(block);
        uint8_t *at = bm_image_slot(image, vacancy->slot);
        uint32_t line = bm_block_home(block, words->tag & BM_TAG_MASK);

        for (uint32_t i = 0; i < vacancy->n_hops; i++)
                hop(block, vacancy->hops[i + 1], vacancy->hops[i]);
        for (uint32_t n = vacancy->passed; n > 0; n--, line = bm_block_line_after(block, line))
                line_add(bm_image_line(image, line), 1);
        assert(line == vacancy->slot / BM_LINE_SLOTS);
        slot_write(at, words->place, words->tag | (bm_slot_tag(at) & BM_SLOT_SHARE_MASK));
        block->live++;
        changed(block);
}

bool bm_block_put(struct bm_block *block, const struct bm_entry_words *words, uint32_t window_lines)
{
        struct bm_vacancy vacancy;

        if (!bm_block_room(block, words->tag & BM_TAG_MASK, window_lines, &vacancy))
                return false;
        bm_block_place(block, words, &vacancy);
        return true;
}

void bm_block_pass(struct bm_block *block, uint64_t tag, uint32_t window_lines, int way)
{
        uint8_t *image = bm_block_image(block);
        uint32_t window = bm_block_window(block, window_lines);
        uint32_t line = bm_block_home(block, tag);

        for (uint32_t n = 0; n < window; n++, line = bm_block_line_after(block, line)) {
                if (way > 0)
                        line_add(bm_image_line(image, line), 1);
                else
                        line_leave(bm_image_line(image, line));
        }
        changed(block);
}

void bm_block_pass_many(struct bm_block *block, uint64_t n)
{
        uint8_t *image = bm_block_image(block);

        assert(block->chained);
        for (uint32_t line = 0; line < block->lines; line++)
                line_add(bm_image_line(image, line), n);
        changed(block);
}

void bm_block_erase(struct bm_block *block, uint32_t slot)
{
        uint8_t *image = bm_block_image(block);
        uint8_t *at = bm_image_slot(image, slot);
        uint32_t line = bm_block_home(block, bm_slot_tag(at) & BM_TAG_MASK);

        assert(bm_slot_kind(bm_slot_place(at)) != BM_SLOT_EMPTY);
        for (; line != slot / BM_LINE_SLOTS; line = bm_block_line_after(block, line))
                line_leave(bm_image_line(image, line));
        slot_write(at, 0, bm_slot_tag(at) & BM_SLOT_SHARE_MASK);
        block->live--;
        changed(block);
}

void bm_block_set(struct bm_block *block, uint32_t slot, const struct bm_entry_words *words)
{
        const uint64_t keep = BM_SLOT_SHARE_MASK | BM_TAG_MASK;
        uint8_t *at = bm_image_slot(bm_block_image(block), slot);

        slot_write(at, words->place, (words->tag & ~keep) | (bm_slot_tag(at) & keep));
        changed(block);
}

void bm_block_copy(const struct bm_block *block, struct bm_entry_words *out)
{
        uint8_t *image = bm_block_image(block);
        uint32_t n = 0;

        for (uint32_t slot = 0; slot < block->lines * BM_LINE_SLOTS; slot++) {
                const uint8_t *at = bm_image_slot(image, slot);
                uint64_t place = bm_slot_place(at);

                if (bm_slot_kind(place) == BM_SLOT_EMPTY)
                        continue;
                assert(n < block->live);
                out[n].place = place;
                out[n++].tag = bm_slot_tag(at) & ~BM_SLOT_SHARE_MASK;
        }
        assert(n == block->live);
}
