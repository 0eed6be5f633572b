/* SPDX-License-Identifier: MIT */
/* Operations on whole values: insert, update, delete. */
#include <errno.h>

#include "links.h"
#include "store.h"
#include "view.h"

/* Storing a whole value */

struct put {
        const void *value;
        size_t value_len;
        const void *meta;
        size_t meta_len;
        uint64_t count;
        uint64_t record_id; /* out: of what was stored */
        bool must_be_new;
        const struct bm_head *head; /* chunks stored ahead, or NULL */
};

/* What it may need beyond; not cleared, for that costs as much as a tenth of an insertion. */
struct put_work {
        struct put *put;
        uint64_t new_id; /* for a new record, once it turns out to be one; 0: not yet */
        uint8_t head_bytes[BM_HEAD_BYTES_MAX], drop_key[BM_DROP_KEY];
        struct bm_drop_step drop;
};

static int fill_put(struct bm_txn *txn, void *ctx)
{
        struct put_work *w = ctx;
        struct put *p = w->put;
        const struct bm_found *found = &txn->steps[0].found;
        size_t record = 0;
        if (found->there && p->must_be_new)
                return BM_E_EXISTS;
        if (found->there && found->record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        if (!found->there) {
                if (w->new_id == 0)
                        w->new_id = atomic_fetch_add(&txn->store->next_record, 1);
                p->record_id = w->new_id;
        } else {
                p->record_id = found->record.record_id;
                int r = bm_txn_record(txn, 0, &record);
                if (r == 0)
                        r = bm_large_drop_all(txn, &txn->steps[record].found.record, &w->drop);
                if (r != 0)
                        return r;
        }
        if (p->head) {
                int r = bm_large_commit(txn, p->head, w->drop_key);
                if (r != 0)
                        return r;
        }
        struct bm_step *s = &txn->steps[record]; /* adding steps may have moved them */
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = p->head ? BM_REC_HEAD : BM_REC_PUT,
                .record_id = p->record_id,
                .count = p->count,
                .meta = p->meta,
                .meta_len = (uint32_t)p->meta_len,
                .value = p->head ? w->head_bytes : p->value,
                .value_len = (uint32_t)p->value_len,
        };
        if (p->head)
                s->next.value_len = bm_head_encode(p->head, w->head_bytes);
        return 0;
}

static int run_put(struct bm_map *map, const void *key, size_t key_len, struct put *p, bool no_grow,
                   uint64_t *capacity)
{
        struct put_work work;
        struct bm_txn txn;
        work.put = p;
        work.new_id = 0;
        bm_txn_init(&txn, map->store);
        txn.no_grow = no_grow;
        int r = bm_txn_add_trusted(&txn, map, key, key_len, BM_TRUST_VALUE, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_put, &work);
        if (capacity)
                *capacity = txn.capacity;
        bm_txn_deinit(&txn);
        return r;
}

int bm_insert(struct bm_map *map, const void *key, size_t key_len, const void *value,
              size_t value_len, uint64_t count)
{
        struct put p = {.value = value, .value_len = value_len, .count = count};
        struct bm_head head;
        int r;
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        if (value_len > BM_VALUE_MAX)
                return -EFBIG;
        if (value_len <= BM_VALUE_INLINE)
                return run_put(map, key, key_len, &p, false, NULL);
        r = bm_store_writable(map->store);
        if (r < 0)
                return r;
        r = bm_large_store(map->store, value, value_len, &head);
        if (r == 0) {
                p.head = &head;
                r = run_put(map, key, key_len, &p, false, NULL);
        }
        bm_large_done(map->store, &head);
        return r;
}

int bm_try_write(struct bm_map *map, const void *key, size_t key_len, const void *value,
                 size_t value_len, uint64_t count, uint64_t *capacity)
{
        struct put p = {.value = value, .value_len = value_len, .count = count};
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        if (value_len > BM_VALUE_INLINE)
                return -EFBIG;
        return run_put(map, key, key_len, &p, true, capacity);
}

int bm_create_record(struct bm_map *map, const void *key, size_t key_len, const void *value,
                     size_t value_len, const void *meta, size_t meta_len, uint64_t *record_id)
{
        struct put p = {
                .value = value,
                .value_len = value_len,
                .meta = meta,
                .meta_len = meta_len,
                .count = 1,
                .must_be_new = true,
        };
        if (value_len > BM_VALUE_INLINE || meta_len > BM_META_MAX)
                return -EFBIG;
        int r = run_put(map, key, key_len, &p, false, NULL);
        if (r == 0 && record_id)
                *record_id = p.record_id;
        return r;
}

