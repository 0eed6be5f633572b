/* SPDX-License-Identifier: MIT */
/* A full disk: writes are refused, deletions are not, and room comes back. */
#include <sched.h>
#include <time.h>

#include "space.h"
#include "store-fixture.h"

enum { VALUE = 3000, MEBIBYTE = 1 << 20 };

static size_t key_of(unsigned i, char key[16])
{
        return (size_t)snprintf(key, 16, "key%u", i);
}

/* Inserts until it is refused; how many there are then. */
static unsigned fill(struct fixture *f)
{
        static char value[VALUE];
        char key[16];
        for (unsigned i = 0; i < 100000; i++) {
                int r = bm_insert(f->root, key, key_of(i, key), value, VALUE, 1);
                if (r == -ENOSPC)
                        return i;
                assert_int_equal(r, 0);
        }
        fail_msg("the disk never gets full");
        return 0;
}

static void empty(struct fixture *f, unsigned n)
{
        char key[16];
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
}

static void limit(struct fixture *f, uint64_t more)
{
        atomic_store(&f->io.room, fault_used(&f->io) + more);
}

static void a_full_disk_refuses_and_keeps_what_is_there(void **state)
{
        struct fixture *f = *state;
        char key[16];
        put_text(f, "old", "value");
        limit(f, 4 * MEBIBYTE);
        unsigned n = fill(f);
        assert_true(n > 500);
        assert_text(f, "old", "value");
        static char value[VALUE];
        assert_int_equal(bm_insert(f->root, "old", 3, value, VALUE, 1), -ENOSPC);
        assert_text(f, "old", "value");
        for (unsigned i = 0; i <= n; i++) {
                struct bm_view view;
                int r = bm_read_value(f->root, key, key_of(i, key), &view);
                assert_int_equal(r, i < n ? 0 : BM_E_NOT_FOUND);
                bm_view_release(&view);
        }
        assert_sound(f);
        fixture_kill(f);
        fixture_open(f);
        assert_text(f, "old", "value");
        assert_sound(f);
}

static void deletions_succeed_and_give_room(void **state)
{
        struct fixture *f = *state;
        limit(f, 4 * MEBIBYTE);
        for (int i = 0; i < 3; i++) {
                unsigned n = fill(f);
                empty(f, n);
                assert_int_equal(bm_compact(f->store), 0);
                unsigned again = fill(f);
                assert_true(again > n / 2);
                empty(f, again);
        }
        assert_sound(f);
}

/* With the keeper's thread, which wins the room by itself. */
static void the_keeper_wins_room(void **state)
{
        struct fixture *f = *state;
        fixture_open_with_background(f);
        limit(f, 4 * MEBIBYTE);
        unsigned first = fill(f);
        for (int i = 0; i < 3; i++) {
                empty(f, first / 2);
                char key[16];
                /* as much as went may come again, without being asked */
                for (unsigned k = 0; k < first / 4; k++)
                        assert_int_equal(bm_insert(f->root, key, key_of(k, key), "small", 5, 1), 0);
                for (unsigned k = first / 4; k < first / 2; k++)
                        assert_int_equal(bm_insert(f->root, key, key_of(k, key), "small", 5, 1), 0);
        }
        assert_sound(f);
}

static void a_full_disk_can_be_opened(void **state)
{
        struct fixture *f = *state;
        limit(f, 4 * MEBIBYTE);
        unsigned n = fill(f);
        fixture_kill(f);
        atomic_store(&f->io.room, fault_used(&f->io)); /* not a byte more */
        fixture_open(f);
        empty(f, n);
        assert_int_equal(bm_compact(f->store), 0);
        put_text(f, "new", "value");
        fixture_close(f);
        fixture_open(f);
        assert_text(f, "new", "value");
        assert_sound(f);
}

/* Chunks that were stored for a value that then found no room go again. */
static void a_large_value_without_room_leaves_nothing(void **state)
{
        struct fixture *f = *state;
        static char value[8 * MEBIBYTE];
        limit(f, 4 * MEBIBYTE);
        assert_int_equal(bm_insert(f->root, "large", 5, value, sizeof(value), 1), -ENOSPC);
        assert_gone(f, "large");
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
        assert_int_equal(bm_map_sums(f->store->drops).n_keys, 0);
        put_text(f, "small", "value");
        assert_sound(f);
}

