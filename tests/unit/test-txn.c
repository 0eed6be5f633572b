/* SPDX-License-Identifier: MIT */
/* Transactions: what finds no room leaves no trace, and several keys change in one step. */
#include "store-fixture.h"
#include "txn.h"

/* All that an operation without effect must leave alone. */
struct trace {
        uint64_t tail, keys, root_keys, value_bytes, live_bytes, index_used, maps, counts;
};

static uint64_t index_used(struct bm_store *store)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(store, &stats), 0);
        return stats.index_used;
}

static struct trace trace_of(struct fixture *f)
{
        struct bm_store *s = f->store;
        return (struct trace){
                .tail = bm_log_tail(&s->log),
                .keys = bm_sum(s, BM_SUM_KEYS),
                .root_keys = bm_map_sums(f->root).n_keys,
                .value_bytes = bm_sum(s, BM_SUM_VALUE_BYTES),
                .live_bytes = bm_sum(s, BM_SUM_LIVE_BYTES),
                .index_used = index_used(s),
                .maps = bm_maps_n(&s->maps),
        };
}

static void assert_no_trace(struct fixture *f, struct trace before)
{
        struct trace now = trace_of(f);
        assert_memory_equal(&now, &before, sizeof(now));
}

static size_t key_of(unsigned i, char key[16])
{
        return (size_t)snprintf(key, 16, "key%u", i);
}

/* Fills the log's segment until a value of LEN bytes has no room in it; the
 * key that was refused is the one in KEY. What there is before is in *BEFORE. */
static void fill_segment(struct fixture *f, const void *value, size_t len, char key[16],
                         uint64_t *capacity, struct trace *before)
{
        for (unsigned i = 0; i < 100000; i++) {
                size_t key_len = key_of(i, key);
                *before = trace_of(f);
                int r = bm_try_write(f->root, key, key_len, value, len, 3000000, capacity);
                if (r == BM_E_DATA_NO_SPACE)
                        return;
                if (r == BM_E_INDEX_NO_SPACE) {
                        r = bm_grow_index(f->root, key, key_len, *capacity);
                        i--;
                }
                assert_int_equal(r, 0);
        }
        fail_msg("the segment never gets full");
}

static void a_full_segment_leaves_no_trace(void **state)
{
        struct fixture *f = *state;
        static char value[15000];
        uint64_t capacity = 0;
        struct trace before;
        char key[16];
        int r;
        fill_segment(f, value, sizeof(value), key, &capacity, &before);
        assert_no_trace(f, before);
        assert_gone(f, key);
        /* nor where it would replace what is there */
        r = bm_try_write(f->root, "key0", 4, value, sizeof(value), 5, &capacity);
        assert_int_equal(r, BM_E_DATA_NO_SPACE);
        assert_no_trace(f, before);
        assert_int_equal(bm_grow_data(f->store, capacity), 0);
        r = bm_insert(f->root, key, strlen(key), value, sizeof(value), 1);
        assert_int_equal(r, 0);
        assert_sound(f);
}

/* Fills until the index has no room for one more; its number. */
static unsigned fill_index(struct fixture *f, uint64_t *capacity)
{
        char key[16];
        for (unsigned i = 0; i < 100000; i++) {
                struct trace before = trace_of(f);
                int r = bm_try_write(f->root, key, key_of(i, key), "v", 1, 1, capacity);
                if (r == BM_E_INDEX_NO_SPACE) {
                        assert_no_trace(f, before);
                        return i;
                }
                assert_int_equal(r, 0);
        }
        fail_msg("the index never gets full");
        return 0;
}

static void a_full_index_leaves_no_trace(void **state)
{
        struct fixture *f = *state;
        uint64_t capacity;
        char key[16];
        unsigned n = fill_index(f, &capacity);
        size_t len = key_of(n, key);
        assert_gone(f, key);
        assert_int_equal(bm_grow_index(f->root, key, len, capacity), 0);
        assert_int_equal(bm_try_write(f->root, key, len, "v", 1, 1, &capacity), 0);
        for (unsigned i = 0; i <= n; i++) {
                key_of(i, key);
                assert_text(f, key, "v");
        }
        assert_sound(f);
}

