/* SPDX-License-Identifier: MIT */
/* Parts of values: written and cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

enum {
        CHUNK = 32 << 10,
        PIECE = 4 << 10, /* what is written of a chunk by itself */
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

static void write_at(struct op *op, uint64_t offset, size_t len)
{
        size_t done;
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        uint8_t *bytes = must_alloc(len);
        op_fill_bytes(op->w, bytes, len);
        int r = bm_write_at(&ref, offset, bytes, len, NULL, NULL, &done);
        (void)op_answered(op, r, 0);
        if (r == 0 && done != len)
                snprintf(op->w->problem, sizeof(op->w->problem), "write: %zu of %zu", done, len);
        /* a crash may leave it up to the end of a frame, each of which has whole chunks of it */
        for (uint64_t at = offset; at < offset + done;) {
                uint64_t to = op_next_end(op);
                if (to <= at || to > offset + done)
                        to = offset + done;
                written(op, bytes + (at - offset), at, to);
                op_done(op);
                at = to;
        }
        free(bytes);
}

void op_write(struct op *op)
{
        size_t len = 1 + (op_below(op->w, 3) ? op_below(op->w, 3000) : op_below(op->w, 6 * CHUNK));
        op->what = "write";
        if (!op->there || op->there->names_map)
                return;
        uint64_t offset = op_below(op->w, op->there->size + 5000);
        if (op_below(op->w, 4) == 0)
                offset = op_below(op->w, LARGE);
        write_at(op, offset, len);
}

/* Of a large value, a few pieces or parts of them, often the same ones, or more at its end. */
void op_write_pieces(struct op *op)
{
        op->what = "write pieces";
        if (!op->there || op->there->names_map || op->there->size <= INLINE)
                return;
        const bool grows = op_below(op->w, 3) == 0;
        for (uint64_t n = 1 + op_below(op->w, 4); n > 0 && !op->w->problem[0]; n--) {
                const uint64_t size = op->there->size;
                uint64_t offset = op_below(op->w, size);
                size_t len = op_below(op->w, 2) ? PIECE : 1 + op_below(op->w, 2 * PIECE);
                if (op_below(op->w, 3))
                        offset = offset / PIECE * PIECE;
                if (grows && size + len <= LARGE)
                        write_at(op, size, len);
                else
                        write_at(op, offset, len < size - offset ? len : size - offset);
        }
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

/* So small a one is a single step. */
void op_punch(struct op *op)
{
        struct model_record *m = op->there;
        op->what = "punch";
        if (!m || m->names_map)
                return;
        uint64_t offset = op_below(op->w, m->size + 1);
        uint64_t len = op_below(op->w, 2) ? op_below(op->w, 3000) : op_below(op->w, LARGE);
        const struct bm_ref ref = {op->map, op->key, op->key_len, m->record_id};
        if (!op_answered(op, bm_punch(&ref, offset, len, NULL, NULL), 0))
                return;
        if (len > m->size - offset)
                len = m->size - offset;
        if (len)
                memset(m->value + offset, 0, len);
        model_changed(op->w->model, m);
        op_done(op);
}

/* Within one chunk, so a single step; beyond the end, too, where it changes nothing to be seen. */
void op_allocate(struct op *op)
{
        struct model_record *m = op->there;
        uint64_t done;
        op->what = "allocate";
        if (!m || m->names_map)
                return;
        uint64_t offset = op_below(op->w, m->size + LARGE / 2);
        uint64_t len = 1 + op_below(op->w, CHUNK - offset % CHUNK);
        const struct bm_ref ref = {op->map, op->key, op->key_len, m->record_id};
        if (!op_answered(op,
                         bm_allocate(&ref, offset, len, BM_ALLOCATE_ZERO | BM_ALLOCATE_KEEP_SIZE,
                                     NULL, NULL, &done),
                         0))
                return;
        if (offset < m->size)
                memset(m->value + offset, 0, len < m->size - offset ? len : m->size - offset);
        model_changed(op->w->model, m);
        op_done(op);
}
