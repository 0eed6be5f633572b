/* SPDX-License-Identifier: MIT */
/* Random operations on names: renaming, removing, what stays open, maps. */
#include "model.h"

/* What NUMBER of MAP is called in the store, by any id. */
static void name_target(struct run *run, struct model_map *map, unsigned number, struct named *to)
{
        *to = (struct named){0};
        if (!run->store)
                return;
        to->ref.map = run_map(run, map);
        to->ref.key = to->key;
        to->ref.key_len = model_key(number, to->key);
}

static uint64_t rename_results(struct model_map *from_map, struct model_record *from, bool wrong,
                               struct model_map *to_map, struct model_record *to,
                               const struct bm_rename_args *args)
{
        uint64_t results = 0;

        if (!from)
                return RESULT(BM_E_NOT_FOUND);
        if (wrong)
                return RESULT(BM_E_STALE);
        if (from == to)
                return 0;
        if (from->map && model_map_holds(from->map, to_map))
                results |= RESULT(BM_E_LOOP);
        if (args->exchange && !to)
                results |= RESULT(BM_E_NOT_FOUND);
        if (args->exchange && to && to->map && model_map_holds(to->map, from_map))
                results |= RESULT(BM_E_LOOP);
        if (args->no_replace && to)
                results |= RESULT(BM_E_EXISTS);
        if (args->exchange || !to)
                return results;
        if (to->map && !from->map)
                results |= RESULT(BM_E_IS_MAP);
        if (from->map && !to->map)
                results |= RESULT(BM_E_NOT_MAP);
        if (to->map && to->map->names)
                results |= RESULT(BM_E_NOT_EMPTY);
        return results;
}

static void model_exchange(struct model_map *a_map, unsigned a_number, struct model_map *b_map,
                           unsigned b_number)
{
        struct model_record *a = model_find(a_map, a_number), *b = model_find(b_map, b_number);

        model_take(a_map, a_number);
        model_take(b_map, b_number);
        model_put(b_map, a, b_number);
        model_put(a_map, b, a_number);
}

/* Where the record with that id stands aside, until it is released. */
static void model_keep_orphan(struct run *run, struct model_record *record)
{
        run->model.orphans[run->model.n_orphans++] = record;
}

static bool room_for_orphan(const struct run *run)
{
        return run->model.n_orphans < MODEL_ORPHANS;
}

void op_rename(struct run *run, struct test_random *random)
{
        struct model_map *from_map = pick_map(run, random), *to_map = pick_map(run, random);
        unsigned from_number = pick_number(random), to_number = pick_number(random);
        struct model_record *from = model_find(from_map, from_number);
        struct model_record *to = model_find(to_map, to_number);
        uint64_t way = test_random_below(random, 5), results;
        bool with_meta = test_random_below(random, 2);
        struct new_meta meta;
        struct named named, target;
        struct bm_rename_args args = {
                .no_replace = way == 0,
                .exchange = way == 1,
                .orphan_victim = way == 2 && room_for_orphan(run) && to && !to->map,
                .moved_fn = with_meta ? put_meta : NULL,
                .meta_ctx = &meta,
        };

        pick_ref(run, random, from_map, from_number, &named);
        pick_meta(random, &meta);
        name_target(run, to_map, to_number, &target);
        /* with one record, not replacing could be refused or be nothing to do */
        if (from && from == to && (args.no_replace || args.exchange))
                return;
        results = rename_results(from_map, from, named.wrong, to_map, to, &args);
        if (run->store)
                expect(run,
                       bm_rename(&named.ref, target.ref.map, target.ref.key, target.ref.key_len,
                                 &args),
                       results);
        if (results || from == to)
                return;
        if (run->store && to && to->id)
                assert_int_equal(args.victim_id, to->id);
        if (run->store && !to)
                assert_int_equal(args.victim_id, 0);
        if (with_meta)
                model_set_meta(from, meta.bytes, meta.len);
        if (args.exchange) {
                if (with_meta)
                        model_set_meta(to, meta.bytes, meta.len);
                model_exchange(from_map, from_number, to_map, to_number);
                return;
        }
        run_listing_gone(run, from_map, from_number);
        model_take(from_map, from_number);
        if (to) {
                model_take(to_map, to_number);
                if (run->store)
                        assert_int_equal(args.victim_links, to->links);
                if (to->links && with_meta)
                        model_set_meta(to, meta.bytes, meta.len);
                if (from->count == 1 && !to->map)
                        from->count = to->count;
        }
        model_put(to_map, from, to_number);
        if (to && args.orphan_victim && !to->links) {
                to->id = args.victim_id;
                model_keep_orphan(run, to);
        } else if (to) {
                if (to->map) {
                        if (run->listed == to->map)
                                run_listing_end(run);
                        bm_map_close(to->map->open);
                        model_map_remove(&run->model, to->map);
                }
                model_record_free(to);
        }
}

