/* SPDX-License-Identifier: MIT */
/* Atomic write batches: several changes of keys in one transaction. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "links.h"
#include "store.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

enum batch_what { WRITE_INSERT, WRITE_DELETE, WRITE_COUNT, WRITE_ADDREF };

/* One change; key and value stand behind it. */
struct batch_item {
        struct batch_item *prev, *next; /* in the order of the calls: it counts where a record has
                                           several names */
        struct batch_item *first;       /* of the same key, whose step it is */
        struct batch_item *last;        /* of a first one: the last of that key */
        struct bm_map *map;
        enum batch_what what;
        uint64_t count; /* of the record; WRITE_ADDREF: what is added, two's complement */
        uint64_t record_id;
        size_t key_len, value_len;
        size_t step; /* of a first one */
        struct bm_drop_step drop;
        UT_hash_handle hh; /* of a first one: by map and key */
        uint8_t bytes[];   /* map pointer and key (the table's key), then the value */
};

struct bm_write_batch {
        struct bm_store *store;
        struct batch_item *items, *keys; /* all; and the hash table of the first ones */
        size_t bytes, n_items;
};

enum {
        PREFIX = sizeof(struct bm_map *),
        RECORD_MOST = 56,      /* bytes of a record beside its key and value */
        CLAIM_MOST = 32 << 10, /* bytes that are logged on a full disk */
};

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
        HASH_CLEAR(hh, b->keys);
        DL_FOREACH_SAFE(b->items, item, next)
        {
                free(item);
        }
        b->items = NULL;
        b->bytes = b->n_items = 0;
}

struct bm_write_batch *bm_write_batch_free(struct bm_write_batch *batch)
{
        if (batch) {
                clear(batch);
                free(batch);
        }
        return NULL;
}

static struct batch_item *new_item(const struct bm_target *target, const void *value,
                                   size_t value_len)
{
        struct batch_item *item = calloc(1, sizeof(*item) + PREFIX + target->key_len + value_len);
        if (!item)
                return NULL;
        item->map = target->map;
        item->key_len = target->key_len;
        item->value_len = value_len;
        memcpy(item->bytes, &target->map, PREFIX);
        memcpy(item->bytes + PREFIX, target->key, target->key_len);
        if (value_len)
                memcpy(item->bytes + PREFIX + target->key_len, value, value_len);
        return item;
}

/* With all that the batch has of the key. */
static void take_out(struct bm_write_batch *b, struct batch_item *first)
{
        struct batch_item *item, *next;
        HASH_DEL(b->keys, first);
        DL_FOREACH_SAFE(b->items, item, next)
        {
                if (item->first != first)
                        continue;
                b->bytes -= item->key_len + item->value_len;
                b->n_items--;
                DL_DELETE(b->items, item);
                if (item != first)
                        free(item);
        }
        free(first);
}

static bool is_delta(int64_t delta)
{
        return delta <= (int64_t)BM_COUNT_MAX && delta >= -(int64_t)BM_COUNT_MAX;
}

static void append(struct bm_write_batch *b, struct batch_item *item, struct batch_item *first)
{
        item->first = first;
        first->last = item;
        DL_APPEND(b->items, item);
        b->bytes += item->key_len + item->value_len;
        b->n_items++;
}

/* Adds to what the batch says of a key already, with nothing in between. */
static int add_to(struct batch_item *last, uint64_t delta)
{
        uint64_t sum = last->count + delta;
        /* counts have 62 bits: below zero wraps to above the limit */
        if (last->what == WRITE_ADDREF ? !is_delta((int64_t)sum) : sum > BM_COUNT_MAX)
                return BM_E_COUNT;
        last->count = sum;
        return 0;
}

/* Takes over ITEM, a count of a key that the batch changes already, if 0 is returned. */
static int put_in_count(struct bm_write_batch *b, struct batch_item *item, struct batch_item *first)
{
        struct batch_item *last = first->last;
        if (last->what == WRITE_DELETE)
                return BM_E_NOT_FOUND;
        if (item->what != WRITE_ADDREF || last != b->items->prev) {
                append(b, item, first);
                return 0;
        }
        int r = add_to(last, item->count);
        if (r == 0)
                free(item);
        return r;
}

/* Takes over ITEM if 0 is returned. */
static int put_in(struct bm_write_batch *b, struct batch_item *item, unsigned hash)
{
        struct batch_item *first;
        HASH_FIND_BYHASHVALUE(hh, b->keys, item->bytes, PREFIX + item->key_len, hash, first);
        if (first && (item->what == WRITE_COUNT || item->what == WRITE_ADDREF))
                return put_in_count(b, item, first);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, b->keys, item->bytes, PREFIX + item->key_len, hash, item);
        if (!item->hh.tbl)
                return -ENOMEM;
        if (first)
                take_out(b, first);
        append(b, item, item);
        return 0;
}