/* Inserts tiny values until it is refused; how many there are then. */
static unsigned fill_tiny(struct fixture *f)
{
        char key[16];
        for (unsigned i = 0;; i++) {
                int r = bm_insert(f->root, key, key_of(i, key), "tiny", 4, 1);
                if (r == -ENOSPC)
                        return i;
                assert_int_equal(r, 0);
        }
}

static void freeze(struct fixture *f)
{
        atomic_store(&f->io.room, fault_used(&f->io)); /* not a byte more */
}

/* What others wrote may be gone: a checkpoint, a close and an open need no more than the reserve.
 */
static void whatever_was_deleted_a_checkpoint_fits(void **state)
{
        struct fixture *f = *state;
        char key[16];
        limit(f, 6 * MEBIBYTE);
        unsigned n = fill_tiny(f);
        assert_true(n > 10000);
        for (unsigned i = 0; i < n; i++) {
                /* all over, so that every block changes and none is emptied soon */
                unsigned k = (unsigned)((uint64_t)i * 7919 % n) | 1;
                int r = bm_delete_key(f->root, key, key_of(k, key));
                assert_int_equal(r == BM_E_NOT_FOUND ? 0 : r, 0);
                if (i % (n / 8) == 0) {
                        uint64_t room = atomic_load(&f->io.room);
                        freeze(f);
                        assert_int_equal(bm_checkpoint(f->store), 0);
                        assert_int_equal(bm_checkpoint(f->store), 0);
                        atomic_store(&f->io.room, room);
                }
        }
        freeze(f);
        fixture_close(f);
        fixture_open(f);
        for (unsigned i = 0; i < n; i += 2)
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
        assert_int_equal(bm_map_sums(f->root).n_keys, 0);
        put_text(f, "new", "value");
        assert_sound(f);
}

/* Each open takes a log segment, and the process is killed before anything else is done. */
static void a_full_disk_bears_being_killed_again_and_again(void **state)
{
        struct fixture *f = *state;
        limit(f, 6 * MEBIBYTE);
        unsigned n = fill_tiny(f);
        for (int i = 0; i < 12; i++) {
                fixture_kill(f);
                fixture_open(f);
                assert_int_equal(bm_map_sums(f->root).n_keys, n);
        }
        empty(f, n);
        assert_int_equal(bm_compact(f->store), 0);
        put_text(f, "new", "value");
        assert_sound(f);
}

static void available_is_what_can_be_written(void **state)
{
        struct fixture *f = *state;
        struct bm_space space;
        assert_int_equal(bm_space(f->store, &space), 0);
        assert_true(space.available_bytes > 0);
        limit(f, 4 * MEBIBYTE);
        unsigned n = fill(f);
        assert_int_equal(bm_space(f->store, &space), 0);
        assert_int_equal(space.available_bytes, 0);
        empty(f, n);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_space(f->store, &space), 0);
        assert_true(space.available_bytes > 0);
}

static int add_tombstones(void *ctx, struct bm_segment *s)
{
        *(uint64_t *)ctx += atomic_load(&s->kept_bytes);
        return 0;
}

/*
 * One dead record in the oldest segment, all else of which lives, keeps every
 * tombstone behind it from going. They must not gather without end.
 */
static void tombstones_do_not_gather(void **state)
{
        struct fixture *f = *state;
        static char value[VALUE];
        char key[16];
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(bm_insert(f->root, key, key_of(i, key), value, VALUE, 1), 0);
        remove_key(f, "key7");
        uint64_t most = 0;
        for (unsigned round = 0; round < 40; round++) {
                for (unsigned i = 0; i < 1000; i++) {
                        put_text(f, "short-lived", "value");
                        remove_key(f, "short-lived");
                }
                uint64_t kept = 0;
                assert_int_equal(bm_compact(f->store), 0);
                bm_drives_each(&f->store->drives, add_tombstones, &kept);
                most = kept > most ? kept : most;
        }
        /* 40 000 of 32 bytes were written; two segments' worth is borne, and what is on its way */
        assert_in_range(most, 1, 800 << 10);
        assert_sound(f);
}

static void wait_rounds(struct fixture *f, uint64_t n)
{
        struct bm_keeper *k = &f->store->keeper;
        pthread_mutex_lock(&k->lock);
        n += k->rounds;
        while (k->rounds < n)
                pthread_cond_wait(&k->changed, &k->lock);
        pthread_mutex_unlock(&k->lock);
}

/*
 * Tombstones of many ages go as segments that are older go, and those only with what is
 * older still. Once nobody writes that is done in one go, not a segment at a time.
 */
