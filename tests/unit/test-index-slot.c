/* SPDX-License-Identifier: MIT */
/* Slots and the block's image: fields, sizes, bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "index-fixture.h"

static const struct bm_slot plain = {
        .file_id = 5, .offset = 4096, .length = 64, .count = 1, .kind = BM_SLOT_VALUE};

static void assert_slot_equal(const struct bm_slot *a, const struct bm_slot *b)
{
        assert_int_equal(a->file_id, b->file_id);
        assert_int_equal(a->offset, b->offset);
        assert_int_equal(a->length, b->length);
        assert_int_equal(a->count, b->count);
        assert_int_equal(a->kind, b->kind);
}

static void round_trip(const struct bm_slot *slot, uint64_t tag)
{
        struct bm_entry_words words;
        struct bm_slot back;

        assert_int_equal(bm_slot_encode(slot, tag, &words), 0);
        bm_slot_decode(&back, words.place, words.tag);
        assert_slot_equal(slot, &back);
        assert_true((words.tag & BM_TAG_MASK) == tag);
        assert_true(words.tag >> BM_SLOT_SHARE_SHIFT == 0);
        assert_true(words.place >> 60 == 0);
}

/* Each field at its ends, the others unchanged. */
static void slot_fields_are_independent(void **state)
{
        struct bm_slot slot = plain;

        round_trip(&slot, 0);
        round_trip(&slot, BM_TAG_MASK);
        slot.file_id = BM_FILE_ID_MAX;
        round_trip(&slot, 1);
        slot = plain;
        slot.offset = 0;
        round_trip(&slot, 1);
        slot.offset = (1u << 27) - BM_UNIT;
        round_trip(&slot, 1);
        slot = plain;
        slot.length = BM_UNIT;
        round_trip(&slot, 1);
        slot.length = (BM_SLOT_LENGTH_SEE_RECORD - 1) * BM_UNIT;
        round_trip(&slot, 1);
        slot = plain;
        slot.count = 0;
        round_trip(&slot, 1);
        slot.count = BM_SLOT_COUNT_OVERFLOW;
        round_trip(&slot, 1);
        slot = plain;
        for (unsigned kind = BM_SLOT_VALUE; kind < 8; kind++) {
                slot.kind = (enum bm_slot_kind)kind;
                round_trip(&slot, 1);
        }
        slot = (struct bm_slot){BM_FILE_ID_MAX, (1u << 27) - BM_UNIT,
                                (BM_SLOT_LENGTH_SEE_RECORD - 1) * BM_UNIT, BM_SLOT_COUNT_OVERFLOW,
                                (enum bm_slot_kind)7};
        round_trip(&slot, BM_TAG_MASK);
}

static void slot_long_record_says_see_record(void **state)
{
        struct bm_slot slot = plain, back;
        struct bm_entry_words words;

        slot.length = BM_SLOT_LENGTH_SEE_RECORD * BM_UNIT;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), 0);
        bm_slot_decode(&back, words.place, words.tag);
        assert_int_equal(back.length, 0);
        assert_int_equal(back.offset, slot.offset);
        slot.length = 200 << 10;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), 0);
        bm_slot_decode(&back, words.place, words.tag);
        assert_int_equal(back.length, 0);
}

static void slot_offset_too_large_is_refused(void **state)
{
        struct bm_entry_words words = {1, 2};
        struct bm_slot slot = plain;

        slot.offset = 1u << 27;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), -EINVAL);
        slot.offset = 12; /* not in units */
        assert_int_equal(bm_slot_encode(&slot, 1, &words), -EINVAL);
        slot = plain;
        slot.file_id = BM_FILE_ID_MAX + 1;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), -EINVAL);
        slot = plain;
        slot.count = BM_SLOT_COUNT_OVERFLOW + 1;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), -EINVAL);
        slot = plain;
        slot.kind = BM_SLOT_EMPTY;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), -EINVAL);
        slot.kind = (enum bm_slot_kind)8;
        assert_int_equal(bm_slot_encode(&slot, 1, &words), -EINVAL);
        assert_true(words.place == 1 && words.tag == 2);
}

