/* SPDX-License-Identifier: MIT */
/* Comparing a whole store with the model. */
#include "model.h"

struct bm_map *run_map(struct run *run, struct model_map *map)
{
        if (!map->parent)
                return bm_root(run->store);
        if (!map->open)
                assert_ok(bm_map_open(run->store, map->id, &map->open));
        return map->open;
}

void run_release(struct run *run)
{
        run_listing_end(run);
        for (unsigned i = 0; i < run->model.n_maps; i++) {
                bm_map_close(run->model.maps[i]->open);
                run->model.maps[i]->open = NULL;
        }
}

void run_verify_record(struct run *run, struct model_record *record, const struct bm_ref *ref,
                       const struct bm_view *view)
{
        static unsigned char value[2 * MODEL_SIZE_MAX + 1];
        size_t done;

        assert_true(view->record_id > 1);
        if (record->id)
                assert_int_equal(view->record_id, record->id);
        record->id = view->record_id;
        assert_int_equal(view->meta_len, record->meta_len);
        if (record->meta_len)
                assert_memory_equal(view->meta, record->meta, record->meta_len);
        assert_int_equal(view->map_id != 0, record->map != NULL);
        if (record->map) {
                if (record->map->id)
                        assert_int_equal(view->map_id, record->map->id);
                record->map->id = view->map_id;
                return;
        }
        assert_int_equal(view->links, record->links);
        assert_int_equal(view->count, record->count);
        assert_int_equal(view->size, record->size);
        if (view->value && view->size)
                assert_memory_equal(view->value, record->value, record->size);
        assert_ok(bm_read_at(ref, 0, value, sizeof(value), &done));
        assert_int_equal(done, record->size);
        if (done)
                assert_memory_equal(value, record->value, done);
}

/* A name that was met. */
struct seen {
        uint64_t id;
        const struct model_record *record;
};

struct verification {
        struct run *run;
        struct model_map *map;
        struct bm_map *open;
        unsigned n, n_maps;
        uint64_t value_bytes;
        struct seen *ids; /* of the records of all names in all maps */
        unsigned n_ids;
};

static int verify_item(void *ctx, const struct bm_item *item)
{
        struct verification *v = ctx;
        unsigned number = model_key_number(item->key, item->key_len);
        struct model_record *record = model_find(v->map, number);
        struct bm_ref ref = {.map = v->open, .key = item->key, .key_len = item->key_len};

        if (!record)
                fail_msg("key %u is there and should not be", number);
        run_verify_record(v->run, record, &ref, &item->view);
        v->n++;
        v->n_maps += record->map != NULL;
        if (!record->by_id)
                v->value_bytes += record->size;
        assert_int_equal(item->view.by_id, record->by_id);
        v->ids[v->n_ids++] = (struct seen){.id = record->id, .record = record};
        return 0;
}

/* All keys that there may be, at once: the same as one after the other. */
static void verify_together(struct bm_map *map)
{
        static char names[MODEL_KEYS][BM_KEY_MAX];
        static struct bm_view views[MODEL_KEYS];
        struct bm_key keys[MODEL_KEYS];
        int results[MODEL_KEYS];

        for (unsigned i = 0; i < MODEL_KEYS; i++)
                keys[i] = (struct bm_key){names[i], model_key(i, names[i])};
        bm_read_values(map, keys, MODEL_KEYS, views, results);
        for (unsigned i = 0; i < MODEL_KEYS; i++) {
                struct bm_view alone;

                assert_int_equal(bm_read_value(map, keys[i].key, keys[i].key_len, &alone),
                                 results[i]);
                assert_int_equal(views[i].record_id, alone.record_id);
                assert_int_equal(views[i].count, alone.count);
                assert_int_equal(views[i].size, alone.size);
                assert_int_equal(views[i].map_id, alone.map_id);
                assert_int_equal(views[i].links, alone.links);
                assert_int_equal(!views[i].value, !alone.value);
                if (alone.value && alone.size)
                        assert_memory_equal(views[i].value, alone.value, alone.size);
                bm_view_release(&alone);
                bm_view_release(&views[i]);
        }
}

static void verify_map(struct verification *v)
{
        struct model_name *name, *next;
        struct bm_map_info info;

        v->n = v->n_maps = 0;
        v->value_bytes = 0;
        v->open = run_map(v->run, v->map);
        assert_ok(bm_keys(v->open, verify_item, v));
        HASH_ITER(hh, v->map->names, name, next)
        {
                char key[BM_KEY_MAX];
                size_t len = model_key(name->number, key);
                struct bm_view view;

                assert_ok(bm_read_value(v->open, key, len, &view));
                assert_int_equal(view.record_id, name->record->id);
                bm_view_release(&view);
        }
        verify_together(v->open);
        assert_int_equal(v->n, HASH_COUNT(v->map->names));
        assert_ok(bm_map_info(v->open, &info));
        assert_int_equal(info.n_keys, v->n);
        assert_int_equal(info.n_maps, v->n_maps);
        assert_int_equal(info.value_bytes, v->value_bytes);
        if (v->map->parent) {
                assert_int_equal(info.map_id, v->map->id);
                assert_int_equal(info.record_id, v->map->entry->id);
                if (v->map->parent->parent)
                        assert_int_equal(info.parent_id, v->map->parent->id);
        }
}

/* Each id as often as its record has names, which all lead to the same record. */
static void verify_ids(const struct verification *v)
{
        for (unsigned i = 0, n = 1; i < v->n_ids; i++, n++) {
                if (i + 1 < v->n_ids && v->ids[i].id == v->ids[i + 1].id) {
                        assert_ptr_equal(v->ids[i].record, v->ids[i + 1].record);
                        continue;
                }
                assert_int_equal(n, v->ids[i].record->links);
                n = 0;
        }
}

static int by_number(const void *a, const void *b)
{
        uint64_t x = ((const struct seen *)a)->id, y = ((const struct seen *)b)->id;

        return x < y ? -1 : x > y;
}

/* Parents first: a map's id is learned from its entry. */
static void verify_below(struct verification *v, struct model_map *parent)
{
        v->map = parent;
        verify_map(v);
        for (unsigned i = 0; i < v->run->model.n_maps; i++)
                if (v->run->model.maps[i]->parent == parent)
                        verify_below(v, v->run->model.maps[i]);
}

void run_verify(struct run *run)
{
        static struct seen ids[MODEL_KEYS * MODEL_MAPS];
        struct verification v = {.run = run, .ids = ids};
        struct bm_stats stats;

        verify_below(&v, run->model.maps[0]);
        qsort(ids, v.n_ids, sizeof(*ids), by_number);
        verify_ids(&v);
        if (run->model.n_orphans > 0)
                return;
        assert_ok(bm_stats(run->store, &stats));
        assert_int_equal(stats.maps, run->model.n_maps);
        assert_int_equal(stats.keys, v.n_ids - (run->model.n_maps - 1));
}
