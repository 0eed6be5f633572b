/* SPDX-License-Identifier: MIT */
/* See large.h: chunks dropped, and stored ahead. */
#include "large.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "store.h"

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
                .generation = BM_DROP_WHOLE,
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

unsigned bm_large_a_frame(const struct bm_store *store, uint64_t n)
{
        enum { A_CHUNK = BM_CHUNK + 128 }; /* with what its record has beside it, and the head's */
        const uint64_t fit = bm_log_room(&store->log) / A_CHUNK;
        n = bm_min_u64(n, BM_CHUNKS_A_FRAME);
        return (unsigned)(fit == 0 ? n : bm_min_u64(n, fit)); /* 0: the next segment is empty */
}

/* Storing ahead */

struct ahead {
        uint8_t keys[BM_CHUNKS_A_FRAME][BM_CHUNK_KEY];
        uint64_t data_id;
        const uint8_t *value;
        uint64_t len; /* of what is left of it */
        struct bm_drop_step drop;
        const struct bm_drop *dropped;
};

static int fill_drop(struct bm_txn *txn, void *ctx)
{
        struct ahead *a = ctx;
        return bm_large_drop(txn, a->dropped, &a->drop);
}

static int fill_chunks(struct bm_txn *txn, void *ctx)
{
        struct ahead *a = ctx;
        for (size_t i = 0; i < txn->n_steps; i++) {
                const uint64_t at = (uint64_t)i << BM_CHUNK_LOG2;
                txn->steps[i].action = BM_ACT_PUT;
                txn->steps[i].next = (struct bm_record){
                        .type = BM_REC_CHUNK,
                        .record_id = a->data_id,
                        .value = a->value + at,
                        .value_len = (uint32_t)bm_min_u64(BM_CHUNK, a->len - at),
                };
        }
        return 0;
}

static int run_chunks(struct bm_store *store, struct ahead *a, uint64_t from, unsigned n)
{
        struct bm_txn txn;
        int r = 0;
        bm_txn_init(&txn, store);
        for (unsigned i = 0; i < n && r == 0; i++) {
                bm_chunk_key(a->data_id, from + i, a->keys[i]);
                r = bm_txn_add(&txn, store->chunks, a->keys[i], BM_CHUNK_KEY, NULL);
        }
        if (r == 0)
                r = bm_txn_run(&txn, fill_chunks, a);
        bm_txn_deinit(&txn);
        return r;
}

int bm_large_store(struct bm_store *store, const void *value, uint64_t len, struct bm_head *head)
{
        struct ahead a = {.data_id = atomic_fetch_add(&store->next_data, 1)};
        const struct bm_drop drop = {
                .data_id = a.data_id,
                .to = bm_div_up(len, BM_CHUNK),
                .generation = BM_DROP_WHOLE,
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
        for (uint64_t chunk = 0, n; chunk < drop.to && r == 0; chunk += n) {
                uint64_t at = chunk << BM_CHUNK_LOG2;
                n = bm_large_a_frame(store, drop.to - chunk);
                a.value = (const uint8_t *)value + at;
                a.len = len - at;
                r = run_chunks(store, &a, chunk, (unsigned)n);
        }
        return r;
}

int bm_large_commit(struct bm_txn *txn, const struct bm_head *head, uint8_t drop_key[BM_DROP_KEY])
{
        const struct bm_drop drop = {.data_id = head->data_id, .generation = BM_DROP_WHOLE};
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