/* What it comes to at most in the log, with so many bytes MORE. */
static size_t frame_bytes(const struct bm_write_batch *b, size_t more)
{
        return b->bytes + b->n_items * RECORD_MOST + more;
}

/* COUNT, whatever it means, was looked at. */
static int add(struct bm_write_batch *b, enum batch_what what, struct bm_map *map, const void *key,
               size_t key_len, const void *value, size_t value_len, uint64_t count)
{
        struct bm_target target;
        int r = bm_target_init(&target, map, key, key_len); /* the limits of keys */
        if (r < 0 || map->store != b->store)
                return -EINVAL;
        if (value_len > BM_VALUE_INLINE || b->bytes + key_len + value_len > BM_BATCH_MAX ||
            frame_bytes(b, key_len + value_len + RECORD_MOST) > BM_FRAME_MAX)
                return -EFBIG;
        struct batch_item *item = new_item(&target, value, value_len);
        if (!item)
                return -ENOMEM;
        item->what = what;
        item->count = count;
        r = put_in(b, item, (unsigned)target.hash);
        if (r != 0)
                free(item);
        return r;
}

int bm_write_batch_insert(struct bm_write_batch *batch, struct bm_map *map, const void *key,
                          size_t key_len, const void *value, size_t value_len, uint64_t count)
{
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
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
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        return add(batch, WRITE_COUNT, map, key, key_len, NULL, 0, count);
}

int bm_write_batch_addref(struct bm_write_batch *batch, struct bm_map *map, const void *key,
                          size_t key_len, int64_t delta)
{
        if (!is_delta(delta))
                return BM_E_COUNT;
        return add(batch, WRITE_ADDREF, map, key, key_len, NULL, 0, (uint64_t)delta);
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

static int add_count(struct bm_step *s, uint64_t delta)
{
        uint64_t count = (s->action == BM_ACT_LOOK ? s->found.count : s->next.count) + delta;
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        set_count(s, count);
        return 0;
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
        const size_t step = item->first->step;
        const bool there = txn->steps[step].found.there;
        /* or made by an item before */
        const bool is_counted = there || txn->steps[step].action == BM_ACT_PUT;
        size_t record = step;
        int r = there ? bm_txn_record(txn, step, &record) : 0;
        if (r != 0)
                return r;
        if (there && txn->steps[record].found.record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        switch (item->what) {
        case WRITE_COUNT:
                if (!is_counted)
                        return BM_E_NOT_FOUND;
                set_count(&txn->steps[record], item->count);
                return 0;
        case WRITE_ADDREF:
                return is_counted ? add_count(&txn->steps[record], item->count) : BM_E_NOT_FOUND;
        case WRITE_DELETE:
                return there ? bm_delete_step(txn, step, record, &item->drop) : 0;
        case WRITE_INSERT:
                break;
        }
        return fill_insert(txn, item, record);
}

static int fill_batch(struct bm_txn *txn, void *ctx)
{
        struct bm_write_batch *b = ctx;
        struct batch_item *item;
        int r = 0;
        DL_FOREACH(b->items, item)
        {
                r = fill_item(txn, item);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Nobody looks at the value of what is only counted. */
static enum bm_trust trust_of(const struct batch_item *item)
{
        return item->what == WRITE_INSERT || item->what == WRITE_DELETE ? BM_TRUST_NOTHING
                                                                        : BM_TRUST_VALUE;
}

/* Whoever only deletes has room on a full disk, too, if a segment does not stay half empty for it.
 */
static enum bm_claim claim_of(const struct bm_write_batch *b)
{
        const struct batch_item *item = b->items;
        if (frame_bytes(b, 0) > CLAIM_MOST)
                return BM_CLAIM_NONE;
        while (item && item->what == WRITE_DELETE)
                item = item->next;
        return item ? BM_CLAIM_NONE : BM_CLAIM_REMOVE;
}

int bm_write_batch_commit(struct bm_write_batch *b)
{
        struct batch_item *item;
        struct bm_txn txn;
        int r = 0;
        if (!b->items)
                return 0;
        bm_txn_init(&txn, b->store);
        txn.claim = claim_of(b);
        for (item = b->keys; item; item = item->hh.next) {
                if (item->what == WRITE_INSERT)
                        item->record_id = atomic_fetch_add(&b->store->next_record, 1);
                r = bm_txn_add_trusted(&txn, item->map, item_key(item), item->key_len,
                                       trust_of(item), &item->step);
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
