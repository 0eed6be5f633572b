/* SPDX-License-Identifier: MIT */
/*
 * Changing a part of a value, its length or its meta. A value is kept inline
 * up to BM_VALUE_INLINE bytes and changes its form when it crosses that.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "large.h"
#include "store.h"
#include "view.h"

enum { SWEEP_FIRST = BM_E_AGAIN + 1 }; /* every cut of the head is in use */

struct change {
        const struct bm_ref *ref;
        bm_meta_fn fn;
        void *ctx;
        /* a write: from offset, and how much this transaction took of it */
        uint64_t offset;
        const uint8_t *buf;
        size_t len, taken;
        uint64_t size; /* a truncation: the new size */
        uint64_t new_data_id;
        bool held;          /* the new data id, which an orphan got */
        uint64_t n_covered; /* chunks that an orphan's drop covers already */
        struct bm_head head;
        uint8_t head_bytes[BM_HEAD_BYTES_MAX];
        uint8_t first_key[BM_CHUNK_KEY], chunk_key[BM_CHUNK_KEY];
        struct bm_drop_step drop, orphan_drop;
        uint8_t cut_keys[BM_CUTS_MAX][BM_DROP_KEY];
        size_t meta_len;
        uint8_t *first, *chunk; /* BM_CHUNK bytes each */
        uint8_t meta[BM_META_MAX];
};

/* Locked. The main step becomes a put of TYPE with that value, and meta as the callback has it. */
static int put_main(struct bm_txn *txn, struct change *c, uint8_t type, const uint8_t *value,
                    uint32_t len)
{
        struct bm_step *s = &txn->steps[0];
        const struct bm_record *was = &s->found.record;
        const uint8_t *meta = was->meta;
        c->meta_len = was->meta_len;
        if (c->fn) {
                struct bm_view view;
                int r = bm_view_init(&view, &s->found);
                if (r < 0)
                        return r;
                if (was->meta_len)
                        memcpy(c->meta, was->meta, was->meta_len);
                r = c->fn(c->ctx, &view, c->meta, &c->meta_len);
                if (r < 0)
                        return r;
                assert(c->meta_len <= BM_META_MAX);
                meta = c->meta;
        }
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = type,
                .record_id = was->record_id,
                .count = s->found.count,
                .meta = meta,
                .meta_len = (uint32_t)c->meta_len,
                .value = value,
                .value_len = len,
        };
        return 0;
}

/* Locked. An orphan dies with the process: its drop is there from the start, and has to cover
 * the chunks that it still gets. */
static int cover_orphan(struct bm_txn *txn, struct change *c)
{
        const struct bm_drop drop = {.data_id = c->head.data_id,
                                     .to = bm_div_up(c->head.size, BM_CHUNK),
                                     .generation = UINT32_MAX};
        if (c->ref->map->id != BM_MAP_ORPHANS || drop.to <= c->n_covered)
                return 0;
        return bm_large_drop(txn, &drop, &c->orphan_drop);
}

static int put_head(struct bm_txn *txn, struct change *c)
{
        uint32_t len = bm_head_encode(&c->head, c->head_bytes);
        int r = cover_orphan(txn, c);
        return r == 0 ? put_main(txn, c, BM_REC_HEAD, c->head_bytes, len) : r;
}

/* Locked. Adds the step of one chunk. */
static int add_chunk(struct bm_txn *txn, struct change *c, uint64_t chunk,
                     uint8_t key[BM_CHUNK_KEY], size_t *step)
{
        bm_chunk_key(c->head.data_id, chunk, key);
        return bm_txn_more(txn, txn->store->chunks, key, BM_CHUNK_KEY, step);
}

static void put_chunk(struct bm_txn *txn, struct change *c, size_t step, const uint8_t *value,
                      uint32_t len, uint32_t old_len)
{
        struct bm_step *s = &txn->steps[step];
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = BM_REC_CHUNK,
                .record_id = c->head.data_id,
                .count = c->head.generation,
                .value = value,
                .value_len = len,
        };
        c->head.allocated += (uint64_t)len - old_len;
}

