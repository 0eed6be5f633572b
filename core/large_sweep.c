/* SPDX-License-Identifier: MIT */
/* The sweeper (large.h): deletes the chunks that drops name, and then the drops. */
#include <errno.h>

#include "large.h"
#include "patch.h"
#include "store.h"

struct sweep {
        struct bm_store *store;
        struct bm_drop drop;
        const uint8_t *drop_key;
        size_t drop_key_len;
        /* what one transaction takes away */
        unsigned n_chunks;
        uint64_t first; /* chunk */
        uint8_t keys[BM_CHUNKS_A_FRAME][BM_CHUNK_KEY];
        uint8_t patch_keys[BM_CHUNKS_A_FRAME][BM_CHUNK_PIECES][BM_CHUNK_KEY];
        unsigned n_found;
        uint64_t swept; /* chunks in all */
};

static int sweep_patches(struct bm_txn *txn, struct sweep *sw, unsigned i, uint32_t bits)
{
        int again = 0;
        for (unsigned piece = 0; piece < BM_CHUNK_PIECES; piece++) {
                size_t step;
                int r = bits & bm_piece_bit(piece)
                                ? bm_patch_more(txn, sw->drop.data_id, sw->first + i, piece,
                                                sw->patch_keys[i][piece], &step)
                                : BM_E_NOT_FOUND;
                if (r == 0 && txn->steps[step].found.there)
                        txn->steps[step].action = BM_ACT_DELETE;
                else if (r == BM_E_AGAIN)
                        again = r;
                else if (r < 0)
                        return r;
        }
        return again;
}

static int sweep_chunk(struct bm_txn *txn, struct sweep *sw, unsigned i)
{
        const struct bm_found *found = &txn->steps[i].found;
        if (!found->there || bm_chunk_generation(&found->record) >= sw->drop.generation)
                return 0;
        int r = found->slot.count ? sweep_patches(txn, sw, i, found->slot.count) : 0;
        if (r != 0)
                return r;
        txn->steps[i].action = BM_ACT_DELETE;
        sw->n_found++;
        return 0;
}

/* The chunks, and behind them the drop, if it goes with them. */
static int fill_sweep(struct bm_txn *txn, void *ctx)
{
        struct sweep *sw = ctx;
        int again = 0;
        sw->n_found = 0;
        for (unsigned i = 0; i < sw->n_chunks; i++) {
                int r = sweep_chunk(txn, sw, i);
                if (r != 0 && r != BM_E_AGAIN)
                        return r;
                again |= r;
        }
        if (txn->n_base > sw->n_chunks && txn->steps[sw->n_chunks].found.there)
                txn->steps[sw->n_chunks].action = BM_ACT_DELETE;
        return again;
}

/* N chunks from FIRST on, in one transaction; LAST: and the drop. */
static int sweep_chunks(struct sweep *sw, uint64_t first, unsigned n, bool last)
{
        /* of a value that is gone nothing is spared, damaged or not */
        const enum bm_trust trust =
                sw->drop.generation == BM_DROP_WHOLE ? BM_TRUST_ALL : BM_TRUST_NOTHING;
        struct bm_txn txn;
        int r = 0;
        if (atomic_load_explicit(&sw->store->closing, memory_order_relaxed))
                return -EINTR;
        sw->first = first;
        sw->n_chunks = n;
        bm_txn_init(&txn, sw->store);
        txn.claim = BM_CLAIM_REMOVE;
        for (unsigned i = 0; i < n && r == 0; i++) {
                bm_chunk_key(sw->drop.data_id, first + i, sw->keys[i]);
                r = bm_txn_add_trusted(&txn, sw->store->chunks, sw->keys[i], BM_CHUNK_KEY, trust,
                                       NULL);
        }
        if (r == 0 && last)
                r = bm_txn_add(&txn, sw->store->drops, sw->drop_key, sw->drop_key_len, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_sweep, sw);
        if (r == 0)
                sw->swept += sw->n_found;
        bm_txn_deinit(&txn);
        return r;
}

static int sweep_if_in_range(void *ctx, const struct bm_item *item)
{
        struct sweep *sw = ctx;
        uint64_t data_id, chunk;
        if (bm_chunk_key_decode(item->key, item->key_len, &data_id, &chunk) != 0)
                return -EIO;
        if (data_id != sw->drop.data_id || chunk < sw->drop.from || chunk >= sw->drop.to)
                return 0;
        return sweep_chunks(sw, chunk, 1, false);
}

/* The drop goes with the last chunks: a crash before finds it again. A
 * range of a sparse value may be far longer than all the chunks there are. */
static int sweep_one(struct sweep *sw)
{
        const uint64_t to = sw->drop.to;
        uint64_t chunk = sw->drop.from;
        int r = 0;
        if (to - chunk > bm_map_sums(sw->store->chunks).n_keys) {
                r = bm_keys(sw->store->chunks, sweep_if_in_range, sw);
                chunk = to;
        }
        for (; r == 0 && to - chunk > BM_CHUNKS_A_FRAME; chunk += BM_CHUNKS_A_FRAME)
                r = sweep_chunks(sw, chunk, BM_CHUNKS_A_FRAME, false);
        return r == 0 ? sweep_chunks(sw, chunk, (unsigned)(to - chunk), true) : r;
}

static int sweep_item(void *ctx, const struct bm_item *item)
{
        struct sweep *sw = ctx;
        if (bm_drop_decode(&sw->drop, item->key, item->key_len, item->view.value,
                           item->view.size) != 0)
                return -EIO;
        /* a cut's chunks go also while the value is held; the value itself does not */
        if (sw->drop.generation == BM_DROP_WHOLE &&
            bm_counts_get(&sw->store->held, sw->drop.data_id))
                return 0;
        /* Only now is the drop sure: between the listing and the look at the
         * hold a value stored ahead may have been committed, which takes its
         * drop away first and its hold afterwards. */
        struct bm_view view;
        int r = bm_read_value(sw->store->drops, item->key, item->key_len, &view);
        if (r != 0)
                return r == BM_E_NOT_FOUND ? 0 : r;
        bm_view_release(&view);
        sw->drop_key = item->key;
        sw->drop_key_len = item->key_len;
        return sweep_one(sw);
}

int bm_large_sweep(struct bm_store *store, uint64_t *swept)
{
        struct sweep sw = {.store = store};
        struct bm_cursor *cursor = NULL;
        struct bm_item item;
        int r = bm_cursor_open(store->drops, 0, &cursor), bad = 0;
        while (r == 0) {
                r = bm_cursor_next(cursor, &item);
                if (r == 0)
                        r = sweep_item(&sw, &item);
                if (r == -EIO) { /* the others can be swept all the same */
                        bad = r;
                        r = 0;
                }
        }
        cursor = bm_cursor_close(cursor);
        if (r == BM_E_NOT_FOUND || r == -EINTR)
                r = bad;
        atomic_fetch_add(&store->swept_chunks, sw.swept);
        if (swept)
                *swept = sw.swept;
        return r;
}
