/* SPDX-License-Identifier: MIT */
/* Removed records that are still open: they stay readable and writable, and a crash ends them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

enum { WRITE = 2000, REACH = 60000 };

void op_remove(struct op *op)
{
        op->what = "remove";
        if (!op->there || op->there->names_map)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        const struct bm_remove_args args = {.orphan = op_below(op->w, 2)};
        if (!op_answered(op, bm_remove(&ref, &args), 0))
                return;
        if (args.orphan && op->there->links == 1)
                op_keep_orphan(op->w, op->there);
        model_remove(op->w->model, op->there);
        op_done(op);
}

/* Reads all of it. */
static void verify(struct work *w, const struct orphan *o)
{
        uint8_t key[8], *bytes = must_alloc(o->size + 1);
        struct bm_ref ref;
        size_t done = 0;
        bm_orphan_ref(w->store, o->record_id, key, &ref);
        int r = bm_read_at(&ref, 0, bytes, o->size + 1, &done);
        bool same = r == 0 && done == o->size && memcmp(bytes, o->value, done) == 0;
        if (!same && !w->faults && !w->problem[0])
                snprintf(w->problem, sizeof(w->problem),
                         "a removed but open record of %zu bytes: %s, %zu read", o->size,
                         bm_strerror(r), done);
        free(bytes);
}

void op_drop_orphan(struct work *w)
{
        verify(w, &w->orphans[0]);
        int r = bm_orphan_release(w->store, w->orphans[0].record_id);
        if (r != 0 && !w->faults && !w->problem[0])
                snprintf(w->problem, sizeof(w->problem), "releasing an orphan: %s", bm_strerror(r));
        free(w->orphans[0].value);
        w->n_orphans--;
        memmove(w->orphans, w->orphans + 1, w->n_orphans * sizeof(*w->orphans));
}

void op_keep_orphan(struct work *w, const struct model_record *m)
{
        if (w->n_orphans == ORPHANS_MAX)
                op_drop_orphan(w);
        struct orphan *o = &w->orphans[w->n_orphans++];
        *o = (struct orphan){.record_id = m->record_id, .size = m->size};
        o->value = must_alloc(m->size);
        if (m->size)
                memcpy(o->value, m->value, m->size);
}

static void resize(struct orphan *o, size_t size)
{
        o->value = must_realloc(o->value, size);
        if (size > o->size)
                memset(o->value + o->size, 0, size - o->size);
        o->size = size;
}

void op_use_orphan(struct op *op)
{
        struct work *w = op->w;
        uint8_t key[8], bytes[WRITE];
        struct bm_ref ref;
        size_t done;
        op->what = "use an orphan";
        if (w->n_orphans == 0)
                return;
        struct orphan *o = &w->orphans[op_below(w, w->n_orphans)];
        bm_orphan_ref(w->store, o->record_id, key, &ref);
        uint64_t at = op_below(w, REACH);
        switch (op_below(w, 3)) {
        case 0:
                verify(w, o);
                break;
        case 1:
                if (op_answered(op, bm_truncate(&ref, at, NULL, NULL), 0))
                        resize(o, at);
                break;
        case 2:
                op_fill_bytes(w, bytes, sizeof(bytes));
                if (!op_answered(op, bm_write_at(&ref, at, bytes, WRITE, NULL, NULL, &done), 0))
                        break;
                if (at + WRITE > o->size)
                        resize(o, at + WRITE);
                memcpy(o->value + at, bytes, WRITE);
                break;
        }
}
