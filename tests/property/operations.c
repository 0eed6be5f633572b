/* SPDX-License-Identifier: MIT */
/* Random operations on one key, done to the store and to the model alike. */
#include "model.h"

#include <errno.h>

struct model_map *pick_map(struct run *run, struct test_random *random)
{
        /* the root more often: it grows furthest */
        if (test_random_below(random, 3) == 0)
                return run->model.maps[0];
        return run->model.maps[test_random_below(random, run->model.n_maps)];
}

unsigned pick_number(struct test_random *random)
{
        return (unsigned)test_random_below(random, MODEL_KEYS);
}

size_t pick_size(struct test_random *random, size_t limit)
{
        static const size_t edges[] = {0,     1,     16383, 16384, 16385,
                                       32767, 32768, 32769, 65536, 98304};
        size_t size;

        switch (test_random_below(random, 16)) {
        case 0:
                size = test_random_below(random, MODEL_SIZE_MAX);
                break;
        case 1:
        case 2:
                size = edges[test_random_below(random, sizeof(edges) / sizeof(*edges))];
                break;
        case 3:
        case 4:
        case 5:
                size = test_random_below(random, 4096);
                break;
        default:
                size = test_random_below(random, 100);
                break;
        }
        return size < limit ? size : limit;
}

struct random_bytes *pick_value(struct test_random *random, size_t limit)
{
        static struct random_bytes value;

        value.len = pick_size(random, limit);
        test_random_fill(random, value.bytes, value.len);
        return &value;
}

struct random_bytes *pick_bytes(struct test_random *random, size_t len)
{
        static struct random_bytes value;

        value.len = len;
        test_random_fill(random, value.bytes, value.len);
        return &value;
}

void pick_ref(struct run *run, struct test_random *random, struct model_map *map, unsigned number,
              struct named *named)
{
        const struct model_record *record = model_find(map, number);
        uint64_t way = test_random_below(random, 10);

        *named = (struct named){.wrong = way == 0};
        if (!run->store)
                return;
        named->ref.map = run_map(run, map);
        named->ref.key = named->key;
        named->ref.key_len = model_key(number, named->key);
        if (way == 0)
                named->ref.record_id = UINT64_MAX / 2;
        else if (way < 6 && record)
                named->ref.record_id = record->id;
}

void run_expect(struct run *run, int result, uint64_t results, const char *call, const char *file,
                int line)
{
        if (result == 0 && results == 0)
                return;
        if (result > 0 && result < 64 && (results & RESULT(result)))
                return;
        print_error("operation %llu: %s\n  gave %d (%s), wanted one of %#llx\n",
                    (unsigned long long)run->n_done, call, result, bm_strerror(result),
                    (unsigned long long)results);
        _fail(file, line);
}

void pick_meta(struct test_random *random, struct new_meta *meta)
{
        *meta = (struct new_meta){0};
        meta->len = test_random_below(random, test_random_below(random, 4) ? 20 : 300);
        test_random_fill(random, meta->bytes, meta->len);
}

int put_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct new_meta *new = ctx;

        if (new->before) {
                assert_int_equal(*meta_len, new->before->meta_len);
                if (*meta_len)
                        assert_memory_equal(meta, new->before->meta, *meta_len);
                assert_int_equal(now->size, new->before->size);
                assert_int_equal(now->count, new->before->count);
        }
        memcpy(meta, new->bytes, new->len);
        *meta_len = new->len;
        return 0;
}

/* Key and map as the store wants them; nothing where only the model is kept. */
struct target {
        struct bm_map *map;
        char key[BM_KEY_MAX];
        size_t len;
};

static struct target target_of(struct run *run, struct model_map *map, unsigned number)
{
        struct target target = {0};

        if (run->store) {
                target.map = run_map(run, map);
                target.len = model_key(number, target.key);
        }
        return target;
}

/* An insert by any way replaces value, count and meta and keeps the id. */
static void model_insert(struct model_map *map, unsigned number, const struct random_bytes *value,
                         uint64_t count)
{
        struct model_record *record = model_find(map, number);

        if (!record)
                record = model_add(map, number);
        model_set_value(record, value->bytes, value->len);
        model_set_meta(record, NULL, 0);
        record->count = count;
}

static uint64_t pick_count(struct test_random *random)
{
        switch (test_random_below(random, 10)) {
        case 0:
                return BM_COUNT_MAX;
        case 1: /* around what fits into a slot */
                return (1 << 20) - 3 + test_random_below(random, 5);
        default:
                return test_random_below(random, 4);
        }
}

