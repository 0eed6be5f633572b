/* SPDX-License-Identifier: MIT */
/*
 * Patches: pieces of 4 KiB of chunks that were written after their chunk, each
 * a record of its own in the hidden map of patches. Which pieces of a chunk
 * have one says the chunk's slot, in its count: bit i is set exactly if there
 * is a patch of piece i. So a reader that finds the bit and no patch knows
 * that something is lost, and one that finds no bit looks for nothing.
 *
 * The bits are not logged: they follow from the records, as slots do. Putting
 * a patch sets its bit, deleting it clears it, and a new chunk has none; but
 * for a hollow one, which has no bytes, for patches have them all.
 */
#ifndef BM_PATCH_H
#define BM_PATCH_H

#include "txn.h"

/* The bit of a piece, and the pieces [first, last] as bits. */
static inline uint32_t bm_piece_bit(unsigned piece)
{
        return UINT32_C(1) << piece;
}
static inline uint32_t bm_piece_bits(unsigned first, unsigned last)
{
        return (bm_piece_bit(last) << 1) - bm_piece_bit(first);
}

/* A hollow chunk says its length above its generation. */
static inline bool bm_chunk_is_hollow(const struct bm_record *chunk)
{
        return chunk->value_len == 0 && chunk->count >> 32;
}
static inline uint64_t bm_chunk_hollow_count(uint32_t generation, uint32_t len)
{
        return (uint64_t)len << 32 | generation;
}
static inline uint32_t bm_chunk_generation(const struct bm_record *chunk)
{
        return (uint32_t)chunk->count;
}
/* Bytes of a chunk, its patches' included. */
static inline uint32_t bm_chunk_len(const struct bm_record *chunk)
{
        if (!bm_chunk_is_hollow(chunk))
                return chunk->value_len;
        return chunk->count >> 32 < BM_CHUNK ? (uint32_t)(chunk->count >> 32) : BM_CHUNK;
}
/* All pieces of so many bytes. */
static inline uint32_t bm_pieces_of(uint32_t len)
{
        return len ? bm_piece_bits(0, (len - 1) / BM_PATCH) : 0;
}
/* Those whose patches a chunk cannot be without: a hollow one's. */
static inline uint32_t bm_chunk_needs(const struct bm_record *chunk)
{
        return bm_chunk_is_hollow(chunk) ? bm_pieces_of(bm_chunk_len(chunk)) : 0;
}

/* Bytes that a piece of a chunk of that length has; 0: it does not reach there. */
static inline uint32_t bm_piece_len(uint32_t chunk_len, unsigned piece)
{
        const uint32_t from = (uint32_t)piece << BM_PATCH_LOG2;
        const uint32_t left = chunk_len > from ? chunk_len - from : 0;
        return left < BM_PATCH ? left : BM_PATCH;
}

/* The key of a patch. */
static inline void bm_patch_key(uint64_t data_id, uint64_t chunk, unsigned piece,
                                uint8_t key[BM_CHUNK_KEY])
{
        bm_chunk_key(data_id, chunk * BM_CHUNK_PIECES + piece, key);
}

/* From within FILL: the step of a patch, by its key alone; KEY must outlive the transaction. As
 * bm_txn_more. */
int bm_patch_more(struct bm_txn *txn, uint64_t data_id, uint64_t chunk, unsigned piece,
                  uint8_t key[BM_CHUNK_KEY], size_t *step);

/*
 * The chunk that a patch's key (BM_CHUNK_KEY bytes) belongs to: TARGET, which
 * KEY must outlive, and the piece's BIT.
 */
int bm_patch_chunk(struct bm_store *store, const uint8_t *patch_key, struct bm_target *target,
                   uint8_t key[BM_CHUNK_KEY], uint32_t *bit);

/* The stripes of the patch and of its chunk are locked, exclusively: what RECORD put or deleted
 * shows in the chunk's slot from here on. Nothing where the chunk is gone. */
int bm_patch_mark(struct bm_store *store, const struct bm_record *record);

#endif
