/* SPDX-License-Identifier: MIT */
/* Delayed growth: parked, installed, overtaken; and shrinking. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index-fixture.h"

static struct bm_index_stats stats;
static struct bm_index ix;

static int set_up(void **state)
{
        stats = (struct bm_index_stats){0};
        bm_index_init(&ix, 0, 0, 32, NULL, &stats);
        return 0;
}

static int tear_down(void **state)
{
        bm_index_deinit(&ix);
        assert_int_equal(stats.slots, 0);
        assert_int_equal(stats.bytes, 0);
        return 0;
}

/* Keys with one hash until no more go in; how many. */
static uint64_t fill_window(uint64_t hash, uint64_t first_id)
{
        uint64_t n = 0, capacity = 0;

        insert_id(&ix, hash, first_id + n++);
        while (bm_index_room(&ix, hash, &capacity) == 0)
                insert_id(&ix, hash, first_id + n++);
        return n;
}

static void grow_is_parked_until_a_writer_comes(void **state)
{
        uint64_t n = fill_window(42, 1), capacity = 0;
        struct bm_place place;
        struct bm_block *before = ix.dir[0];

        assert_int_equal(bm_index_room(&ix, 42, &capacity), BM_E_INDEX_NO_SPACE);
        assert_int_equal(bm_index_grow(&ix, 42, capacity), 0);
        assert_non_null(ix.reallocated);
        assert_ptr_equal(ix.dir[0], before);
        for (uint64_t id = 1; id <= n; id++)
                assert_int_equal(find_id(&ix, 42, id, &place), 0);
        assert_int_equal(bm_index_room(&ix, 42, &capacity), BM_E_INDEX_NO_SPACE);
        handle_delayed_grows(&ix);
        assert_null(ix.reallocated);
        assert_int_equal(bm_index_room(&ix, 42, &capacity), 0);
        for (uint64_t id = 1; id <= n; id++)
                assert_int_equal(find_id(&ix, 42, id, &place), 0);
        check_index(&ix);
}

static void stale_request_does_nothing(void **state)
{
        fill_window(42, 1);
        assert_int_equal(bm_index_grow(&ix, 42, 33), 0);
        assert_int_equal(bm_index_grow(&ix, 42, 0), 0);
        assert_null(ix.reallocated);
        assert_int_equal(stats.failed_grows, 0);
}

static void second_request_finds_one_parked(void **state)
{
        struct Reallocated *first;

        fill_window(42, 1);
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        first = ix.reallocated;
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        assert_ptr_equal(ix.reallocated, first);
        handle_delayed_grows(&ix);
        handle_delayed_grows(&ix);
        assert_int_equal(stats.grows + stats.splits, 2);
        check_index(&ix);
}

static void one_reservation_wins(void **state)
{
        struct Reallocated *first, *second;

        fill_window(42, 1);
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        first = get_reallocated(&ix);
        assert_non_null(first);
        assert_null(get_reallocated(&ix));
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        second = get_reallocated(&ix);
        assert_true(add_reallocation(&ix, first));
        assert_false(add_reallocation(&ix, second));
        bm_reallocated_free(second);
        handle_delayed_grows(&ix);
        check_index(&ix);
}

/* Writes between copy and installation: what was copied must not come in. */
static void overtaken_growth_is_built_again(void **state)
{
        uint64_t n = fill_window(42, 1), capacity = 0, id = 5;
        struct bm_slot slot = slot_of(900);
        struct bm_place place;

        /* changed: no room yet, so it is built once more, with the change */
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        assert_int_equal(find_id(&ix, 42, id, &place), 0);
        bm_index_set(&ix, &place, &slot);
        handle_delayed_grows(&ix);
        assert_int_equal(stats.failed_grows, 1);
        assert_int_equal(bm_index_room(&ix, 42, &capacity), 0);
        assert_int_equal(find_id(&ix, 42, 5, &place), BM_E_NOT_FOUND);
        assert_int_equal(find_id(&ix, 42, 900, &place), 0);
        assert_int_equal(ix.n_used, n);
        check_index(&ix);
}

