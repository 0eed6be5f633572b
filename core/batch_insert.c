/* SPDX-License-Identifier: MIT */
/* The plain batch: keys that are not there are inserted, each for itself. */
#include <errno.h>

#include "links.h"
#include "store.h"
#include "view.h"

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
