/* SPDX-License-Identifier: MIT */
/*
 * An index by itself: a disk that is an array, records that are numbers, and
 * a check of every invariant. The includer has cmocka.h.
 */
#ifndef TEST_INDEX_FIXTURE_H
#define TEST_INDEX_FIXTURE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"
#include "index_private.h"

/* Random numbers */

static inline uint64_t random_next(uint64_t *state)
{
        uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static inline uint64_t hash_of(uint64_t id)
{
        return random_next(&id);
}

/* A disk: one index segment, its first 512 bytes the header's */

struct disk {
        uint8_t *bytes;
        size_t len, max;
        unsigned reads, fail_reads; /* the next FAIL_READS reads fail */
        struct bm_block_row *rows;
        uint32_t n_rows, n_written;
        struct bm_block_source source;
};

static inline int disk_read(void *ctx, const struct bm_block_row *row, void *buf, size_t len)
{
        struct disk *disk = ctx;
        size_t at = (size_t)row->offset_units * 64;

        disk->reads++;
        if (disk->fail_reads) {
                disk->fail_reads--;
                return -EIO;
        }
        assert_true(row->file_id == 7 && at + len <= disk->len);
        memcpy(buf, disk->bytes + at, len);
        return 0;
}

static inline void disk_init(struct disk *disk)
{
        *disk = (struct disk){.len = 512, .max = 1 << 20, .source = {disk_read, disk}};
        disk->bytes = calloc(1, disk->max);
        assert_non_null(disk->bytes);
}

static inline void disk_deinit(struct disk *disk)
{
        free(disk->bytes);
        free(disk->rows);
}

static inline int disk_write_block(void *ctx, struct bm_block_row *row, const void *image,
                                   size_t len)
{
        struct disk *disk = ctx;

        if (image) {
                if (disk->len + len > disk->max) {
                        disk->max *= 2;
                        disk->bytes = realloc(disk->bytes, disk->max);
                        assert_non_null(disk->bytes);
                }
                memcpy(disk->bytes + disk->len, image, len);
                row->file_id = 7;
                row->offset_units = (uint32_t)(disk->len / 64);
                disk->len += len;
                disk->n_written++;
        }
        disk->rows[disk->n_rows++] = *row;
        return 0;
}

static inline void disk_checkpoint(struct disk *disk, struct bm_index *ix, uint64_t applied)
{
        struct bm_index_run run = {.map_id = 3, .applied = applied, .max_bytes = UINT32_MAX};

        free(disk->rows);
        disk->rows = calloc(ix->n_blocks + 1, sizeof(disk->rows[0]));
        disk->n_rows = disk->n_written = 0;
        while (!run.done)
                assert_int_equal(bm_index_checkpoint(ix, &run, disk_write_block, disk), 0);
        assert_int_equal(disk->n_rows, run.n_rows);
        assert_int_equal(disk->n_rows, ix->n_blocks);
}

/* Records: the location is the number */

static inline struct bm_slot slot_of(uint64_t id)
{
        return (struct bm_slot){
                .file_id = (uint32_t)(id >> 20),
                .offset = (uint32_t)(id & ((1 << 20) - 1)) * BM_UNIT,
                .length = (uint32_t)(id % 500 + 1) * BM_UNIT,
                .count = (uint32_t)(id % 1000),
                .kind = BM_SLOT_VALUE,
        };
}

static inline uint64_t id_of(const struct bm_slot *slot)
{
        return (uint64_t)slot->file_id << 20 | slot->offset / BM_UNIT;
}

static inline int match_id(void *ctx, const struct bm_slot *slot)
{
        return id_of(slot) == *(const uint64_t *)ctx;
}

static inline int find_id(struct bm_index *ix, uint64_t hash, uint64_t id, struct bm_place *place)
{
        struct bm_slot slot;
        int r = bm_index_find(ix, hash, match_id, &id, place, &slot);

        if (!r)
                assert_int_equal(id_of(&slot), id);
        return r;
}

/* As a writer does it. */
static inline void insert_slot(struct bm_index *ix, uint64_t hash, const struct bm_slot *slot)
{
        uint64_t capacity = 0;

        handle_delayed_grows(ix);
        while (bm_index_room(ix, hash, &capacity) == BM_E_INDEX_NO_SPACE) {
                assert_int_equal(bm_index_grow(ix, hash, capacity), 0);
                handle_delayed_grows(ix);
        }
        assert_int_equal(bm_index_insert(ix, hash, slot, NULL, &capacity), 0);
}

static inline void insert_id(struct bm_index *ix, uint64_t hash, uint64_t id)
{
        struct bm_slot slot = slot_of(id);

        insert_slot(ix, hash, &slot);
}

static inline void erase_id(struct bm_index *ix, uint64_t hash, uint64_t id)
{
        struct bm_place place;

        assert_int_equal(find_id(ix, hash, id, &place), 0);
        bm_index_erase(ix, &place);
}

/* Invariants */

/* Adds to EXPECT, unless NULL, what the entry of SLOT_NO, if any, passed in its block. */
static inline bool count_passed(const struct bm_block *block, uint32_t slot_no, uint32_t window,
                                uint32_t *expect, uint64_t *tag)
{
        uint8_t *at = bm_image_slot(bm_block_image(block), slot_no);
        uint32_t line, n = 0;

        if (bm_slot_kind(bm_slot_place(at)) == BM_SLOT_EMPTY) {
                assert_true(bm_slot_place(at) == 0);
                assert_true((bm_slot_tag(at) & ~BM_SLOT_SHARE_MASK) == 0);
                return false;
        }
        *tag = bm_slot_tag(at) & BM_TAG_MASK;
        for (line = bm_block_home(block, *tag); line != slot_no / 4;
             line = bm_block_line_after(block, line)) {
                if (expect)
                        expect[line]++;
                n++;
        }
        assert_true(n < window);
        return true;
}

/* Overflow counters are exactly what the entries say, unless full. */
static inline uint64_t check_part(struct bm_index *ix, struct bm_block *part, uint64_t prefix)
{
        uint64_t total = 0;

        for (struct bm_block *b = part; b; b = b->chain) {
                uint32_t expect[BM_BLOCK_LINES_MAX] = {0}, live = 0;

                assert_int_equal(b->depth, part->depth);
                assert_int_equal(b->chained, b != part);
                for (struct bm_block *from = b; from; from = from->chain) {
                        for (uint32_t i = 0; i < from->lines * 4u; i++) {
                                uint32_t line;
                                uint64_t tag;

                                if (!count_passed(from, i, bm_block_window(from, ix->window_lines),
                                                  from == b ? expect : NULL, &tag))
                                        continue;
                                assert_true(bm_tag_prefix(tag, b->depth) == prefix);
                                if (from == b) {
                                        live++;
                                        continue;
                                }
                                line = bm_block_home(b, tag);
                                for (uint32_t n = bm_block_window(b, ix->window_lines); n; n--) {
                                        expect[line]++;
                                        line = bm_block_line_after(b, line);
                                }
                        }
                }
                for (uint32_t line = 0; line < b->lines; line++) {
                        unsigned n = bm_line_overflow(bm_image_line(bm_block_image(b), line));

                        if (n != BM_OVERFLOW_MAX)
                                assert_int_equal(n, expect[line]);
                }
                assert_int_equal(live, b->live);
                total += live;
        }
        return total;
}

static inline void check_index(struct bm_index *ix)
{
        uint64_t used = 0, slots = 0;
        uint32_t blocks = 0;
        size_t len = bm_index_dir_len(ix);

        for (size_t at = 0; at < len; at = bm_index_next_part(ix, at)) {
                struct bm_block *part = ix->dir[at];
                uint64_t prefix = (uint64_t)at << (BM_TAG_BITS - ix->depth);

                assert_int_equal(bm_index_touch_part(ix, part, prefix), 0);
                for (size_t i = at; i < bm_index_next_part(ix, at); i++)
                        assert_ptr_equal(ix->dir[i], part);
                used += check_part(ix, part, prefix);
                slots += bm_part_slots(part);
                for (struct bm_block *b = part; b; b = b->chain)
                        blocks++;
        }
        assert_int_equal(used, ix->n_used);
        assert_int_equal(blocks, ix->n_blocks);
        assert_int_equal(slots, ix->stats->slots);
}

/* Walks the whole bucket with bm_index_collect; SEEN(ctx) gets each slot. In
 * order of the hashes, the ranges without a gap. */
static inline size_t collect_all(struct bm_index *ix,
                                 void (*seen)(void *ctx, const struct bm_known_slot *slot),
                                 void *ctx)
{
        uint64_t first = bm_index_hash(ix, 0), end, at = first;
        size_t total = 0;

        end = ix->skip ? first | UINT64_MAX >> ix->skip : UINT64_MAX;
        for (;;) {
                struct bm_known_slot *slots;
                uint64_t last;
                size_t n;

                assert_int_equal(bm_index_collect(ix, at, &slots, &n, &last), 0);
                assert_true(last >= at && last <= end);
                for (size_t i = 0; i < n; i++) {
                        assert_true(slots[i].hash >= at && slots[i].hash <= last);
                        if (i)
                                assert_true(slots[i - 1].hash <= slots[i].hash);
                        seen(ctx, &slots[i]);
                }
                free(slots);
                total += n;
                if (last == end)
                        return total;
                at = last + 1;
        }
}

#endif