void op_link(struct run *run, struct test_random *random)
{
        struct model_map *from_map = pick_map(run, random), *to_map = pick_map(run, random);
        unsigned from_number = pick_number(random), to_number = pick_number(random);
        struct model_record *from = model_find(from_map, from_number);
        struct model_record *to = model_find(to_map, to_number);
        bool with_meta = test_random_below(random, 2), by_id = test_random_below(random, 4) == 0;
        uint64_t results = 0;
        struct new_meta meta;
        struct named named, target;

        pick_ref(run, random, from_map, from_number, &named);
        pick_meta(random, &meta);
        name_target(run, to_map, to_number, &target);
        if (!from)
                results = RESULT(BM_E_NOT_FOUND);
        else if (named.wrong)
                results |= RESULT(BM_E_STALE);
        if (from && from->map)
                results |= RESULT(BM_E_IS_MAP);
        if (from && to)
                results |= RESULT(BM_E_EXISTS);
        if (run->store && from && from->by_id && from->id && by_id && !named.wrong)
                bm_id_ref(run->store, from->id, (uint8_t *)named.key, &named.ref);
        if (run->store)
                expect(run,
                       bm_link(&named.ref, target.ref.map, target.ref.key, target.ref.key_len,
                               with_meta ? put_meta : NULL, &meta),
                       results);
        if (results)
                return;
        if (with_meta)
                model_set_meta(from, meta.bytes, meta.len);
        model_put(to_map, from, to_number);
        from->by_id = true;
}

void op_remove(struct run *run, struct test_random *random)
{
        uint32_t links = 0;
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        struct new_meta meta;
        struct named named;
        struct bm_remove_args args = {
                .orphan = test_random_below(random, 2) && room_for_orphan(run),
                .guard = test_random_below(random, 3) == 0,
                .links = &links,
                .meta_ctx = &meta,
        };
        uint64_t results = 0;
        struct bm_view view;

        pick_ref(run, random, map, number, &named);
        pick_meta(random, &meta);
        if (args.orphan && test_random_below(random, 2))
                args.meta_fn = put_meta;
        if (test_random_below(random, 2))
                args.linked_fn = put_meta;
        if (!record)
                results = RESULT(BM_E_NOT_FOUND);
        else if (named.wrong)
                results |= RESULT(BM_E_STALE);
        if (record && record->map)
                results |= RESULT(BM_E_IS_MAP);
        if (record && args.guard && record->links == 1 && record->count > 1)
                results |= RESULT(BM_E_COUNT);
        if (run->store && !results && !record->id) {
                assert_ok(bm_read_ref(&named.ref, &view));
                record->id = view.record_id;
                bm_view_release(&view);
        }
        if (run->store)
                expect(run, bm_remove(&named.ref, &args), results);
        if (results)
                return;
        run_listing_gone(run, map, number);
        model_take(map, number);
        if (run->store)
                assert_int_equal(links, record->links);
        if (record->links && args.linked_fn)
                model_set_meta(record, meta.bytes, meta.len);
        if (record->links || !args.orphan) {
                model_record_free(record);
                return;
        }
        if (args.meta_fn)
                model_set_meta(record, meta.bytes, meta.len);
        model_keep_orphan(run, record);
}

