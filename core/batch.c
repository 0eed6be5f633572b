/* SPDX-License-Identifier: MIT */
/* Several keys at once: atomic write batches, and the plain batch insert. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "links.h"
#include "store.h"
#include "view.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

enum batch_what { WRITE_INSERT, WRITE_DELETE, WRITE_COUNT };

/* One change; key and value stand behind it. The last one of a key counts. */
struct batch_item {
        struct bm_map *map;
        enum batch_what what;
        uint64_t count, record_id;
        size_t key_len, value_len;
        size_t step;
        struct bm_drop_step drop;
        UT_hash_handle hh; /* by map and key, to find one that is replaced */
        uint8_t bytes[];   /* map pointer and key (the table's key), then the value */
};

struct bm_write_batch {
        struct bm_store *store;
        struct batch_item *items; /* uthash keeps the order of insertion */
        size_t bytes;
};

enum { PREFIX = sizeof(struct bm_map *) };

static const uint8_t *item_key(const struct batch_item *item)
{
        return item->bytes + PREFIX;
}

int bm_write_batch_new(struct bm_store *store, struct bm_write_batch **batchp)
{
        struct bm_write_batch *b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->store = store;
        *batchp = b;
        return 0;
}

static void clear(struct bm_write_batch *b)
{
        struct batch_item *item, *next;
        HASH_ITER(hh, b->items, item, next)
        {
                HASH_DEL(b->items, item);
                free(item);
        }
        b->items = NULL;
        b->bytes = 0;
}

struct bm_write_batch *bm_write_batch_free(struct bm_write_batch *batch)
{
        if (batch) {
                clear(batch);
                free(batch);
        }
        return NULL;
}

static int add(struct bm_write_batch *b, enum batch_what what, struct bm_map *map, const void *key,
               size_t key_len, const void *value, size_t value_len, uint64_t count)
{
        struct bm_target target;
        struct batch_item *old;
        int r = bm_target_init(&target, map, key, key_len); /* the limits of keys */
        if (r < 0 || map->store != b->store)
                return -EINVAL;
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        if (value_len > BM_VALUE_INLINE || b->bytes + key_len + value_len > BM_BATCH_MAX)
                return -EFBIG;
        struct batch_item *item = calloc(1, sizeof(*item) + PREFIX + key_len + value_len);
        if (!item)
                return -ENOMEM;
        item->map = map;
        item->what = what;
        item->count = count;
        item->key_len = key_len;
        item->value_len = value_len;
        memcpy(item->bytes, &map, PREFIX);
        memcpy(item->bytes + PREFIX, key, key_len);
        if (value_len)
                memcpy(item->bytes + PREFIX + key_len, value, value_len);
        HASH_FIND(hh, b->items, item->bytes, PREFIX + key_len, old);
        if (old && what == WRITE_COUNT && old->what == WRITE_INSERT) {
                old->count = count;
                free(item);
                return 0;
        }
        HASH_ADD_KEYPTR(hh, b->items, item->bytes, PREFIX + key_len, item);
        if (!item->hh.tbl) {
                free(item);
                return -ENOMEM;
        }
        b->bytes += key_len + value_len;
        if (old) {
                b->bytes -= old->key_len + old->value_len;
                HASH_DEL(b->items, old);
                free(old);
        }
        return 0;
}

int bm_write_batch_insert(struct bm_write_batch *batch, struct bm_map *map, const void *key,
                          size_t key_len, const void *value, size_t value_len, uint64_t count)
{
        return add(batch, WRITE_INSERT, map, key, key_len, value, value_len, count);
}

int bm_write_batch_delete(struct bm_write_batch *batch, struct bm_map *map, const void *key,
                          size_t key_len)
{
        return add(batch, WRITE_DELETE, map, key, key_len, NULL, 0, 0);
}

int bm_write_batch_count(struct bm_write_batch *batch, struct bm_map *map, const void *key,
                         size_t key_len, uint64_t count)
{
        return add(batch, WRITE_COUNT, map, key, key_len, NULL, 0, count);
}

/* A record with several names may be met by more than one of them: what an
 * earlier item decided stays, but for what this one says. */
static void set_count(struct bm_step *s, uint64_t count)
{
        if (s->action == BM_ACT_PUT) {
                s->next.count = count;
                return;
        }
        s->action = BM_ACT_COUNT;
        s->next = (struct bm_record){
                .type = BM_REC_COUNT, .record_id = s->found.record.record_id, .count = count};
}