static void overtaken_growth_that_is_not_needed_is_dropped(void **state)
{
        uint64_t n = fill_window(42, 1), grows = stats.grows;
        struct bm_place place;

        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        erase_id(&ix, 42, 7);
        handle_delayed_grows(&ix);
        assert_int_equal(stats.failed_grows, 1);
        assert_int_equal(stats.grows, grows);
        assert_int_equal(find_id(&ix, 42, 7, &place), BM_E_NOT_FOUND);
        assert_int_equal(ix.n_used, n - 1);
        check_index(&ix);
}

static void parked_growth_is_freed_with_the_index(void **state)
{
        fill_window(42, 1);
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
}

static void sizes_grow_in_steps_and_then_split(void **state)
{
        static const uint32_t steps[] = {32, 64, 128, 256, 512, 640, 768, 896, 1024};
        size_t at = 0;
        uint64_t id = 0;

        while (ix.depth == 0) {
                insert_id(&ix, hash_of(id), id);
                id++;
                if (ix.depth == 0 && ix.dir[0]->lines * 4u != steps[at]) {
                        at++;
                        assert_true(at < bm_array_size(steps));
                        assert_int_equal(ix.dir[0]->lines * 4, steps[at]);
                }
        }
        assert_int_equal(at, bm_array_size(steps) - 1);
        assert_int_equal(stats.splits, 1);
        assert_int_equal(stats.grows, bm_array_size(steps));
        assert_int_equal(stats.max_slots, 1024);
        assert_int_equal(ix.n_blocks, 2);
        /* 7/8 of 1024 at least */
        assert_true(id > 890);
        check_index(&ix);
}

static void anticipated_keys_need_no_growth(void **state)
{
        uint64_t installed;

        ix.anticipated = 20000;
        insert_id(&ix, hash_of(0), 0);
        installed = stats.grows + stats.splits;
        assert_int_equal(installed, 1);
        for (uint64_t id = 1; id < 20000; id++)
                insert_id(&ix, hash_of(id), id);
        assert_int_equal(stats.grows + stats.splits, installed);
        assert_true(stats.bytes < 20000 * 32);
        check_index(&ix);
}

static void wrong_hint_costs_little(void **state)
{
        ix.anticipated = UINT64_MAX;
        insert_id(&ix, hash_of(0), 0);
        assert_true(stats.bytes <= 64 * (64 + 16 * 1024));
        check_index(&ix);
}

/* Everybody grows and writes at once, one lock around as a bucket has it. */

enum { THREADS = 4, KEYS_A_THREAD = 6000 };

struct shared {
        pthread_rwlock_t lock;
        pthread_barrier_t start;
        uint64_t (*hash)(uint64_t id);
        _Atomic unsigned failed;
};

struct worker {
        struct shared *shared;
        uint64_t first_id;
};

static void expect(struct shared *shared, bool good)
{
        if (!good)
                atomic_fetch_add(&shared->failed, 1);
}

static void write_one(struct shared *shared, uint64_t id)
{
        struct bm_slot slot = slot_of(id);
        uint64_t capacity = 0;
        int r;

        for (;;) {
                pthread_rwlock_wrlock(&shared->lock);
                handle_delayed_grows(&ix);
                r = bm_index_insert(&ix, shared->hash(id), &slot, NULL, &capacity);
                pthread_rwlock_unlock(&shared->lock);
                if (r != BM_E_INDEX_NO_SPACE)
                        break;
                pthread_rwlock_rdlock(&shared->lock);
                r = bm_index_grow(&ix, shared->hash(id), capacity);
                pthread_rwlock_unlock(&shared->lock);
                expect(shared, r == 0);
        }
        expect(shared, r == 0);
}

static bool is_there(struct shared *shared, uint64_t id)
{
        struct bm_place place;
        struct bm_slot slot;
        int r;

        pthread_rwlock_rdlock(&shared->lock);
        r = bm_index_find(&ix, shared->hash(id), match_id, &id, &place, &slot);
        pthread_rwlock_unlock(&shared->lock);
        return r == 0;
}

static void *work(void *arg)
{
        struct worker *w = arg;

        pthread_barrier_wait(&w->shared->start);
        for (uint64_t i = 0; i < KEYS_A_THREAD; i++) {
                uint64_t earlier = hash_of(i) % (i + 1);

                expect(w->shared, !is_there(w->shared, w->first_id + i));
                write_one(w->shared, w->first_id + i);
                expect(w->shared, is_there(w->shared, w->first_id + earlier));
        }
        return NULL;
}

