/* SPDX-License-Identifier: MIT */
/* Slots and headers as they stand on disk: put together, taken apart, verified. */
#include <errno.h>
#include <string.h>

#include "hash.h"
#include "index_block.h"

/* Slots */

int bm_slot_encode(const struct bm_slot *slot, uint64_t tag, struct bm_entry_words *words)
{
        uint64_t units = slot->offset >> BM_UNIT_LOG2;
        uint64_t length = slot->length >> BM_UNIT_LOG2;

        if (slot->file_id > BM_FILE_ID_MAX || units >> BM_LOCATION_OFFSET_BITS ||
            slot->offset % BM_UNIT || slot->length % BM_UNIT ||
            slot->count > BM_SLOT_COUNT_OVERFLOW || slot->kind == BM_SLOT_EMPTY ||
            (unsigned)slot->kind >> BM_SLOT_KIND_BITS)
                return -EINVAL;
        if (length == 0 || length > BM_SLOT_LENGTH_SEE_RECORD)
                length = BM_SLOT_LENGTH_SEE_RECORD;
        words->place = units | (uint64_t)slot->file_id << BM_LOCATION_OFFSET_BITS |
                       length << BM_SLOT_LENGTH_SHIFT | (uint64_t)slot->kind << BM_SLOT_KIND_SHIFT;
        words->tag = (tag & BM_TAG_MASK) | (uint64_t)slot->count << BM_SLOT_COUNT_SHIFT;
        return 0;
}

void bm_slot_decode(struct bm_slot *slot, uint64_t place, uint64_t tag)
{
        uint32_t units = place & ((1u << BM_LOCATION_OFFSET_BITS) - 1);
        uint32_t length = place >> BM_SLOT_LENGTH_SHIFT & BM_SLOT_LENGTH_SEE_RECORD;

        slot->offset = units << BM_UNIT_LOG2;
        slot->file_id = place >> BM_LOCATION_OFFSET_BITS & BM_FILE_ID_MAX;
        slot->length = length == BM_SLOT_LENGTH_SEE_RECORD ? 0 : length << BM_UNIT_LOG2;
        slot->kind = (enum bm_slot_kind)bm_slot_kind(place);
        slot->count = tag >> BM_SLOT_COUNT_SHIFT & BM_SLOT_COUNT_OVERFLOW;
}

/* Header */

#define FIELD(image, name) ((image) + offsetof(struct bm_disk_block, name))

void bm_block_seal(struct bm_block *block, uint64_t map_id, uint64_t applied, uint64_t prefix,
                   uint64_t chain)
{
        uint8_t *image = bm_block_image(block);
        uint64_t checksum;

        memset(image, 0, BM_BLOCK_HEADER);
        bm_store_le64(FIELD(image, applied), applied);
        bm_store_le64(FIELD(image, map_id), map_id);
        bm_store_le64(FIELD(image, prefix), prefix);
        *FIELD(image, depth) = block->depth;
        *FIELD(image, kind) = BM_BLOCK_KIND_SLOTS;
        bm_store_le16(FIELD(image, lines), block->lines);
        bm_store_le32(FIELD(image, live), block->live);
        bm_store_le64(FIELD(image, chain), chain);
        checksum = bm_checksum(image, bm_block_bytes(block));
        bm_store_le64(FIELD(image, checksum), checksum);
        block->check = (uint16_t)checksum;
}

/* The checksum says that these are the bytes that were written; here, that
 * they were written for this place, so that nothing later needs to look twice. */
static bool slots_fit(const struct bm_block *block, uint8_t *image, uint64_t prefix, unsigned skip)
{
        uint64_t prefix_tag = prefix << skip >> (64 - BM_TAG_BITS);
        uint32_t live = 0;

        for (uint32_t slot = 0; slot < block->lines * BM_LINE_SLOTS; slot++) {
                const uint8_t *at = bm_image_slot(image, slot);
                uint64_t differs = (bm_slot_tag(at) & BM_TAG_MASK) ^ prefix_tag;

                if (bm_slot_kind(bm_slot_place(at)) == BM_SLOT_EMPTY)
                        continue;
                if (differs >> (BM_TAG_BITS - block->depth))
                        return false;
                live++;
        }
        return live == block->live;
}

bool bm_block_verify(const struct bm_block *block, uint8_t *image, uint64_t prefix, unsigned skip)
{
        uint64_t checksum = bm_load_le64(FIELD(image, checksum));
        bool good;

        bm_store_le64(FIELD(image, checksum), 0);
        good = bm_checksum(image, bm_block_bytes(block)) == checksum;
        bm_store_le64(FIELD(image, checksum), checksum);
        return good && (uint16_t)checksum == block->check &&
               bm_load_le64(FIELD(image, prefix)) == prefix &&
               *FIELD(image, depth) == block->depth && *FIELD(image, kind) == BM_BLOCK_KIND_SLOTS &&
               bm_load_le16(FIELD(image, lines)) == block->lines &&
               bm_load_le32(FIELD(image, live)) == block->live &&
               (bm_load_le64(FIELD(image, chain)) != 0) == block->chained &&
               slots_fit(block, image, prefix, skip);
}
