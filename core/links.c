/* SPDX-License-Identifier: MIT */
/* See links.h; and giving a record one more name. */
#include "links.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "names.h"
#include "store.h"
#include "view.h"

int bm_txn_record(struct bm_txn *txn, size_t step, size_t *record)
{
        const struct bm_record *named = &txn->steps[step].found.record;
        const uint64_t id = named->record_id;
        *record = step;
        if (named->type != BM_REC_NAME)
                return 0;
        int r = bm_txn_more_id(txn, txn->store->inodes, id, record);
        if (r == 0 && !txn->steps[*record].found.there) {
                bm_store_log(txn->store, BM_LOG_ERROR,
                             "a name leads to record %" PRIu64 ", which is not there", id);
                r = -EIO;
        }
        return r;
}

uint32_t bm_links_of(const struct bm_step *record)
{
        if (record->action == BM_ACT_PUT && record->next.links)
                return record->next.links;
        return record->found.links;
}

void bm_put_again(struct bm_step *record)
{
        const struct bm_record *was = &record->found.record;
        const uint64_t count =
                record->action == BM_ACT_COUNT ? record->next.count : record->found.count;
        if (record->action == BM_ACT_PUT)
                return;
        record->action = BM_ACT_PUT;
        record->next = bm_same_record(&record->found);
        record->next.count = count;
        record->next.meta = was->meta;
        record->next.meta_len = was->meta_len;
}

void bm_drop_link(struct bm_txn *txn, size_t step, size_t record)
{
        struct bm_step *s = &txn->steps[record];
        const uint32_t left = bm_links_of(s) - 1;
        if (record == step)
                return;
        if (left == 0) {
                s->action = BM_ACT_DELETE;
                return;
        }
        bm_put_again(s);
        s->next.links = left;
}

int bm_delete_step(struct bm_txn *txn, size_t step, size_t record, struct bm_drop_step *drop)
{
        const bool last = bm_links_of(&txn->steps[record]) == 1;
        bm_drop_link(txn, step, record);
        txn->steps[step].action = BM_ACT_DELETE;
        return last ? bm_large_drop_all(txn, &txn->steps[record].found.record, drop) : 0;
}

struct bm_record bm_name_record(uint64_t record_id)
{
        return (struct bm_record){.type = BM_REC_NAME, .record_id = record_id};
}

/* Giving a name */

struct linking {
        const struct bm_ref *from;
        bm_meta_fn fn;
        void *ctx;
        struct bm_new_meta meta;
};

/* Locked. The record of step 0 moves from its key to its id, with two names. */
static int promote(struct bm_txn *txn, size_t *record)
{
        const uint64_t id = txn->steps[0].found.record.record_id;
        int r = bm_txn_more_id(txn, txn->store->inodes, id, record);
        if (r != 0)
                return r;
        struct bm_step *name = &txn->steps[0], *s = &txn->steps[*record];
        if (s->found.there) {
                bm_store_log(txn->store, BM_LOG_ERROR,
                             "record %" PRIu64 " is there twice, under a key and by its id", id);
                return -EIO;
        }
        s->action = name->action = BM_ACT_PUT;
        s->next = bm_same_record(&name->found);
        s->next.links = 2;
        name->next = bm_name_record(id);
        name->moved = true;
        return 0;
}

static int fill_link(struct bm_txn *txn, void *ctx)
{
        struct linking *l = ctx;
        const struct bm_found from = txn->steps[0].found;
        size_t record;
        int r = bm_ref_check(l->from, &from);
        if (r != 0)
                return r;
        if (from.record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        if (txn->steps[1].found.there)
                return BM_E_EXISTS;
        r = bm_txn_record(txn, 0, &record);
        if (r != 0)
                return r;
        const struct bm_found was = txn->steps[record].found;
        if (record == 0 && l->from->map->id != BM_MAP_INODES) {
                r = promote(txn, &record);
        } else if (was.links == BM_LINKS_MAX) {
                r = -EMLINK;
        } else {
                bm_put_again(&txn->steps[record]);
                txn->steps[record].next.links = was.links + 1;
        }
        if (r != 0)
                return r;
        txn->steps[1].action = BM_ACT_PUT;
        txn->steps[1].next = bm_name_record(from.record.record_id);
        return bm_change_meta(l->fn, l->ctx, &was, &l->meta, &txn->steps[record].next);
}

int bm_link(const struct bm_ref *from, struct bm_map *to_map, const void *to_key, size_t to_key_len,
            bm_meta_fn fn, void *ctx)
{
        struct bm_store *store = to_map->store;
        struct bm_txn txn;
        if (from->map->id == BM_MAP_ORPHANS) /* its last name is gone for good */
                return BM_E_NOT_FOUND;
        if (from->map == to_map && from->key_len == to_key_len &&
            memcmp(from->key, to_key, to_key_len) == 0) {
                struct bm_view view;
                int r = bm_read_ref(from, &view);
                bool is_map = view.map_id;
                bm_view_release(&view);
                return r != 0 ? r : is_map ? BM_E_IS_MAP : BM_E_EXISTS;
        }
        struct linking *l = malloc(sizeof(*l)); /* not cleared: room for a meta */
        if (!l)
                return -ENOMEM;
        l->from = from;
        l->fn = fn;
        l->ctx = ctx;
        bm_txn_init(&txn, store);
        int r = bm_txn_add(&txn, from->map, from->key, from->key_len, NULL);
        if (r == 0)
                r = bm_txn_add(&txn, to_map, to_key, to_key_len, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_link, l);
        bm_txn_deinit(&txn);
        free(l);
        return r;
}

void bm_id_ref(struct bm_store *store, uint64_t record_id, uint8_t key[8], struct bm_ref *ref)
{
        bm_store_le64(key, record_id);
        *ref = (struct bm_ref){
                .map = store->inodes, .key = key, .key_len = 8, .record_id = record_id};
}