/* Updating by callback */

struct update {
        bm_update_fn fn;
        void *ctx;
        uint64_t new_id; /* for a new record, once it turns out to be one; 0: not yet */
        struct bm_drop_step drop;
};

static int fill_update(struct bm_txn *txn, void *ctx)
{
        struct update *u = ctx;
        struct bm_view view = BM_VIEW_INIT;
        struct bm_next next = {.count = 1};
        const bool there = txn->steps[0].found.there;
        size_t record = 0;
        int r = there ? bm_txn_record(txn, 0, &record) : 0;
        if (r != 0)
                return r;
        const struct bm_found was = txn->steps[record].found;
        if (there) {
                if (was.record.type == BM_REC_MAP)
                        return BM_E_IS_MAP;
                r = bm_view_init(&view, &was);
                if (r < 0)
                        return r;
                next = (struct bm_next){
                        .value = view.value,
                        .value_len = view.large ? 0 : view.size,
                        .meta = view.meta,
                        .meta_len = view.meta_len,
                        .count = view.count,
                };
        }
        enum bm_verdict verdict = u->fn(u->ctx, there ? &view : NULL, &next);
        if (verdict == BM_KEEP || (verdict == BM_DELETE && !there))
                return 0;
        if (next.count > BM_COUNT_MAX)
                return BM_E_COUNT;
        if (next.value_len > BM_VALUE_INLINE || next.meta_len > BM_META_MAX)
                return -EFBIG;
        if (verdict == BM_DELETE)
                return bm_delete_step(txn, 0, record, &u->drop);
        if (!there && u->new_id == 0)
                u->new_id = atomic_fetch_add(&txn->store->next_record, 1);
        bool same_value = there && view.large && next.value == view.value;
        if (!same_value && there) {
                r = bm_large_drop_all(txn, &was.record, &u->drop);
                if (r != 0)
                        return r;
        }
        struct bm_step *s = &txn->steps[record];
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = same_value ? BM_REC_HEAD : BM_REC_PUT,
                .record_id = there ? was.record.record_id : u->new_id,
                .count = next.count,
                .meta = next.meta,
                .meta_len = (uint32_t)next.meta_len,
                .value = same_value ? was.record.value : next.value,
                .value_len = same_value ? was.record.value_len : (uint32_t)next.value_len,
        };
        return 0;
}

int bm_update(struct bm_map *map, const void *key, size_t key_len, bm_update_fn fn, void *ctx)
{
        struct update u = {.fn = fn, .ctx = ctx};
        struct bm_txn txn;
        bm_txn_init(&txn, map->store);
        int r = bm_txn_add(&txn, map, key, key_len, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_update, &u);
        bm_txn_deinit(&txn);
        return r;
}

/* Deleting */

struct delete
{
        bool if_count;
        uint64_t count;
        struct bm_drop_step drop;
};

static int fill_delete(struct bm_txn *txn, void *ctx)
{
        struct delete *d = ctx;
        size_t record;
        if (!txn->steps[0].found.there)
                return BM_E_NOT_FOUND;
        int r = bm_txn_record(txn, 0, &record);
        if (r != 0)
                return r;
        const struct bm_found *found = &txn->steps[record].found;
        if (found->record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        if (d->if_count && found->count != d->count)
                return BM_E_COUNT;
        return bm_delete_step(txn, 0, record, &d->drop);
}

static int run_delete(struct bm_map *map, const void *key, size_t key_len, struct delete *d)
{
        struct bm_txn txn;
        bm_txn_init(&txn, map->store);
        txn.claim = BM_CLAIM_REMOVE;
        int r = bm_txn_add_trusted(&txn, map, key, key_len, BM_TRUST_VALUE, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_delete, d);
        bm_txn_deinit(&txn);
        return r;
}

int bm_delete_key(struct bm_map *map, const void *key, size_t key_len)
{
        struct delete d = {.if_count = false};
        return run_delete(map, key, key_len, &d);
}

int bm_delete_if_count(struct bm_map *map, const void *key, size_t key_len, uint64_t count)
{
        struct delete d = {.if_count = true, .count = count};
        return run_delete(map, key, key_len, &d);
}
