/* SPDX-License-Identifier: MIT */
/*
 * Disk use follows what lives: after writing 1 GiB over 12 800 keys of 4 KiB
 * the store settles under 130 MiB, and after deleting everything it shrinks
 * to a few segments. The background does it; the test waits until what is
 * reclaimable stops falling.
 */
#include <stdio.h>
#include <time.h>

#include "store.h"
#include "test_store.h"

enum { KEYS = 12800, VALUE = 4096, ROUNDS = 20 };

static const uint64_t MIB = 1 << 20;

static size_t number_key(char key[16], unsigned number)
{
        return (size_t)snprintf(key, 16, "%u", number);
}

/* A value that tells its key and round in every part. */
static void make_value(char value[VALUE], unsigned number, unsigned round)
{
        for (unsigned i = 0; i < VALUE; i += 16)
                snprintf(value + i, 16, "%07u %06u", number, round);
}

/* Waits until no files are kept to be used again, and neither reclaimable nor used bytes have
 * changed over many looks in a row; the pause between two looks only spares the processor. */
static struct bm_stats settle(struct bm_store *store)
{
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        struct bm_stats last = {0}, now;

        for (unsigned same = 0; same < 100; same++) {
                assert_ok(bm_stats(store, &now));
                if (now.reclaimable_bytes != last.reclaimable_bytes ||
                    now.disk_bytes != last.disk_bytes ||
                    now.compacted_bytes != last.compacted_bytes ||
                    bm_spares_bytes(&store->drives) > 0)
                        same = 0;
                last = now;
                nanosleep(&pause, NULL);
        }
        printf("# settled: %llu MiB on disk, %llu MiB reclaimable, %llu segments\n",
               (unsigned long long)(now.disk_bytes / MIB),
               (unsigned long long)(now.reclaimable_bytes / MIB), (unsigned long long)now.segments);
        return now;
}

static void assert_all_hold(struct test_store *t, unsigned round)
{
        static char value[VALUE];
        char key[16];

        for (unsigned i = 0; i < KEYS; i++) {
                make_value(value, i, round);
                assert_holds(t->root, key, number_key(key, i), value, VALUE, 1);
        }
}

static void settles_under_130_mib(void **state)
{
        struct test_store *t = *state;
        static char value[VALUE];
        struct bm_stats stats;
        char key[16];

        /* 20 rounds over 12 800 keys of 4 KiB are 1000 MiB; the rest of the GiB follows */
        for (unsigned round = 0; round <= ROUNDS; round++) {
                for (unsigned i = 0; i < KEYS; i++) {
                        make_value(value, i, round);
                        assert_ok(bm_insert(t->root, key, number_key(key, i), value, VALUE, 1));
                }
        }
        stats = settle(t->store);
        assert_true(stats.disk_bytes < 130 * MIB);
        assert_int_equal(stats.value_bytes, (uint64_t)KEYS * VALUE);
        assert_all_hold(t, ROUNDS);
        test_store_check(t->store);
        test_store_reopen(t);
        assert_all_hold(t, ROUNDS);
}

static void shrinks_when_all_is_deleted(void **state)
{
        struct test_store *t = *state;
        static char value[VALUE];
        struct bm_stats stats;
        char key[16];

        for (unsigned i = 0; i < KEYS; i++) {
                make_value(value, i, 0);
                assert_ok(bm_insert(t->root, key, number_key(key, i), value, VALUE, 1));
        }
        for (unsigned i = 0; i < KEYS; i++)
                assert_ok(bm_delete_key(t->root, key, number_key(key, i)));
        stats = settle(t->store);
        assert_true(stats.segments <= 8);
        assert_true(stats.disk_bytes < 24 * MIB);
        assert_int_equal(stats.keys, 0);
        test_store_check(t->store);
        test_store_reopen(t);
        assert_int_equal(test_count_keys(t->root), 0);
        assert_ok(bm_insert(t->root, "k", 1, "v", 1, 1));
        assert_holds(t->root, "k", 1, "v", 1, 1);
}

/* What outlives most of its neighbours is moved, not lost, and keeps its count. */
static void survivors_are_moved(void **state)
{
        struct test_store *t = *state;
        static char value[VALUE];
        struct bm_stats stats;
        char key[16];

        for (unsigned i = 0; i < KEYS; i++) {
                make_value(value, i, 0);
                assert_ok(bm_insert(t->root, key, number_key(key, i), value, VALUE, i));
        }
        for (unsigned i = 0; i < KEYS; i++)
                if (i % 50)
                        assert_ok(bm_delete_key(t->root, key, number_key(key, i)));
        for (unsigned i = 0; i < KEYS; i += 50)
                assert_ok(bm_addref(t->root, key, number_key(key, i), NULL));
        stats = settle(t->store);
        assert_true(stats.disk_bytes < 24 * MIB);
        for (int round = 0; round < 2; round++) {
                for (unsigned i = 0; i < KEYS; i += 50) {
                        make_value(value, i, 0);
                        assert_holds(t->root, key, number_key(key, i), value, VALUE, i + 1);
                }
                assert_int_equal(test_count_keys(t->root), KEYS / 50);
                test_store_check(t->store);
                test_store_reopen(t);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_with_store(settles_under_130_mib),
                test_with_store(shrinks_when_all_is_deleted),
                test_with_store(survivors_are_moved),
        };

        return cmocka_run_group_tests_name("compaction", tests, NULL, NULL);
}