static void what_was_deleted_goes_as_soon_as_it_is_quiet(void **state)
{
        enum { KEYS = 40000 };
        struct fixture *f = *state;
        char key[16];
        fixture_open_with_background(f);
        for (unsigned i = 0; i < KEYS; i++)
                put_text(f, (key_of(i, key), key), "as long as a short value would be, or so");
        for (unsigned i = 0; i < KEYS; i++) {
                remove_key(f, (key_of(i, key), key));
                put_text(f, key, "as long as a short value would be, or so");
        }
        for (unsigned i = 0; i < KEYS; i += 2)
                remove_key(f, (key_of(i, key), key));
        uint64_t kept = 0;
        wait_rounds(f, 3); /* one that had begun, one beside the last writes, one in quiet */
        bm_drives_each(&f->store->drives, add_tombstones, &kept);
        const uint64_t live = bm_sum(f->store, BM_SUM_LIVE_BYTES);
        const uint64_t few = 3 * bm_space_segment_size(f->store);
        assert_in_range(kept, 0, few > live / 10 ? few : live / 10);
        assert_sound(f);
}

struct insertion {
        struct fixture *f;
        int result;
};

static void *insert_one(void *ctx)
{
        static const char value[VALUE];
        struct insertion *in = ctx;
        in->result = bm_insert(in->f->root, "late", 4, value, VALUE, 1);
        return NULL;
}

/* Whether a writer who found no room has some of what is let go behind the round that won nothing.
 */
static bool waits_for_what_is_let_go(struct fixture *f)
{
        static char value[MEBIBYTE];
        const struct bm_remove_args orphan = {.orphan = true};
        struct bm_ref ref = {.map = f->root, .key = "large", .key_len = 5};
        struct bm_keeper *k = &f->store->keeper;
        struct insertion in = {.f = f};
        struct bm_view view;
        pthread_t thread;
        assert_int_equal(bm_insert(f->root, "large", 5, value, sizeof(value), 1), 0);
        const unsigned n = fill(f);
        assert_int_equal(bm_read_ref(&ref, &view), 0);
        const uint64_t id = view.record_id;
        bm_view_release(&view);
        assert_int_equal(bm_remove(&ref, &orphan), 0);
        pthread_mutex_lock(&k->lock);
        const uint64_t asked = k->asked;
        pthread_mutex_unlock(&k->lock);
        assert_int_equal(pthread_create(&thread, NULL, insert_one, &in), 0);
        pthread_mutex_lock(&k->lock);
        while (k->answered <= asked)
                pthread_cond_wait(&k->changed, &k->lock);
        pthread_mutex_unlock(&k->lock);
        assert_int_equal(bm_orphan_release(f->store, id), 0);
        pthread_join(thread, NULL);
        assert_true(in.result == 0 || in.result == -ENOSPC);
        empty(f, n);
        assert_int_equal(bm_compact(f->store), 0);
        return in.result == 0;
}

/* A mount's kernel says behind its answer that a removed file is forgotten. */
static void what_is_let_go_a_moment_later_is_waited_for(void **state)
{
        struct fixture *f = *state;
        fixture_open_with_background(f);
        limit(f, 8 * MEBIBYTE);
        /* this thread may take longer than the writer waits, but not each time */
        unsigned tries = 0;
        while (!waits_for_what_is_let_go(f))
                assert_true(++tries < 20);
        assert_sound(f);
}

static uint64_t rounds(struct fixture *f)
{
        struct bm_keeper *k = &f->store->keeper;
        pthread_mutex_lock(&k->lock);
        const uint64_t n = k->rounds;
        pthread_mutex_unlock(&k->lock);
        return n;
}

/* Nearly every removal in a mount lets go of something: the keeper has its own times. */
static void letting_go_is_no_reason_for_a_round(void **state)
{
        enum { KEYS = 20000 };
        static uint64_t ids[KEYS];
        const struct bm_remove_args orphan = {.orphan = true};
        struct fixture *f = *state;
        struct timespec start, end;
        char key[16];
        fixture_open_with_background(f);
        for (unsigned i = 0; i < KEYS; i++) {
                struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(i, key)};
                struct bm_view view;
                put_text(f, key, "value");
                assert_int_equal(bm_read_ref(&ref, &view), 0);
                ids[i] = view.record_id;
                bm_view_release(&view);
                assert_int_equal(bm_remove(&ref, &orphan), 0);
        }
        wait_rounds(f, 2); /* what the writing asked for is over then */
        const uint64_t before = rounds(f);
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (unsigned i = 0; i < KEYS; i++) {
                assert_int_equal(bm_orphan_release(f->store, ids[i]), 0);
                sched_yield();
        }
        const uint64_t after = rounds(f);
        clock_gettime(CLOCK_MONOTONIC, &end);
        /* no more than one a second, and one that had begun */
        assert_in_range(after, before, before + 2 + (uint64_t)(end.tv_sec - start.tv_sec));
        assert_sound(f);
}

