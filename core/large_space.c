/* SPDX-License-Identifier: MIT */
/*
 * The space of a part of a value: giving it back, and taking it ahead.
 *
 * Allocating writes zeros: the space is taken, and seen to be. A log has no
 * place that could be reserved for what will be written there, which goes
 * elsewhere first; on a full disk that is ENOSPC all the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "large_change.h"
#include "store.h"

/* Chunks that are deleted one by one, so that it is known how much they took; more are a cut. */
enum { PUNCH_EACH_MAX = 4096 };

/* Punching */

/* Locked. The bytes [from, to) of one chunk become zeros; c->chunk is used by one of them. */
static int clear_in_chunk(struct bm_txn *txn, struct bm_change *c, uint64_t chunk, uint32_t from,
                          uint32_t to, uint8_t key[BM_CHUNK_KEY])
{
        const uint8_t *bytes = NULL;
        uint32_t have;
        size_t step;
        int r = bm_change_add_chunk(txn, c, chunk, key, &step);
        if (r != 0)
                return r;
        r = bm_change_chunk(txn, c, step, chunk, &bytes, &have);
        if (r != 0 || have <= from)
                return r;
        if (have <= to && from == 0) {
                bm_change_delete_chunk(txn, c, step, have);
        } else if (have <= to) { /* what a chunk lacks is zeros */
                bm_change_put_chunk(txn, c, step, bytes, from, have);
        } else {
                memcpy(c->chunk, bytes, have);
                memset(c->chunk + from, 0, to - from);
                bm_change_put_chunk(txn, c, step, c->chunk, have, have);
        }
        return 0;
}

/* Locked. A whole one: what it had in its patches is not looked at. */
static int punch_chunk(struct bm_txn *txn, struct bm_change *c, uint64_t chunk,
                       uint8_t key[BM_CHUNK_KEY])
{
        size_t step;
        int r = bm_change_add_chunk(txn, c, chunk, key, &step);
        if (r == 0)
                bm_change_delete_chunk(txn, c, step, bm_change_chunk_len(txn, c, step, chunk));
        return r;
}

/* Locked. The whole chunks [from, to). */
static int punch_chunks(struct bm_txn *txn, struct bm_change *c, uint64_t from, uint64_t to)
{
        int r = 0;
        if (to - from <= BM_CHANGE_DELETES_MAX) {
                for (uint64_t i = from; i < to && r == 0; i++)
                        r = punch_chunk(txn, c, i, c->more_keys[i - from]);
                return r;
        }
        r = bm_change_cut(txn, c, from, to);
        uint64_t others = bm_head_chunks(&c->head) - (to - from);
        c->head.allocated = bm_min_u64(c->head.allocated, others << BM_CHUNK_LOG2);
        return r;
}

/* Where the space of a large value ends: with the value, unless more was allocated. */
static uint64_t end_of_space(const struct bm_head *head)
{
        return bm_max_u64(head->size, head->reach_log2 ? bm_head_chunks(head) << BM_CHUNK_LOG2 : 0);
}

static int punch_large(struct bm_txn *txn, struct bm_change *c, uint64_t end)
{
        uint64_t from = bm_div_up(c->offset, BM_CHUNK);
        /* nothing lives behind that */
        uint64_t to =
                end == end_of_space(&c->head) ? bm_div_up(end, BM_CHUNK) : end >> BM_CHUNK_LOG2;
        uint32_t first = (uint32_t)(c->offset & (BM_CHUNK - 1));
        uint32_t last = (uint32_t)(end & (BM_CHUNK - 1));
        int r = 0;
        if (from > to) /* within one chunk */
                return clear_in_chunk(txn, c, to, first, last, c->first_key);
        if (first)
                r = clear_in_chunk(txn, c, from - 1, first, BM_CHUNK, c->first_key);
        if (r == 0 && to << BM_CHUNK_LOG2 < end)
                r = clear_in_chunk(txn, c, to, 0, last, c->chunk_key);
        if (r == 0 && from < to)
                r = punch_chunks(txn, c, from, to);
        return r;
}

static int punch_inline(struct bm_txn *txn, struct bm_change *c, uint64_t end)
{
        const struct bm_record *was = bm_change_record(txn, c);
        memcpy(c->chunk, was->value, was->value_len);
        memset(c->chunk + c->offset, 0, end - c->offset);
        return bm_change_put(txn, c, BM_REC_PUT, c->chunk, was->value_len);
}

static int fill_punch(struct bm_txn *txn, void *ctx)
{
        struct bm_change *c = ctx;
        txn->claim = BM_CLAIM_NONE;
        int r = bm_change_look(txn, c);
        if (r != 0)
                return r;
        const struct bm_record *was = bm_change_record(txn, c);
        bool large = was->type == BM_REC_HEAD;
        uint64_t end =
                bm_min_u64(c->offset + c->len, large ? end_of_space(&c->head) : was->value_len);
        c->taken = end > c->offset ? end - c->offset : 0;
        if (c->taken == 0)
                return 0;
        if (!large)
                return punch_inline(txn, c, end);
        /* it frees more than it writes: two chunks at most, in which something stays */
        if (c->len >= 4 * BM_CHUNK && c->head.allocated >= BM_CUT_PAYS)
                txn->claim = BM_CLAIM_CUT;
        c->pays = BM_META_PAID;
        r = punch_large(txn, c, end);
        return r == 0 ? bm_change_put_head(txn, c) : r;
}

/* How much of the rest one transaction takes: up to the end of a chunk, where it can be. */
static uint64_t punch_step(uint64_t offset, uint64_t len)
{
        if (len >> BM_CHUNK_LOG2 > PUNCH_EACH_MAX)
                return len;
        uint64_t end = ((offset >> BM_CHUNK_LOG2) + BM_CHANGE_DELETES_MAX) << BM_CHUNK_LOG2;
        return bm_min_u64(len, end - offset);
}

