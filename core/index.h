/* SPDX-License-Identifier: MIT */
/*
 * The index of one bucket: extendible hashing in bounded blocks.
 *
 * A directory of 2^depth pointers, chosen by the high bits of the hash that
 * the bucket's number has left over, leads to blocks of 32 to 1024 slots in
 * lines of four. Within a block the home line is monotone in the hash; a
 * probe looks at the home line and, as long as the line's overflow counter
 * says that something passed it, at the following ones, max_search slots in
 * all (the last lines wrap to the first). A slot keeps 40 bits of the hash,
 * so that a block is split without reading a key.
 *
 * A full block grows 32, 64, 128, 256, 512, 640, 768, 896, 1024 slots and
 * then splits. Where splitting no longer separates the keys (depth limit),
 * a block of the same depth is chained behind it.
 *
 * Locking is the caller's: "shared" and "exclusive" below mean the bucket's lock.
 */
#ifndef BM_INDEX_H
#define BM_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "format.h"

enum {
        BM_LINE_SLOTS = 4,
        BM_LINE_BYTES = 64,
        BM_BLOCK_HEADER = 64,
        BM_BLOCK_SLOTS_MIN = 32,
        BM_BLOCK_SLOTS_MAX = 1024,
        BM_BLOCK_BYTES_MAX = BM_BLOCK_HEADER + BM_BLOCK_SLOTS_MAX / BM_LINE_SLOTS * BM_LINE_BYTES,
        BM_TAG_BITS = 40,
        BM_SLOT_COUNT_MAX = (1 << 20) - 2, /* larger: BM_SLOT_COUNT_OVERFLOW and the count table */
        BM_SLOT_COUNT_OVERFLOW = (1 << 20) - 1,
        BM_SLOT_LENGTH_SEE_RECORD = 4095,
};

enum bm_slot_kind { /* 3 bits; 0 is an empty slot */
                    BM_SLOT_EMPTY = 0,
                    BM_SLOT_VALUE = 1,
                    BM_SLOT_LARGE = 2,
                    BM_SLOT_MAP = 3,
                    BM_SLOT_NAME = 4,
                    BM_SLOT_CHUNK = 5,
                    BM_SLOT_PATCH = 6,
};

/* Where a record stands: file id (BM_FILE_ID_BITS) and offset in units (24 bits). */
enum { BM_LOCATION_OFFSET_BITS = 24 };

/* A slot taken apart, without tag and line share. */
struct bm_slot {
        uint32_t file_id;
        uint32_t offset; /* bytes */
        uint32_t length; /* bytes; 0 where the slot says "see the record" */
        uint32_t count;  /* or BM_SLOT_COUNT_OVERFLOW; of a chunk its patches: patch.h */
        enum bm_slot_kind kind;
};

struct bm_block; /* a block, loaded or not */

/* Where a slot is; good until it is erased or the lock is released, whatever
 * else is inserted. */
struct bm_place {
        struct bm_block *block;
        uint32_t slot;          /* number within the block; an insertion may move it */
        uint32_t probes;        /* lines looked at */
        uint64_t tag, location; /* which it is: the index's */
};

/* A grown part, prepared aside (index_grow.c). */
struct Reallocated;

/* How a block that is on disk is brought in. Verifies nothing: the index does. */
struct bm_block_source {
        int (*read)(void *ctx, const struct bm_block_row *row, void *buf, size_t len);
        void *ctx;
};

struct bm_index_stats { /* shared by the indexes of a store, relaxed atomics */
        _Atomic uint64_t splits, grows, failed_grows, grow_us, longest_us, longest_probe;
        _Atomic uint64_t bytes, slots, max_slots;
};

struct bm_index {
        /* constant after init */
        const struct bm_block_source *source;
        struct bm_index_stats *stats;
        uint32_t bucket;       /* number of the bucket */
        uint16_t window_lines; /* max_search / 4 */
        uint8_t skip;          /* hash bits that chose the bucket */
        /* guarded by the bucket's lock */
        uint8_t depth;
        uint32_t n_blocks;       /* chained ones included */
        _Atomic uint64_t n_used; /* slots; a figure */
        uint64_t copied;         /* tags below it are in the checkpoint under way */
        struct bm_block **dir;   /* 2^depth; NULL: no block yet (an empty bucket) */
        struct bm_block *dir0;   /* the directory of depth 0 stands here */
        /* synchronises itself: NULL, or what the next writer installs */
        struct Reallocated *_Atomic reallocated;
        _Atomic uint64_t anticipated; /* keys; hint for the next growth */
};

void bm_index_init(struct bm_index *ix, uint32_t bucket, uint8_t skip, uint16_t max_search,
                   const struct bm_block_source *source, struct bm_index_stats *stats);
void bm_index_deinit(struct bm_index *ix);

/*
 * Calls MATCH for each slot that may be HASH's until it returns non-zero:
 * 1 = this is it, negative errno = give up. Shared. 0, BM_E_NOT_FOUND,
 * -EIO (a block's checksum), -ENOMEM.
 */
typedef int (*bm_match_fn)(void *ctx, const struct bm_slot *slot);
int bm_index_find(struct bm_index *ix, uint64_t hash, bm_match_fn match, void *ctx,
                  struct bm_place *place, struct bm_slot *slot);

/* Has the line where a search for HASH begins fetched into the processor's cache, if it is in
 * memory. Shared. */
