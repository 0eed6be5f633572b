/* SPDX-License-Identifier: MIT */
/* See large.h: chunks stored ahead, dropped, and swept. */
#include "large.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "patch.h"
#include "store.h"

enum { WHOLE = UINT32_MAX }; /* generation of a drop that spares no chunk */

uint64_t bm_head_chunks(const struct bm_head *head)
{
        uint64_t to_end = bm_div_up(head->size, BM_CHUNK);
        return head->reach_log2 ? bm_max_u64(to_end, UINT64_C(1) << head->reach_log2) : to_end;
}

bool bm_head_has(const struct bm_head *head, uint64_t chunk, uint32_t generation)
{
        for (unsigned i = 0; i < head->n_cuts; i++) {
                const struct bm_cut *c = &head->cuts[i];
                if (chunk >= c->from && chunk < c->to && generation < c->generation)
                        return false;
        }
        return true;
}

/* Drops */

int bm_large_drop(struct bm_txn *txn, const struct bm_drop *drop, struct bm_drop_step *room)
{
        size_t i;
        bm_drop_encode(drop, room->key, room->value);
        int r = bm_txn_more(txn, txn->store->drops, room->key, sizeof(room->key), &i);
        if (r != 0)
                return r;
        txn->steps[i].action = BM_ACT_PUT;
        txn->steps[i].next = (struct bm_record){
                .type = BM_REC_PUT,
                .record_id = drop->data_id,
                .value = room->value,
                .value_len = sizeof(room->value),
        };
        return 0;
}

int bm_large_drop_all(struct bm_txn *txn, const struct bm_record *record, struct bm_drop_step *room)
{
        struct bm_head head;
        if (record->type != BM_REC_HEAD)
                return 0;
        if (bm_head_decode(&head, record->value, record->value_len) != 0)
                return -EIO;
        const struct bm_drop drop = {
                .data_id = head.data_id,
                .to = bm_head_chunks(&head),
                .generation = WHOLE,
        };
        return bm_large_drop(txn, &drop, room);
}

/* Holds */

int bm_large_hold(struct bm_store *store, uint64_t data_id)
{
        return bm_counts_add(&store->held, data_id);
}

void bm_large_release(struct bm_store *store, uint64_t data_id)
{
        bm_counts_sub(&store->held, data_id);
}

/* Storing ahead */

struct ahead {
        uint8_t key[BM_CHUNK_KEY];
        uint64_t data_id;
        const uint8_t *value;
        uint32_t len;
        struct bm_drop_step drop;
        const struct bm_drop *dropped;
};

static int fill_drop(struct bm_txn *txn, void *ctx)
{
        struct ahead *a = ctx;
        return bm_large_drop(txn, a->dropped, &a->drop);
}

static int fill_chunk(struct bm_txn *txn, void *ctx)
{
        struct ahead *a = ctx;
        txn->steps[0].action = BM_ACT_PUT;
        txn->steps[0].next = (struct bm_record){
                .type = BM_REC_CHUNK,
                .record_id = a->data_id,
                .value = a->value,
                .value_len = a->len,
        };
        return 0;
}

static int run_chunk(struct bm_store *store, struct ahead *a)
{
        struct bm_txn txn;
        bm_txn_init(&txn, store);
        int r = bm_txn_add(&txn, store->chunks, a->key, sizeof(a->key), NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_chunk, a);
        bm_txn_deinit(&txn);
        return r;
}

int bm_large_store(struct bm_store *store, const void *value, uint64_t len, struct bm_head *head)
{
        struct ahead a = {.data_id = atomic_fetch_add(&store->next_data, 1)};
        const struct bm_drop drop = {
                .data_id = a.data_id,
                .to = bm_div_up(len, BM_CHUNK),
                .generation = WHOLE,
        };
        struct bm_txn txn;
        *head = (struct bm_head){
                .size = len, .data_id = a.data_id, .allocated = len, .chunk_log2 = BM_CHUNK_LOG2};
        int r = bm_large_hold(store, a.data_id);
        if (r < 0)
                return r;
        a.dropped = &drop;
        bm_txn_init(&txn, store);
        r = bm_txn_run(&txn, fill_drop, &a);
        bm_txn_deinit(&txn);
        for (uint64_t chunk = 0; chunk < drop.to && r == 0; chunk++) {
                uint64_t at = chunk << BM_CHUNK_LOG2;
                bm_chunk_key(a.data_id, chunk, a.key);
                a.value = (const uint8_t *)value + at;
                a.len = (uint32_t)bm_min_u64(BM_CHUNK, len - at);
                r = run_chunk(store, &a);
        }
        return r;
}

int bm_large_commit(struct bm_txn *txn, const struct bm_head *head, uint8_t drop_key[BM_DROP_KEY])
{
        const struct bm_drop drop = {.data_id = head->data_id, .generation = WHOLE};
        uint8_t unused[BM_DROP_BYTES];
        size_t i;
        bm_drop_encode(&drop, drop_key, unused);
        int r = bm_txn_more(txn, txn->store->drops, drop_key, BM_DROP_KEY, &i);
        if (r == 0 && txn->steps[i].found.there)
                txn->steps[i].action = BM_ACT_DELETE;
        return r;
}

