/* SPDX-License-Identifier: MIT */
/*
 * One block of an index: its image as it stands on disk (FORMAT.md, "Index
 * block") and probing within it. What a block knows of others is only the
 * next one of its overflow chain.
 *
 * A line is four slots. Each slot lends its line four bits, together a 16-bit
 * overflow counter: how many entries, when they were placed, passed this line
 * because it was full. A counter that reached its end stays there. A probe
 * goes on behind a line only while that is not zero.
 *
 * Locking: see index.h. Only the image pointer is set under the shared lock.
 */
#ifndef BM_INDEX_BLOCK_H
#define BM_INDEX_BLOCK_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/le.h"
#include "index.h"

/* Layout; the structs only give offsets, bytes go through le.h */

struct bm_disk_slot {
        uint64_t place; /* location 45, length 12, kind 3, spare 4 (from the low end) */
        uint64_t tag;   /* tag 40, count 20, line share 4 */
};

struct bm_disk_block {
        uint64_t applied; /* log position */
        uint64_t map_id;
        uint64_t prefix; /* of the hashes: bucket and depth bits, the rest zero */
        uint8_t depth;
        uint8_t kind;
        uint16_t lines;
        uint32_t live;
        uint64_t chain;    /* 0: first block of its part, else number within the overflow chain */
        uint64_t checksum; /* of the block with this field zero */
        uint8_t reserved[16];
};

static_assert(sizeof(struct bm_disk_slot) == 16, "a slot is 16 bytes");
static_assert(sizeof(struct bm_disk_slot) * BM_LINE_SLOTS == BM_LINE_BYTES, "four slots a line");
static_assert(sizeof(struct bm_disk_block) == BM_BLOCK_HEADER, "no padding in the header");
static_assert(offsetof(struct bm_disk_block, depth) == 24, "header layout");
static_assert(offsetof(struct bm_disk_block, chain) == 32, "header layout");
static_assert(offsetof(struct bm_disk_block, checksum) == 40, "header layout");

enum { BM_BLOCK_KIND_SLOTS = 1 };

enum {
        BM_SLOT_LOCATION_BITS = BM_FILE_ID_BITS + BM_LOCATION_OFFSET_BITS,
        BM_SLOT_LENGTH_SHIFT = BM_SLOT_LOCATION_BITS,
        BM_SLOT_LENGTH_BITS = 12,
        BM_SLOT_KIND_SHIFT = BM_SLOT_LENGTH_SHIFT + BM_SLOT_LENGTH_BITS,
        BM_SLOT_KIND_BITS = 3,
        BM_SLOT_COUNT_SHIFT = BM_TAG_BITS,
        BM_SLOT_COUNT_BITS = 20,
        BM_SLOT_SHARE_SHIFT = BM_SLOT_COUNT_SHIFT + BM_SLOT_COUNT_BITS,
        BM_SLOT_SHARE_BITS = 4,
        BM_OVERFLOW_MAX = (1 << BM_LINE_SLOTS * BM_SLOT_SHARE_BITS) - 1,
        BM_BLOCK_LINES_MIN = BM_BLOCK_SLOTS_MIN / BM_LINE_SLOTS,
        BM_BLOCK_LINES_MAX = BM_BLOCK_SLOTS_MAX / BM_LINE_SLOTS,
        BM_INDEX_DEPTH_MAX = 24,
};

static_assert(BM_SLOT_KIND_SHIFT + BM_SLOT_KIND_BITS + 4 == 64, "word 0");
static_assert(BM_SLOT_SHARE_SHIFT + BM_SLOT_SHARE_BITS == 64, "word 1");
static_assert((1 << BM_SLOT_COUNT_BITS) - 1 == BM_SLOT_COUNT_OVERFLOW, "count field");
static_assert((1 << BM_SLOT_LENGTH_BITS) - 1 == BM_SLOT_LENGTH_SEE_RECORD, "length field");

#define BM_LOCATION_MASK   ((UINT64_C(1) << BM_SLOT_LOCATION_BITS) - 1)
#define BM_TAG_MASK        ((UINT64_C(1) << BM_TAG_BITS) - 1)
#define BM_SLOT_SHARE_MASK (UINT64_C(15) << BM_SLOT_SHARE_SHIFT)

/* In memory */

struct bm_block {
        uint8_t *_Atomic image; /* header and lines; NULL: not loaded. Set once, with release */
        struct bm_block *chain; /* next of the same part */
        uint32_t file_id;       /* where it stands on disk ... */
        uint32_t offset_units;  /* ... in units of 64 bytes; 0: nowhere yet */
        uint32_t version;       /* changes; tells a growth that its copy is stale */
        uint16_t lines;
        uint16_t live;  /* slots in use */
        uint16_t check; /* of the checksum on disk */
        uint8_t depth;
        bool chained : 1; /* not the first of its part */
        bool dirty : 1;   /* differs from the disk */
};

/* The two words of a slot, without the line share. */
struct bm_entry_words {
        uint64_t place, tag;
};

/* Slots */

/* Puts SLOT and TAG together. -EINVAL if a field does not fit: an offset of
 * 2^27 or more or not in units, a file id above BM_FILE_ID_MAX, kind or count. */
int bm_slot_encode(const struct bm_slot *slot, uint64_t tag, struct bm_entry_words *words);
void bm_slot_decode(struct bm_slot *slot, uint64_t place, uint64_t tag);

