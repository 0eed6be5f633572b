/* SPDX-License-Identifier: MIT */
#include "op.h"

#include <stdio.h>
#include <string.h>

#include "same_luck.h"

enum { KEYS = 60 }; /* names that operations choose from */

uint64_t op_below(struct work *w, uint64_t n)
{
        return rnd_below(&w->rng, n);
}

/* A map of those that there are, the root most often. */
static uint64_t any_map(struct work *w)
{
        uint64_t found = 0;
        if (op_below(w, 2) == 0 || w->model->n == 0)
                return 0;
        size_t from = op_below(w, w->model->n);
        for (size_t i = 0; i < w->model->n && !found; i++)
                found = w->model->records[(from + i) % w->model->n].names_map;
        return found;
}

static bool open_map(struct work *w, uint64_t map_id, struct bm_map **map)
{
        *map = bm_root(w->store);
        if (map_id == 0)
                return true;
        int r = bm_map_open(w->store, map_id, map);
        if (r != 0)
                snprintf(w->problem, sizeof(w->problem), "opening map %llu: %s",
                         (unsigned long long)map_id, bm_strerror(r));
        return r == 0;
}

void op_close_map(uint64_t map_id, struct bm_map *map)
{
        if (map_id != 0)
                bm_map_close(map);
}

static void any_key(struct work *w, uint8_t key[32], size_t *len)
{
        *len = (size_t)snprintf((char *)key, 32, "%c key %llu", w->name,
                                (unsigned long long)op_below(w, KEYS));
}

bool op_begin(struct op *op, struct work *w)
{
        op->w = w;
        op->map_id = any_map(w);
        any_key(w, op->key, &op->key_len);
        op->there = model_find(w->model, op->map_id, op->key, op->key_len);
        return open_map(w, op->map_id, &op->map);
}

void op_done(struct op *op)
{
        struct work *w = op->w;
        struct step step = {
                .hash = w->model->hash - w->shown,
                .end = w->end,
                .end_ns = w->end_ns,
                .what = op->what,
        };
        if (step.hash == 0 && w->n_told == w->frames.n)
                return; /* such as a batch that deletes what was not there */
        if (w->n_told < w->frames.n)
                step.at = w->frames.list[w->n_told++].at;
        else if (!w->problem[0])
                snprintf(w->problem, sizeof(w->problem), "%s: done, but nothing was logged",
                         op->what);
        w->shown = w->model->hash;
        history_step(w->history, &step);
        if (w->loud)
                printf("# events %zu to %zu: %s %.*s in map %llu\n", step.at, step.end, op->what,
                       (int)op->key_len, (const char *)op->key, (unsigned long long)op->map_id);
}

uint64_t op_next_end(const struct op *op)
{
        const struct work *w = op->w;
        return w->n_told < w->frames.n ? w->frames.list[w->n_told].end : 0;
}

/* Compares a result with what it ought to be; true if the operation took place. */
bool op_answered(struct op *op, int r, int expected)
{
        struct work *w = op->w;
        w->end = w->trace->n;
        w->end_ns = same_luck_now();
        if (r < 0 && w->faults) {
                if (!w->first_error)
                        w->first_error = r;
                return false;
        }
        if (r != expected && !w->problem[0])
                snprintf(w->problem, sizeof(w->problem), "%s %.*s in map %llu: %s, expected %s",
                         op->what, (int)op->key_len, (const char *)op->key,
                         (unsigned long long)op->map_id, bm_strerror(r), bm_strerror(expected));
        return r == 0 && expected == 0;
}

/* Bytes that differ from write to write. */
void op_fill_bytes(struct work *w, uint8_t *bytes, size_t len)
{
        uint64_t x = rnd(&w->rng);
        for (size_t i = 0; i < len; i++) {
                if (i % 8 == 0)
                        x = mix64(x + 1);
                bytes[i] = (uint8_t)(x >> i % 8 * 8);
        }
}

size_t op_any_size(struct work *w)
{
        switch (op_below(w, 8)) {
        case 0:
                return 0;
        case 1:
                return op_below(w, 8000);
        case 2:
                return INLINE - 2 + op_below(w, 3);
        default:
                return op_below(w, 300);
        }
}

/* Counts on both sides of what a slot holds. */
uint64_t op_any_count(struct work *w)
{
        return op_below(w, 4) ? op_below(w, 6) : op_below(w, UINT64_C(1) << 40);
}

struct model_record *op_made(struct op *op, const uint8_t *value, size_t size)
{
        struct model *m = op->w->model;
        if (!op->there)
                op->there = model_add(m, op->map_id, op->key, op->key_len);
        model_set_value(op->there, value, size);
        return op->there;
}

void op_learn_id(struct op *op)
{
        struct bm_view view;
        int r = op->there->record_id ? 0 : bm_read_value(op->map, op->key, op->key_len, &view);
        if (r != 0 || op->there->record_id)
                return;
        op->there->record_id = view.record_id;
        bm_view_release(&view);
}
