/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "op.h"

enum { BATCH_ITEMS = 8 };

struct batch_item {
        struct op op;
        unsigned kind; /* 0 insert, 1 delete, 2 count, 3 one more */
        uint8_t value[400];
        size_t size;
        uint64_t count;
};

/* Adds one item; false if it cannot be in a batch. */
static bool add_item(struct work *w, struct bm_write_batch *batch, struct batch_item *items,
                     size_t i)
{
        struct batch_item *it = &items[i];
        int r = 0;
        if (!op_begin(&it->op, w))
                return false;
        bool taken = it->op.there && it->op.there->names_map;
        for (size_t k = 0; k < i && !taken; k++)
                taken = items[k].op.map_id == it->op.map_id &&
                        items[k].op.key_len == it->op.key_len &&
                        memcmp(items[k].op.key, it->op.key, it->op.key_len) == 0;
        it->kind = (unsigned)op_below(w, 4);
        it->size = op_below(w, sizeof(it->value));
        it->count = op_any_count(w);
        op_fill_bytes(w, it->value, it->size);
        if (taken || (it->kind >= 2 && !it->op.there)) {
                op_close_map(it->op.map_id, it->op.map);
                return false;
        }
        if (it->kind == 0)
                r = bm_write_batch_insert(batch, it->op.map, it->op.key, it->op.key_len, it->value,
                                          it->size, it->count);
        else if (it->kind == 1)
                r = bm_write_batch_delete(batch, it->op.map, it->op.key, it->op.key_len);
        else if (it->kind == 2)
                r = bm_write_batch_count(batch, it->op.map, it->op.key, it->op.key_len, it->count);
        else
                r = bm_write_batch_addref(batch, it->op.map, it->op.key, it->op.key_len, 1);
        (void)op_answered(&it->op, r, 0);
        return true;
}

/* A step is the whole of it, so the model shows no part. */
static void apply_item(struct work *w, struct batch_item *it)
{
        struct op *op = &it->op;
        op->there = model_find(w->model, op->map_id, op->key, op->key_len);
        if (it->kind == 1) {
                if (op->there)
                        model_remove(w->model, op->there);
                return;
        }
        if (it->kind == 0) {
                op_made(op, it->value, it->size);
                model_set_meta(op->there, NULL, 0);
                op_learn_id(op);
        }
        op->there->count = it->kind == 3 ? op->there->count + 1 : it->count;
        model_changed(w->model, op->there);
}

void op_batch(struct op *op)
{
        struct work *w = op->w;
        struct bm_write_batch *batch;
        struct batch_item items[BATCH_ITEMS];
        size_t n = 0;
        op->what = "batch";
        if (!op_answered(op, bm_write_batch_new(w->store, &batch), 0))
                return;
        for (unsigned i = 0; i < BATCH_ITEMS; i++) {
                items[n].op = (struct op){.what = "batch item"};
                n += add_item(w, batch, items, n);
        }
        bool took_place = op_answered(op, bm_write_batch_commit(batch), 0);
        for (size_t i = 0; i < n; i++) {
                if (took_place)
                        apply_item(w, &items[i]);
                op_close_map(items[i].op.map_id, items[i].op.map);
        }
        bm_write_batch_free(batch);
        if (took_place)
                op_done(op);
}
