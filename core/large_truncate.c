/* SPDX-License-Identifier: MIT */
/* Changing the length of a value. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "large_change.h"
#include "store.h"

/* What is cut has a claim on the reserve where no more is written than dies: the shorter record, or
 * last chunk, in place of the longer one; a head in place of a head, if its cuts are paid for. */
static int truncate_inline(struct bm_txn *txn, struct bm_change *c)
{
        const struct bm_record *was = bm_change_record(txn, c);
        uint32_t size = (uint32_t)c->size, keep = was->value_len < size ? was->value_len : size;
        if (size == 0 || size < was->value_len)
                txn->claim = BM_CLAIM_CUT;
        if (keep)
                memcpy(c->chunk, was->value, keep);
        memset(c->chunk + keep, 0, size - keep);
        return bm_change_put(txn, c, BM_REC_PUT, c->chunk, size);
}

static int shrink_to_inline(struct bm_txn *txn, struct bm_change *c)
{
        const uint8_t *bytes = NULL;
        uint32_t size = (uint32_t)c->size, have = 0;
        size_t step;
        int r = size > 0 ? bm_change_add_chunk(txn, c, 0, c->chunk_key, &step) : 0;
        if (r == 0 && size > 0)
                r = bm_change_chunk(txn, c, step, 0, &bytes, &have);
        if (r != 0)
                return r;
        if (have >= size)
                txn->claim = BM_CLAIM_CUT;
        c->pays = have >= size ? have - size : 0;
        have = have < size ? have : size;
        if (have)
                memcpy(c->chunk, bytes, have);
        memset(c->chunk + have, 0, size - have);
        r = bm_large_drop_all(txn, bm_change_record(txn, c), &c->drop);
        return r == 0 ? bm_change_put(txn, c, BM_REC_PUT, c->chunk, size) : r;
}

static int shrink_large(struct bm_txn *txn, struct bm_change *c)
{
        uint64_t last = c->size >> BM_CHUNK_LOG2, n_old = bm_head_chunks(&c->head);
        uint32_t rest = (uint32_t)(c->size & (BM_CHUNK - 1));
        uint64_t from = last + (rest > 0);
        int r = 0;
        if (from >= n_old || c->head.allocated >= BM_CUT_PAYS)
                txn->claim = BM_CLAIM_CUT;
        c->pays = c->head.allocated >= BM_CUT_PAYS ? BM_META_PAID : 0;
        if (rest > 0) {
                const uint8_t *bytes;
                uint32_t have;
                size_t step;
                r = bm_change_add_chunk(txn, c, last, c->chunk_key, &step);
                if (r == 0)
                        r = bm_change_chunk(txn, c, step, last, &bytes, &have);
                if (r != 0)
                        return r;
                if (have > rest) { /* else what is beyond would come back with growth */
                        bm_change_put_chunk(txn, c, step, bytes, rest, have);
                        c->pays += have - rest;
                }
        }
        if (from < n_old)
                r = bm_change_cut(txn, c, from, n_old);
        c->head.size = c->size;
        c->head.reach_log2 = 0;
        c->head.allocated = bm_min_u64(c->head.allocated, bm_round_up(c->size, BM_CHUNK));
        return r;
}

static int fill_truncate(struct bm_txn *txn, void *ctx)
{
        struct bm_change *c = ctx;
        txn->claim = BM_CLAIM_NONE;
        c->pays = 0;
        int r = bm_change_look(txn, c);
        if (r != 0)
                return r;
        const struct bm_record was = *bm_change_record(txn, c);
        const bool shorter =
                c->size < c->head.size || (c->size == c->head.size && c->head.reach_log2);
        c->inline_again = was.type == BM_REC_HEAD && shorter && c->size <= BM_VALUE_INLINE;
        if (was.type == BM_REC_PUT) {
                if (c->size <= BM_VALUE_INLINE)
                        return truncate_inline(txn, c);
                r = bm_change_start_large(txn, c, c->size);
                if (r == 0)
                        r = bm_change_move_first(txn, c);
        } else if (c->inline_again) {
                return shrink_to_inline(txn, c);
        } else if (shorter) {
                r = shrink_large(txn, c);
        } else {
                c->head.size = c->size;
        }
        return r == 0 ? bm_change_put_head(txn, c) : r;
}

int bm_truncate(const struct bm_ref *ref, uint64_t size, bm_meta_fn fn, void *ctx)
{
        if (size > BM_VALUE_MAX)
                return -EFBIG;
        struct bm_change *c = bm_change_new(ref, fn, ctx, true);
        if (!c)
                return -ENOMEM;
        c->size = size;
        c->trust = size == 0 ? BM_TRUST_VALUE : BM_TRUST_NOTHING; /* nothing of the value stays */
        c->new_data_id = atomic_fetch_add(&ref->map->store->next_data, 1);
        int r = bm_change_run(c, fill_truncate);
        /* an orphan that is inline again has nothing for the sweeper to spare */
        if (r == 0 && ref->map->id == BM_MAP_ORPHANS && c->inline_again)
                bm_large_release(ref->map->store, c->head.data_id);
        bm_change_free(c);
        return r;
}
