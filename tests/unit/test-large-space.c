/* SPDX-License-Identifier: MIT */
/* Holes: finding them, making them, and filling them ahead. */
#include "large-model.h"

static void punch(struct model *m, size_t at, size_t len)
{
        if (at < m->size)
                memset(m->bytes + at, 0, at + len > m->size ? m->size - at : len);
        assert_int_equal(bm_punch(&m->ref, at, len, NULL, NULL), 0);
}

static void allocate(struct model *m, size_t at, size_t len, unsigned flags)
{
        size_t end = at + len;
        uint64_t done;
        assert_int_equal(bm_allocate(&m->ref, at, len, flags, NULL, NULL, &done), 0);
        assert_int_equal(done, len);
        if (flags & BM_ALLOCATE_KEEP_SIZE && end > m->size) {
                m->reach = m->reach > end ? m->reach : end;
                end = m->size;
        }
        if (end > m->size) {
                memset(m->bytes + m->size, 0, end - m->size);
                m->size = end;
        }
        if (flags & BM_ALLOCATE_ZERO && end > at)
                memset(m->bytes + at, 0, end - at);
}

static bool is_zero(const struct model *m, size_t from, size_t to)
{
        while (from < to && m->bytes[from] == 0)
                from++;
        return from >= to;
}

/* What is called a hole is zeros, and what is passed over too. */
static void verify_seeks(struct model *m)
{
        uint64_t found;
        assert_int_equal(bm_seek_data(&m->ref, m->size, &found), -ENXIO);
        assert_int_equal(bm_seek_hole(&m->ref, m->size, &found), -ENXIO);
        for (size_t at = 0; at < m->size; at += 1 + random_below(m, BM_CHUNK)) {
                int r = bm_seek_data(&m->ref, at, &found);
                if (r == 0)
                        assert_in_range(found, at, m->size - 1);
                else
                        assert_int_equal(r, -ENXIO);
                assert_true(is_zero(m, at, r == 0 ? found : m->size));
                assert_int_equal(bm_seek_hole(&m->ref, at, &found), 0);
                assert_in_range(found, at, m->size);
                size_t end = (found / BM_CHUNK + 1) * BM_CHUNK;
                assert_true(is_zero(m, found, end < m->size ? end : m->size));
        }
}

static uint64_t allocated(struct model *m)
{
        struct bm_view view;
        assert_int_equal(bm_read_ref(&m->ref, &view), 0);
        uint64_t bytes = view.allocated;
        bm_view_release(&view);
        return bytes;
}

static void reopen(struct model *m)
{
        fixture_kill(m->f);
        fixture_open(m->f);
        m->ref.map = m->f->root;
}

static void punched_at_random(void **state)
{
        struct model *m = model_new(*state);
        for (int i = 0; i < 1200; i++) {
                size_t at = random_below(m, MODEL), len = 1 + random_below(m, MODEL - at);
                if (random_below(m, 3) == 0)
                        at = random_below(m, BM_VALUE_INLINE + 100);
                if (random_below(m, 2))
                        len = 1 + random_below(m, 5000);
                if (random_below(m, 4) == 0) {
                        at = at / BM_CHUNK * BM_CHUNK;
                        len = (len / BM_CHUNK + 1) * BM_CHUNK;
                }
                if (at + len > MODEL)
                        len = MODEL - at;
                switch (random_below(m, 5)) {
                case 0:
                        set_size(m, at);
                        break;
                case 1:
                        write_some(m, at, len);
                        break;
                case 2:
                        allocate(m, at, len, (unsigned)random_below(m, 4));
                        break;
                default:
                        punch(m, at, len);
                }
                verify(m);
                verify_seeks(m);
                if (i % 200 == 199) {
                        reopen(m);
                        verify_chunks(m);
                        assert_int_equal(bm_compact(m->f->store), 0);
                        verify_chunks(m);
                        verify_seeks(m);
                }
        }
        free(m);
}

