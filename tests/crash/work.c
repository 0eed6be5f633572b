/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <stdio.h>

#include "op.h"
#include "turns.h"

static void op_sync(struct op *op)
{
        size_t since = op->w->trace->n;
        op->what = "sync";
        if (op_answered(op, bm_sync(op->w->store), 0))
                history_ack(op->w->history, op->w->end, since);
}

static void op_checkpoint(struct op *op)
{
        size_t since = op->w->trace->n;
        op->what = "checkpoint";
        if (op_answered(op, bm_checkpoint(op->w->store), 0))
                history_ack(op->w->history, op->w->end, since);
}

static void op_compact(struct op *op)
{
        op->what = "compact";
        (void)op_answered(op, bm_compact(op->w->store), 0);
}

/* Time passes, and what is done by itself is done. */
static void op_wait(struct op *op)
{
        static const uint64_t most_ms[] = {1, 100, 4000};
        op->what = "wait";
        turns_sleep(op_below(op->w, most_ms[op_below(op->w, 3)] * 1000 * 1000));
}

static const struct {
        void (*run)(struct op *op);
        unsigned weights[WORK_SORTS];
} ops[] = {
        {op_insert, {30, 30, 20, 5}}, {op_insert_large, {4, 4, 20, 60}},
        {op_create, {10, 10, 10, 2}}, {op_fill, {2, 4, 2, 2}},
        {op_empty, {1, 1, 2, 1}},     {op_delete, {10, 10, 30, 5}},
        {op_count, {15, 15, 15, 5}},  {op_meta, {4, 4, 4, 2}},
        {op_write, {12, 12, 12, 30}}, {op_truncate, {6, 6, 6, 3}},
        {op_remove, {6, 6, 6, 3}},    {op_use_orphan, {5, 5, 5, 2}},
        {op_mkmap, {4, 4, 4, 2}},     {op_rmmap, {3, 3, 3, 1}},
        {op_rename, {12, 12, 12, 6}}, {op_batch, {8, 8, 8, 4}},
        {op_sync, {10, 10, 10, 4}},   {op_checkpoint, {3, 3, 6, 2}},
        {op_compact, {2, 2, 8, 0}},   {op_wait, {8, 8, 8, 4}},
        {op_punch, {5, 5, 5, 2}},     {op_link, {10, 10, 10, 3}},
        {op_allocate, {4, 4, 4, 2}},  {op_write_pieces, {14, 14, 14, 5}},
};

void work_begin(struct work *w)
{
        w->shown = w->model->hash;
        w->frames.trace = w->trace;
        frames_note_in(&w->frames);
}

/* What was logged is what was done. */
static void end_op(struct op *op)
{
        struct work *w = op->w;
        if (w->n_told < w->frames.n && !w->faults && !w->problem[0])
                snprintf(w->problem, sizeof(w->problem), "%s: logged %zu frames, for %zu changes",
                         op->what, w->frames.n, w->n_told);
        w->frames.n = w->n_told = 0;
        op_close_map(op->map_id, op->map);
}

bool work_run(struct work *w, unsigned n)
{
        const size_t n_ops = sizeof(ops) / sizeof(ops[0]);
        unsigned total = 0;
        for (size_t i = 0; i < n_ops; i++)
                total += ops[i].weights[w->sort];
        for (unsigned k = 0; k < n && !w->problem[0]; k++) {
                uint64_t luck = op_below(w, total);
                struct op op = {0};
                size_t i = 0;
                while (luck >= ops[i].weights[w->sort])
                        luck -= ops[i++].weights[w->sort];
                if (!op_begin(&op, w))
                        return w->faults;
                ops[i].run(&op);
                end_op(&op);
        }
        return !w->problem[0];
}

void work_end(struct work *w)
{
        while (w->n_orphans > 0)
                op_drop_orphan(w);
        frames_note_in(NULL);
        frames_deinit(&w->frames);
}