static int put_all(struct bm_txn *txn, void *ctx)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                txn->steps[i].action = BM_ACT_PUT;
                txn->steps[i].next = (struct bm_record){.type = BM_REC_PUT,
                                                        .record_id = 1000 + i,
                                                        .count = 1,
                                                        .value = (const uint8_t *)"all",
                                                        .value_len = 3};
        }
        return *(int *)ctx;
}

static int run_all(struct fixture *f, const char *const *keys, size_t n, bool no_grow, int verdict)
{
        struct bm_txn txn;
        bm_txn_init(&txn, f->store);
        txn.no_grow = no_grow;
        for (size_t i = 0; i < n; i++)
                assert_int_equal(bm_txn_add(&txn, f->root, keys[i], strlen(keys[i]), NULL), 0);
        int r = bm_txn_run(&txn, put_all, &verdict);
        bm_txn_deinit(&txn);
        return r;
}

/* The slots that the first keys had got are given back. */
static void several_keys_come_together_or_not_at_all(void **state)
{
        struct fixture *f = *state;
        uint64_t capacity;
        char full[16];
        key_of(fill_index(f, &capacity), full);
        const char *const keys[] = {"n1", "n2", "n3", "n4", "n5", "n6", "n7", full};
        enum { N = sizeof(keys) / sizeof(keys[0]) };
        struct trace before = trace_of(f);
        assert_int_equal(run_all(f, keys, N, true, 0), BM_E_INDEX_NO_SPACE);
        assert_no_trace(f, before);
        for (unsigned i = 0; i < N; i++)
                assert_gone(f, keys[i]);
        assert_int_equal(run_all(f, keys, N, false, -EINTR), -EINTR);
        assert_int_equal(run_all(f, keys, N, false, BM_E_STALE), BM_E_STALE);
        assert_no_trace(f, before);
        assert_int_equal(run_all(f, keys, N, false, 0), 0);
        for (unsigned i = 0; i < N; i++)
                assert_text(f, keys[i], "all");
        assert_sound(f);
}

/* A map that could not be logged never was. */
static void a_map_without_room_leaves_no_trace(void **state)
{
        struct fixture *f = *state;
        static char value[3000];
        uint64_t capacity;
        struct trace before;
        char key[16];
        fill_segment(f, value, sizeof(value), key, &capacity, &before);
        atomic_store(&f->io.room, 1); /* and there is no further segment */
        assert_int_equal(bm_map_create(f->root, "map", 3, value, sizeof(value), NULL, NULL),
                         -ENOSPC);
        struct trace now = trace_of(f);
        assert_int_equal(now.maps, before.maps);
        assert_int_equal(now.root_keys, before.root_keys);
        assert_int_equal(now.index_used, before.index_used);
        atomic_store(&f->io.room, 0);
        assert_int_equal(bm_map_create(f->root, "map", 3, value, sizeof(value), NULL, NULL), 0);
        assert_sound(f);
}

static void a_batch_is_there_or_not(void **state)
{
        struct fixture *f = *state;
        struct bm_write_batch *batch;
        put_text(f, "old", "1");
        assert_int_equal(bm_write_batch_new(f->store, &batch), 0);
        assert_int_equal(bm_write_batch_insert(batch, f->root, "new", 3, "2", 1, 1), 0);
        assert_int_equal(bm_write_batch_delete(batch, f->root, "old", 3), 0);
        assert_int_equal(bm_write_batch_count(batch, f->root, "absent", 6, 4), 0);
        struct trace before = trace_of(f);
        assert_int_equal(bm_write_batch_commit(batch), BM_E_NOT_FOUND);
        assert_no_trace(f, before);
        assert_text(f, "old", "1");
        assert_gone(f, "new");
        put_text(f, "absent", "3");
        assert_int_equal(bm_write_batch_commit(batch), 0);
        assert_gone(f, "old");
        assert_text(f, "new", "2");
        bm_write_batch_free(batch);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_full_segment_leaves_no_trace),
                test_in_store(a_full_index_leaves_no_trace),
                test_in_store(several_keys_come_together_or_not_at_all),
                test_in_store(a_map_without_room_leaves_no_trace),
                test_in_store(a_batch_is_there_or_not),
        };
        return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