void bm_large_done(struct bm_store *store, const struct bm_head *head)
{
        bm_large_release(store, head->data_id);
}

/* Sweeping */

struct sweep {
        struct bm_store *store;
        struct bm_drop drop;
        uint8_t key[BM_CHUNK_KEY], patch_keys[BM_CHUNK_PIECES][BM_CHUNK_KEY];
        uint64_t chunk, swept;
};

static int sweep_patches(struct bm_txn *txn, struct sweep *sw, uint32_t bits)
{
        int again = 0;
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++) {
                size_t step;
                int r = bits & bm_piece_bit(i) ? bm_patch_more(txn, sw->drop.data_id, sw->chunk, i,
                                                               sw->patch_keys[i], &step)
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

static int fill_sweep_chunk(struct bm_txn *txn, void *ctx)
{
        struct sweep *sw = ctx;
        const struct bm_found *found = &txn->steps[0].found;
        if (!found->there || bm_chunk_generation(&found->record) >= sw->drop.generation)
                return 0;
        int r = found->slot.count ? sweep_patches(txn, sw, found->slot.count) : 0;
        if (r != 0)
                return r;
        txn->steps[0].action = BM_ACT_DELETE;
        sw->swept++;
        return 0;
}

static int fill_forget_drop(struct bm_txn *txn, void *ctx)
{
        if (txn->steps[0].found.there)
                txn->steps[0].action = BM_ACT_DELETE;
        return 0;
}

static int run_one(struct bm_store *store, struct bm_map *map, const void *key, size_t key_len,
                   enum bm_trust trust, bm_fill_fn fill, void *ctx)
{
        struct bm_txn txn;
        bm_txn_init(&txn, store);
        txn.privileged = true;
        int r = bm_txn_add(&txn, map, key, key_len, NULL);
        txn.steps[0].target.trust = trust;
        if (r == 0)
                r = bm_txn_run(&txn, fill, ctx);
        bm_txn_deinit(&txn);
        return r;
}

static int sweep_chunk(struct sweep *sw, uint64_t chunk)
{
        if (atomic_load_explicit(&sw->store->closing, memory_order_relaxed))
                return -EINTR;
        sw->chunk = chunk;
        bm_chunk_key(sw->drop.data_id, chunk, sw->key);
        /* of a value that is gone nothing is spared, damaged or not */
        return run_one(sw->store, sw->store->chunks, sw->key, sizeof(sw->key),
                       sw->drop.generation == WHOLE ? BM_TRUST_ALL : BM_TRUST_NOTHING,
                       fill_sweep_chunk, sw);
}

static int sweep_if_in_range(void *ctx, const struct bm_item *item)
{
        struct sweep *sw = ctx;
        uint64_t data_id, chunk;
        if (bm_chunk_key_decode(item->key, item->key_len, &data_id, &chunk) != 0)
                return -EIO;
        if (data_id != sw->drop.data_id || chunk < sw->drop.from || chunk >= sw->drop.to)
                return 0;
        return sweep_chunk(sw, chunk);
}

/* Chunks first, the drop last: a crash in between finds the drop again. A
 * range of a sparse value may be far longer than all the chunks there are. */
static int sweep_one(struct sweep *sw, const uint8_t *key, size_t key_len)
{
        int r = 0;
        if (sw->drop.to - sw->drop.from > bm_map_sums(sw->store->chunks).n_keys)
                r = bm_keys(sw->store->chunks, sweep_if_in_range, sw);
        else
                for (uint64_t chunk = sw->drop.from; chunk < sw->drop.to && r == 0; chunk++)
                        r = sweep_chunk(sw, chunk);
        if (r != 0)
                return r;
        return run_one(sw->store, sw->store->drops, key, key_len, BM_TRUST_NOTHING,
                       fill_forget_drop, NULL);
}

static int sweep_item(void *ctx, const struct bm_item *item)
{
        struct sweep *sw = ctx;
        if (bm_drop_decode(&sw->drop, item->key, item->key_len, item->view.value,
                           item->view.size) != 0)
                return -EIO;
        /* a cut's chunks go also while the value is held; the value itself does not */
        if (sw->drop.generation == WHOLE && bm_counts_get(&sw->store->held, sw->drop.data_id))
                return 0;
        /* Only now is the drop sure: between the listing and the look at the
         * hold a value stored ahead may have been committed, which takes its
         * drop away first and its hold afterwards. */
        struct bm_view view;
        int r = bm_read_value(sw->store->drops, item->key, item->key_len, &view);
        if (r != 0)
                return r == BM_E_NOT_FOUND ? 0 : r;
        bm_view_release(&view);
        return sweep_one(sw, item->key, item->key_len);
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
