/* SPDX-License-Identifier: MIT */
/* The plain model of a store. */
#include "model.h"

#include <stdio.h>

size_t model_key(unsigned number, char key[BM_KEY_MAX])
{
        /* a number, a mark, and bytes that a filesystem's users think of */
        static const char odd[] = " \n\t*?'\"\\-.\xff\xfe\x80\x01~#";
        size_t len = (size_t)snprintf(key, BM_KEY_MAX, "%u:", number);
        size_t want = number % 7 == 0 ? BM_KEY_MAX : len + number * 31 % 60;

        for (; len < want; len++)
                key[len] = odd[(number + len) % (sizeof(odd) - 1)];
        return len;
}

unsigned model_key_number(const void *key, size_t len)
{
        char text[BM_KEY_MAX + 1] = {0}, wanted[BM_KEY_MAX];
        unsigned number;

        assert_in_range(len, 1, BM_KEY_MAX);
        memcpy(text, key, len);
        assert_int_equal(sscanf(text, "%u:", &number), 1);
        assert_in_range(number, 0, MODEL_KEYS - 1);
        assert_int_equal(model_key(number, wanted), len);
        assert_memory_equal(wanted, key, len);
        return number;
}

struct model_map *model_map_add(struct model *model, struct model_map *parent,
                                struct model_record *entry)
{
        struct model_map *map = calloc(1, sizeof(*map));

        assert_non_null(map);
        assert_true(model->n_maps < MODEL_MAPS);
        map->parent = parent;
        map->entry = entry;
        if (entry)
                entry->map = map;
        model->maps[model->n_maps++] = map;
        return map;
}

void model_map_remove(struct model *model, struct model_map *map)
{
        struct model_name *name, *next;
        unsigned i = 0;

        while (model->maps[i] != map)
                i++;
        model->maps[i] = model->maps[--model->n_maps];
        HASH_ITER(hh, map->names, name, next)
        {
                struct model_record *record = name->record;

                model_take(map, name->number);
                model_record_free(record);
        }
        free(map);
}

void model_init(struct model *model)
{
        *model = (struct model){0};
        model_map_add(model, NULL, NULL);
}

void model_deinit(struct model *model)
{
        while (model->n_maps > 0)
                model_map_remove(model, model->maps[model->n_maps - 1]);
        model_drop_orphans(model);
}

static struct model_name *find_name(struct model_map *map, unsigned number)
{
        struct model_name *found;

        HASH_FIND(hh, map->names, &number, sizeof(number), found);
        return found;
}

struct model_record *model_find(struct model_map *map, unsigned number)
{
        struct model_name *name = find_name(map, number);

        return name ? name->record : NULL;
}

void model_put(struct model_map *map, struct model_record *record, unsigned number)
{
        struct model_name *name = calloc(1, sizeof(*name));

        assert_non_null(name);
        name->number = record->number = number;
        name->record = record;
        record->links++;
        HASH_ADD(hh, map->names, number, sizeof(name->number), name);
        if (record->map)
                record->map->parent = map;
}

void model_take(struct model_map *map, unsigned number)
{
        struct model_name *name = find_name(map, number);

        assert_non_null(name);
        name->record->links--;
        HASH_DEL(map->names, name);
        free(name);
}

struct model_record *model_add(struct model_map *map, unsigned number)
{
        struct model_record *record = calloc(1, sizeof(*record));

        assert_non_null(record);
        record->count = 1;
        model_put(map, record, number);
        return record;
}

void model_record_free(struct model_record *record)
{
        if (record->links > 0)
                return;
        free(record->value);
        free(record->meta);
        free(record);
}

void model_resize(struct model_record *record, size_t size)
{
        record->value = realloc(record->value, size + 1);
        assert_non_null(record->value);
        if (size > record->size)
                memset(record->value + record->size, 0, size - record->size);
        record->size = size;
}

void model_set_value(struct model_record *record, const void *value, size_t size)
{
        model_resize(record, size);
        memcpy(record->value, value, size);
}

void model_set_meta(struct model_record *record, const void *meta, size_t len)
{
        record->meta = realloc(record->meta, len + 1);
        assert_non_null(record->meta);
        if (len)
                memcpy(record->meta, meta, len);
        record->meta_len = len;
}

bool model_map_holds(const struct model_map *map, const struct model_map *inner)
{
        while (inner && inner != map)
                inner = inner->parent;
        return inner == map;
}

void model_drop_orphans(struct model *model)
{
        while (model->n_orphans > 0)
                model_record_free(model->orphans[--model->n_orphans]);
}