/* Locked. The living content of a chunk's step; 0 bytes if there is none. */
static uint32_t chunk_content(struct bm_txn *txn, const struct change *c, size_t step,
                              uint64_t chunk, const uint8_t **bytes)
{
        const struct bm_found *f = &txn->steps[step].found;
        if (!f->there || !bm_head_has(&c->head, chunk, (uint32_t)f->record.count))
                return 0;
        *bytes = f->record.value;
        return f->record.value_len;
}

/* Locked. A fresh head; an orphan's is held until its release. */
static int start_large(struct bm_txn *txn, struct change *c, uint64_t size)
{
        c->head = (struct bm_head){
                .size = size, .data_id = c->new_data_id, .chunk_log2 = BM_CHUNK_LOG2};
        if (c->ref->map->id != BM_MAP_ORPHANS)
                return 0;
        if (!c->held) { /* not by an earlier attempt */
                int r = bm_large_hold(txn->store, c->new_data_id);
                if (r < 0)
                        return r;
                c->held = true;
        }
        return 0;
}

/* Locked. Part of a chunk becomes what the caller writes. */
static int write_chunk(struct bm_txn *txn, struct change *c, const uint8_t *first,
                       uint32_t first_len)
{
        uint64_t chunk = c->offset >> BM_CHUNK_LOG2;
        uint32_t within = (uint32_t)(c->offset & (BM_CHUNK - 1));
        uint32_t take = (uint32_t)bm_min_u64(c->len, BM_CHUNK - within);
        const uint8_t *old = first;
        uint32_t old_len = first_len;
        size_t step;
        int r = add_chunk(txn, c, chunk, c->chunk_key, &step);
        if (r != 0)
                return r;
        if (!first)
                old_len = chunk_content(txn, c, step, chunk, &old);
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
        put_chunk(txn, c, step, value, len, first ? 0 : old_len);
        c->taken = take;
        c->head.size = bm_max_u64(c->head.size, c->offset + take);
        return 0;
}

/* Locked. The inline value becomes chunk 0 as it is. */
static int move_to_first_chunk(struct bm_txn *txn, struct change *c)
{
        const struct bm_record *was = &txn->steps[0].found.record;
        const uint8_t *value = was->value;
        uint32_t len = was->value_len;
        size_t step;
        if (len == 0)
                return 0;
        int r = add_chunk(txn, c, 0, c->first_key, &step);
        if (r == 0)
                put_chunk(txn, c, step, value, len, 0);
        return r;
}

static int write_inline(struct bm_txn *txn, struct change *c)
{
        const struct bm_record *was = &txn->steps[0].found.record;
        uint32_t end = (uint32_t)(c->offset + c->len), len = was->value_len;
        if (len)
                memcpy(c->chunk, was->value, len);
        if (c->offset > len)
                memset(c->chunk + len, 0, c->offset - len);
        memcpy(c->chunk + c->offset, c->buf, c->len);
        c->taken = c->len;
        return put_main(txn, c, BM_REC_PUT, c->chunk, end > len ? end : len);
}