static int fill_insert(struct bm_txn *txn, struct batch_item *item, size_t record)
{
        struct bm_step *s = &txn->steps[record];
        const struct bm_found found = s->found;
        const bool dropped = s->action == BM_ACT_PUT && s->next.type != found.record.type;
        const uint32_t links = s->action == BM_ACT_PUT ? s->next.links : 0;
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = BM_REC_PUT,
                .record_id = found.there ? found.record.record_id : item->record_id,
                .count = item->count,
                .links = links,
                .value = item_key(item) + item->key_len,
                .value_len = (uint32_t)item->value_len,
        };
        return found.there && !dropped ? bm_large_drop_all(txn, &found.record, &item->drop) : 0;
}

static int fill_item(struct bm_txn *txn, struct batch_item *item)
{
        const bool there = txn->steps[item->step].found.there;
        size_t record = item->step;
        int r = there ? bm_txn_record(txn, item->step, &record) : 0;
        if (r != 0)
                return r;
        if (there && txn->steps[record].found.record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        switch (item->what) {
        case WRITE_COUNT:
                if (!there)
                        return BM_E_NOT_FOUND;
                set_count(&txn->steps[record], item->count);
                return 0;
        case WRITE_DELETE:
                return there ? bm_delete_step(txn, item->step, record, &item->drop) : 0;
        case WRITE_INSERT:
                break;
        }
        return fill_insert(txn, item, record);
}

static int fill_batch(struct bm_txn *txn, void *ctx)
{
        struct bm_write_batch *b = ctx;
        struct batch_item *item, *next;
        int r = 0;
        HASH_ITER(hh, b->items, item, next)
        {
                r = fill_item(txn, item);
                if (r != 0)
                        return r;
        }
        return 0;
}

int bm_write_batch_commit(struct bm_write_batch *b)
{
        struct batch_item *item, *next;
        struct bm_txn txn;
        int r = 0;
        if (!b->items)
                return 0;
        bm_txn_init(&txn, b->store);
        HASH_ITER(hh, b->items, item, next)
        {
                item->record_id = atomic_fetch_add(&b->store->next_record, 1);
                r = bm_txn_add(&txn, item->map, item_key(item), item->key_len, &item->step);
                if (r < 0)
                        break;
        }
        if (r == 0)
                r = bm_txn_run(&txn, fill_batch, b);
        bm_txn_deinit(&txn);
        if (r == 0)
                clear(b);
        return r;
}

/* The plain one: each item for itself. */

struct insert_new {
        const struct bm_batch_item *item;
        size_t place;
        uint64_t record_id;
        void (*duplicate)(void *ctx, size_t item, const struct bm_view *existing);
        void *ctx;
};

static int fill_new(struct bm_txn *txn, void *ctx)
{
        struct insert_new *in = ctx;
        struct bm_step *s = &txn->steps[0];
        struct bm_view view;
        size_t record;
        if (s->found.there) {
                int r = bm_txn_record(txn, 0, &record);
                if (r == 0)
                        r = bm_view_init(&view, &txn->steps[record].found);
                if (r == 0 && in->duplicate)
                        in->duplicate(in->ctx, in->place, &view);
                return r;
        }
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = BM_REC_PUT,
                .record_id = in->record_id,
                .count = 1,
                .value = in->item->value,
                .value_len = (uint32_t)in->item->value_len,
        };
        return 0;
}

/* From the end, so that of equal keys the last is the one that is new. */
int bm_batch_insert(struct bm_map *map, const struct bm_batch_item *items, size_t n_items,
                    void (*duplicate)(void *ctx, size_t item, const struct bm_view *existing),
                    void *ctx)
{
        int r = 0;
        for (size_t i = 0; i < n_items; i++) {
                if (items[i].value_len > BM_VALUE_INLINE)
                        return -EFBIG;
        }
        for (size_t i = n_items; i-- > 0 && r == 0;) {
                struct insert_new in = {
                        .item = &items[i], .place = i, .duplicate = duplicate, .ctx = ctx};
                struct bm_txn txn;
                in.record_id = atomic_fetch_add(&map->store->next_record, 1);
                bm_txn_init(&txn, map->store);
                r = bm_txn_add(&txn, map, items[i].key, items[i].key_len, NULL);
                if (r == 0)
                        r = bm_txn_run(&txn, fill_new, &in);
                bm_txn_deinit(&txn);
        }
        return r;
}
