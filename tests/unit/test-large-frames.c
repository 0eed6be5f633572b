/* SPDX-License-Identifier: MIT */
/* How much of a large value one frame takes, and one transaction of the sweeper. */
#include "large-model.h"

#include "log.h"

enum { A_FRAME = 4 }; /* chunks */

static uint64_t n_records(const struct model *m)
{
        return atomic_load(&m->f->store->log.n_records);
}

/* Records that a write of LEN bytes at AT logs. */
static uint64_t logged(struct model *m, size_t at, size_t len)
{
        uint64_t before = n_records(m);
        write_some(m, at, len);
        verify(m);
        return n_records(m) - before;
}

/* So that a frame finds room for all that it may have. */
static void start_segment(struct model *m)
{
        const struct bm_segment *was = atomic_load(&m->f->store->log.active);
        while (atomic_load(&m->f->store->log.active) == was)
                put(m->f, "filler", m->bytes, 5000);
}

static void several_chunks_have_one_head(void **state)
{
        struct model *m = model_new(*state);
        start_segment(m);
        assert_int_equal(logged(m, 0, A_FRAME * BM_CHUNK), A_FRAME + 1);
        /* the next frame's head */
        start_segment(m);
        assert_int_equal(logged(m, 0, A_FRAME * BM_CHUNK + 1), A_FRAME + 3);
        /* what begins within a chunk */
        start_segment(m);
        assert_int_equal(logged(m, BM_CHUNK - 1, 2 * BM_CHUNK + 1), 4);
        verify_chunks(m);
        free(m);
}

/* That needs the chunk's old bytes, or a patch; and so it is another transaction's. */
static void a_part_of_a_chunk_has_its_own(void **state)
{
        struct model *m = model_new(*state);
        write_some(m, 0, 4 * BM_CHUNK);
        start_segment(m);
        assert_int_equal(logged(m, 0, 2 * BM_CHUNK + 100), 2 + 1 + 2);
        assert_int_equal(logged(m, 0, BM_CHUNK + 20000), 2 + 2);
        /* the last one, all of which is written */
        set_size(m, 2 * BM_CHUNK + 100);
        start_segment(m);
        assert_int_equal(logged(m, 0, 2 * BM_CHUNK + 200), 3 + 1);
        verify_chunks(m);
        free(m);
}

/* Longer frames leave no more of a segment empty, whoever writes them. */
static void a_frame_takes_what_the_segment_has_room_for(void **state)
{
        enum { TURNS = 4, CHUNKS = TURNS * MODEL / BM_CHUNK };
        struct model *m = model_new(*state);
        start_segment(m);
        const struct bm_log *log = &m->f->store->log;
        const uint64_t fit =
                (atomic_load(&log->active)->size - BM_SEGMENT_HEADER) / (BM_CHUNK + 200);
        for (int inserted = 0; inserted < 2; inserted++) {
                const uint64_t before = atomic_load(&log->stats.added);
                for (unsigned i = 0; i < TURNS; i++) {
                        if (inserted)
                                put(m->f, "large", m->bytes, MODEL);
                        for (size_t at = 0; at < MODEL && !inserted; at += A_FRAME * BM_CHUNK)
                                write_some(m, at, A_FRAME * BM_CHUNK);
                }
                assert_in_range(atomic_load(&log->stats.added) - before, CHUNKS / fit - 1,
                                CHUNKS / fit + 1);
        }
        remove_key(m->f, "large");
        verify_chunks(m);
        free(m);
}

static int change_meta(void *ctx, const struct bm_view *view, void *meta, size_t *len)
{
        memset(meta, 'm', 100);
        *len = 100;
        return 0;
}

/* Bytes that a change of the meta logs, of a value that was written with so many. */
static uint64_t meta_logs(struct model *m, size_t size)
{
        set_size(m, 0);
        write_some(m, 0, size);
        const uint64_t before = atomic_load(&m->f->store->log.written);
        assert_int_equal(bm_set_meta(&m->ref, change_meta, NULL), 0);
        const uint64_t logged = atomic_load(&m->f->store->log.written) - before;
        verify(m);
        return logged;
}

static void a_change_of_meta_writes_no_long_value(void **state)
{
        struct model *m = model_new(*state);
        assert_true(meta_logs(m, BM_WRITE_INLINE) > BM_WRITE_INLINE);
        assert_true(meta_logs(m, BM_WRITE_INLINE + 1) < 300);
        assert_true(meta_logs(m, BM_VALUE_INLINE) < 300);
        assert_true(meta_logs(m, MODEL) < 300);
        set_size(m, BM_VALUE_INLINE - 1); /* in one piece again */
        assert_true(bm_map_is_empty(m->f->store->chunks) || !bm_map_is_empty(m->f->store->drops));
        verify_chunks(m);
        assert_true(bm_map_is_empty(m->f->store->chunks));
        free(m);
}

static void the_sweeper_takes_them_together(void **state)
{
        struct model *m = model_new(*state);
        uint64_t swept;
        for (size_t n = 1; n <= 2 * A_FRAME + 1; n++) {
                set_size(m, 0);
                write_some(m, 0, n * BM_CHUNK);
                if (n % 2) /* patches go with their chunk */
                        write_some(m, (n - 1) * BM_CHUNK + 10, 100);
                remove_key(m->f, "k");
                assert_int_equal(bm_map_sums(m->f->store->drops).n_keys, 1);
                uint64_t before = n_records(m);
                assert_int_equal(bm_large_sweep(m->f->store, &swept), 0);
                assert_int_equal(swept, n);
                assert_int_equal(n_records(m) - before, n + 1 + n % 2);
                assert_int_equal(bm_map_sums(m->f->store->drops).n_keys, 0);
                assert_int_equal(bm_map_sums(m->f->store->chunks).n_keys, 0);
                assert_int_equal(bm_map_sums(m->f->store->patches).n_keys, 0);
                put(m->f, "k", "", 0);
                m->size = 0;
        }
        assert_sound(m->f);
        free(m);
}

/* Files that were removed while they were open are many, and a round of the keeper is dear. */
static void who_lets_orphans_go_wakes_nobody(void **state)
{
        static const char large[BM_CHUNK];
        struct fixture *f = *state;
        const struct bm_ref ref = {.map = f->root, .key = "k", .key_len = 1};
        struct bm_view view;
        put(f, "k", large, sizeof(large));
        assert_int_equal(bm_read_ref(&ref, &view), 0);
        const uint64_t id = view.record_id;
        bm_view_release(&view);
        assert_int_equal(bm_remove(&ref, &(struct bm_remove_args){.orphan = true}), 0);
        f->store->keeper.wake = false; /* no keeper runs */
        assert_int_equal(bm_orphan_release(f->store, id), 0);
        assert_false(f->store->keeper.wake);
        /* the next round sweeps */
        assert_int_equal(bm_compact(f->store), 0);
        assert_true(bm_map_is_empty(f->store->drops));
        assert_true(bm_map_is_empty(f->store->chunks));
        assert_sound(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(several_chunks_have_one_head),
                test_in_store(a_part_of_a_chunk_has_its_own),
                test_in_store(a_frame_takes_what_the_segment_has_room_for),
                test_in_store(a_change_of_meta_writes_no_long_value),
                test_in_store(the_sweeper_takes_them_together),
                test_in_store(who_lets_orphans_go_wakes_nobody),
        };
        return cmocka_run_group_tests_name("large-frames", tests, NULL, NULL);
}