void bm_index_prefetch(const struct bm_index *ix, uint64_t hash);

/*
 * Puts a slot for HASH (the caller knows that the key is absent); *PLACE (may
 * be NULL) gets where. Exclusive.
 * BM_E_INDEX_NO_SPACE leaves everything as it was; *CAPACITY then is what
 * bm_index_grow wants to hear. -EINVAL: a field of SLOT does not fit (an
 * offset of 2^27 or more, or not in units).
 */
int bm_index_insert(struct bm_index *ix, uint64_t hash, const struct bm_slot *slot,
                    struct bm_place *place, uint64_t *capacity);
/* Whether an insert would find room: bm_index_insert's answer without the
 * change, so that a log record is only written when its slot is sure. Shared. */
int bm_index_room(struct bm_index *ix, uint64_t hash, uint64_t *capacity);

void bm_index_set(struct bm_index *ix, struct bm_place *place,
                  const struct bm_slot *slot);                    /* exclusive */
void bm_index_erase(struct bm_index *ix, struct bm_place *place); /* exclusive */

/* Growth (index_grow.c) */

/*
 * Builds a larger block, or the two of a split, for the part where HASH
 * belongs, and parks it with add_reallocation. Shared. Does nothing if
 * CAPACITY is no longer that part's, or another thread's growth is parked.
 */
int bm_index_grow(struct bm_index *ix, uint64_t hash, uint64_t capacity);
/* Installs what is parked, unless that part changed meanwhile. Exclusive;
 * every writer's first step. */
void handle_delayed_grows(struct bm_index *ix);
/* Parks GROWN if nothing is parked (returns true), else the caller keeps it. */
bool add_reallocation(struct bm_index *ix, struct Reallocated *grown);
/* Takes what is parked, or NULL. */
struct Reallocated *get_reallocated(struct bm_index *ix);

/* Shrinking (index_shrink.c) */

/*
 * Gives back what erased keys left behind: shrinks and merges sparse blocks
 * that are in memory, at most MAX of them, so that the caller can let others
 * in between (true: there is more). Exclusive; not between the runs of a
 * checkpoint, and not during replay. Keeps what is there for
 * anticipated keys.
 */
bool bm_index_shrink(struct bm_index *ix, unsigned max);

/* Walking */

/* One slot of a listing: the hash as far as the index knows it. */
struct bm_known_slot {
        uint64_t hash; /* bucket and tag bits, the rest zero */
        struct bm_slot slot;
};
/*
 * FN for each slot of the block where HASH belongs (and of its chain), in no order. *LAST as below.
 * -EIO, -ENOMEM: of reading the block. Shared.
 */
typedef void (*bm_known_slot_fn)(void *ctx, const struct bm_known_slot *known);
int bm_index_visit(struct bm_index *ix, uint64_t hash, bm_known_slot_fn fn, void *ctx,
                   uint64_t *last);

/*
 * The slots of the block where HASH belongs (and of its chain), sorted by
 * hash, in *SLOTS (malloc'd, the caller's to free; N of them). *LAST gets the
 * last hash that the block covers (all low bits set), also after -EIO, so that the
 * walk goes on at *LAST + 1 until it has covered the bucket. Shared.
 */
int bm_index_collect(struct bm_index *ix, uint64_t hash, struct bm_known_slot **slots, size_t *n,
                     uint64_t *last);

/* Checkpoint */

/*
 * For each block in the order of the pages table: FN gets the row as it is on disk and,
 * for a block changed since the last checkpoint, its IMAGE (LEN bytes, header
 * with APPLIED and checksum filled in), to write where it likes and note in
 * *ROW, which then counts as its place and the block as clean. IMAGE is NULL for a clean one.
 * Exclusive; a run of blocks at a time: call it until RUN says that it is done, and shrink nothing
 * in between.
 */
enum { BM_REWRITE_NONE = 0, BM_REWRITE_ALL = UINT32_MAX };
struct bm_index_run {
        uint64_t map_id;
        uint64_t applied;   /* log position that the blocks of this run include */
        uint32_t rewrite;   /* blocks in this file count as changed; or one of the two above */
        uint32_t max_bytes; /* of images in a run, about; and as many blocks as take no time */
        uint32_t n_rows;    /* out: by now */
        bool done;          /* out */
};
typedef int (*bm_block_fn)(void *ctx, struct bm_block_row *row, const void *image, size_t len);
int bm_index_checkpoint(struct bm_index *ix, struct bm_index_run *run, bm_block_fn fn, void *ctx);
/* Gives up a checkpoint before it is done. Exclusive. */
void bm_index_end_run(struct bm_index *ix);
/* Whether the checkpoint under way has copied the block where HASH belongs. Shared. */
bool bm_index_is_copied(const struct bm_index *ix, uint64_t hash);
/* Marks the blocks that stand in FILE_ID as changed, so that the next
 * checkpoint writes them elsewhere. Exclusive; loads them. */
int bm_index_dirty_file(struct bm_index *ix, uint32_t file_id);
/* Builds the index from rows as bm_index_checkpoint gave them; nothing is
 * read yet. BM_E_DAMAGED if the depths do not tile. */
int bm_index_load(struct bm_index *ix, const struct bm_block_row *rows, uint32_t n);
/* Log position that the block where HASH belongs includes (0: none). Shared. */
int bm_index_applied(struct bm_index *ix, uint64_t hash, uint64_t *applied);

#endif
