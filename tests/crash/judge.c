/* SPDX-License-Identifier: MIT */
#include "judge.h"

#include <stdio.h>

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct explorer *x = ctx;
        if (!x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "check: %s", finding->message);
}

static void explain(struct explorer *x, const struct past *past, size_t n_records, uint64_t hash)
{
        const struct history *h = past->history;
        size_t lo = past->bounds.lo, hi = past->bounds.hi;
        long other = history_find(h, hash, 0, h->n_steps - 1);
        if (other >= 0)
                snprintf(x->problem, sizeof(x->problem),
                         "it is the state after step %ld (%s), but should be one of %zu to %zu",
                         other, h->steps[other].what, lo, hi);
        else
                snprintf(x->problem, sizeof(x->problem),
                         "%zu records: a state that never was; steps %zu (%s) to %zu (%s)",
                         n_records, lo, h->steps[lo].what, hi, h->steps[hi].what);
}

void judge_whole(struct explorer *x, struct bm_store *store)
{
        const struct bm_check_args args = {.finding = on_finding, .ctx = x};
        int r = bm_check(store, &args);
        if (r != 0 && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "check: %s", bm_strerror(r));
}

long judge(struct explorer *x, struct bm_store *store, const struct past *past, struct model *model)
{
        char problem[200];
        int r = model_load(model, store, problem);
        if (r != 0 && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "reading: %s", problem);
        long step = history_find(past->history, model->hash, past->bounds.lo, past->bounds.hi);
        if (step < 0 && !x->problem[0])
                explain(x, past, model->n, model->hash);
        if (explorer_watches(x))
                model_show(model);
        return step;
}

void judge_models(struct explorer *x, struct bm_store *store, const struct model *models,
                  unsigned n)
{
        struct model now;
        char problem[200];
        uint64_t hash = 0;
        int r = model_load(&now, store, problem);
        for (unsigned i = 0; i < n; i++)
                hash += models[i].hash;
        if (!x->problem[0] && r != 0)
                snprintf(x->problem, sizeof(x->problem), "reading after work: %s", problem);
        if (!x->problem[0] && now.hash != hash)
                snprintf(x->problem, sizeof(x->problem), "after work it holds something else");
        model_clear(&now);
}
