/* SPDX-License-Identifier: MIT */
/* What the files of the index share: from hash to part, loading, accounting. */
#ifndef BM_INDEX_PRIVATE_H
#define BM_INDEX_PRIVATE_H

#include "base/compiler.h"
#include "base/figure.h"
#include "base/intmath.h"
#include "index_block.h"

/* A part is a block with its overflow chain: what shares one directory entry
 * and depth. */

/* The hash bits behind the bucket's, as many as a slot keeps. */
static inline uint64_t bm_index_tag(const struct bm_index *ix, uint64_t hash)
{
        return hash << ix->skip >> (64 - BM_TAG_BITS);
}

/* The way back, unknown bits zero. */
static inline uint64_t bm_index_hash(const struct bm_index *ix, uint64_t tag)
{
        uint64_t bucket = ix->skip ? (uint64_t)ix->bucket << (64 - ix->skip) : 0;

        return bucket | tag << (64 - BM_TAG_BITS - ix->skip);
}

/* The tag bits that lead to a part of that depth. */
static inline uint64_t bm_tag_prefix(uint64_t tag, unsigned depth)
{
        return tag & ~(BM_TAG_MASK >> depth);
}

static inline struct bm_block *bm_index_part(const struct bm_index *ix, uint64_t tag)
{
        return ix->dir ? ix->dir[tag >> (BM_TAG_BITS - ix->depth)] : NULL;
}

/* Walks the parts in order: starts at directory entry 0 and ends at 2^depth. */
static inline size_t bm_index_next_part(const struct bm_index *ix, size_t at)
{
        return at + ((size_t)1 << (ix->depth - ix->dir[at]->depth));
}

static inline size_t bm_index_dir_len(const struct bm_index *ix)
{
        return ix->dir ? (size_t)1 << ix->depth : 0;
}

/* Deepest split that is allowed in an index of N_BLOCKS: names whose hashes
 * agree must not blow up the directory. */
static inline unsigned bm_index_depth_limit(uint32_t n_blocks)
{
        unsigned limit = bm_log2_floor(n_blocks ? n_blocks : 1) + 8;

        return limit < BM_INDEX_DEPTH_MAX ? limit : BM_INDEX_DEPTH_MAX;
}

static inline uint64_t bm_part_slots(const struct bm_block *block)
{
        uint64_t n = 0;

        for (; block; block = block->chain)
                n += (uint64_t)block->lines * BM_LINE_SLOTS;
        return n;
}

static inline uint64_t bm_part_live(const struct bm_block *block)
{
        uint64_t n = 0;

        for (; block; block = block->chain)
                n += block->live;
        return n;
}

/* Any change to any block of the part changes it: versions only go up. */
static inline uint64_t bm_part_version(const struct bm_block *block)
{
        uint64_t sum = 0;

        for (; block; block = block->chain)
                sum += block->version;
        return sum;
}

/* Everything that stands in the parts A and B (NULL: nothing), N of them, in an array that is
 * the caller's to free; NULL: no memory. They are loaded (index.c). */
struct bm_entry_words *bm_part_copy(const struct bm_block *a, const struct bm_block *b, size_t *n);

/* Brings in BLOCK, where TAG belongs. Shared: the first of several wins.
 * 0, -EIO, -ENOMEM (index_store.c). */
int bm_index_load_block(struct bm_index *ix, struct bm_block *block, uint64_t tag);

static inline int bm_index_touch(struct bm_index *ix, struct bm_block *block, uint64_t tag)
{
        if (bm_likely(bm_block_image(block) != NULL))
                return 0;
        return bm_index_load_block(ix, block, tag);
}

/* The same for a whole part. */
static inline int bm_index_touch_part(struct bm_index *ix, struct bm_block *block, uint64_t tag)
{
        int r = 0;

        for (; block && !r; block = block->chain)
                r = bm_index_touch(ix, block, tag);
        return r;
}

/* Log position that a part, loaded, includes (index_store.c). NULL: 0. */
uint64_t bm_part_applied(const struct bm_block *part);

/* Counts BLOCK and its chain in or (WAY -1) out. */
void bm_index_account(struct bm_index *ix, const struct bm_block *block, int way);

/* Frees every block and the directory; the counters follow. */
void bm_index_clear(struct bm_index *ix);

/* A growth, built aside. */
struct Reallocated {
        /* what it replaces; NULL: nothing, the bucket was empty */
        struct bm_block *source;
        uint64_t version; /* of the source when it was copied */
        uint64_t tag;     /* that asked for room */
        /* what is installed: parts in the order of their prefixes */
        struct bm_block **parts;
        size_t n_parts, max_parts;
        /* a directory of that depth, NULL if the present one is deep enough */
        struct bm_block **dir;
        uint8_t depth;
};

/* Builds what takes the place of TAG's part; changes nothing. Shared. 0,
 * -EIO, -ENOMEM (index_layout.c). */
int bm_index_build(struct bm_index *ix, uint64_t tag, struct Reallocated **grown);

/* Takes a growth back that was not installed. NULL is allowed. */
void bm_reallocated_free(struct Reallocated *grown);

/* The counters are sums that nobody orders anything by: relaxed. */
static inline void bm_stat_add(_Atomic uint64_t *stat, uint64_t n)
{
        atomic_fetch_add_explicit(stat, n, memory_order_relaxed);
}

static inline void bm_stat_max(_Atomic uint64_t *stat, uint64_t n)
{
        uint64_t seen = atomic_load_explicit(stat, memory_order_relaxed);

        while (bm_unlikely(seen < n) &&
               !atomic_compare_exchange_weak_explicit(stat, &seen, n, memory_order_relaxed,
                                                      memory_order_relaxed))
                ;
}

#endif
