/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "trace.h"

enum { PROBLEM = 200 };

struct model_record *model_find(struct model *m, uint64_t map_id, const void *key, size_t key_len)
{
        for (size_t i = 0; i < m->n; i++) {
                struct model_record *r = &m->records[i];
                if (r->map_id == map_id && r->key_len == key_len &&
                    memcmp(r->key, key, key_len) == 0)
                        return r;
        }
        return NULL;
}

struct model_record *model_add(struct model *m, uint64_t map_id, const void *key, size_t key_len)
{
        if (m->n == m->cap) {
                m->cap = m->cap ? m->cap * 2 : 64;
                m->records = must_realloc(m->records, m->cap * sizeof(*m->records));
        }
        struct model_record *r = &m->records[m->n++];
        *r = (struct model_record){.map_id = map_id, .key_len = key_len, .count = 1, .links = 1};
        memcpy(r->key, key, key_len);
        return r;
}

static void set(uint8_t **to, size_t *to_len, const void *bytes, size_t len)
{
        uint8_t *copy = must_alloc(len);
        if (len)
                memcpy(copy, bytes, len);
        free(*to);
        *to = copy;
        *to_len = len;
}

void model_set_value(struct model_record *r, const void *value, size_t size)
{
        set(&r->value, &r->size, value, size);
}

void model_set_meta(struct model_record *r, const void *meta, size_t len)
{
        set(&r->meta, &r->meta_len, meta, len);
}

static uint64_t hash_of(const struct model_record *r)
{
        const uint64_t numbers[] = {
                r->map_id,
                r->record_id,
                r->count,
                r->names_map,
                r->links,
                r->key_len,
                r->size,
                r->meta_len,
                XXH3_64bits(r->key, r->key_len),
                /* a map's value is the library's own */
                r->names_map ? 0 : XXH3_64bits(r->value, r->size),
                XXH3_64bits(r->meta, r->meta_len),
        };
        return XXH3_64bits(numbers, sizeof(numbers));
}

static void rehash(struct model *m, struct model_record *r)
{
        m->hash -= r->hash;
        r->hash = hash_of(r);
        m->hash += r->hash;
}

static bool is_other_name(const struct model_record *r, const struct model_record *other)
{
        return other != r && other->record_id == r->record_id;
}

void model_changed(struct model *m, struct model_record *r)
{
        rehash(m, r);
        for (size_t i = 0; i < m->n && r->links > 1; i++) {
                struct model_record *other = &m->records[i];
                if (!is_other_name(r, other))
                        continue;
                other->links = r->links;
                other->count = r->count;
                model_set_value(other, r->value, r->size);
                model_set_meta(other, r->meta, r->meta_len);
                rehash(m, other);
        }
}

void model_link(struct model *m, const struct model_record *r, uint64_t map_id, const void *key,
                size_t key_len)
{
        size_t at = (size_t)(r - m->records);
        struct model_record *name = model_add(m, map_id, key, key_len);
        r = &m->records[at];
        name->record_id = r->record_id;
        name->count = r->count;
        name->links = r->links + 1;
        model_set_value(name, r->value, r->size);
        model_set_meta(name, r->meta, r->meta_len);
        model_changed(m, name);
}

void model_remove(struct model *m, struct model_record *r)
{
        for (size_t i = 0; i < m->n && r->links > 1; i++) {
                if (!is_other_name(r, &m->records[i]))
                        continue;
                m->records[i].links--;
                rehash(m, &m->records[i]);
        }
        m->hash -= r->hash;
        free(r->value);
        free(r->meta);
        *r = m->records[--m->n];
}

size_t model_count_in(const struct model *m, uint64_t map_id)
{
        size_t n = 0;
        for (size_t i = 0; i < m->n; i++)
                n += m->records[i].map_id == map_id;
        return n;
}

void model_take(struct model *m, struct model *to, uint8_t first)
{
        *to = (struct model){0};
        for (size_t i = m->n; i-- > 0;) {
                struct model_record *r = &m->records[i];
                if (r->key[0] != first)
                        continue;
                struct model_record *moved = model_add(to, r->map_id, r->key, r->key_len);
                *moved = *r;
                to->hash += r->hash;
                m->hash -= r->hash;
                *r = m->records[--m->n];
        }
}