static void grow_together(uint64_t (*hash)(uint64_t id))
{
        struct shared shared = {.hash = hash};
        struct worker workers[THREADS];
        pthread_t threads[THREADS];

        pthread_rwlock_init(&shared.lock, NULL);
        pthread_barrier_init(&shared.start, NULL, THREADS);
        for (size_t i = 0; i < THREADS; i++) {
                workers[i] = (struct worker){&shared, i * KEYS_A_THREAD};
                assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&shared.start);
        pthread_rwlock_destroy(&shared.lock);
        assert_int_equal(shared.failed, 0);
        assert_int_equal(ix.n_used, THREADS * KEYS_A_THREAD);
        check_index(&ix);
}

static uint64_t few_hashes(uint64_t id)
{
        return hash_of(id % 1000);
}

static void concurrent_grow(void **state)
{
        grow_together(hash_of);
}

static void concurrent_grow_again(void **state)
{
        grow_together(few_hashes);
}

/* Shrinking */

static void shrink_all(void)
{
        while (bm_index_shrink(&ix, 3))
                ;
        check_index(&ix);
}

static void shrink_follows_deletes_down(void **state)
{
        enum { N = 30000 };
        struct bm_place place;
        uint32_t blocks;

        for (uint64_t id = 0; id < N; id++)
                insert_id(&ix, hash_of(id), id);
        blocks = ix.n_blocks;
        shrink_all();
        assert_int_equal(ix.n_blocks, blocks); /* nothing to gain */
        for (uint64_t left = N; left > 0; left /= 3) {
                for (uint64_t id = left / 3; id < left; id++)
                        erase_id(&ix, hash_of(id), id);
                shrink_all();
                for (uint64_t id = 0; id < left; id++)
                        assert_int_equal(find_id(&ix, hash_of(id), id, &place),
                                         id < left / 3 ? 0 : BM_E_NOT_FOUND);
                assert_true(stats.slots <= 8 * ix.n_used + 32);
        }
        assert_int_equal(ix.n_used, 0);
        assert_int_equal(stats.slots, 32);
        assert_int_equal(ix.depth, 0);
        for (uint64_t id = 0; id < N; id++)
                insert_id(&ix, hash_of(id), id);
        check_index(&ix);
}

static void shrink_dissolves_chains(void **state)
{
        for (uint64_t id = 0; id < 3000; id++)
                insert_id(&ix, 42, id);
        assert_true(ix.dir[0]->chain != NULL);
        for (uint64_t id = 0; id < 2990; id++)
                erase_id(&ix, 42, id);
        shrink_all();
        assert_null(ix.dir[0]->chain);
        assert_int_equal(ix.n_blocks, 1);
        assert_int_equal(stats.slots, 32);
}

static void shrink_drops_what_is_parked(void **state)
{
        fill_window(42, 1);
        assert_int_equal(bm_index_grow(&ix, 42, 32), 0);
        shrink_all();
        assert_null(ix.reallocated);
}

static void shrink_keeps_anticipated_room(void **state)
{
        uint64_t slots;

        ix.anticipated = 5000;
        insert_id(&ix, hash_of(1), 1);
        slots = stats.slots;
        shrink_all();
        assert_int_equal(stats.slots, slots);
        ix.anticipated = 0;
        shrink_all();
        assert_int_equal(stats.slots, 32);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(grow_is_parked_until_a_writer_comes),
                TEST(stale_request_does_nothing),
                TEST(second_request_finds_one_parked),
                TEST(one_reservation_wins),
                TEST(overtaken_growth_is_built_again),
                TEST(overtaken_growth_that_is_not_needed_is_dropped),
                TEST(parked_growth_is_freed_with_the_index),
                TEST(sizes_grow_in_steps_and_then_split),
                TEST(anticipated_keys_need_no_growth),
                TEST(wrong_hint_costs_little),
                TEST(concurrent_grow),
                TEST(concurrent_grow_again),
                TEST(shrink_follows_deletes_down),
                TEST(shrink_dissolves_chains),
                TEST(shrink_drops_what_is_parked),
                TEST(shrink_keeps_anticipated_room),
        };

        return cmocka_run_group_tests_name("index-grow", tests, NULL, NULL);
}