/* The bytes of FORMAT.md. */
static void slot_and_header_bytes(void **state)
{
        static const uint8_t slot_bytes[16] = {
                /* place: offset 0x000201 units, file 5, length 8 units, kind 1 */
                0x01, 0x02, 0x00, 0x05, 0x00, 0x00, 0x01, 0x02,
                /* tag 0x1234567890, count 3, share 0 */
                0x90, 0x78, 0x56, 0x34, 0x12, 0x03, 0x00, 0x00};
        static const uint8_t header_bytes[40] = {
                0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* applied */
                0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* map id */
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa0, /* prefix */
                0x02, 0x01, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00, /* depth, kind, lines, live */
                0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* chain */
        };
        static const uint8_t zeros[16];
        struct bm_slot slot = {5, 0x201 * BM_UNIT, 64, 3, BM_SLOT_VALUE};
        struct bm_block *block = bm_block_new(8, 2);
        struct bm_vacancy vacancy;
        struct bm_entry_words words;
        uint8_t *image = bm_block_image(block);

        assert_int_equal(bm_slot_encode(&slot, UINT64_C(0x1234567890), &words), 0);
        assert_true(bm_block_room(block, words.tag & BM_TAG_MASK, 8, &vacancy));
        bm_block_place(block, &words, &vacancy);
        assert_memory_equal(bm_image_slot(image, vacancy.slot), slot_bytes, 16);

        block->chained = true;
        bm_block_seal(block, 3, UINT64_C(0x1122334455667788), UINT64_C(0xa) << 60, 1);
        assert_memory_equal(image, header_bytes, sizeof(header_bytes));
        assert_memory_equal(image + 48, zeros, sizeof(zeros));
        assert_int_equal(bm_load_le16(image + 40), block->check);
        assert_int_equal(bm_block_bytes(block), 64 + 8 * 64);
        bm_block_free(block);
}

static void block_sizes(void **state)
{
        static const uint32_t slots[] = {32, 64, 128, 256, 512, 640, 768, 896, 1024};
        uint32_t lines = 0;

        for (size_t i = 0; i < bm_array_size(slots); i++) {
                lines = bm_block_lines_next(lines);
                assert_int_equal(lines * 4, slots[i]);
        }
        assert_int_equal(bm_block_lines_next(lines), 0);
        assert_int_equal(bm_block_lines_for(0), 8);
        assert_int_equal(bm_block_lines_for(25), 8);
        assert_int_equal(bm_block_lines_for(27), 16);
        assert_int_equal(bm_block_lines_for(500), 160);
        assert_int_equal(bm_block_lines_for(819), 256);
        assert_int_equal(bm_block_lines_for(UINT64_MAX), 256);
}

/* The counter is spread over four slots, leaves them alone, and sticks at its end. */
static void overflow_counter(void **state)
{
        struct bm_block *block = bm_block_new(8, 0);
        uint8_t *image = bm_block_image(block), *line = bm_image_line(image, 3);

        for (uint32_t i = 12; i < 16; i++) {
                bm_store_le64(bm_image_slot(image, i), i);
                bm_store_le64(bm_image_slot(image, i) + 8, (UINT64_C(1) << 60) - i);
        }
        block->chained = true;
        assert_int_equal(bm_line_overflow(line), 0);
        bm_block_pass_many(block, 0x1234);
        assert_int_equal(bm_line_overflow(line), 0x1234);
        for (uint32_t i = 12; i < 16; i++) {
                assert_true(bm_slot_place(bm_image_slot(image, i)) == i);
                assert_true((bm_slot_tag(bm_image_slot(image, i)) & ~BM_SLOT_SHARE_MASK) ==
                            (UINT64_C(1) << 60) - i);
        }
        bm_block_pass(block, 0, 8, -1);
        assert_int_equal(bm_line_overflow(line), 0x1233);
        bm_block_pass_many(block, 0xedcc - 1);
        assert_int_equal(bm_line_overflow(line), 0xfffe);
        bm_block_pass(block, 0, 8, +1);
        assert_int_equal(bm_line_overflow(line), 0xffff);
        bm_block_pass(block, 0, 8, +1);
        bm_block_pass(block, 0, 8, -1);
        assert_int_equal(bm_line_overflow(line), 0xffff);
        bm_block_free(block);
}

/* Sorted tags have sorted homes, and use all lines. */
static void home_is_monotone(void **state)
{
        struct bm_block *block = bm_block_new(160, 3);
        uint64_t prefix = UINT64_C(5) << 37, step = (UINT64_C(1) << 37) / 1000;
        uint32_t last = 0;

        for (uint64_t i = 0; i < 1000; i++) {
                uint32_t home = bm_block_home(block, prefix + i * step);

                assert_true(home >= last && home <= last + 1 && home < 160);
                last = home;
        }
        assert_int_equal(last, 159);
        assert_int_equal(bm_block_home(block, prefix), 0);
        assert_int_equal(bm_block_home(block, prefix | ((UINT64_C(1) << 37) - 1)), 159);
        bm_block_free(block);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(slot_fields_are_independent),
                cmocka_unit_test(slot_long_record_says_see_record),
                cmocka_unit_test(slot_offset_too_large_is_refused),
                cmocka_unit_test(slot_and_header_bytes),
                cmocka_unit_test(block_sizes),
                cmocka_unit_test(overflow_counter),
                cmocka_unit_test(home_is_monotone),
        };

        return cmocka_run_group_tests_name("index-slot", tests, NULL, NULL);
}