void model_clear(struct model *m)
{
        for (size_t i = 0; i < m->n; i++) {
                free(m->records[i].value);
                free(m->records[i].meta);
        }
        free(m->records);
        *m = (struct model){0};
}

struct loading {
        struct model *model;
        struct bm_map *map;
        uint64_t map_id;
        char *problem;
};

static int load_large(struct loading *l, const struct bm_item *item, struct model_record *r)
{
        const struct bm_ref ref = {.map = l->map,
                                   .key = item->key,
                                   .key_len = item->key_len,
                                   .record_id = item->view.record_id};
        uint8_t *bytes = must_alloc(item->view.size);
        size_t done;
        int result = bm_read_at(&ref, 0, bytes, item->view.size, &done);
        if (result == 0 && done != item->view.size)
                result = -ENODATA;
        if (result == 0)
                model_set_value(r, bytes, done);
        free(bytes);
        return result;
}

static int load_item(void *ctx, const struct bm_item *item)
{
        struct loading *l = ctx;
        const struct bm_view *v = &item->view;
        int result = 0;
        if (item->key_len > sizeof(((struct model_record *)0)->key) ||
            model_find(l->model, l->map_id, item->key, item->key_len)) {
                snprintf(l->problem, PROBLEM, "map %llu lists a key that is too long or twice",
                         (unsigned long long)l->map_id);
                return -EEXIST;
        }
        struct model_record *r = model_add(l->model, l->map_id, item->key, item->key_len);
        r->record_id = v->record_id;
        r->count = v->count;
        r->names_map = v->map_id;
        r->links = v->links;
        if (v->large)
                result = load_large(l, item, r);
        else if (!v->map_id)
                model_set_value(r, v->value, v->size);
        model_set_meta(r, v->meta, v->meta_len);
        rehash(l->model, r);
        if (result != 0)
                snprintf(l->problem, PROBLEM, "map %llu key %.*s size %llu: reading: %s",
                         (unsigned long long)l->map_id, (int)item->key_len, (const char *)item->key,
                         (unsigned long long)v->size, bm_strerror(result));
        return result;
}

static int load_map(struct model *m, struct bm_store *store, uint64_t map_id, char *problem)
{
        struct loading l = {.model = m, .map_id = map_id, .problem = problem};
        struct bm_map_info info;
        int r = 0;
        if (map_id == 0)
                l.map = bm_root(store);
        else
                r = bm_map_open(store, map_id, &l.map);
        if (r == 0)
                r = bm_map_info(l.map, &info);
        if (r != 0) {
                snprintf(problem, PROBLEM, "map %llu: %s", (unsigned long long)map_id,
                         bm_strerror(r));
                return r;
        }
        r = bm_keys(l.map, load_item, &l);
        if (r == 0 && info.n_keys != model_count_in(m, map_id)) {
                snprintf(problem, PROBLEM, "map %llu counts %llu keys but lists %zu",
                         (unsigned long long)map_id, (unsigned long long)info.n_keys,
                         model_count_in(m, map_id));
                r = -EBADMSG;
        }
        if (map_id != 0)
                bm_map_close(l.map);
        return r;
}

int model_load(struct model *m, struct bm_store *store, char *problem)
{
        *m = (struct model){0};
        problem[0] = 0;
        int r = load_map(m, store, 0, problem);
        /* the list grows as maps in maps are found */
        for (size_t i = 0; r == 0 && i < m->n; i++) {
                if (m->records[i].names_map)
                        r = load_map(m, store, m->records[i].names_map, problem);
        }
        return r;
}

void model_show(const struct model *m)
{
        for (size_t i = 0; i < m->n; i++) {
                const struct model_record *r = &m->records[i];
                printf("# map %llu key %.*s: id %llu links %u count %llu size %zu meta %zu map "
                       "%llu "
                       "%016llx\n",
                       (unsigned long long)r->map_id, (int)r->key_len, (const char *)r->key,
                       (unsigned long long)r->record_id, r->links, (unsigned long long)r->count,
                       r->size, r->meta_len, (unsigned long long)r->names_map,
                       (unsigned long long)r->hash);
        }
}
