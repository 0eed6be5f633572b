/* SPDX-License-Identifier: MIT */
/* Changing a part of a value, or its meta alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "large_patch.h"
#include "store.h"
#include "view.h"

/* Locked. The chunk of STEP is written as a whole, with what the caller writes in it. */
static int write_whole(struct bm_txn *txn, struct bm_change *c, size_t step, const uint8_t *old,
                       uint32_t old_len, uint32_t lived)
{
        uint32_t within = (uint32_t)(c->offset & (BM_CHUNK - 1)), take = (uint32_t)c->taken;
        uint32_t len = within + take > old_len ? within + take : old_len;
        const uint8_t *value = c->buf;
        if (within > 0 || take < old_len) {
                uint32_t keep = within < old_len ? within : old_len;
                if (keep)
                        memcpy(c->chunk, old, keep);
                memset(c->chunk + keep, 0, within - keep);
                memcpy(c->chunk + within, c->buf, take);
                if (old_len > within + take)
                        memcpy(c->chunk + within + take, old + within + take,
                               old_len - within - take);
                value = c->chunk;
        }
        bm_change_put_chunk(txn, c, step, value, len, lived);
        return 0;
}

/* Locked. */
static int patch_or_whole(struct bm_txn *txn, struct bm_change *c, uint64_t chunk)
{
        uint32_t within = (uint32_t)(c->offset & (BM_CHUNK - 1)), old_len;
        const bool may_patch = bm_patch_may_write(within, (uint32_t)c->taken);
        const uint8_t *old = NULL;
        size_t step;
        bm_chunk_key(c->head.data_id, chunk, c->chunk_key);
        int r = bm_txn_more_trusted(txn, txn->store->chunks, c->chunk_key, BM_CHUNK_KEY,
                                    may_patch ? BM_TRUST_KEY : BM_TRUST_VALUE, &step);
        if (may_patch && r == BM_E_AGAIN)
                return bm_patch_ahead(txn, c, chunk, within, (uint32_t)c->taken);
        if (may_patch && r == 0) {
                r = bm_patch_write(txn, c, step, chunk, within, (uint32_t)c->taken);
                if (r != BM_E_NOT_FOUND)
                        return r;
                r = bm_change_take_chunk(txn, c, chunk, step);
        } else if (r == 0) {
                r = bm_patches_add(txn, c, step, chunk);
        }
        if (r != 0)
                return r;
        old_len = bm_change_chunk_len(txn, c, step, chunk);
        if (within > 0 || c->taken < old_len) /* else nothing of it stays */
                r = bm_change_chunk(txn, c, step, chunk, &old, &old_len);
        return r == 0 ? write_whole(txn, c, step, old, old_len, old_len) : r;
}

/* Locked. The chunks behind the first, as long as nothing of what they had stays. Where their locks
 * are lacking, all are asked for at once. */
static int write_more(struct bm_txn *txn, struct bm_change *c)
{
        const uint64_t touched = bm_div_up(c->offset + c->len, BM_CHUNK) - c->offset / BM_CHUNK;
        const unsigned n = bm_large_a_frame(txn->store, touched);
        int again = 0;
        for (unsigned i = 1; i < n; i++) {
                const uint64_t chunk = (c->offset + c->taken) >> BM_CHUNK_LOG2;
                const uint32_t len = (uint32_t)bm_min_u64(BM_CHUNK, c->len - c->taken);
                size_t step;
                if (len < BM_CHUNK && c->offset + c->taken + len < c->head.size)
                        break; /* it ends within one */
                int r = bm_change_add_chunk(txn, c, chunk, c->more_keys[i], &step);
                if (r != 0 && r != BM_E_AGAIN)
                        return r;
                again |= r;
                if (r == 0) {
                        const uint32_t old_len = bm_change_chunk_len(txn, c, step, chunk);
                        if (old_len > len)
                                break;
                        bm_change_put_chunk(txn, c, step, c->buf + c->taken, len, old_len);
                }
                c->taken += len;
        }
        return again;
}

