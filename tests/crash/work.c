/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <stdio.h>

#include "op.h"

static void op_sync(struct op *op)
{
        op->what = "sync";
        if (op_answered(op, bm_sync(op->w->store), 0))
                history_ack(op->w->history, op->w->trace->n, op->w->history->n_steps - 1);
}

static void op_checkpoint(struct op *op)
{
        op->what = "checkpoint";
        if (op_answered(op, bm_checkpoint(op->w->store), 0))
                history_ack(op->w->history, op->w->trace->n, op->w->history->n_steps - 1);
}

static void op_compact(struct op *op)
{
        op->what = "compact";
        (void)op_answered(op, bm_compact(op->w->store), 0);
}

static const struct {
        void (*run)(struct op *op);
        unsigned weight;
} ops[] = {
        {op_insert, 30}, {op_insert_large, 4}, {op_create, 10}, {op_fill, 2},
        {op_empty, 1},   {op_delete, 10},      {op_count, 15},  {op_meta, 4},
        {op_write, 12},  {op_truncate, 6},     {op_remove, 6},  {op_write_orphan, 3},
        {op_mkmap, 4},   {op_rmmap, 3},        {op_rename, 12}, {op_batch, 8},
        {op_sync, 10},   {op_checkpoint, 3},   {op_compact, 2},
};

bool work_run(struct work *w, unsigned n)
{
        const size_t n_ops = sizeof(ops) / sizeof(ops[0]);
        unsigned total = 0;
        for (size_t i = 0; i < n_ops; i++)
                total += ops[i].weight;
        for (unsigned k = 0; k < n && !w->problem[0]; k++) {
                uint64_t luck = op_below(w, total);
                struct op op = {0};
                size_t i = 0;
                while (luck >= ops[i].weight)
                        luck -= ops[i++].weight;
                if (!op_begin(&op, w))
                        return w->faults;
                ops[i].run(&op);
                op_close_map(op.map_id, op.map);
        }
        return !w->problem[0];
}

void work_end(struct work *w)
{
        for (unsigned i = 0; i < w->n_orphans; i++) {
                int r = bm_orphan_release(w->store, w->orphans[i]);
                if (r != 0 && !w->faults)
                        snprintf(w->problem, sizeof(w->problem), "releasing an orphan: %s",
                                 bm_strerror(r));
        }
        w->n_orphans = 0;
}
