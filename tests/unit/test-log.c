/* SPDX-License-Identifier: MIT */
/* The log: frames, seals, refusal, and many that append at once. */
#include <pthread.h>

#include "store-fixture.h"

enum { THREADS = 4, FRAMES = 4000, SEGMENT = 1 << BM_SEGMENT_LOG2_MIN };

/* Records of a map that is not there: replay passes them by. */
static struct bm_record record_of(uint64_t id, const void *value, size_t len)
{
        return (struct bm_record){.type = BM_REC_PUT,
                                  .map_id = 999,
                                  .record_id = id,
                                  .key = (const uint8_t *)"key",
                                  .key_len = 3,
                                  .value = value,
                                  .value_len = (uint32_t)len};
}

static int append(struct bm_log *log, struct bm_record *records, size_t n,
                  struct bm_location *where)
{
        uint64_t capacity;
        int r;
        while ((r = bm_log_append(log, records, n, BM_CLAIM_NONE, where, &capacity)) ==
               BM_E_DATA_NO_SPACE) {
                r = bm_log_prepare(log, capacity, SEGMENT, 0);
                if (r < 0)
                        return r;
        }
        return r;
}

static struct bm_segment *numbered(struct bm_store *store, uint64_t number)
{
        struct bm_segment *found = NULL;
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                if (!s || s->header.kind != BM_SEGMENT_LOG || s->header.number != number)
                        continue;
                assert_null(found); /* no number twice */
                found = s;
        }
        return found;
}

/* Walks the log from its first segment; how many records of map 999 there are.
 * Frames are whole, and each segment but the last ends in a seal to the next. */
static uint64_t walk(struct bm_store *store)
{
        uint64_t number = bm_pos_number(bm_log_tail(&store->log)), n = 0;
        while (numbered(store, number - 1))
                number--;
        for (;; number++) {
                struct bm_segment *s = numbered(store, number);
                uint64_t used = atomic_load(&s->used), at = BM_SEGMENT_HEADER;
                struct bm_record r = {.more = false};
                struct bm_seal seal;
                while (at < used) {
                        assert_int_equal(bm_segment_record(s, at, &r), 0);
                        n += r.map_id == 999;
                        at += r.length;
                }
                assert_int_equal(at, used);
                assert_false(r.more);
                assert_true(used <= s->size);
                if (s == atomic_load(&store->log.active))
                        return n;
                assert_int_equal(r.type, BM_REC_SEAL);
                assert_int_equal(bm_seal_decode(&seal, r.value, r.value_len), 0);
                assert_int_equal(seal.next_number, number + 1);
                assert_int_equal(seal.next_salt, numbered(store, number + 1)->header.salt);
                assert_int_equal(seal.next_file_id, numbered(store, number + 1)->header.file_id);
        }
}

static void frames_never_cross_a_segment(void **state)
{
        struct fixture *f = *state;
        static uint8_t value[BM_VALUE_INLINE];
        struct bm_location where[3];
        uint64_t n = walk(f->store);
        for (unsigned i = 0; i < 120; i++) {
                struct bm_record records[3];
                for (unsigned k = 0; k < 3; k++)
                        records[k] = record_of(i, value, (i * 7919 + k * 104729) % sizeof(value));
                assert_int_equal(append(&f->store->log, records, 3, where), 0);
                assert_ptr_equal(where[0].segment, where[2].segment);
                assert_int_equal(where[1].offset, where[0].offset + where[0].length);
                assert_int_equal(where[2].offset, where[1].offset + where[1].length);
                assert_true(where[2].offset + where[2].length + BM_SEAL_ROOM <=
                            where[2].segment->size);
                struct bm_record back;
                assert_int_equal(bm_segment_record(where[0].segment, where[0].offset, &back), 0);
                assert_true(back.more);
                n += 3;
        }
        assert_true(bm_pos_number(bm_log_tail(&f->store->log)) > 10);
        assert_int_equal(walk(f->store), n);
}

