/* SPDX-License-Identifier: MIT */
/*
 * Patches that are lost, and those that are left over. What a lost one held is
 * said with its value (repair_fit.c); zeros are put in its place, as in the
 * place of a lost chunk: what the chunk itself has there is older, and must not
 * come back.
 */
#include <errno.h>

#include "patch.h"
#include "repair_private.h"
#include "store.h"

static int find(struct bm_map *map, uint64_t data_id, uint64_t number, struct bm_found *found)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_target t;
        bm_chunk_key(data_id, number, key);
        int r = bm_target_init(&t, map, key, sizeof(key));
        return r == 0 ? bm_target_find(&t, found) : r;
}

int bm_repair_lost_pieces(struct bm_repair *rp, const struct bm_found *chunk, uint64_t data_id,
                          uint64_t number, uint32_t *lost)
{
        const uint32_t needed = chunk->slot.count | bm_chunk_needs(&chunk->record);
        *lost = 0;
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++) {
                struct bm_found patch;
                if (!(needed & bm_piece_bit(i)))
                        continue;
                int r = find(rp->store->patches, data_id, number * BM_CHUNK_PIECES + i, &patch);
                if (r < 0)
                        return r;
                if (!patch.there ||
                    patch.record.value_len != bm_piece_len(bm_chunk_len(&chunk->record), i))
                        *lost |= bm_piece_bit(i);
        }
        return 0;
}

int bm_repair_look_at_chunk(struct bm_repair *rp, const struct bm_record *r)
{
        uint64_t data_id, number;
        uint32_t lost = 0;
        struct bm_found found;
        if (bm_chunk_key_decode(r->key, r->key_len, &data_id, &number) != 0)
                return 0;
        int result = find(rp->store->chunks, data_id, number, &found);
        if (result == 0 && found.there)
                result = bm_repair_lost_pieces(rp, &found, data_id, number, &lost);
        for (unsigned i = 0; i < BM_CHUNK_PIECES && result == 0; i++) {
                const struct bm_misfit m = {.what = BM_UNPATCHED,
                                            .data_id = data_id,
                                            .piece = number * BM_CHUNK_PIECES + i};
                if (lost & bm_piece_bit(i))
                        result = bm_repair_add(rp, &m);
        }
        return result;
}

int bm_repair_look_at_patch(struct bm_repair *rp, const struct bm_record *r)
{
        struct bm_misfit m = {.what = BM_STRAY_PATCH};
        struct bm_found found;
        if (bm_chunk_key_decode(r->key, r->key_len, &m.data_id, &m.piece) != 0)
                return 0;
        int result = find(rp->store->chunks, m.data_id, m.piece / BM_CHUNK_PIECES, &found);
        if (result != 0 ||
            (found.there && found.slot.count & bm_piece_bit(m.piece % BM_CHUNK_PIECES)))
                return result;
        return bm_repair_add(rp, &m);
}

/* Step 0 is the chunk, 1 the patch. */
static int fill_patch(struct bm_txn *txn, void *ctx)
{
        static const uint8_t zeros[BM_PATCH];
        const struct bm_misfit *m = ctx;
        const struct bm_found *chunk = &txn->steps[0].found;
        const unsigned piece = (unsigned)(m->piece % BM_CHUNK_PIECES);
        struct bm_step *s = &txn->steps[1];
        const uint32_t len = chunk->there ? bm_piece_len(bm_chunk_len(&chunk->record), piece) : 0;
        if (m->what == BM_UNPATCHED && len > 0) {
                s->action = BM_ACT_PUT;
                s->next = (struct bm_record){.type = BM_REC_PATCH,
                                             .record_id = m->data_id,
                                             .value = zeros,
                                             .value_len = len};
        } else if (s->found.there) {
                s->action = BM_ACT_DELETE;
        } else { /* the chunk ends before it */
                const struct bm_record none = {
                        .type = BM_REC_DEL, .key = s->target.key, .key_len = BM_CHUNK_KEY};
                return bm_patch_mark(txn->store, &none);
        }
        return 0;
}

int bm_repair_place_patch(struct bm_repair *rp, struct bm_misfit *m, bool dry)
{
        struct bm_store *store = rp->store;
        uint8_t chunk[BM_CHUNK_KEY], patch[BM_CHUNK_KEY];
        struct bm_txn txn;
        /* else its value says so */
        if (m->what == BM_UNPATCHED && !rp->salvage->data_damaged)
                bm_repair_say(rp, 0, NULL, 0,
                              "a part of a large value is lost, and reads as zeros");
        if (dry)
                return 0;
        bm_chunk_key(m->data_id, m->piece / BM_CHUNK_PIECES, chunk);
        bm_chunk_key(m->data_id, m->piece, patch);
        bm_txn_init(&txn, store);
        int r = bm_txn_add(&txn, store->chunks, chunk, sizeof(chunk), NULL);
        if (r == 0)
                r = bm_txn_add(&txn, store->patches, patch, sizeof(patch), NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_patch, m);
        bm_txn_deinit(&txn);
        return r;
}