/* Locked. What every change starts with; 0 and the type of the record. */
static int look_main(struct bm_txn *txn, struct change *c)
{
        const struct bm_found *found = &txn->steps[0].found;
        int r = bm_ref_check(c->ref, found);
        if (r != 0)
                return r;
        if (found->record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        c->head.data_id = 0;
        if (found->record.type == BM_REC_HEAD &&
            bm_head_decode(&c->head, found->record.value, found->record.value_len) != 0)
                return -EIO;
        c->n_covered = found->record.type == BM_REC_HEAD ? bm_div_up(c->head.size, BM_CHUNK) : 0;
        return 0;
}

static int fill_write(struct bm_txn *txn, void *ctx)
{
        struct change *c = ctx;
        int r = look_main(txn, c);
        if (r != 0)
                return r;
        const struct bm_record was = txn->steps[0].found.record;
        if (was.type == BM_REC_PUT) {
                if (c->offset + c->len <= BM_VALUE_INLINE)
                        return write_inline(txn, c);
                r = start_large(txn, c, was.value_len);
                if (r == 0 && c->offset >= BM_CHUNK)
                        r = move_to_first_chunk(txn, c);
                if (r == 0 && c->offset < BM_CHUNK)
                        r = write_chunk(txn, c, was.value, was.value_len);
                else if (r == 0)
                        r = write_chunk(txn, c, NULL, 0);
        } else {
                r = write_chunk(txn, c, NULL, 0);
        }
        return r == 0 ? put_head(txn, c) : r;
}

/* Truncation */

static int truncate_inline(struct bm_txn *txn, struct change *c)
{
        const struct bm_record *was = &txn->steps[0].found.record;
        uint32_t size = (uint32_t)c->size, keep = was->value_len < size ? was->value_len : size;
        if (keep)
                memcpy(c->chunk, was->value, keep);
        memset(c->chunk + keep, 0, size - keep);
        return put_main(txn, c, BM_REC_PUT, c->chunk, size);
}

static int shrink_to_inline(struct bm_txn *txn, struct change *c)
{
        const uint8_t *bytes = NULL;
        uint32_t size = (uint32_t)c->size;
        size_t step;
        int r = add_chunk(txn, c, 0, c->chunk_key, &step);
        if (r != 0)
                return r;
        uint32_t have = chunk_content(txn, c, step, 0, &bytes);
        have = have < size ? have : size;
        if (have)
                memcpy(c->chunk, bytes, have);
        memset(c->chunk + have, 0, size - have);
        r = bm_large_drop_all(txn, &txn->steps[0].found.record, &c->drop);
        return r == 0 ? put_main(txn, c, BM_REC_PUT, c->chunk, size) : r;
}

/* Locked. Forgets the cuts whose chunks were swept. */
static int prune_cuts(struct bm_txn *txn, struct change *c)
{
        unsigned kept = 0;
        for (unsigned i = 0; i < c->head.n_cuts; i++) {
                const struct bm_drop drop = {.data_id = c->head.data_id,
                                             .generation = c->head.cuts[i].generation};
                uint8_t unused[BM_DROP_BYTES];
                size_t step;
                bm_drop_encode(&drop, c->cut_keys[i], unused);
                int r = bm_txn_more(txn, txn->store->drops, c->cut_keys[i], BM_DROP_KEY, &step);
                if (r != 0)
                        return r;
                if (txn->steps[step].found.there)
                        c->head.cuts[kept++] = c->head.cuts[i];
        }
        c->head.n_cuts = (uint8_t)kept;
        return kept == BM_CUTS_MAX ? SWEEP_FIRST : 0;
}

/* Locked. The chunks [from, to) die. */
static int cut_chunks(struct bm_txn *txn, struct change *c, uint64_t from, uint64_t to)
{
        int r = c->head.n_cuts == BM_CUTS_MAX ? prune_cuts(txn, c) : 0;
        if (r != 0)
                return r;
        if (c->head.generation >= UINT32_MAX - 1)
                return -EFBIG;
        c->head.generation++;
        c->head.cuts[c->head.n_cuts++] =
                (struct bm_cut){.from = from, .to = to, .generation = c->head.generation};
        const struct bm_drop drop = {.data_id = c->head.data_id,
                                     .from = from,
                                     .to = to,
                                     .generation = c->head.generation};
        return bm_large_drop(txn, &drop, &c->drop);
}

static int shrink_large(struct bm_txn *txn, struct change *c)
{
        uint64_t last = c->size >> BM_CHUNK_LOG2, n_old = bm_div_up(c->head.size, BM_CHUNK);
        uint32_t rest = (uint32_t)(c->size & (BM_CHUNK - 1));
        uint64_t from = last + (rest > 0);
        int r = 0;
        if (rest > 0) {
                const uint8_t *bytes;
                size_t step;
                r = add_chunk(txn, c, last, c->chunk_key, &step);
                if (r != 0)
                        return r;
                uint32_t have = chunk_content(txn, c, step, last, &bytes);
                if (have > rest) /* else what is beyond would come back with growth */
                        put_chunk(txn, c, step, bytes, rest, have);
        }
        if (from < n_old)
                r = cut_chunks(txn, c, from, n_old);
        c->head.size = c->size;
        c->head.allocated = bm_min_u64(c->head.allocated, bm_round_up(c->size, BM_CHUNK));
        return r;
}

static int fill_truncate(struct bm_txn *txn, void *ctx)
{
        struct change *c = ctx;
        int r = look_main(txn, c);
        if (r != 0)
                return r;
        const struct bm_record was = txn->steps[0].found.record;
        if (was.type == BM_REC_PUT) {
                if (c->size <= BM_VALUE_INLINE)
                        return truncate_inline(txn, c);
                r = start_large(txn, c, c->size);
                if (r == 0)
                        r = move_to_first_chunk(txn, c);
        } else if (c->size < c->head.size) {
                if (c->size <= BM_VALUE_INLINE)
                        return shrink_to_inline(txn, c);
                r = shrink_large(txn, c);
        } else {
                c->head.size = c->size;
        }
        return r == 0 ? put_head(txn, c) : r;
}

static int fill_meta(struct bm_txn *txn, void *ctx)
{
        struct change *c = ctx;
        const struct bm_record was = txn->steps[0].found.record;
        int r = bm_ref_check(c->ref, &txn->steps[0].found);
        return r != 0 ? r : put_main(txn, c, was.type, was.value, was.value_len);
}

/* Running */

static int run_change(struct change *c, bm_fill_fn fill, bool privileged)
{
        struct bm_store *store = c->ref->map->store;
        struct bm_txn txn;
        int r;
        do {
                bm_txn_init(&txn, store);
                txn.privileged = privileged;
                r = bm_txn_add(&txn, c->ref->map, c->ref->key, c->ref->key_len, NULL);
                if (r == 0)
                        r = bm_txn_run(&txn, fill, c);
                bm_txn_deinit(&txn);
                if (r != SWEEP_FIRST)
                        break;
                r = bm_large_sweep(store, NULL);
        } while (r == 0);
        if (c->held && (r != 0 || c->head.data_id != c->new_data_id))
                bm_large_release(store, c->new_data_id);
        c->held = false;
        return r;
}

static struct change *change_new(const struct bm_ref *ref, bm_meta_fn fn, void *ctx, bool chunk)
{
        /* not cleared: 68 KiB of meta are seldom looked at */
        struct change *c = malloc(sizeof(*c) + (chunk ? BM_CHUNK : 0));
        if (!c)
                return NULL;
        memset(c, 0, offsetof(struct change, meta));
        c->ref = ref;
        c->fn = fn;
        c->ctx = ctx;
        c->chunk = (uint8_t *)(c + 1);
        return c;
}

int bm_write_at(const struct bm_ref *ref, uint64_t offset, const void *buf, size_t len,
                bm_meta_fn fn, void *ctx, size_t *done)
{
        int r = 0;
        *done = 0;
        if (offset > BM_VALUE_MAX || len > BM_VALUE_MAX - offset)
                return -EFBIG;
        struct change *c = change_new(ref, fn, ctx, true);
        if (!c)
                return -ENOMEM;
        while (r == 0 && *done < len) {
                c->offset = offset + *done;
                c->buf = (const uint8_t *)buf + *done;
                c->len = len - *done;
                c->new_data_id = atomic_fetch_add(&ref->map->store->next_data, 1);
                r = run_change(c, fill_write, false);
                if (r == 0)
                        *done += c->taken;
        }
        free(c);
        return r;
}

int bm_truncate(const struct bm_ref *ref, uint64_t size, bm_meta_fn fn, void *ctx)
{
        if (size > BM_VALUE_MAX)
                return -EFBIG;
        struct change *c = change_new(ref, fn, ctx, true);
        if (!c)
                return -ENOMEM;
        c->size = size;
        c->new_data_id = atomic_fetch_add(&ref->map->store->next_data, 1);
        int r = run_change(c, fill_truncate, size == 0);
        /* an orphan that is inline again has nothing for the sweeper to spare */
        if (r == 0 && ref->map->id == BM_MAP_ORPHANS && size <= BM_VALUE_INLINE)
                bm_large_release(ref->map->store, c->head.data_id);
        free(c);
        return r;
}

int bm_set_meta(const struct bm_ref *ref, bm_meta_fn fn, void *ctx)
{
        struct change *c = change_new(ref, fn, ctx, false);
        if (!c)
                return -ENOMEM;
        int r = run_change(c, fill_meta, false);
        free(c);
        return r;
}