static void a_full_segment_refuses_and_changes_nothing(void **state)
{
        struct fixture *f = *state;
        struct bm_log *log = &f->store->log;
        static uint8_t value[16000];
        struct bm_record record = record_of(1, value, sizeof(value));
        struct bm_location where;
        uint64_t capacity = 0, tail;
        int r;
        do {
                tail = bm_log_tail(log);
                r = bm_log_append(log, &record, 1, BM_CLAIM_NONE, &where, &capacity);
        } while (r == 0);
        assert_int_equal(r, BM_E_DATA_NO_SPACE);
        assert_int_equal(capacity, bm_pos_number(tail));
        assert_int_equal(bm_log_tail(log), tail);
        assert_int_equal(bm_log_prepare(log, capacity - 1, SEGMENT, 0), 0); /* stale: nothing */
        assert_null(atomic_load(&log->next));
        assert_int_equal(bm_log_prepare(log, capacity, SEGMENT, 0), 0);
        struct bm_segment *next = atomic_load(&log->next);
        assert_non_null(next);
        assert_int_equal(bm_log_prepare(log, capacity, SEGMENT, 0), 0); /* once is enough */
        assert_ptr_equal(atomic_load(&log->next), next);
        assert_int_equal(bm_log_append(log, &record, 1, BM_CLAIM_NONE, &where, &capacity), 0);
        assert_ptr_equal(where.segment, next);
        (void)walk(f->store);
}

static void what_no_segment_takes_is_refused(void **state)
{
        struct fixture *f = *state;
        static uint8_t value[BM_FRAME_MAX];
        struct bm_record records[2] = {record_of(1, value, BM_FRAME_MAX / 2 + 10),
                                       record_of(2, value, BM_FRAME_MAX / 2 + 10)};
        struct bm_location where[2];
        uint64_t tail = bm_log_tail(&f->store->log);
        assert_int_equal(append(&f->store->log, records, 2, where), -EFBIG);
        records[0] = record_of(1, value, BM_FRAME_MAX);
        assert_int_equal(append(&f->store->log, records, 1, where), -EFBIG);
        assert_int_equal(bm_log_tail(&f->store->log), tail);
}

struct appender {
        pthread_t thread;
        struct bm_log *log;
        uint64_t number;
        int result;
};

static void *append_many(void *ctx)
{
        struct appender *a = ctx;
        static const uint8_t value[5000];
        struct bm_location where[2];
        for (uint64_t i = 0; i < FRAMES && a->result == 0; i++) {
                struct bm_record records[2] = {
                        record_of(i, value, (i * 31 + a->number * 977) % sizeof(value)),
                        record_of(i, value, 8)};
                a->result = append(a->log, records, 1 + i % 2, where);
        }
        return NULL;
}