static bool is_map(const struct model_record *record)
{
        return record && record->map;
}

static void op_insert(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        uint64_t count = test_random_below(random, 50) ? pick_count(random) : BM_COUNT_MAX + 1;
        const struct random_bytes *value = pick_value(random, MODEL_SIZE_MAX);
        struct target to = target_of(run, map, number);
        uint64_t results = 0;

        if (is_map(model_find(map, number)))
                results |= RESULT(BM_E_IS_MAP);
        if (count > BM_COUNT_MAX)
                results |= RESULT(BM_E_COUNT);
        if (run->store)
                expect(run, bm_insert(to.map, to.key, to.len, value->bytes, value->len, count),
                       results);
        if (!results)
                model_insert(map, number, value, count);
}

static void op_try_write(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        uint64_t count = pick_count(random), capacity;
        const struct random_bytes *value = pick_value(random, MODEL_INLINE);
        struct target to = target_of(run, map, number);
        uint64_t results = is_map(model_find(map, number)) ? RESULT(BM_E_IS_MAP) : 0;

        while (run->store) {
                int r = bm_try_write(to.map, to.key, to.len, value->bytes, value->len, count,
                                     &capacity);

                if (r == BM_E_INDEX_NO_SPACE) {
                        assert_ok(bm_grow_index(to.map, to.key, to.len, capacity));
                } else if (r == BM_E_DATA_NO_SPACE) {
                        assert_ok(bm_grow_data(run->store, capacity));
                } else {
                        expect(run, r, results);
                        break;
                }
        }
        if (!results)
                model_insert(map, number, value, count);
}

/* What an update shall do, and what it saw. */
struct update {
        const struct model_record *before;
        enum bm_verdict verdict;
        bool keep_bytes;
        const struct random_bytes *value;
        struct new_meta meta;
        uint64_t count;
};

static enum bm_verdict update_record(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        struct update *u = ctx;

        assert_int_equal(now != NULL, u->before != NULL);
        if (now) {
                assert_int_equal(now->size, u->before->size);
                assert_int_equal(now->count, u->before->count);
                assert_int_equal(now->meta_len, u->before->meta_len);
                if (now->value && now->size)
                        assert_memory_equal(now->value, u->before->value, now->size);
                assert_true(now->value || now->large || now->size == 0);
        }
        next->count = u->count;
        if (!u->keep_bytes) {
                next->value = u->value->bytes;
                next->value_len = u->value->len;
                next->meta = u->meta.bytes;
                next->meta_len = u->meta.len;
        }
        return u->verdict;
}

static void op_update(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        struct update u = {
                .before = record,
                .keep_bytes = test_random_below(random, 3) == 0,
                .value = pick_value(random, MODEL_INLINE),
                .count = pick_count(random),
        };
        uint64_t verdict = test_random_below(random, 8);
        struct target to = target_of(run, map, number);

        pick_meta(random, &u.meta);
        u.verdict = verdict == 0 ? BM_KEEP : verdict == 1 && record ? BM_DELETE : BM_PUT;
        if (run->store)
                expect(run, bm_update(to.map, to.key, to.len, update_record, &u),
                       is_map(record) ? RESULT(BM_E_IS_MAP) : 0);
        if (is_map(record) || u.verdict == BM_KEEP)
                return;
        if (u.verdict == BM_DELETE) {
                run_listing_gone(run, map, number);
                model_take(map, number);
                model_record_free(record);
                return;
        }
        if (!record)
                record = model_add(map, number);
        record->count = u.count;
        if (!u.keep_bytes) {
                model_set_value(record, u.value->bytes, u.value->len);
                model_set_meta(record, u.meta.bytes, u.meta.len);
        }
}

static void op_delete(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        bool conditional = test_random_below(random, 3) == 0;
        uint64_t count = pick_count(random), results = 0;
        struct target to = target_of(run, map, number);

        if (!record)
                results = RESULT(BM_E_NOT_FOUND);
        else if (record->map)
                results = RESULT(BM_E_IS_MAP);
        else if (conditional && record->count != count)
                results = RESULT(BM_E_COUNT);
        if (run->store && conditional)
                expect(run, bm_delete_if_count(to.map, to.key, to.len, count), results);
        else if (run->store)
                expect(run, bm_delete_key(to.map, to.key, to.len), results);
        if (!results) {
                run_listing_gone(run, map, number);
                model_take(map, number);
                model_record_free(record);
        }
}

