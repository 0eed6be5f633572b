/* SPDX-License-Identifier: MIT */
/* Records with values that fit in one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

enum { LARGE = 200 << 10 };

void op_insert(struct op *op)
{
        uint8_t value[INLINE];
        size_t size = op_any_size(op->w);
        uint64_t count = op_any_count(op->w);
        op->what = "insert";
        op_fill_bytes(op->w, value, size);
        int r = bm_insert(op->map, op->key, op->key_len, value, size, count);
        if (!op_answered(op, r, op->there && op->there->names_map ? BM_E_IS_MAP : 0))
                return;
        struct model_record *m = op_made(op, value, size);
        m->count = count;
        model_set_meta(m, NULL, 0);
        op_learn_id(op);
        model_changed(op->w->model, m);
        op_done(op);
}

void op_insert_large(struct op *op)
{
        size_t size = INLINE + 1 + op_below(op->w, LARGE);
        uint8_t *value = must_alloc(size);
        op->what = "insert large";
        op_fill_bytes(op->w, value, size);
        int r = bm_insert(op->map, op->key, op->key_len, value, size, 1);
        if (op_answered(op, r, op->there && op->there->names_map ? BM_E_IS_MAP : 0)) {
                struct model_record *m = op_made(op, value, size);
                m->count = 1;
                model_set_meta(m, NULL, 0);
                op_learn_id(op);
                model_changed(op->w->model, m);
                op_done(op);
        }
        free(value);
}

void op_create(struct op *op)
{
        uint8_t value[INLINE], meta[40];
        size_t size = op_any_size(op->w), meta_len = op_below(op->w, sizeof(meta));
        uint64_t record_id;
        op->what = "create";
        op_fill_bytes(op->w, value, size);
        op_fill_bytes(op->w, meta, meta_len);
        int r = bm_create_record(op->map, op->key, op->key_len, value, size, meta, meta_len,
                                 &record_id);
        if (!op_answered(op, r, op->there ? BM_E_EXISTS : 0))
                return;
        struct model_record *m = op_made(op, value, size);
        model_set_meta(m, meta, meta_len);
        m->record_id = record_id;
        model_changed(op->w->model, m);
        op_done(op);
}

/* Many small keys: the index grows. */
void op_fill(struct op *op)
{
        unsigned n = 10 + (unsigned)op_below(op->w, op->w->sort == WORK_MANY ? 400 : 120);
        op->what = "fill";
        for (unsigned i = 0; i < n && !op->w->problem[0]; i++) {
                struct op one = *op;
                uint8_t value[8];
                one.key_len = (size_t)snprintf(
                        (char *)one.key, sizeof(one.key), "%c small %llu", op->w->name,
                        (unsigned long long)op_below(op->w, op->w->sort == WORK_MANY ? 3000 : 900));
                one.there = model_find(op->w->model, op->map_id, one.key, one.key_len);

                op_fill_bytes(op->w, value, sizeof(value));
                int r = bm_insert(op->map, one.key, one.key_len, value, sizeof(value), 1);
                if (!op_answered(&one, r, 0))
                        return;
                struct model_record *m = op_made(&one, value, sizeof(value));
                m->count = 1;
                op_learn_id(&one);
                model_changed(op->w->model, m);
                op_done(&one);
        }
}

void op_empty(struct op *op)
{
        op->what = "empty";
        unsigned budget = 100;
        for (size_t i = op->w->model->n; i-- > 0 && budget && !op->w->problem[0];) {
                struct model_record *m = &op->w->model->records[i];
                struct op one = *op;
                if (m->map_id != op->map_id || m->names_map || m->key[2] != 's')
                        continue;
                budget--;
                memcpy(one.key, m->key, sizeof(one.key));
                one.key_len = m->key_len;

                if (!op_answered(&one, bm_delete_key(op->map, one.key, one.key_len), 0))
                        return;
                model_remove(op->w->model, m);
                op_done(&one);
        }
}

void op_delete(struct op *op)
{
        op->what = "delete";
        int expected = !op->there ? BM_E_NOT_FOUND : op->there->names_map ? BM_E_IS_MAP : 0;
        if (!op_answered(op, bm_delete_key(op->map, op->key, op->key_len), expected))
                return;
        model_remove(op->w->model, op->there);
        op_done(op);
}

void op_count(struct op *op)
{
        struct model_record *m = op->there;
        uint64_t count = 0;
        op->what = "count";
        if (!m || m->names_map)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, m->record_id};
        switch (op_below(op->w, 3)) {
        case 0:
                count = m->count + 1;
                if (!op_answered(op, bm_addref(op->map, op->key, op->key_len, NULL), 0))
                        return;
                break;
        case 1:
                count = m->count - 1;
                if (!op_answered(op, bm_unref(op->map, op->key, op->key_len, NULL),
                                 m->count == 0 ? BM_E_COUNT : 0))
                        return;
                break;
        case 2:
                count = op_any_count(op->w);
                if (!op_answered(op, bm_count_set(&ref, count), 0))
                        return;
                break;
        }
        m->count = count;
        model_changed(op->w->model, m);
        op_done(op);
}

static int new_meta(void *ctx, const struct bm_view *now, void *meta, size_t *len)
{
        const struct model_record *m = ctx;
        if (m->meta_len)
                memcpy(meta, m->meta, m->meta_len);
        *len = m->meta_len;
        return 0;
}

void op_meta(struct op *op)
{
        uint8_t meta[300];
        struct model_record next = {.meta = meta, .meta_len = op_below(op->w, sizeof(meta))};
        op->what = "meta";
        if (!op->there)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        op_fill_bytes(op->w, meta, next.meta_len);
        if (!op_answered(op, bm_set_meta(&ref, new_meta, &next), 0))
                return;
        model_set_meta(op->there, meta, next.meta_len);
        model_changed(op->w->model, op->there);
        op_done(op);
}
