/* SPDX-License-Identifier: MIT */
/* Maps, and other names for what there is. */
#include <stdlib.h>
#include <string.h>

#include "op.h"

void op_mkmap(struct op *op)
{
        uint64_t map_id, record_id;
        op->what = "make map";
        int r = bm_map_create(op->map, op->key, op->key_len, "m", 1, &map_id, &record_id);
        if (!op_answered(op, r, op->there ? BM_E_EXISTS : 0))
                return;
        struct model_record *m = op_made(op, NULL, 0);
        model_set_meta(m, "m", 1);
        m->record_id = record_id;
        m->names_map = map_id;
        model_changed(op->w->model, m);
        op_done(op);
}

void op_rmmap(struct op *op)
{
        struct model_record *m = op->there;
        int expected = BM_E_NOT_FOUND;
        op->what = "remove map";
        if (m && !m->names_map)
                expected = BM_E_NOT_MAP;
        else if (m)
                expected = model_count_in(op->w->model, m->names_map) ? BM_E_NOT_EMPTY : 0;
        if (!op_answered(op, bm_map_remove(op->map, op->key, op->key_len), expected))
                return;
        model_remove(op->w->model, m);
        op_done(op);
}

/* Whether map INNER is OUTER or lies in it. */
static bool lies_in(struct model *m, uint64_t inner, uint64_t outer)
{
        while (inner != 0 && inner != outer) {
                uint64_t parent = 0;
                for (size_t i = 0; i < m->n; i++) {
                        if (m->records[i].names_map == inner)
                                parent = m->records[i].map_id;
                }
                inner = parent;
        }
        return inner == outer;
}

static int rename_outcome(struct model *m, const struct model_record *from,
                          const struct model_record *to, uint64_t to_map, bool exchange)
{
        if (exchange && !to)
                return BM_E_NOT_FOUND;
        if (from->names_map && to_map != 0 && lies_in(m, to_map, from->names_map))
                return BM_E_LOOP;
        if (exchange) {
                return to->names_map && from->map_id != 0 && lies_in(m, from->map_id, to->names_map)
                               ? BM_E_LOOP
                               : 0;
        }
        if (!to)
                return 0;
        if (to->names_map && !from->names_map)
                return BM_E_IS_MAP;
        if (to->names_map)
                return model_count_in(m, to->names_map) ? BM_E_NOT_EMPTY : 0;
        return from->names_map ? BM_E_NOT_MAP : 0;
}

static void swap_names(struct model_record *a, struct model_record *b)
{
        struct model_record was = *a;
        a->map_id = b->map_id;
        a->key_len = b->key_len;
        memcpy(a->key, b->key, sizeof(a->key));
        b->map_id = was.map_id;
        b->key_len = was.key_len;
        memcpy(b->key, was.key, sizeof(was.key));
}

void op_rename(struct op *op)
{
        struct work *w = op->w;
        struct model_record *from = op->there, *to;
        struct bm_rename_args args = {.exchange = op_below(w, 3) == 0,
                                      .orphan_victim = op_below(w, 2)};
        struct op target = {.w = w};
        op->what = args.exchange ? "exchange" : "rename";
        if (!from || !op_begin(&target, w))
                return;
        to = target.there;
        const struct bm_ref ref = {op->map, op->key, op->key_len, from->record_id};
        bool same = to && from->record_id == to->record_id;
        int expected = same ? 0 : rename_outcome(w->model, from, to, target.map_id, args.exchange);
        int r = bm_rename(&ref, target.map, target.key, target.key_len, &args);
        op_close_map(target.map_id, target.map);
        if (!op_answered(op, r, expected) || same)
                return;
        if (args.exchange) {
                swap_names(from, to);
                model_changed(w->model, to);
        } else {
                if (to && !to->names_map && to->links == 1 && args.orphan_victim)
                        op_keep_orphan(w, to);
                if (to && !to->names_map && from->count == 1)
                        from->count = to->count;
                from->map_id = target.map_id;
                from->key_len = target.key_len;
                memcpy(from->key, target.key, sizeof(from->key));
        }
        model_changed(w->model, from);
        if (to && !args.exchange)
                model_remove(w->model, to);
        op_done(op);
}

void op_link(struct op *op)
{
        struct work *w = op->w;
        struct model_record *from = op->there;
        struct op target = {.w = w};
        op->what = "link";
        if (!from || !op_begin(&target, w))
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, from->record_id};
        int expected = from->names_map ? BM_E_IS_MAP : target.there ? BM_E_EXISTS : 0;
        int r = bm_link(&ref, target.map, target.key, target.key_len, NULL, NULL);
        op_close_map(target.map_id, target.map);
        if (!op_answered(op, r, expected))
                return;
        model_link(w->model, from, target.map_id, target.key, target.key_len);
        op_done(op);
}