int bm_punch(const struct bm_ref *ref, uint64_t offset, uint64_t len, bm_meta_fn fn, void *ctx)
{
        int r = 0;
        if (offset > BM_VALUE_MAX || len > BM_VALUE_MAX - offset)
                return -EFBIG;
        struct bm_change *c = bm_change_new(ref, fn, ctx, true);
        if (!c)
                return -ENOMEM;
        do {
                c->offset = offset;
                c->len = punch_step(offset, len);
                r = bm_change_run(c, fill_punch);
                offset += c->len;
                len -= c->len;
        } while (r == 0 && len > 0 && c->taken == c->len);
        bm_change_free(c);
        return r;
}

/* Allocating */

/* Locked. FIRST: what the value has inline, which becomes chunk 0. */
static int allocate_chunk(struct bm_txn *txn, struct bm_change *c, const uint8_t *first,
                          uint32_t first_len)
{
        uint64_t chunk = c->offset >> BM_CHUNK_LOG2;
        uint32_t from = (uint32_t)(c->offset & (BM_CHUNK - 1));
        uint32_t to = (uint32_t)bm_min_u64(BM_CHUNK, from + c->len);
        const uint8_t *old = first;
        uint32_t old_len = first_len;
        size_t step;
        int r = bm_change_add_chunk(txn, c, chunk, c->chunk_key, &step);
        if (r != 0)
                return r;
        if (!first)
                r = bm_change_chunk(txn, c, step, chunk, &old, &old_len);
        if (r != 0)
                return r;
        c->taken = to - from;
        if (!first && !c->zero && old_len >= to)
                return 0;
        uint32_t len = to > old_len ? to : old_len;
        memset(c->chunk, 0, len);
        if (old_len)
                memcpy(c->chunk, old, old_len);
        if (c->zero)
                memset(c->chunk + from, 0, to - from);
        bm_change_put_chunk(txn, c, step, c->chunk, len, first ? 0 : old_len);
        return 0;
}

static int allocate_inline(struct bm_txn *txn, struct bm_change *c)
{
        const struct bm_record *was = bm_change_record(txn, c);
        uint32_t end = (uint32_t)(c->offset + c->len);
        uint32_t len = was->value_len > end ? was->value_len : end;
        memset(c->chunk, 0, len);
        if (was->value_len)
                memcpy(c->chunk, was->value, was->value_len);
        if (c->zero)
                memset(c->chunk + c->offset, 0, c->len);
        c->taken = c->len;
        return bm_change_put(txn, c, BM_REC_PUT, c->chunk, len);
}

/* The head has a chunk of that number, beyond its end perhaps. */
static void reach(struct bm_head *head, uint64_t chunk)
{
        if (chunk < bm_head_chunks(head))
                return;
        head->reach_log2 = 1;
        while (chunk >> head->reach_log2)
                head->reach_log2++;
}

static int fill_allocate(struct bm_txn *txn, void *ctx)
{
        struct bm_change *c = ctx;
        int r = bm_change_look(txn, c);
        if (r != 0)
                return r;
        const struct bm_record was = *bm_change_record(txn, c);
        const struct bm_head before = c->head;
        uint64_t size = was.type == BM_REC_HEAD ? c->head.size : was.value_len;
        c->taken = 0;
        if (was.type == BM_REC_PUT) {
                uint64_t end = c->offset + c->len;
                /* an inline value ends where its record does */
                if (end <= (c->keep_size ? size : BM_VALUE_INLINE))
                        return allocate_inline(txn, c);
                r = bm_change_start_large(txn, c, was.value_len);
                if (r == 0 && c->offset >= BM_CHUNK)
                        r = bm_change_move_first(txn, c);
                if (r == 0)
                        r = c->offset < BM_CHUNK ? allocate_chunk(txn, c, was.value, was.value_len)
                                                 : allocate_chunk(txn, c, NULL, 0);
        } else {
                r = allocate_chunk(txn, c, NULL, 0);
        }
        if (r != 0)
                return r;
        if (c->keep_size)
                reach(&c->head, c->offset >> BM_CHUNK_LOG2);
        else
                c->head.size = bm_max_u64(c->head.size, c->offset + c->taken);
        /* all there already */
        if (!c->zero && was.type == BM_REC_HEAD && c->head.size == before.size &&
            c->head.allocated == before.allocated && c->head.reach_log2 == before.reach_log2)
                return 0;
        return bm_change_put_head(txn, c);
}

int bm_allocate(const struct bm_ref *ref, uint64_t offset, uint64_t len, unsigned flags,
                bm_meta_fn fn, void *ctx, uint64_t *done)
{
        int r = 0;
        *done = 0;
        if (flags & ~(unsigned)(BM_ALLOCATE_ZERO | BM_ALLOCATE_KEEP_SIZE))
                return -EINVAL;
        if (offset > BM_VALUE_MAX || len > BM_VALUE_MAX - offset)
                return -EFBIG;
        struct bm_change *c = bm_change_new(ref, fn, ctx, true);
        if (!c)
                return -ENOMEM;
        c->zero = flags & BM_ALLOCATE_ZERO;
        c->keep_size = flags & BM_ALLOCATE_KEEP_SIZE;
        do {
                c->offset = offset + *done;
                c->len = len - *done;
                c->new_data_id = atomic_fetch_add(&ref->map->store->next_data, 1);
                r = bm_change_run(c, fill_allocate);
                if (r == 0)
                        *done += c->taken;
        } while (r == 0 && *done < len && c->taken > 0);
        bm_change_free(c);
        return r;
}
