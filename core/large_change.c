/* SPDX-License-Identifier: MIT */
/* See large_change.h. */
#include "large_patch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "links.h"
#include "store.h"
#include "view.h"

enum { SWEEP_FIRST = BM_E_AGAIN + 1 }; /* every cut of the head is in use */

int bm_change_find(struct bm_txn *txn, struct bm_change *c)
{
        int r = bm_ref_check(c->ref, &txn->steps[0].found);
        return r != 0 ? r : bm_txn_record(txn, 0, &c->main);
}

int bm_change_look(struct bm_txn *txn, struct bm_change *c)
{
        int r = bm_change_find(txn, c);
        if (r != 0)
                return r;
        const struct bm_found *found = &txn->steps[c->main].found;
        if (found->record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        c->head.data_id = 0;
        bm_patches_reset(c);
        if (found->record.type == BM_REC_HEAD &&
            bm_head_decode(&c->head, found->record.value, found->record.value_len) != 0)
                return -EIO;
        c->n_covered = found->record.type == BM_REC_HEAD ? bm_head_chunks(&c->head) : 0;
        return 0;
}

int bm_change_put(struct bm_txn *txn, struct bm_change *c, uint8_t type, const uint8_t *value,
                  uint32_t len)
{
        struct bm_step *s = &txn->steps[c->main];
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
        /* what frees space may not bring a longer meta instead */
        if (c->meta_len + len > was->meta_len + was->value_len + c->pays &&
            c->meta_len > was->meta_len)
                txn->claim = BM_CLAIM_NONE;
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

/* An orphan dies with the process: its drop is there from the start, and has to cover
 * the chunks that it still gets. */
static int cover_orphan(struct bm_txn *txn, struct bm_change *c)
{
        const struct bm_drop drop = {.data_id = c->head.data_id,
                                     .to = bm_head_chunks(&c->head),
                                     .generation = BM_DROP_WHOLE};
        if (c->ref->map->id != BM_MAP_ORPHANS || drop.to <= c->n_covered)
                return 0;
        return bm_large_drop(txn, &drop, &c->orphan_drop);
}

int bm_change_put_head(struct bm_txn *txn, struct bm_change *c)
{
        uint32_t len = bm_head_encode(&c->head, c->head_bytes);
        int r = cover_orphan(txn, c);
        return r == 0 ? bm_change_put(txn, c, BM_REC_HEAD, c->head_bytes, len) : r;
}

int bm_change_add_chunk(struct bm_txn *txn, struct bm_change *c, uint64_t chunk,
                        uint8_t key[BM_CHUNK_KEY], size_t *step)
{
        bm_chunk_key(c->head.data_id, chunk, key);
        int r = bm_txn_more_trusted(txn, txn->store->chunks, key, BM_CHUNK_KEY, BM_TRUST_VALUE,
                                    step);
        return r == 0 ? bm_patches_add(txn, c, *step, chunk) : r;
}

int bm_change_take_chunk(struct bm_txn *txn, struct bm_change *c, uint64_t chunk, size_t step)
{
        struct bm_step *s = &txn->steps[step];
        int r = s->found.there ? bm_found_verify(&s->target, &s->found) : 0;
        return r == 0 ? bm_patches_add(txn, c, step, chunk) : r;
}

void bm_change_put_chunk(struct bm_txn *txn, struct bm_change *c, size_t step, const uint8_t *value,
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
        bm_patches_delete(txn, c, step);
}

void bm_change_delete_chunk(struct bm_txn *txn, struct bm_change *c, size_t step, uint32_t old_len)
{
        if (!txn->steps[step].found.there)
                return;
        c->head.allocated -= old_len;
        txn->steps[step].action = BM_ACT_DELETE;
        bm_patches_delete(txn, c, step);
}

uint32_t bm_change_chunk_len(const struct bm_txn *txn, const struct bm_change *c, size_t step,
                             uint64_t chunk)
{
        const struct bm_found *f = &txn->steps[step].found;
        const bool lives =
                f->there && bm_head_has(&c->head, chunk, bm_chunk_generation(&f->record));
        return lives ? bm_chunk_len(&f->record) : 0;
}

int bm_change_chunk(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk,
                    const uint8_t **bytes, uint32_t *len)
{
        *len = bm_change_chunk_len(txn, c, step, chunk);
        if (*len == 0)
                return 0;
        struct bm_step *s = &txn->steps[step];
        int r = bm_found_verify(&s->target, &s->found);
        if (r < 0)
                return r;
        *bytes = s->found.record.value;
        return bm_patches_compose(txn, c, step, bytes, *len);
}

int bm_change_start_large(struct bm_txn *txn, struct bm_change *c, uint64_t size)
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

int bm_change_move_first(struct bm_txn *txn, struct bm_change *c)
{
        const struct bm_record *was = bm_change_record(txn, c);
        const uint8_t *value = was->value;
        uint32_t len = was->value_len;
        size_t step;
        if (len == 0)
                return 0;
        int r = bm_change_add_chunk(txn, c, 0, c->first_key, &step);
        if (r == 0)
                bm_change_put_chunk(txn, c, step, value, len, 0);
        return r;
}

/* Cuts */

/* Forgets the cuts whose chunks were swept. */
static int prune_cuts(struct bm_txn *txn, struct bm_change *c)
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

int bm_change_cut(struct bm_txn *txn, struct bm_change *c, uint64_t from, uint64_t to)
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

/* Running */

int bm_change_run(struct bm_change *c, bm_fill_fn fill)
{
        struct bm_store *store = c->ref->map->store;
        struct bm_txn txn;
        int r;
        do {
                bm_txn_init(&txn, store);
                r = bm_txn_add_trusted(&txn, c->ref->map, c->ref->key, c->ref->key_len, c->trust,
                                       NULL);
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

struct bm_change *bm_change_new(const struct bm_ref *ref, bm_meta_fn fn, void *ctx, bool chunk)
{
        /* not cleared: 68 KiB of meta are seldom looked at */
        struct bm_change *c = malloc(sizeof(*c) + (chunk ? BM_CHUNK : 0));
        if (!c)
                return NULL;
        memset(c, 0, offsetof(struct bm_change, meta));
        c->ref = ref;
        c->fn = fn;
        c->ctx = ctx;
        c->chunk = (uint8_t *)(c + 1);
        return c;
}

void bm_change_free(struct bm_change *c)
{
        bm_patches_free(c);
        free(c);
}