static void op_reference(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        bool add = test_random_below(random, 2);
        struct target to = target_of(run, map, number);
        uint64_t results = 0, count = 0;

        if (!record)
                results = RESULT(BM_E_NOT_FOUND);
        else if (record->map)
                results = RESULT(BM_E_IS_MAP);
        else if (record->count == (add ? BM_COUNT_MAX : 0))
                results = RESULT(BM_E_COUNT);
        else
                record->count += add ? 1 : UINT64_MAX;
        if (!run->store)
                return;
        if (add)
                expect(run, bm_addref(to.map, to.key, to.len, &count), results);
        else
                expect(run, bm_unref(to.map, to.key, to.len, &count), results);
        if (!results)
                assert_int_equal(count, record->count);
}

uint64_t ref_results(const struct model_record *record, const struct named *named)
{
        uint64_t results = 0;

        if (!record)
                return RESULT(BM_E_NOT_FOUND);
        if (named->wrong)
                results |= RESULT(BM_E_STALE);
        if (record->map)
                results |= RESULT(BM_E_IS_MAP);
        return results;
}

static void op_count(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        int64_t delta = (int64_t)test_random_below(random, 9) - 4;
        bool add = test_random_below(random, 2);
        uint64_t set = pick_count(random), results, count = 0;
        struct named named;

        pick_ref(run, random, map, number, &named);
        if (is_map(record))
                return;
        if (add && record)
                set = record->count + (uint64_t)delta;
        results = ref_results(record, &named);
        if (record && set > BM_COUNT_MAX)
                results |= RESULT(BM_E_COUNT);
        if (run->store && add)
                expect(run, bm_count_add(&named.ref, delta, &count), results);
        else if (run->store)
                expect(run, bm_count_set(&named.ref, set), results);
        if (results)
                return;
        record->count = set;
        if (run->store && add)
                assert_int_equal(count, set);
}

static void op_create(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        const struct random_bytes *value = pick_value(random, MODEL_INLINE);
        struct target to = target_of(run, map, number);
        struct new_meta meta;
        uint64_t id = 0;

        pick_meta(random, &meta);
        if (run->store)
                expect(run,
                       bm_create_record(to.map, to.key, to.len, value->bytes, value->len,
                                        meta.bytes, meta.len, &id),
                       record ? RESULT(BM_E_EXISTS) : 0);
        if (record)
                return;
        record = model_add(map, number);
        record->id = id;
        model_set_value(record, value->bytes, value->len);
        model_set_meta(record, meta.bytes, meta.len);
}

static void op_listing(struct run *run, struct test_random *random)
{
        run_listing_step(run, random);
        if (test_random_below(random, 4) == 0)
                run_list_from_cookie(run, pick_map(run, random), random);
}

/* What a store does now and then anyway. */
static void op_maintain(struct run *run, struct test_random *random)
{
        uint64_t what = test_random_below(random, 40);

        if (!run->store)
                return;
        if (what == 0)
                assert_ok(bm_compact(run->store));
        else if (what < 8)
                assert_ok(bm_checkpoint(run->store));
        else if (what < 20)
                assert_ok(bm_sync(run->store));
        else
                bm_set_anticipated_count(run_map(run, pick_map(run, random)), MODEL_KEYS);
}

void run_operation(struct run *run)
{
        static const struct {
                void (*fn)(struct run *run, struct test_random *random);
                unsigned weight;
        } operations[] = {
                {op_insert, 12},    {op_try_write, 6},  {op_update, 9},      {op_delete, 9},
                {op_reference, 9},  {op_count, 6},      {op_create, 7},      {op_set_meta, 5},
                {op_write_at, 16},  {op_truncate, 4},   {op_remove, 6},      {op_orphan, 5},
                {op_rename, 9},     {op_link, 7},       {op_write_batch, 5}, {op_batch_insert, 3},
                {op_map_create, 1}, {op_map_remove, 2}, {op_read, 10},       {op_listing, 3},
                {op_maintain, 1},   {op_punch, 4},      {op_allocate, 3},
        };
        struct test_random random;
        uint64_t total = 0, pick;
        unsigned i = 0;

        /* each operation has random numbers of its own, however many it takes */
        test_random_init(&random, test_random_next(&run->random));
        for (unsigned j = 0; j < sizeof(operations) / sizeof(*operations); j++)
                total += operations[j].weight;
        for (pick = test_random_below(&random, total); pick >= operations[i].weight; i++)
                pick -= operations[i].weight;
        operations[i].fn(run, &random);
        run->n_done++;
}
