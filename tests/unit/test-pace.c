/* SPDX-License-Identifier: MIT */
/* How writers are slowed down where much is dead. */
#include "store-fixture.h"

#include <time.h>

#include "pace.h"

enum { MIB = 1 << 20, PACE_STEEP = 1 << 19 };

/* As if so much had been logged since the last sweep, and a keeper ran. */
static uint32_t pace_at(struct fixture *f, uint64_t mib)
{
        struct bm_store *store = f->store;
        uint64_t written = atomic_load(&store->log.written);
        atomic_store(&store->keeper.running, true);
        atomic_store(&store->log.written, atomic_load(&store->keeper.swept_at) + mib * MIB);
        bm_pace_set(store);
        atomic_store(&store->log.written, written);
        atomic_store(&store->keeper.running, false);
        return atomic_load(&store->keeper.pace);
}

/* Chunks that wait for the sweeper. */
static void leave_a_drop(struct fixture *f)
{
        static const char large[100000];
        put(f, "large", large, sizeof(large));
        remove_key(f, "large");
        assert_false(bm_map_is_empty(f->store->drops));
}

static void it_falls_to_nothing_as_the_dead_grow(void **state)
{
        struct fixture *f = *state;
        assert_int_equal(pace_at(f, 10000), 0); /* nothing waits */
        leave_a_drop(f);
        assert_int_equal(pace_at(f, 0), 0);
        assert_int_equal(pace_at(f, 250), 0);
        uint32_t before = 0;
        for (uint64_t mib = 260; mib < 512; mib += 4) {
                uint32_t now = pace_at(f, mib);
                assert_true(now > before);
                assert_false(bm_pace_is_over(f->store));
                before = now;
        }
        assert_true(pace_at(f, 508) > 50 * pace_at(f, 300));
        (void)pace_at(f, 513);
        assert_true(bm_pace_is_over(f->store));
        bm_pace_set(f->store); /* there is no keeper */
        assert_false(bm_pace_is_set(f->store));
}

/* It is looked at once for each segment. */
static void a_segment_costs_one_look(void **state)
{
        struct fixture *f = *state;
        bm_pace_set_for(f->store, 7);
        atomic_store(&f->store->keeper.pace, 1);
        bm_pace_set_for(f->store, 7);
        assert_true(bm_pace_is_set(f->store));
        bm_pace_set_for(f->store, 8);
        assert_false(bm_pace_is_set(f->store));
}

static uint64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Whoever logs waits, in proportion to the bytes; in all, also where each call logs little. */
static void writers_wait_for_what_they_log(void **state)
{
        struct fixture *f = *state;
        static const char value[10000];
        for (size_t size = 10; size <= sizeof(value); size *= 10) {
                uint64_t logged = atomic_load(&f->store->log.written), began = now_ns();
                atomic_store(&f->store->keeper.pace, PACE_STEEP);
                for (size_t done = 0; done < sizeof(value); done += size)
                        put(f, "key", value, size);
                atomic_store(&f->store->keeper.pace, 0);
                uint64_t owed = (atomic_load(&f->store->log.written) - logged) * PACE_STEEP / 1024;
                /* but for what is saved up for the next call */
                assert_true(now_ns() - began + 1000000 >= owed);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(it_falls_to_nothing_as_the_dead_grow),
                test_in_store(a_segment_costs_one_look),
                test_in_store(writers_wait_for_what_they_log),
        };
        return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