static void many_at_once_leave_no_hole(void **state)
{
        struct fixture *f = *state;
        struct appender appenders[THREADS];
        uint64_t before = walk(f->store);
        for (unsigned i = 0; i < THREADS; i++) {
                appenders[i] = (struct appender){.log = &f->store->log, .number = i};
                assert_int_equal(
                        pthread_create(&appenders[i].thread, NULL, append_many, &appenders[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
                pthread_join(appenders[i].thread, NULL);
                assert_int_equal(appenders[i].result, 0);
        }
        assert_int_equal(walk(f->store) - before, THREADS * (FRAMES + FRAMES / 2));
        fixture_kill(f);
        fixture_open(f);
        assert_string_equal(f->store->damage, "");
}

/* A store into the mapping, or by nomap a write, that fails: the next one takes its place. */
static atomic_uint fail_copies;

static int failing_map_write(const struct bm_io *io, int fd, void *base, uint64_t offset,
                             const void *src, size_t len)
{
        if (atomic_load(&fail_copies) == 0)
                return bm_io_call(&bm_io_posix, map_write, fd, base, offset, src, len);
        atomic_fetch_sub(&fail_copies, 1);
        (void)bm_io_call(&bm_io_posix, map_write, fd, base, offset, src, len / 2);
        return -EIO;
}

static int failing_pwrite(const struct bm_io *io, int fd, const void *src, size_t len,
                          uint64_t offset)
{
        if (atomic_load(&fail_copies) == 0)
                return bm_io_call(&bm_io_posix, pwrite, fd, src, len, offset);
        atomic_fetch_sub(&fail_copies, 1);
        (void)bm_io_call(&bm_io_posix, pwrite, fd, src, len / 2, offset);
        return -EIO;
}

static void a_failed_copy_leaves_no_hole(void **state)
{
        struct fixture *f = *state;
        f->io.ops.map_write = failing_map_write;
        f->io.ops.pwrite = failing_pwrite;
        put_text(f, "a", "first");
        atomic_store(&fail_copies, 1);
        assert_int_equal(bm_insert(f->root, "b", 1, "second", 6, 1), -EIO);
        assert_gone(f, "b");
        atomic_store(&fail_copies, 1);
        assert_int_equal(bm_insert(f->root, "a", 1, "changed", 7, 1), -EIO);
        assert_text(f, "a", "first");
        put_text(f, "c", "third");
        (void)walk(f->store);
        fixture_kill(f);
        fixture_open(f);
        assert_text(f, "a", "first");
        assert_gone(f, "b");
        assert_text(f, "c", "third");
        assert_sound(f);
}

/* How the last record came into the log: counts of calls by which it may. */
static _Atomic unsigned n_stores, n_calls;

static int counting_map_write(const struct bm_io *io, int fd, void *base, uint64_t offset,
                              const void *src, size_t len)
{
        atomic_fetch_add(&n_stores, 1);
        return bm_io_call(&bm_io_posix, map_write, fd, base, offset, src, len);
}

static int counting_pwrite(const struct bm_io *io, int fd, const void *src, size_t len,
                           uint64_t offset)
{
        atomic_fetch_add(&n_calls, 1);
        return bm_io_call(&bm_io_posix, pwrite, fd, src, len, offset);
}

static bool is_stored(struct fixture *f, const char *key)
{
        unsigned stores = atomic_load(&n_stores), calls = atomic_load(&n_calls);
        put_text(f, key, "value");
        stores = atomic_load(&n_stores) - stores, calls = atomic_load(&n_calls) - calls;
        assert_int_equal(stores + calls, 1);
        return stores == 1;
}

/* Goes on in a segment of huge pages, or of small ones if that is how the store is used. */
static enum bm_segment_access next_access(struct fixture *f)
{
        struct bm_log *log = &f->store->log;
        struct bm_segment *was = atomic_load(&log->active);
        uint64_t capacity;
        int r = 0;
        if (!atomic_load(&log->next))
                r = bm_log_prepare(log, was->header.number, BM_HUGE_PAGE, 0);
        assert_int_equal(r, 0);
        while (atomic_load(&log->active) == was) {
                uint8_t value[16000] = {0};
                struct bm_record record = record_of(1, value, sizeof(value));
                struct bm_location where;
                assert_int_equal(bm_log_append(log, &record, 1, BM_CLAIM_NONE, &where, &capacity),
                                 0);
        }
        return atomic_load(&log->active)->access;
}

static void sync_often(struct fixture *f)
{
        for (unsigned i = 0; i < 200; i++) {
                put_text(f, "b", "value");
                assert_int_equal(bm_sync(f->store), 0);
        }
}

static void who_syncs_often_has_small_pages(void **state)
{
        struct fixture *f = *state;
        f->io.ops.map_write = counting_map_write;
        f->io.ops.pwrite = counting_pwrite;
        const enum bm_segment_access access = atomic_load(&f->store->log.active)->access;
        if (access == BM_SEGMENT_BY_CALLS || access == BM_SEGMENT_IN_MEMORY) {
                /* there is but one way to write */
                assert_int_equal(is_stored(f, "a"), access == BM_SEGMENT_IN_MEMORY);
                return;
        }
        while (next_access(f) != BM_SEGMENT_HUGE)
                ;
        assert_true(is_stored(f, "a"));
        sync_often(f);
        /* little follows a sync: a huge page must not be written for it */
        assert_false(is_stored(f, "c"));
        assert_int_equal(bm_sync(f->store), 0);
        assert_text(f, "c", "value");
        assert_int_equal(next_access(f), BM_SEGMENT_MAPPED);
        /* nor one of 64 KiB; what is much stays cheaper to store */
        assert_true(is_stored(f, "d"));
        sync_often(f);
        assert_false(is_stored(f, "e"));
        static const uint8_t much[16384];
        assert_int_equal(bm_insert(f->root, "f", 1, much, sizeof(much), 1), 0);
        assert_true(is_stored(f, "g"));
        fixture_kill(f);
        fixture_open(f);
        assert_text(f, "c", "value");
        assert_text(f, "d", "value");
        assert_text(f, "e", "value");
        assert_text(f, "g", "value");
        assert_sound(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(frames_never_cross_a_segment),
                test_in_store(a_full_segment_refuses_and_changes_nothing),
                test_in_store(what_no_segment_takes_is_refused),
                test_in_store(many_at_once_leave_no_hole),
                test_in_store(a_failed_copy_leaves_no_hole),
                test_in_store(who_syncs_often_has_small_pages),
        };
        return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