static uint64_t size_of_reserve(struct fixture *f)
{
        struct stat st;
        assert_int_equal(stat(f->io.reserve, &st), 0);
        return (uint64_t)st.st_size;
}

/* A closed store gives back what only an open one needs, but not on a full disk. */
static void closing_keeps_the_reserve_of_a_full_disk(void **state)
{
        struct fixture *f = *state;
        limit(f, 6 * MEBIBYTE);
        (void)fill_tiny(f);
        assert_int_equal(bm_checkpoint(f->store), 0);
        uint64_t full = size_of_reserve(f);
        fixture_close(f);
        /* what of the disk was left goes there too */
        assert_in_range(size_of_reserve(f), full - (full >> 4), full + (256 << 10));
        fixture_open(f);
        atomic_store(&f->io.room, 0);
        fixture_close(f);
        assert_in_range(size_of_reserve(f), 1, MEBIBYTE);
        fixture_open(f);
}

static int grow_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        (void)ctx;
        (void)now;
        memset(meta, 'm', 3000);
        *meta_len = 3000;
        return 0;
}

/* What truncations may take of the reserve is no more than they give back: here nothing. */
static void truncations_leave_room_to_delete(void **state)
{
        struct fixture *f = *state;
        char key[16];
        unsigned n = 0, i, kept = 0;
        int r = 0;
        limit(f, 6 * MEBIBYTE);
        for (; r == 0; n += r == 0) {
                const struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(n, key)};
                r = bm_insert(f->root, key, ref.key_len, NULL, 0, 1);
                if (r == 0)
                        r = bm_truncate(&ref, UINT64_C(1) << 32, NULL, NULL);
        }
        assert_int_equal(r, -ENOSPC);
        for (i = 0; i < 8 * n && kept < 100; i++) {
                const struct bm_ref ref = {
                        .map = f->root, .key = key, .key_len = key_of(i % n, key)};
                r = bm_truncate(&ref, (UINT64_C(1) << 32) - 100000 * (1 + i / n), NULL, NULL);
                assert_true(r == 0 || r == -ENOSPC);
                kept += r != 0;
        }
        for (i = 0; i < n; i += 2)
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
        for (kept = 0; kept < 100 && i-- > 0;) {
                const struct bm_ref ref = {
                        .map = f->root, .key = key, .key_len = key_of(i | 1, key)};
                r = bm_truncate(&ref, 0, grow_meta, NULL);
                kept += r != 0;
        }
        for (i = 1; i < n; i += 2)
                assert_int_equal(bm_delete_key(f->root, key, key_of(i, key)), 0);
        assert_sound(f);
}

/*
 * A copy that compaction makes is 8 bytes longer: of tiny values a fifth must be dead before one
 * wins anything. And of all blocks of the index, which are larger than what they lead to, many grow
 * in the same moment.
 */
static void tiny_values_go_in_any_order(void **state)
{
        enum { ROUNDS = 4, STEP = 48271 /* a prime */ };
        struct fixture *f = *state;
        char key[16];
        for (unsigned round = 0; round < ROUNDS; round++) {
                limit(f, (5 + round) * MEBIBYTE);
                const unsigned n = fill_tiny(f);
                assert_true(n > 20000 && n % STEP != 0);
                for (unsigned i = 0; i < n; i++) {
                        const unsigned k = (unsigned)((uint64_t)i * STEP % n);
                        assert_int_equal(bm_delete_key(f->root, key, key_of(k, key)), 0);
                }
                assert_int_equal(bm_map_sums(f->root).n_keys, 0);
        }
        assert_sound(f);
}

/* Of a value with a hole of more than 128 MiB it is not known how much is there. So whatever cuts
 * it is allowed to take, that is not what deletions live on. */
