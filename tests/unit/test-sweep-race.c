/* SPDX-License-Identifier: MIT */
/*
 * The sweeper beside a value stored ahead: it lists the value's drop, and
 * before it looks at the hold the value is committed, which takes the drop
 * away and then the hold. The chunks are the value's now. Both threads are
 * held at the very place: the linker puts the test around two functions.
 */
#include <pthread.h>

#include "large.h"
#include "store-fixture.h"

enum { SIZE = 5 * BM_CHUNK + 77 };

static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool armed;
        bool ahead;  /* the value is stored, and not committed */
        bool listed; /* the sweeper has the drop in hand */
        pthread_t writer;
        struct bm_store *store;
        uint8_t value[SIZE];
} race = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__typeof__(bm_large_commit) __real_bm_large_commit, __wrap_bm_large_commit;
__typeof__(bm_counts_get) __real_bm_counts_get, __wrap_bm_counts_get;

int __wrap_bm_large_commit(struct bm_txn *txn, const struct bm_head *head,
                           uint8_t drop_key[BM_DROP_KEY])
{
        pthread_mutex_lock(&race.lock);
        if (race.armed) {
                race.ahead = true;
                pthread_cond_broadcast(&race.changed);
                while (!race.listed)
                        pthread_cond_wait(&race.changed, &race.lock);
        }
        pthread_mutex_unlock(&race.lock);
        return __real_bm_large_commit(txn, head, drop_key);
}

uint64_t __wrap_bm_counts_get(struct bm_counts *counts, uint64_t record_id)
{
        bool hold = race.armed && counts == &race.store->held;
        if (hold) {
                pthread_mutex_lock(&race.lock);
                race.listed = true;
                pthread_cond_broadcast(&race.changed);
                pthread_mutex_unlock(&race.lock);
                pthread_join(race.writer, NULL);
                race.armed = false;
        }
        return __real_bm_counts_get(counts, record_id);
}

static void *write_large(void *ctx)
{
        struct fixture *f = ctx;
        put(f, "k", race.value, SIZE);
        return NULL;
}

static void a_value_committed_under_the_sweepers_eyes_keeps_its_chunks(void **state)
{
        struct fixture *f = *state;
        const struct bm_ref ref = {.map = f->root, .key = "k", .key_len = 1};
        static uint8_t back[SIZE];
        uint64_t swept = 0;
        size_t done;
        for (size_t i = 0; i < SIZE; i++)
                race.value[i] = (uint8_t)(i * 7 + i / 251);
        race.store = f->store;
        race.armed = true;
        assert_int_equal(pthread_create(&race.writer, NULL, write_large, f), 0);
        pthread_mutex_lock(&race.lock);
        while (!race.ahead)
                pthread_cond_wait(&race.changed, &race.lock);
        pthread_mutex_unlock(&race.lock);
        assert_int_equal(bm_large_sweep(f->store, &swept), 0);
        assert_true(race.listed);
        assert_false(race.armed);
        assert_int_equal(swept, 0);
        assert_int_equal(bm_read_at(&ref, 0, back, SIZE, &done), 0);
        assert_int_equal(done, SIZE);
        assert_memory_equal(back, race.value, SIZE);
        assert_sound(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_value_committed_under_the_sweepers_eyes_keeps_its_chunks),
        };
        return cmocka_run_group_tests_name("sweep-race", tests, NULL, NULL);
}