/* Works on what was removed but is still open, or lets go of it. */
void op_orphan(struct run *run, struct test_random *random)
{
        uint64_t what = test_random_below(random, 5), offset, pick;
        const struct random_bytes *value = pick_value(random, MODEL_INLINE * 2);
        struct model_record *record;
        struct bm_view view;
        struct bm_ref ref;
        uint8_t key[8];
        size_t done;

        if (run->model.n_orphans == 0)
                return;
        pick = test_random_below(random, run->model.n_orphans);
        record = run->model.orphans[pick];
        offset = test_random_below(random, record->size + 1000);
        if (run->store) {
                bm_orphan_ref(run->store, record->id, key, &ref);
                assert_ok(bm_read_ref(&ref, &view));
                run_verify_record(run, record, &ref, &view);
                bm_view_release(&view);
        }
        switch (what) {
        case 0:
                if (run->store)
                        assert_ok(bm_orphan_release(run->store, record->id));
                if (run->store)
                        assert_result(bm_read_ref(&ref, &view), BM_E_NOT_FOUND);
                model_record_free(record);
                run->model.orphans[pick] = run->model.orphans[--run->model.n_orphans];
                break;
        case 1:
                if (run->store)
                        assert_ok(bm_truncate(&ref, offset, NULL, NULL));
                model_resize(record, offset);
                break;
        case 2:
                if (run->store)
                        assert_ok(bm_count_set(&ref, 5));
                record->count = 5;
                break;
        default:
                if (value->len == 0 || offset + value->len > 2 * MODEL_SIZE_MAX)
                        return;
                if (run->store)
                        assert_ok(bm_write_at(&ref, offset, value->bytes, value->len, NULL, NULL,
                                              &done));
                if (offset + value->len > record->size)
                        model_resize(record, offset + value->len);
                memcpy(record->value + offset, value->bytes, value->len);
                break;
        }
}

void op_map_create(struct run *run, struct test_random *random)
{
        struct model_map *parent = pick_map(run, random), *map;
        unsigned number = pick_number(random);
        struct model_record *record = model_find(parent, number);
        uint64_t map_id = 0, record_id = 0;
        struct new_meta meta;
        struct named named;

        pick_meta(random, &meta);
        if (run->model.n_maps == MODEL_MAPS)
                return;
        name_target(run, parent, number, &named);
        if (run->store)
                expect(run,
                       bm_map_create(named.ref.map, named.ref.key, named.ref.key_len, meta.bytes,
                                     meta.len, &map_id, &record_id),
                       record ? RESULT(BM_E_EXISTS) : 0);
        if (record)
                return;
        record = model_add(parent, number);
        record->id = record_id;
        model_set_meta(record, meta.bytes, meta.len);
        map = model_map_add(&run->model, parent, record);
        map->id = map_id;
}

/* Sometimes empties one first: a random one seldom is. */
void op_map_remove(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random), *parent = map->parent;
        bool by_number = test_random_below(random, 2) || !parent;
        bool empty = test_random_below(random, 3) == 0 && !run->atomic_only;
        struct model_map *at = by_number ? map : parent;
        unsigned number = by_number ? pick_number(random) : map->entry->number;
        struct model_record *record = model_find(at, number);
        struct model_name *inner, *next;
        struct named named;
        uint64_t results = 0;

        if (empty && record && record->map)
                HASH_ITER(hh, record->map->names, inner, next)
                {
                        struct model_record *named_record = inner->record;

                        if (named_record->map)
                                continue;
                        name_target(run, record->map, inner->number, &named);
                        if (run->store)
                                assert_ok(bm_delete_key(named.ref.map, named.ref.key,
                                                        named.ref.key_len));
                        run_listing_gone(run, record->map, inner->number);
                        model_take(record->map, inner->number);
                        model_record_free(named_record);
                }
        if (!record)
                results = RESULT(BM_E_NOT_FOUND);
        else if (!record->map)
                results = RESULT(BM_E_NOT_MAP);
        else if (record->map->names)
                results = RESULT(BM_E_NOT_EMPTY);
        name_target(run, at, number, &named);
        if (run->store)
                expect(run, bm_map_remove(named.ref.map, named.ref.key, named.ref.key_len),
                       results);
        if (results)
                return;
        run_listing_gone(run, at, number);
        if (run->listed == record->map)
                run_listing_end(run);
        if (record->map->open)
                expect(run, bm_delete_key(record->map->open, "x", 1), RESULT(BM_E_NOT_FOUND));
        bm_map_close(record->map->open);
        model_map_remove(&run->model, record->map);
        model_take(at, number);
        model_record_free(record);
}