static void punching_gives_space_back(void **state)
{
        struct model *m = model_new(*state);
        write_some(m, 0, MODEL);
        uint64_t full = allocated(m), found;
        punch(m, 3 * BM_CHUNK, 4 * BM_CHUNK);
        assert_int_equal(allocated(m), full - 4 * BM_CHUNK);
        assert_int_equal(bm_seek_hole(&m->ref, 0, &found), 0);
        assert_int_equal(found, 3 * BM_CHUNK);
        assert_int_equal(bm_seek_data(&m->ref, found, &found), 0);
        assert_int_equal(found, 7 * BM_CHUNK);
        assert_int_equal(bm_map_sums(m->f->store->chunks).n_keys, MODEL / BM_CHUNK - 4);
        /* the edges stay, as zeros */
        punch(m, 10 * BM_CHUNK + 1, 2 * BM_CHUNK);
        assert_int_equal(allocated(m), full - 6 * BM_CHUNK + 1);
        punch(m, 0, MODEL);
        assert_in_range(allocated(m), 0, 200);
        assert_int_equal(bm_seek_data(&m->ref, 0, &found), -ENXIO);
        verify_chunks(m);
        assert_int_equal(bm_map_sums(m->f->store->chunks).n_keys, 0);
        free(m);
}

static void allocating_takes_space(void **state)
{
        struct model *m = model_new(*state);
        uint64_t found;
        allocate(m, 100, 1000, 0);
        assert_int_equal(m->size, 1100);
        verify(m);
        set_size(m, MODEL);
        write_some(m, 5 * BM_CHUNK + 7, 100);
        allocate(m, 2 * BM_CHUNK, 6 * BM_CHUNK, 0);
        verify(m);
        assert_int_equal(bm_seek_hole(&m->ref, 2 * BM_CHUNK, &found), 0);
        assert_int_equal(found, 8 * BM_CHUNK);
        /* what is there is not written again */
        uint64_t log = 0;
        struct bm_stats stats;
        assert_int_equal(bm_stats(m->f->store, &stats), 0);
        log = stats.log_bytes;
        allocate(m, 2 * BM_CHUNK, 6 * BM_CHUNK, 0);
        assert_int_equal(bm_stats(m->f->store, &stats), 0);
        assert_int_equal(stats.log_bytes, log);
        allocate(m, 0, MODEL, 0);
        assert_true(allocated(m) >= MODEL);
        assert_int_equal(bm_seek_hole(&m->ref, 0, &found), 0);
        assert_int_equal(found, MODEL);
        allocate(m, 0, MODEL, BM_ALLOCATE_ZERO);
        verify(m);
        assert_true(allocated(m) >= MODEL);
        verify_chunks(m);
        free(m);
}

static uint64_t n_chunks(struct model *m)
{
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        return bm_map_sums(m->f->store->chunks).n_keys;
}

/* What is allocated beyond the end waits there, whatever happens to the value. */
static void allocating_beyond_the_end(void **state)
{
        struct model *m = model_new(*state);
        uint64_t found;
        write_some(m, 0, 100);
        allocate(m, 50, 8 * BM_CHUNK - 50, BM_ALLOCATE_KEEP_SIZE);
        verify(m);
        assert_true(allocated(m) >= 8 * BM_CHUNK);
        assert_int_equal(bm_seek_hole(&m->ref, 0, &found), 0);
        assert_int_equal(found, 100);
        reopen(m);
        verify(m);
        assert_true(allocated(m) >= 8 * BM_CHUNK);
        /* written into, it is no longer beyond; the space stays what it was */
        uint64_t before = allocated(m);
        write_some(m, 100, 2 * BM_CHUNK);
        verify(m);
        assert_int_equal(allocated(m), before);
        set_size(m, 5 * BM_CHUNK + 1);
        verify_chunks(m);
        assert_int_equal(n_chunks(m), 8);
        /* cut, even to the length that it has, it is gone */
        set_size(m, m->size);
        verify_chunks(m);
        assert_int_equal(n_chunks(m), 6);
        set_size(m, MODEL);
        verify_chunks(m);
        /* far beyond, and punched there */
        set_size(m, 3 * BM_CHUNK);
        allocate(m, 10 * BM_CHUNK, 5 * BM_CHUNK, BM_ALLOCATE_KEEP_SIZE);
        assert_int_equal(n_chunks(m), 8);
        punch(m, 11 * BM_CHUNK, BM_CHUNK);
        assert_int_equal(n_chunks(m), 7);
        verify_chunks(m);
        punch(m, 2 * BM_CHUNK, MODEL - 2 * BM_CHUNK);
        assert_int_equal(n_chunks(m), 2);
        verify_chunks(m);
        /* a value of nothing, with much behind it, goes as any other */
        set_size(m, 0);
        allocate(m, 0, MODEL, BM_ALLOCATE_KEEP_SIZE);
        assert_int_equal(n_chunks(m), MODEL / BM_CHUNK);
        reopen(m);
        verify_chunks(m);
        put(m->f, "k", "short", 5);
        assert_int_equal(n_chunks(m), 0);
        assert_sound(m->f);
        free(m);
}