static inline unsigned bm_slot_kind(uint64_t place)
{
        return place >> BM_SLOT_KIND_SHIFT & ((1u << BM_SLOT_KIND_BITS) - 1);
}

static inline uint8_t *bm_image_line(uint8_t *image, uint32_t line)
{
        return image + BM_BLOCK_HEADER + (size_t)line * BM_LINE_BYTES;
}

static inline uint8_t *bm_image_slot(uint8_t *image, uint32_t slot)
{
        return image + BM_BLOCK_HEADER + (size_t)slot * sizeof(struct bm_disk_slot);
}

static inline uint64_t bm_slot_place(const uint8_t *slot)
{
        return bm_load_le64(slot);
}

static inline uint64_t bm_slot_tag(const uint8_t *slot)
{
        return bm_load_le64(slot + offsetof(struct bm_disk_slot, tag));
}

/* How many entries passed this line. */
unsigned bm_line_overflow(const uint8_t *line);
void bm_line_set_overflow(uint8_t *line, unsigned n); /* at most BM_OVERFLOW_MAX */

/* Blocks */

/* Smallest number of lines that takes KEYS with room to spare. */
uint32_t bm_block_lines_for(uint64_t keys);
/* The next larger size, 0 behind the largest. */
uint32_t bm_block_lines_next(uint32_t lines);

/* An empty one, its image zero, or NULL. */
struct bm_block *bm_block_new(uint32_t lines, unsigned depth);
/* With its chain. NULL is allowed. */
void bm_block_free(struct bm_block *block);

static inline size_t bm_block_bytes(const struct bm_block *block)
{
        return BM_BLOCK_HEADER + (size_t)block->lines * BM_LINE_BYTES;
}

/* The image of a block that is loaded. */
static inline uint8_t *bm_block_image(const struct bm_block *block)
{
        /* acquire: the bytes were written before the pointer was */
        return atomic_load_explicit(&block->image, memory_order_acquire);
}

/* Monotone in the tag among those of one block. */
static inline uint32_t bm_block_home(const struct bm_block *block, uint64_t tag)
{
        uint64_t rest = (tag << block->depth & BM_TAG_MASK) >> (BM_TAG_BITS - 32);

        return (uint32_t)(rest * block->lines >> 32);
}

/* Lines that a probe may look at: in a chained block, the last resort, all. */
static inline uint32_t bm_block_window(const struct bm_block *block, uint32_t window_lines)
{
        return block->chained || window_lines > block->lines ? block->lines : window_lines;
}

static inline uint32_t bm_block_line_after(const struct bm_block *block, uint32_t line)
{
        return line + 1 == block->lines ? 0 : line + 1;
}

/*
 * Where an entry can go: a free slot in its window, or one that becomes free
 * when others, each within its own window, move up towards a free slot behind it.
 */
enum { BM_HOPS_MAX = 12 };
struct bm_vacancy {
        uint32_t slot;
        uint32_t passed; /* lines before the slot's own */
        uint32_t n_hops;
        /* hops[0] is free, hops[i] moves to hops[i - 1]; hops[n_hops] is SLOT */
        uint16_t hops[BM_HOPS_MAX + 1];
};

/* Whether TAG has room; changes nothing. */
bool bm_block_room(const struct bm_block *block, uint64_t tag, uint32_t window_lines,
                   struct bm_vacancy *vacancy);
/* Makes the moves, and fills the slot that bm_block_room found. */
void bm_block_place(struct bm_block *block, const struct bm_entry_words *words,
                    const struct bm_vacancy *vacancy);
/* Both; false if there is no room. */
bool bm_block_put(struct bm_block *block, const struct bm_entry_words *words,
                  uint32_t window_lines);
/*
 * The first entries of WORDS, put into an empty block one after the other as
 * bm_block_put would; returns how many found room, fewer than N if the next
 * has none.
 */
size_t bm_block_fill(struct bm_block *block, const struct bm_entry_words *words, size_t n,
                     uint32_t window_lines);
/* Notes that an entry found no room here and went on to the chain, or (WAY
 * -1) that it left there. */
void bm_block_pass(struct bm_block *block, uint64_t tag, uint32_t window_lines, int way);
/* Notes that N entries went on behind a chained block. */
void bm_block_pass_many(struct bm_block *block, uint64_t n);
/* Empties a slot in use. */
void bm_block_erase(struct bm_block *block, uint32_t slot);
/* Replaces what the slot says, but for its tag. */
void bm_block_set(struct bm_block *block, uint32_t slot, const struct bm_entry_words *words);
/* Copies the slots in use to OUT (room for live of them), in slot order. */
void bm_block_copy(const struct bm_block *block, struct bm_entry_words *out);

/* Header */

/* Fills in header and checksum; notes block->check. */
void bm_block_seal(struct bm_block *block, uint64_t map_id, uint64_t applied, uint64_t prefix,
                   uint64_t chain);
/* Whether IMAGE, just read, is the block that BLOCK describes, for hashes
 * with PREFIX of which SKIP bits chose the bucket. */
bool bm_block_verify(const struct bm_block *block, uint8_t *image, uint64_t prefix, unsigned skip);

static inline uint64_t bm_image_applied(const uint8_t *image)
{
        return bm_load_le64(image + offsetof(struct bm_disk_block, applied));
}
static inline void bm_image_set_applied(uint8_t *image, uint64_t applied)
{
        bm_store_le64(image + offsetof(struct bm_disk_block, applied), applied);
}

#endif
