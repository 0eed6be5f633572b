/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
        KEYS = 60,         /* names that operations choose from */
        CHUNK = 32 << 10,  /* a long write is there up to a multiple of this */
        INLINE = 16 << 10, /* longest value of bm_update and its like */
        LARGE = 200 << 10,
        BATCH_ITEMS = 8,
};

void history_step(struct history *h, uint64_t hash, size_t begin, size_t end, const char *what)
{
        if (h->n_steps == h->cap_steps) {
                h->cap_steps = h->cap_steps ? h->cap_steps * 2 : 256;
                h->steps = must_realloc(h->steps, h->cap_steps * sizeof(*h->steps));
        }
        h->steps[h->n_steps++] = (struct step){hash, begin, end, what};
}

void history_ack(struct history *h, size_t at, size_t step)
{
        if (h->n_acks == h->cap_acks) {
                h->cap_acks = h->cap_acks ? h->cap_acks * 2 : 64;
                h->acks = must_realloc(h->acks, h->cap_acks * sizeof(*h->acks));
        }
        h->acks[h->n_acks++] = (struct ack){at, step};
}

void history_deinit(struct history *h)
{
        free(h->steps);
        free(h->acks);
        *h = (struct history){0};
}

/* One operation in the making. */
struct op {
        struct work *w;
        const char *what;
        size_t begin;
        struct bm_map *map;
        uint64_t map_id; /* 0: the root */
        uint8_t key[32];
        size_t key_len;
        struct model_record *there; /* NULL: nothing */
};

static uint64_t below(struct work *w, uint64_t n)
{
        return rnd_below(&w->rng, n);
}

