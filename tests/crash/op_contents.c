/* SPDX-License-Identifier: MIT */
/* Parts of values: written, cut, and of removed but open records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

enum {
        CHUNK = 32 << 10, /* a long write is there up to a multiple of this */
        LARGE = 200 << 10,
};

/* What a write leaves of the value if it got to TO. */
static void written(struct op *op, const uint8_t *bytes, uint64_t from, uint64_t to)
{
        struct model_record *m = op->there;
        size_t size = to > m->size ? to : m->size;
        uint8_t *value = must_alloc(size);
        memcpy(value, m->value, m->size);
        if (size > m->size)
                memset(value + m->size, 0, size - m->size);
        memcpy(value + from, bytes, to - from);
        free(m->value);
        m->value = value;
        m->size = size;
        model_changed(op->w->model, m);
}

void op_write(struct op *op)
{
        size_t len = 1 + (op_below(op->w, 3) ? op_below(op->w, 3000) : op_below(op->w, 3 * CHUNK));
        size_t done, first = op->w->history->n_steps;
        op->what = "write";
        if (!op->there || op->there->names_map)
                return;
        uint64_t offset = op_below(op->w, op->there->size + 5000);
        if (op_below(op->w, 4) == 0)
                offset = op_below(op->w, LARGE);
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        uint8_t *bytes = must_alloc(len);
        op_fill_bytes(op->w, bytes, len);
        int r = bm_write_at(&ref, offset, bytes, len, NULL, NULL, &done);
        (void)op_answered(op, r, 0);
        if (r == 0 && done != len)
                snprintf(op->w->problem, sizeof(op->w->problem), "write: %zu of %zu", done, len);
        /* a crash may leave whole chunks of it */
        for (uint64_t at = offset; at < offset + done;) {
                uint64_t to = (at / CHUNK + 1) * CHUNK;
                if (to > offset + done || offset + len <= INLINE)
                        to = offset + done;
                written(op, bytes + (at - offset), at, to);
                op_done(op);
                at = to;
        }
        for (size_t i = first; i < op->w->history->n_steps; i++)
                op->w->history->steps[i].end = op->w->trace->n;
        free(bytes);
}

void op_truncate(struct op *op)
{
        struct model_record *m = op->there;
        op->what = "truncate";
        if (!m || m->names_map)
                return;
        uint64_t size = op_below(op->w, 2) ? op_below(op->w, m->size + 1) : op_below(op->w, LARGE);
        const struct bm_ref ref = {op->map, op->key, op->key_len, m->record_id};
        if (!op_answered(op, bm_truncate(&ref, size, NULL, NULL), 0))
                return;
        uint8_t *value = must_alloc(size);
        size_t keep = size < m->size ? size : m->size;
        memcpy(value, m->value, keep);
        memset(value + keep, 0, size - keep);
        model_set_value(m, value, size);
        free(value);
        model_changed(op->w->model, m);
        op_done(op);
}

void op_remove(struct op *op)
{
        op->what = "remove";
        if (!op->there || op->there->names_map)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        const struct bm_remove_args args = {.orphan = op_below(op->w, 2)};
        if (!op_answered(op, bm_remove(&ref, &args), 0))
                return;
        if (args.orphan)
                op_keep_orphan(op->w, op->there->record_id);
        model_remove(op->w->model, op->there);
        op_done(op);
}

/* A removed but open record is still written to; a crash ends it. */
void op_write_orphan(struct op *op)
{
        struct work *w = op->w;
        uint8_t key[8], bytes[2000];
        struct bm_ref ref;
        size_t done;
        op->what = "write orphan";
        if (w->n_orphans == 0)
                return;
        bm_orphan_ref(w->store, w->orphans[op_below(w, w->n_orphans)], key, &ref);
        op_fill_bytes(w, bytes, sizeof(bytes));
        (void)op_answered(
                op, bm_write_at(&ref, op_below(w, 40000), bytes, sizeof(bytes), NULL, NULL, &done),
                0);
}