/* The hole lies before what is allocated: no count of bytes hides it. */
static void a_hole_before_what_is_beyond(void **state)
{
        struct model *m = model_new(*state);
        uint64_t found;
        set_size(m, 4 * BM_CHUNK);
        write_some(m, BM_CHUNK, BM_CHUNK);
        allocate(m, 4 * BM_CHUNK, 8 * BM_CHUNK, BM_ALLOCATE_KEEP_SIZE);
        assert_int_equal(bm_seek_hole(&m->ref, 0, &found), 0);
        assert_int_equal(found, 0);
        verify_seeks(m);
        free(m);
}

/* More chunks than are deleted one by one. */
static void a_hole_in_a_giant(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = {.map = f->root, .key = "giant", .key_len = 5};
        const uint64_t size = UINT64_C(1) << 36, step = size / 8;
        uint64_t found;
        size_t done;
        char buf[4];
        put(f, "giant", "", 0);
        for (uint64_t at = 0; at < size; at += step)
                assert_int_equal(bm_write_at(&ref, at + 5, "data", 4, NULL, NULL, &done), 0);
        assert_int_equal(bm_punch(&ref, 6, size, NULL, NULL), 0);
        assert_int_equal(bm_seek_data(&ref, 0, &found), 0);
        assert_int_equal(found, 0);
        assert_int_equal(bm_seek_data(&ref, BM_CHUNK, &found), -ENXIO);
        assert_int_equal(bm_read_at(&ref, 5, buf, 4, &done), 0);
        assert_memory_equal(buf, "d\0\0\0", 4);
        for (uint64_t at = step; at < size; at += step) {
                assert_int_equal(bm_read_at(&ref, at + 5, buf, 4, &done), 0);
                assert_int_equal(done, 4);
                assert_memory_equal(buf, "\0\0\0\0", 4);
        }
        /* cut, but not swept; written anew; swept */
        assert_int_equal(bm_write_at(&ref, 3 * step, "again", 5, NULL, NULL, &done), 0);
        assert_int_equal(bm_seek_data(&ref, BM_CHUNK, &found), 0);
        assert_int_equal(found, 3 * step);
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 2);
        assert_int_equal(bm_seek_data(&ref, BM_CHUNK, &found), 0);
        assert_int_equal(found, 3 * step);
        assert_int_equal(bm_seek_hole(&ref, found, &found), 0);
        assert_int_equal(found, 3 * step + BM_CHUNK);
        assert_sound(f);
}

static void many_large_holes(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = {.map = f->root, .key = "giant", .key_len = 5};
        const uint64_t size = UINT64_C(1) << 34;
        uint64_t found;
        size_t done;
        put(f, "giant", "", 0);
        for (unsigned i = 0; i < 4 * BM_CUTS_MAX; i++) {
                assert_int_equal(bm_write_at(&ref, size + BM_CHUNK, "end", 3, NULL, NULL, &done),
                                 0);
                assert_int_equal(bm_punch(&ref, i, size, NULL, NULL), 0);
                assert_int_equal(bm_seek_data(&ref, 0, &found), 0);
                assert_int_equal(found, size + BM_CHUNK);
        }
        assert_sound(f);
}