/* Locked. Part of a chunk becomes what the caller writes, and what follows it. FIRST: what the
 * value has inline, which becomes chunk 0. */
static int write_chunks(struct bm_txn *txn, struct bm_change *c, const uint8_t *first,
                        uint32_t first_len)
{
        uint64_t chunk = c->offset >> BM_CHUNK_LOG2;
        size_t step;
        int r;
        c->taken = bm_min_u64(c->len, BM_CHUNK - (c->offset & (BM_CHUNK - 1)));
        if (first) {
                r = bm_change_add_chunk(txn, c, chunk, c->chunk_key, &step);
                if (r == 0)
                        r = write_whole(txn, c, step, first, first_len, 0);
        } else {
                r = patch_or_whole(txn, c, chunk);
        }
        if (r == 0 || r == BM_E_AGAIN) {
                int more = write_more(txn, c);
                r = more == 0 ? r : more;
        }
        c->head.size = bm_max_u64(c->head.size, c->offset + c->taken);
        return r;
}

static int write_inline(struct bm_txn *txn, struct bm_change *c)
{
        const struct bm_record *was = bm_change_record(txn, c);
        uint32_t end = (uint32_t)(c->offset + c->len), len = was->value_len;
        if (len)
                memcpy(c->chunk, was->value, len);
        if (c->offset > len)
                memset(c->chunk + len, 0, c->offset - len);
        memcpy(c->chunk + c->offset, c->buf, c->len);
        c->taken = c->len;
        return bm_change_put(txn, c, BM_REC_PUT, c->chunk, end > len ? end : len);
}

static int fill_write(struct bm_txn *txn, void *ctx)
{
        struct bm_change *c = ctx;
        int r = bm_change_look(txn, c);
        if (r != 0)
                return r;
        const struct bm_record was = *bm_change_record(txn, c);
        if (was.type == BM_REC_PUT) {
                if (c->offset + c->len <= BM_WRITE_INLINE)
                        return write_inline(txn, c);
                r = bm_change_start_large(txn, c, was.value_len);
                if (r == 0 && c->offset >= BM_CHUNK)
                        r = bm_change_move_first(txn, c);
                if (r == 0 && c->offset < BM_CHUNK)
                        r = write_chunks(txn, c, was.value, was.value_len);
                else if (r == 0)
                        r = write_chunks(txn, c, NULL, 0);
        } else {
                r = write_chunks(txn, c, NULL, 0);
        }
        return r == 0 ? bm_change_put_head(txn, c) : r;
}

int bm_write_at(const struct bm_ref *ref, uint64_t offset, const void *buf, size_t len,
                bm_meta_fn fn, void *ctx, size_t *done)
{
        int r = 0;
        *done = 0;
        if (offset > BM_VALUE_MAX || len > BM_VALUE_MAX - offset)
                return -EFBIG;
        struct bm_change *c = bm_change_new(ref, fn, ctx, true);
        if (!c)
                return -ENOMEM;
        while (r == 0 && *done < len) {
                c->offset = offset + *done;
                c->buf = (const uint8_t *)buf + *done;
                c->len = len - *done;
                c->new_data_id = atomic_fetch_add(&ref->map->store->next_data, 1);
                r = bm_change_run(c, fill_write);
                if (r == 0)
                        *done += c->taken;
        }
        bm_change_free(c);
        return r;
}

/* The meta alone */

static int fill_meta(struct bm_txn *txn, void *ctx)
{
        struct bm_change *c = ctx;
        int r = bm_change_find(txn, c);
        if (r != 0)
                return r;
        const struct bm_record was = *bm_change_record(txn, c);
        return bm_change_put(txn, c, was.type, was.value, was.value_len);
}

int bm_set_meta(const struct bm_ref *ref, bm_meta_fn fn, void *ctx)
{
        struct bm_change *c = bm_change_new(ref, fn, ctx, false);
        if (!c)
                return -ENOMEM;
        int r = bm_change_run(c, fill_meta);
        bm_change_free(c);
        return r;
}
