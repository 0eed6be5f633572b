/* SPDX-License-Identifier: MIT */
/* See patch.h. */
#include "patch.h"

#include "store.h"

int bm_patch_more(struct bm_txn *txn, uint64_t data_id, uint64_t chunk, unsigned piece,
                  uint8_t key[BM_CHUNK_KEY], size_t *step)
{
        bm_patch_key(data_id, chunk, piece, key);
        return bm_txn_more_trusted(txn, txn->store->patches, key, BM_CHUNK_KEY, BM_TRUST_KEY, step);
}

int bm_patch_chunk(struct bm_store *store, const uint8_t *patch_key, struct bm_target *target,
                   uint8_t key[BM_CHUNK_KEY], uint32_t *bit)
{
        uint64_t data_id, piece;
        int r = bm_chunk_key_decode(patch_key, BM_CHUNK_KEY, &data_id, &piece);
        if (r != 0)
                return r;
        *bit = bm_piece_bit(piece % BM_CHUNK_PIECES);
        bm_chunk_key(data_id, piece / BM_CHUNK_PIECES, key);
        r = bm_target_init(target, store->chunks, key, BM_CHUNK_KEY);
        target->trust = BM_TRUST_KEY;
        return r;
}

int bm_patch_mark(struct bm_store *store, const struct bm_record *record)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_target chunk;
        struct bm_found found;
        struct bm_slot slot;
        uint32_t bit;
        if (record->key_len != BM_CHUNK_KEY)
                return BM_E_DAMAGED;
        int r = bm_patch_chunk(store, record->key, &chunk, key, &bit);
        if (r == 0)
                r = bm_target_find(&chunk, &found);
        if (r != 0 || !found.there)
                return r;
        slot = found.slot;
        slot.count = record->type == BM_REC_PATCH ? slot.count | bit : slot.count & ~bit;
        if (slot.count != found.slot.count)
                bm_index_set(&chunk.bucket->index, &found.place, &slot);
        return 0;
}