static void removed_and_open(void **state)
{
        struct model *m = model_new(*state);
        uint8_t key[8];
        struct bm_view view;
        write_some(m, 0, 100);
        assert_int_equal(bm_read_ref(&m->ref, &view), 0);
        uint64_t id = view.record_id;
        bm_view_release(&view);
        assert_int_equal(bm_remove(&m->ref, &(struct bm_remove_args){.orphan = true}), 0);
        bm_orphan_ref(m->f->store, id, key, &m->ref);
        allocate(m, 0, MODEL / 2, 0);
        write_some(m, 3 * BM_CHUNK, 4 * BM_CHUNK);
        punch(m, BM_CHUNK, 3 * BM_CHUNK);
        verify(m);
        verify_seeks(m);
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        verify(m);
        /* beyond its end, while it is short, as it is cut, and when it goes */
        set_size(m, 0);
        allocate(m, 0, MODEL / 2, BM_ALLOCATE_KEEP_SIZE);
        assert_int_equal(n_chunks(m), MODEL / 2 / BM_CHUNK);
        set_size(m, 100);
        assert_int_equal(n_chunks(m), MODEL / 2 / BM_CHUNK);
        write_some(m, 50, BM_CHUNK);
        verify(m);
        set_size(m, 10);
        assert_int_equal(n_chunks(m), 0);
        verify(m);
        allocate(m, 0, MODEL, BM_ALLOCATE_KEEP_SIZE);
        assert_int_equal(bm_orphan_release(m->f->store, id), 0);
        assert_int_equal(n_chunks(m), 0);
        free(m);
}

static int refuse(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        return -EPERM;
}

static void what_is_refused(void **state)
{
        struct model *m = model_new(*state);
        const struct bm_ref none = {.map = m->f->root, .key = "none", .key_len = 4};
        const struct bm_ref map = {.map = m->f->root, .key = "map", .key_len = 3};
        const struct bm_ref stale = {
                .map = m->f->root, .key = "k", .key_len = 1, .record_id = 9999};
        uint64_t done, found;
        assert_int_equal(bm_map_create(m->f->root, "map", 3, NULL, 0, NULL, NULL), 0);
        const struct {
                const struct bm_ref *ref;
                int result;
        } cases[] = {{&none, BM_E_NOT_FOUND}, {&map, BM_E_IS_MAP}, {&stale, BM_E_STALE}};
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(bm_seek_data(cases[i].ref, 0, &found), cases[i].result);
                assert_int_equal(bm_seek_hole(cases[i].ref, 0, &found), cases[i].result);
                assert_int_equal(bm_punch(cases[i].ref, 0, 1, NULL, NULL), cases[i].result);
                assert_int_equal(bm_allocate(cases[i].ref, 0, 1, 0, NULL, NULL, &done),
                                 cases[i].result);
        }
        assert_int_equal(bm_punch(&m->ref, BM_VALUE_MAX, 1, NULL, NULL), -EFBIG);
        assert_int_equal(bm_punch(&m->ref, UINT64_MAX, 1, NULL, NULL), -EFBIG);
        assert_int_equal(bm_allocate(&m->ref, 1, BM_VALUE_MAX, 0, NULL, NULL, &done), -EFBIG);
        assert_int_equal(bm_allocate(&m->ref, 0, 1, 4, NULL, NULL, &done), -EINVAL);
        write_some(m, 0, MODEL);
        assert_int_equal(bm_punch(&m->ref, 0, MODEL, refuse, NULL), -EPERM);
        assert_int_equal(bm_allocate(&m->ref, 0, MODEL, BM_ALLOCATE_ZERO, refuse, NULL, &done),
                         -EPERM);
        assert_int_equal(done, 0);
        verify(m);
        free(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(punched_at_random),
                test_in_store(punching_gives_space_back),
                test_in_store(allocating_takes_space),
                test_in_store(allocating_beyond_the_end),
                test_in_store(a_hole_before_what_is_beyond),
                test_in_store(a_hole_in_a_giant),
                test_in_store(many_large_holes),
                test_in_store(removed_and_open),
                test_in_store(what_is_refused),
        };
        return cmocka_run_group_tests_name("large-space", tests, NULL, NULL);
}