static void cuts_that_free_nothing_leave_room_to_delete(void **state)
{
        static const uint8_t chunk[16 << 10];
        const uint64_t size = UINT64_C(1) << 40;
        struct fixture *f = *state;
        char key[16];
        unsigned n = 0, refused = 0;
        size_t done;
        int r = 0;
        limit(f, 6 * MEBIBYTE);
        for (; r == 0; n += r == 0) {
                const struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(n, key)};
                r = bm_insert(f->root, key, ref.key_len, NULL, 0, 1);
                if (r == 0)
                        r = bm_truncate(&ref, size, NULL, NULL);
                if (r == 0)
                        r = bm_write_at(&ref, 0, chunk, sizeof(chunk), NULL, NULL, &done);
                if (r == 0)
                        r = bm_punch(&ref, 0, size / 2, NULL, NULL);
                if (r == 0 && n % 64 == 0)
                        assert_int_equal(bm_compact(f->store), 0);
        }
        assert_int_equal(r, -ENOSPC);
        for (unsigned i = 0; i < 8 * n && refused < 100; i++) {
                const struct bm_ref ref = {
                        .map = f->root, .key = key, .key_len = key_of(i % n, key)};
                r = bm_truncate(&ref, size - 100000000 * (1 + i / n), NULL, NULL);
                assert_true(r == 0 || r == -ENOSPC);
                refused += r != 0;
        }
        assert_true(refused > 0);
        empty(f, n);
        r = bm_delete_key(f->root, key, key_of(n, key)); /* of which only a part fitted */
        assert_true(r == 0 || r == BM_E_NOT_FOUND);
        assert_int_equal(bm_map_sums(f->root).n_keys, 0);
        assert_int_equal(bm_compact(f->store), 0);
        assert_int_equal(bm_map_sums(f->store->drops).n_keys, 0);
        put_text(f, "new", "value");
        assert_sound(f);
}

/* Who removes one of several names may change the meta of the rest, but not bring a longer one in
 * its place. */
static void a_longer_meta_is_no_removal(void **state)
{
        const struct bm_remove_args grows = {.linked_fn = grow_meta}, plain = {0};
        struct fixture *f = *state;
        char key[16];
        unsigned n = 0, refused = 0;
        int r = 0;
        limit(f, 4 * MEBIBYTE);
        for (; r == 0; n += r == 0) {
                const struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(n, key)};
                char other[16];
                r = bm_insert(f->root, key, ref.key_len, "tiny", 4, 1);
                if (r == 0)
                        r = bm_link(&ref, f->root, other, key_of(1000000 + n, other), NULL, NULL);
        }
        assert_int_equal(r, -ENOSPC);
        for (unsigned i = 0; i < n && refused < 100; i++) {
                const struct bm_ref ref = {.map = f->root, .key = key, .key_len = key_of(i, key)};
                r = bm_remove(&ref, &grows);
                assert_true(r == 0 || r == -ENOSPC);
                refused += r != 0;
        }
        assert_true(refused > 0);
        for (unsigned i = 0; i < 2 * n; i++) {
                const unsigned number = i / 2 + (i % 2) * 1000000;
                const struct bm_ref ref = {
                        .map = f->root, .key = key, .key_len = key_of(number, key)};
                r = bm_remove(&ref, &plain);
                assert_true(r == 0 || (r == BM_E_NOT_FOUND && i % 2 == 0));
        }
        assert_sound(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_full_disk_refuses_and_keeps_what_is_there),
                test_in_store(deletions_succeed_and_give_room),
                test_in_store(the_keeper_wins_room),
                test_in_store(a_full_disk_can_be_opened),
                test_in_store(a_large_value_without_room_leaves_nothing),
                test_in_store(whatever_was_deleted_a_checkpoint_fits),
                test_in_store(a_full_disk_bears_being_killed_again_and_again),
                test_in_store(available_is_what_can_be_written),
                test_in_store(tombstones_do_not_gather),
                test_in_store(what_was_deleted_goes_as_soon_as_it_is_quiet),
                test_in_store(what_is_let_go_a_moment_later_is_waited_for),
                test_in_store(letting_go_is_no_reason_for_a_round),
                test_in_store(closing_keeps_the_reserve_of_a_full_disk),
                test_in_store(truncations_leave_room_to_delete),
                test_in_store(tiny_values_go_in_any_order),
                test_in_store(a_longer_meta_is_no_removal),
                test_in_store(cuts_that_free_nothing_leave_room_to_delete),
        };
        return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
