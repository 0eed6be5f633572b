/* SPDX-License-Identifier: MIT */
/* Random operations on several keys at once. */
#include "model.h"

enum { ITEMS = 8 };

struct batch_item {
        enum { ITEM_INSERT, ITEM_DELETE, ITEM_COUNT, ITEM_ADDREF } what;
        struct model_map *map;
        unsigned number;
        uint64_t count;
        struct random_bytes value;
};

/* The count of RECORD before item I, of whose names others may have changed it. */
static uint64_t count_before(const struct batch_item *items, unsigned i,
                             const struct model_record *record)
{
        uint64_t count = record->count;

        for (unsigned k = 0; k < i; k++) {
                if (model_find(items[k].map, items[k].number) != record)
                        continue;
                if (items[k].what == ITEM_ADDREF)
                        count += items[k].count;
                else if (items[k].what != ITEM_DELETE)
                        count = items[k].count;
        }
        return count;
}

/* What a batch as a whole must give: what its first impossible item gives. */
static uint64_t batch_results(const struct batch_item *items, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                const struct model_record *record = model_find(items[i].map, items[i].number);

                if (record && record->map)
                        return RESULT(BM_E_IS_MAP);
                if (!record && (items[i].what == ITEM_COUNT || items[i].what == ITEM_ADDREF))
                        return RESULT(BM_E_NOT_FOUND);
                if (items[i].what == ITEM_ADDREF &&
                    count_before(items, i, record) + items[i].count > BM_COUNT_MAX)
                        return RESULT(BM_E_COUNT);
        }
        return 0;
}

static void batch_to_store(struct run *run, const struct batch_item *items, unsigned n,
                           uint64_t results)
{
        struct bm_write_batch *batch;

        assert_ok(bm_write_batch_new(run->store, &batch));
        for (unsigned i = 0; i < n; i++) {
                struct bm_map *map = run_map(run, items[i].map);
                char key[BM_KEY_MAX];
                size_t len = model_key(items[i].number, key);

                if (items[i].what == ITEM_INSERT)
                        assert_ok(bm_write_batch_insert(batch, map, key, len, items[i].value.bytes,
                                                        items[i].value.len, items[i].count));
                else if (items[i].what == ITEM_DELETE)
                        assert_ok(bm_write_batch_delete(batch, map, key, len));
                else if (items[i].what == ITEM_COUNT)
                        assert_ok(bm_write_batch_count(batch, map, key, len, items[i].count));
                else
                        assert_ok(bm_write_batch_addref(batch, map, key, len,
                                                        (int64_t)items[i].count));
        }
        expect(run, bm_write_batch_commit(batch), results);
        bm_write_batch_free(batch);
}

static void batch_to_model(struct run *run, const struct batch_item *item)
{
        struct model_record *record = model_find(item->map, item->number);

        switch (item->what) {
        case ITEM_INSERT:
                if (!record)
                        record = model_add(item->map, item->number);
                model_set_value(record, item->value.bytes, item->value.len);
                model_set_meta(record, NULL, 0);
                record->count = item->count;
                break;
        case ITEM_DELETE:
                if (!record)
                        break;
                run_listing_gone(run, item->map, item->number);
                model_take(item->map, item->number);
                model_record_free(record);
                break;
        case ITEM_COUNT:
                record->count = item->count;
                break;
        case ITEM_ADDREF:
                record->count += item->count;
                break;
        }
}

void op_write_batch(struct run *run, struct test_random *random)
{
        static struct batch_item items[ITEMS];
        unsigned n = 0, want = 1 + (unsigned)test_random_below(random, ITEMS);
        uint64_t results;

        while (n < want) {
                struct batch_item *item = &items[n];
                bool twice = false;

                item->map = pick_map(run, random);
                item->number = pick_number(random);
                item->count = test_random_below(random, 4);
                item->value = *pick_value(random, 4096);
                item->what = test_random_below(random, 8) < 5 ? ITEM_INSERT : ITEM_DELETE;
                /* a count of a key that is not there fails the batch: mostly of one that is */
                if (test_random_below(random, 4) == 0 &&
                    (model_find(item->map, item->number) || test_random_below(random, 8) == 0))
                        item->what = item->count % 2 ? ITEM_ADDREF : ITEM_COUNT;
                for (unsigned i = 0; i < n; i++)
                        twice |= items[i].map == item->map && items[i].number == item->number;
                n += !twice;
        }
        results = batch_results(items, n);
        if (run->store)
                batch_to_store(run, items, n, results);
        if (!results)
                for (unsigned i = 0; i < n; i++)
                        batch_to_model(run, &items[i]);
}

struct reports {
        struct run *run;
        const struct model_record *there[ITEMS]; /* instead of the item; NULL: inserted */
        bool reported[ITEMS];
};

static void note_report(void *ctx, size_t i, const struct bm_view *existing)
{
        struct reports *reports = ctx;

        assert_true(i < ITEMS);
        assert_non_null(reports->there[i]);
        assert_false(reports->reported[i]);
        reports->reported[i] = true;
        assert_int_equal(existing->count, reports->there[i]->count);
        if (!reports->there[i]->map)
                assert_int_equal(existing->size, reports->there[i]->size);
}

void op_batch_insert(struct run *run, struct test_random *random)
{
        static struct random_bytes values[ITEMS];
        struct model_map *map = pick_map(run, random);
        struct bm_batch_item items[ITEMS];
        struct reports reports = {.run = run};
        char keys[ITEMS][BM_KEY_MAX];
        unsigned numbers[ITEMS];

        if (run->atomic_only)
                return;
        for (unsigned i = 0; i < ITEMS; i++) {
                /* now and then one that is in the batch already */
                numbers[i] = i > 0 && test_random_below(random, 10) == 0 ? numbers[i - 1]
                                                                         : pick_number(random);
                values[i] = *pick_value(random, 4096);
                items[i] = (struct bm_batch_item){
                        .key = keys[i],
                        .key_len = model_key(numbers[i], keys[i]),
                        .value = values[i].bytes,
                        .value_len = values[i].len,
                };
        }
        /* of equal keys the last is inserted, if the key was not there */
        for (unsigned i = ITEMS; i-- > 0;) {
                struct model_record *record = model_find(map, numbers[i]);

                reports.there[i] = record;
                if (!record) {
                        record = model_add(map, numbers[i]);
                        model_set_value(record, values[i].bytes, values[i].len);
                }
        }
        if (!run->store)
                return;
        assert_ok(bm_batch_insert(run_map(run, map), items, ITEMS, note_report, &reports));
        for (unsigned i = 0; i < ITEMS; i++)
                assert_int_equal(reports.reported[i], reports.there[i] != NULL);
}
