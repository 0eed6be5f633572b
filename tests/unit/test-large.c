/* SPDX-License-Identifier: MIT */
/* Large values against a plain array of bytes. */
#include "large-model.h"

static const size_t sizes[] = {0,     1,     16383, 16384, 16385, 32767, 32768,
                               32769, 49152, 65535, 65536, 65537, 98305};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void truncation_between_all_sizes(void **state)
{
        struct model *m = model_new(*state);
        for (size_t i = 0; i < SIZES; i++) {
                for (size_t k = 0; k < SIZES; k++) {
                        set_size(m, 0);
                        if (sizes[i])
                                write_some(m, 0, sizes[i]);
                        verify(m);
                        set_size(m, sizes[k]);
                        verify(m);
                        set_size(m, MODEL);
                        verify(m);
                }
        }
        verify_chunks(m);
        set_size(m, 100);
        verify_chunks(m);
        assert_int_equal(bm_map_sums(m->f->store->chunks).n_keys, 0);
        free(m);
}

static void writes_that_cross_the_sizes(void **state)
{
        struct model *m = model_new(*state);
        for (size_t i = 1; i < SIZES; i++) {
                for (size_t k = 1; k < SIZES; k++) {
                        set_size(m, 0);
                        write_some(m, 0, sizes[i]);
                        write_some(m, sizes[k] - 1, 2);
                        verify(m);
                        set_size(m, 0);
                        write_some(m, sizes[i], sizes[k]);
                        verify(m);
                }
        }
        verify_chunks(m);
        free(m);
}

/* More cuts than a head keeps, with and without sweeping in between. */
static void many_cuts(void **state)
{
        struct model *m = model_new(*state);
        for (int swept = 0; swept < 2; swept++) {
                write_some(m, 0, MODEL);
                for (size_t i = 0; i < 4 * BM_CUTS_MAX; i++) {
                        set_size(m, MODEL - BM_CHUNK * (1 + i % 15) - i);
                        verify(m);
                        set_size(m, MODEL - i % 3);
                        verify(m);
                        if (i % 4 == 1)
                                write_some(m, MODEL - BM_CHUNK * 4, 3 * BM_CHUNK + 5);
                        if (swept && i % 5 == 0)
                                verify_chunks(m);
                }
        }
        fixture_kill(m->f);
        fixture_open(m->f);
        m->ref.map = m->f->root;
        verify_chunks(m);
        free(m);
}

static void at_random(void **state)
{
        struct model *m = model_new(*state);
        for (int i = 0; i < 1500; i++) {
                size_t at = random_below(m, MODEL), len = 1 + random_below(m, MODEL - at);
                if (random_below(m, 3) == 0)
                        at = random_below(m, BM_VALUE_INLINE + 100);
                if (random_below(m, 2))
                        len = 1 + random_below(m, 5000);
                if (at + len > MODEL)
                        len = MODEL - at;
                if (random_below(m, 2))
                        set_size(m, at);
                else
                        write_some(m, at, len);
                verify(m);
                if (i % 300 == 299) {
                        fixture_kill(m->f);
                        fixture_open(m->f);
                        m->ref.map = m->f->root;
                        verify_chunks(m);
                        assert_int_equal(bm_compact(m->f->store), 0);
                        verify_chunks(m);
                }
        }
        free(m);
}

/* A hole of a terabyte costs nothing, to read, to cut, or to sweep. */
static void a_sparse_giant(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = {.map = f->root, .key = "giant", .key_len = 5};
        const uint64_t size = UINT64_C(1) << 40;
        char buf[8];
        size_t done;
        put_text(f, "giant", "start");
        put(f, "other", "", 0);
        assert_int_equal(bm_truncate(&ref, size, NULL, NULL), 0);
        assert_int_equal(bm_write_at(&ref, size / 2, "middle", 6, NULL, NULL, &done), 0);
        assert_int_equal(bm_read_at(&ref, size / 2 - 1, buf, 8, &done), 0);
        assert_memory_equal(buf, "\0middle\0", 8);
        assert_int_equal(bm_truncate(&ref, BM_VALUE_MAX, NULL, NULL), 0);
        assert_int_equal(bm_truncate(&ref, BM_VALUE_MAX + 1, NULL, NULL), -EFBIG);
        assert_int_equal(bm_write_at(&ref, BM_VALUE_MAX - 1, "xy", 2, NULL, NULL, &done), -EFBIG);
        assert_int_equal(bm_write_at(&ref, BM_VALUE_MAX - 1, "x", 1, NULL, NULL, &done), 0);
        assert_int_equal(bm_truncate(&ref, 40000, NULL, NULL), 0);
        assert_int_equal(bm_truncate(&ref, size, NULL, NULL), 0);
        assert_int_equal(bm_read_at(&ref, size / 2, buf, 8, &done), 0);
        assert_memory_equal(buf, "\0\0\0\0\0\0\0", 8);
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 1);
        remove_key(f, "giant");
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
        assert_int_equal(bm_map_sums(f->store->drops).n_keys, 0);
        assert_sound(f);
}

static enum bm_verdict delete_it(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        return BM_DELETE;
}

static enum bm_verdict recount_it(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        next->count = 9;
        return BM_PUT;
}

static void an_update_keeps_or_drops_all_chunks(void **state)
{
        struct fixture *f = *state;
        static char value[100000], back[100000];
        const struct bm_ref ref = {.map = f->root, .key = "k", .key_len = 1};
        size_t done;
        memset(value, 'v', sizeof(value));
        put(f, "k", value, sizeof(value));
        assert_int_equal(bm_update(f->root, "k", 1, recount_it, NULL), 0);
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_read_at(&ref, 0, back, sizeof(back), &done), 0);
        assert_int_equal(done, sizeof(back));
        assert_memory_equal(back, value, done);
        assert_int_equal(bm_update(f->root, "k", 1, delete_it, NULL), 0);
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(truncation_between_all_sizes),
                test_in_store(writes_that_cross_the_sizes),
                test_in_store(many_cuts),
                test_in_store(at_random),
                test_in_store(a_sparse_giant),
                test_in_store(an_update_keeps_or_drops_all_chunks),
        };
        return cmocka_run_group_tests_name("large", tests, NULL, NULL);
}