/* A map of those that there are, the root most often. */
static uint64_t any_map(struct work *w)
{
        uint64_t found = 0;
        if (below(w, 2) == 0 || w->model->n == 0)
                return 0;
        size_t from = below(w, w->model->n);
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

static void close_map(uint64_t map_id, struct bm_map *map)
{
        if (map_id != 0)
                bm_map_close(map);
}

static void any_key(struct work *w, uint8_t key[32], size_t *len)
{
        *len = (size_t)snprintf((char *)key, 32, "key %llu", (unsigned long long)below(w, KEYS));
}

static bool begin(struct op *op, struct work *w)
{
        op->w = w;
        op->map_id = any_map(w);
        any_key(w, op->key, &op->key_len);
        op->there = model_find(w->model, op->map_id, op->key, op->key_len);
        op->begin = w->trace->n;
        return open_map(w, op->map_id, &op->map);
}

static void step_done(struct op *op)
{
        struct work *w = op->w;
        history_step(w->history, w->model->hash, op->begin, w->trace->n, op->what);
        if (w->loud)
                printf("# step %zu: events %zu to %zu: %s %.*s in map %llu\n",
                       w->history->n_steps - 1, op->begin, w->trace->n, op->what, (int)op->key_len,
                       (const char *)op->key, (unsigned long long)op->map_id);
}

/* Compares a result with what it ought to be; true if the operation took place. */
static bool answered(struct op *op, int r, int expected)
{
        struct work *w = op->w;
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
static void fill(struct work *w, uint8_t *bytes, size_t len)
{
        uint64_t x = rnd(&w->rng);
        for (size_t i = 0; i < len; i++) {
                if (i % 8 == 0)
                        x = mix64(x + 1);
                bytes[i] = (uint8_t)(x >> i % 8 * 8);
        }
}

static size_t any_size(struct work *w)
{
        switch (below(w, 8)) {
        case 0:
                return 0;
        case 1:
                return below(w, 8000);
        case 2:
                return INLINE - 2 + below(w, 3);
        default:
                return below(w, 300);
        }
}

/* Counts on both sides of what a slot holds. */
static uint64_t any_count(struct work *w)
{
        return below(w, 4) ? below(w, 6) : below(w, UINT64_C(1) << 40);
}

static struct model_record *made(struct op *op, const uint8_t *value, size_t size)
{
        struct model *m = op->w->model;
        if (!op->there)
                op->there = model_add(m, op->map_id, op->key, op->key_len);
        model_set_value(op->there, value, size);
        return op->there;
}

static void learn_id(struct op *op)
{
        struct bm_view view;
        int r = op->there->record_id ? 0 : bm_read_value(op->map, op->key, op->key_len, &view);
        if (r != 0 || op->there->record_id)
                return;
        op->there->record_id = view.record_id;
        bm_view_release(&view);
}

static void op_insert(struct op *op)
{
        uint8_t value[INLINE];
        size_t size = any_size(op->w);
        uint64_t count = any_count(op->w);
        op->what = "insert";
        fill(op->w, value, size);
        int r = bm_insert(op->map, op->key, op->key_len, value, size, count);
        if (!answered(op, r, op->there && op->there->names_map ? BM_E_IS_MAP : 0))
                return;
        struct model_record *m = made(op, value, size);
        m->count = count;
        model_set_meta(m, NULL, 0);
        learn_id(op);
        model_changed(op->w->model, m);
        step_done(op);
}

static void op_insert_large(struct op *op)
{
        size_t size = INLINE + 1 + below(op->w, LARGE);
        uint8_t *value = must_alloc(size);
        op->what = "insert large";
        fill(op->w, value, size);
        int r = bm_insert(op->map, op->key, op->key_len, value, size, 1);
        if (answered(op, r, op->there && op->there->names_map ? BM_E_IS_MAP : 0)) {
                struct model_record *m = made(op, value, size);
                m->count = 1;
                model_set_meta(m, NULL, 0);
                learn_id(op);
                model_changed(op->w->model, m);
                step_done(op);
        }
        free(value);
}

static void op_create(struct op *op)
{
        uint8_t value[INLINE], meta[40];
        size_t size = any_size(op->w), meta_len = below(op->w, sizeof(meta));
        uint64_t record_id;
        op->what = "create";
        fill(op->w, value, size);
        fill(op->w, meta, meta_len);
        int r = bm_create_record(op->map, op->key, op->key_len, value, size, meta, meta_len,
                                 &record_id);
        if (!answered(op, r, op->there ? BM_E_EXISTS : 0))
                return;
        struct model_record *m = made(op, value, size);
        model_set_meta(m, meta, meta_len);
        m->record_id = record_id;
        model_changed(op->w->model, m);
        step_done(op);
}

/* Many small keys: the index grows. */
static void op_fill(struct op *op)
{
        unsigned n = 10 + (unsigned)below(op->w, 120);
        op->what = "fill";
        for (unsigned i = 0; i < n && !op->w->problem[0]; i++) {
                struct op one = *op;
                uint8_t value[8];
                one.key_len = (size_t)snprintf((char *)one.key, sizeof(one.key), "small %llu",
                                               (unsigned long long)below(op->w, 900));
                one.there = model_find(op->w->model, op->map_id, one.key, one.key_len);
                one.begin = op->w->trace->n;
                fill(op->w, value, sizeof(value));
                int r = bm_insert(op->map, one.key, one.key_len, value, sizeof(value), 1);
                if (!answered(&one, r, 0))
                        return;
                struct model_record *m = made(&one, value, sizeof(value));
                m->count = 1;
                learn_id(&one);
                model_changed(op->w->model, m);
                step_done(&one);
        }
}

static void op_empty(struct op *op)
{
        op->what = "empty";
        unsigned budget = 100;
        for (size_t i = op->w->model->n; i-- > 0 && budget && !op->w->problem[0];) {
                struct model_record *m = &op->w->model->records[i];
                struct op one = *op;
                if (m->map_id != op->map_id || m->names_map || m->key[0] != 's')
                        continue;
                budget--;
                memcpy(one.key, m->key, sizeof(one.key));
                one.key_len = m->key_len;
                one.begin = op->w->trace->n;
                if (!answered(&one, bm_delete_key(op->map, one.key, one.key_len), 0))
                        return;
                model_remove(op->w->model, m);
                step_done(&one);
        }
}

static void op_delete(struct op *op)
{
        op->what = "delete";
        int expected = !op->there ? BM_E_NOT_FOUND : op->there->names_map ? BM_E_IS_MAP : 0;
        if (!answered(op, bm_delete_key(op->map, op->key, op->key_len), expected))
                return;
        model_remove(op->w->model, op->there);
        step_done(op);
}

static void op_count(struct op *op)
{
        struct model_record *m = op->there;
        uint64_t count = 0;
        op->what = "count";
        if (!m || m->names_map)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, m->record_id};
        switch (below(op->w, 3)) {
        case 0:
                count = m->count + 1;
                if (!answered(op, bm_addref(op->map, op->key, op->key_len, NULL), 0))
                        return;
                break;
        case 1:
                count = m->count - 1;
                if (!answered(op, bm_unref(op->map, op->key, op->key_len, NULL),
                              m->count == 0 ? BM_E_COUNT : 0))
                        return;
                break;
        case 2:
                count = any_count(op->w);
                if (!answered(op, bm_count_set(&ref, count), 0))
                        return;
                break;
        }
        m->count = count;
        model_changed(op->w->model, m);
        step_done(op);
}

static int new_meta(void *ctx, const struct bm_view *now, void *meta, size_t *len)
{
        const struct model_record *m = ctx;
        if (m->meta_len)
                memcpy(meta, m->meta, m->meta_len);
        *len = m->meta_len;
        return 0;
}

static void op_meta(struct op *op)
{
        uint8_t meta[300];
        struct model_record next = {.meta = meta, .meta_len = below(op->w, sizeof(meta))};
        op->what = "meta";
        if (!op->there)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        fill(op->w, meta, next.meta_len);
        if (!answered(op, bm_set_meta(&ref, new_meta, &next), 0))
                return;
        model_set_meta(op->there, meta, next.meta_len);
        model_changed(op->w->model, op->there);
        step_done(op);
}

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

static void op_write(struct op *op)
{
        size_t len = 1 + (below(op->w, 3) ? below(op->w, 3000) : below(op->w, 3 * CHUNK));
        size_t done, first = op->w->history->n_steps;
        op->what = "write";
        if (!op->there || op->there->names_map)
                return;
        uint64_t offset = below(op->w, op->there->size + 5000);
        if (below(op->w, 4) == 0)
                offset = below(op->w, LARGE);
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        uint8_t *bytes = must_alloc(len);
        fill(op->w, bytes, len);
        int r = bm_write_at(&ref, offset, bytes, len, NULL, NULL, &done);
        (void)answered(op, r, 0);
        if (r == 0 && done != len)
                snprintf(op->w->problem, sizeof(op->w->problem), "write: %zu of %zu", done, len);
        /* a crash may leave whole chunks of it */
        for (uint64_t at = offset; at < offset + done;) {
                uint64_t to = (at / CHUNK + 1) * CHUNK;
                if (to > offset + done || offset + len <= INLINE)
                        to = offset + done;
                written(op, bytes + (at - offset), at, to);
                step_done(op);
                at = to;
        }
        for (size_t i = first; i < op->w->history->n_steps; i++)
                op->w->history->steps[i].end = op->w->trace->n;
        free(bytes);
}

static void op_truncate(struct op *op)
{
        struct model_record *m = op->there;
        op->what = "truncate";
        if (!m || m->names_map)
                return;
        uint64_t size = below(op->w, 2) ? below(op->w, m->size + 1) : below(op->w, LARGE);
        const struct bm_ref ref = {op->map, op->key, op->key_len, m->record_id};
        if (!answered(op, bm_truncate(&ref, size, NULL, NULL), 0))
                return;
        uint8_t *value = must_alloc(size);
        size_t keep = size < m->size ? size : m->size;
        memcpy(value, m->value, keep);
        memset(value + keep, 0, size - keep);
        model_set_value(m, value, size);
        free(value);
        model_changed(op->w->model, m);
        step_done(op);
}

static void keep_orphan(struct work *w, uint64_t record_id)
{
        if (w->n_orphans == ORPHANS_MAX) {
                int r = bm_orphan_release(w->store, w->orphans[0]);
                if (r != 0 && !w->faults)
                        snprintf(w->problem, sizeof(w->problem), "releasing an orphan: %s",
                                 bm_strerror(r));
                w->n_orphans--;
                memmove(w->orphans, w->orphans + 1, w->n_orphans * sizeof(*w->orphans));
        }
        w->orphans[w->n_orphans++] = record_id;
}

static void op_remove(struct op *op)
{
        op->what = "remove";
        if (!op->there || op->there->names_map)
                return;
        const struct bm_ref ref = {op->map, op->key, op->key_len, op->there->record_id};
        const struct bm_remove_args args = {.orphan = below(op->w, 2)};
        if (!answered(op, bm_remove(&ref, &args), 0))
                return;
        if (args.orphan)
                keep_orphan(op->w, op->there->record_id);
        model_remove(op->w->model, op->there);
        step_done(op);
}

/* A removed but open record is still written to; a crash ends it. */
static void op_write_orphan(struct op *op)
{
        struct work *w = op->w;
        uint8_t key[8], bytes[2000];
        struct bm_ref ref;
        size_t done;
        op->what = "write orphan";
        if (w->n_orphans == 0)
                return;
        bm_orphan_ref(w->store, w->orphans[below(w, w->n_orphans)], key, &ref);
        fill(w, bytes, sizeof(bytes));
        (void)answered(
                op, bm_write_at(&ref, below(w, 40000), bytes, sizeof(bytes), NULL, NULL, &done), 0);
}

static void op_mkmap(struct op *op)
{
        uint64_t map_id, record_id;
        op->what = "make map";
        int r = bm_map_create(op->map, op->key, op->key_len, "m", 1, &map_id, &record_id);
        if (!answered(op, r, op->there ? BM_E_EXISTS : 0))
                return;
        struct model_record *m = made(op, NULL, 0);
        model_set_meta(m, "m", 1);
        m->record_id = record_id;
        m->names_map = map_id;
        model_changed(op->w->model, m);
        step_done(op);
}

static void op_rmmap(struct op *op)
{
        struct model_record *m = op->there;
        int expected = BM_E_NOT_FOUND;
        op->what = "remove map";
        if (m && !m->names_map)
                expected = BM_E_NOT_MAP;
        else if (m)
                expected = model_count_in(op->w->model, m->names_map) ? BM_E_NOT_EMPTY : 0;
        if (!answered(op, bm_map_remove(op->map, op->key, op->key_len), expected))
                return;
        model_remove(op->w->model, m);
        step_done(op);
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

static void op_rename(struct op *op)
{
        struct work *w = op->w;
        struct model_record *from = op->there, *to;
        struct bm_rename_args args = {.exchange = below(w, 3) == 0, .orphan_victim = below(w, 2)};
        struct op target = {.w = w};
        op->what = args.exchange ? "exchange" : "rename";
        if (!from || !begin(&target, w))
                return;
        to = target.there;
        const struct bm_ref ref = {op->map, op->key, op->key_len, from->record_id};
        int expected =
                from == to ? 0 : rename_outcome(w->model, from, to, target.map_id, args.exchange);
        int r = bm_rename(&ref, target.map, target.key, target.key_len, &args);
        close_map(target.map_id, target.map);
        if (!answered(op, r, expected) || from == to)
                return;
        if (args.exchange) {
                swap_names(from, to);
                model_changed(w->model, to);
        } else {
                if (to && !to->names_map && args.orphan_victim)
                        keep_orphan(w, to->record_id);
                if (to && !to->names_map && from->count == 1)
                        from->count = to->count;
                from->map_id = target.map_id;
                from->key_len = target.key_len;
                memcpy(from->key, target.key, sizeof(from->key));
        }
        model_changed(w->model, from);
        if (to && !args.exchange)
                model_remove(w->model, to);
        step_done(op);
}

struct batch_item {
        struct op op;
        unsigned kind; /* 0 insert, 1 delete, 2 count */
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
        if (!begin(&it->op, w))
                return false;
        bool taken = it->op.there && it->op.there->names_map;
        for (size_t k = 0; k < i && !taken; k++)
                taken = items[k].op.map_id == it->op.map_id &&
                        items[k].op.key_len == it->op.key_len &&
                        memcmp(items[k].op.key, it->op.key, it->op.key_len) == 0;
        it->kind = (unsigned)below(w, 3);
        it->size = below(w, sizeof(it->value));
        it->count = any_count(w);
        fill(w, it->value, it->size);
        if (taken || (it->kind == 2 && !it->op.there)) {
                close_map(it->op.map_id, it->op.map);
                return false;
        }
        if (it->kind == 0)
                r = bm_write_batch_insert(batch, it->op.map, it->op.key, it->op.key_len, it->value,
                                          it->size, it->count);
        else if (it->kind == 1)
                r = bm_write_batch_delete(batch, it->op.map, it->op.key, it->op.key_len);
        else
                r = bm_write_batch_count(batch, it->op.map, it->op.key, it->op.key_len, it->count);
        (void)answered(&it->op, r, 0);
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
                made(op, it->value, it->size);
                model_set_meta(op->there, NULL, 0);
                learn_id(op);
        }
        op->there->count = it->count;
        model_changed(w->model, op->there);
}

static void op_batch(struct op *op)
{
        struct work *w = op->w;
        struct bm_write_batch *batch;
        struct batch_item items[BATCH_ITEMS];
        size_t n = 0;
        op->what = "batch";
        if (!answered(op, bm_write_batch_new(w->store, &batch), 0))
                return;
        for (unsigned i = 0; i < BATCH_ITEMS; i++) {
                items[n].op = (struct op){.what = "batch item"};
                n += add_item(w, batch, items, n);
        }
        op->begin = w->trace->n;
        bool took_place = answered(op, bm_write_batch_commit(batch), 0);
        for (size_t i = 0; i < n; i++) {
                if (took_place)
                        apply_item(w, &items[i]);
                close_map(items[i].op.map_id, items[i].op.map);
        }
        bm_write_batch_free(batch);
        if (took_place)
                step_done(op);
}

static void op_sync(struct op *op)
{
        op->what = "sync";
        if (answered(op, bm_sync(op->w->store), 0))
                history_ack(op->w->history, op->w->trace->n, op->w->history->n_steps - 1);
}

static void op_checkpoint(struct op *op)
{
        op->what = "checkpoint";
        if (answered(op, bm_checkpoint(op->w->store), 0))
                history_ack(op->w->history, op->w->trace->n, op->w->history->n_steps - 1);
}

static void op_compact(struct op *op)
{
        op->what = "compact";
        (void)answered(op, bm_compact(op->w->store), 0);
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
                uint64_t luck = below(w, total);
                struct op op = {0};
                size_t i = 0;
                while (luck >= ops[i].weight)
                        luck -= ops[i++].weight;
                if (!begin(&op, w))
                        return w->faults;
                ops[i].run(&op);
                close_map(op.map_id, op.map);
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
