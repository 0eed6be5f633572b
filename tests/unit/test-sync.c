/* SPDX-License-Identifier: MIT */
/* The durable mark: what a sync means, who shares one, and what a failed one ends. */
#include <pthread.h>

#include "store-fixture.h"

static void a_sync_reaches_the_tail(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "1");
        uint64_t tail = bm_log_tail(&f->store->log);
        assert_int_equal(bm_sync(f->store), 0);
        assert_true(atomic_load(&f->store->syncer.durable) >= tail);
        unsigned n = atomic_load(&f->io.n_sync);
        assert_int_equal(bm_sync(f->store), 0);
        assert_int_equal(atomic_load(&f->io.n_sync), n); /* nothing is new */
}

/* Shared flushes: the first is held up until the others have come. */
static struct gate {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool closed, met;
        unsigned n_answered, n_flushes;
        const struct bm_log *log;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int sync_at_gate(const struct bm_io *io, int fd)
{
        pthread_mutex_lock(&gate.lock);
        if (!gate.log || fd != atomic_load(&gate.log->active)->fd) { /* a segment in the making */
                pthread_mutex_unlock(&gate.lock);
                return fault_sync_data(io, fd);
        }
        gate.n_flushes++;
        gate.met = true;
        pthread_cond_broadcast(&gate.changed);
        while (gate.closed)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
        return fault_sync_data(io, fd);
}

static void answered(void *ctx, int result)
{
        pthread_mutex_lock(&gate.lock);
        gate.n_answered += result == 0;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

static void *sync_once(void *store)
{
        return (void *)(intptr_t)bm_sync(store);
}

static void many_share_one_flush(void **state)
{
        enum { MANY = 20 };
        struct fixture *f = *state;
        pthread_t leader;
        void *result;
        fixture_close(f);
        f->config.no_background = false;
        f->config.commit_interval = 3600;
        f->io.ops.sync_data = sync_at_gate;
        fixture_open(f);
        put_text(f, "a", "1");
        pthread_mutex_lock(&gate.lock);
        gate.closed = true;
        gate.met = false;
        gate.n_answered = gate.n_flushes = 0;
        gate.log = &f->store->log;
        pthread_mutex_unlock(&gate.lock);
        assert_int_equal(pthread_create(&leader, NULL, sync_once, f->store), 0);
        pthread_mutex_lock(&gate.lock);
        while (!gate.met)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
        for (int i = 0; i < MANY; i++) {
                put_text(f, "b", "2");
                bm_sync_start(f->store, answered, NULL);
        }
        pthread_mutex_lock(&gate.lock);
        assert_int_equal(gate.n_answered, 0);
        gate.closed = false;
        pthread_cond_broadcast(&gate.changed);
        while (gate.n_answered < MANY)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
        pthread_join(leader, &result);
        assert_null(result);
        /* the leader's, and one for all that came meanwhile */
        pthread_mutex_lock(&gate.lock);
        assert_int_equal(gate.n_flushes, 2);
        gate.log = NULL;
        pthread_mutex_unlock(&gate.lock);
}

/* Two synced the last time, so the first that comes waits for the other. */
static void a_flush_waits_for_the_crowd(void **state)
{
        struct fixture *f = *state;
        struct bm_syncer *sy = &f->store->syncer;
        pthread_t first;
        void *result;
        put_text(f, "a", "1");
        pthread_mutex_lock(&sy->lock);
        sy->crowd = 2;
        sy->flush_ns = UINT64_C(3600) * 1000000000;
        uint64_t flushes = sy->flushes;
        pthread_mutex_unlock(&sy->lock);
        assert_int_equal(pthread_create(&first, NULL, sync_once, f->store), 0);
        pthread_mutex_lock(&sy->lock);
        while (!sy->leading) {
                pthread_mutex_unlock(&sy->lock);
                sched_yield();
                pthread_mutex_lock(&sy->lock);
        }
        assert_int_equal(sy->flushes, flushes);
        pthread_mutex_unlock(&sy->lock);
        put_text(f, "b", "2");
        assert_int_equal(bm_sync(f->store), 0);
        pthread_join(first, &result);
        assert_null(result);
        assert_int_equal(sy->flushes, flushes + 1);
        assert_int_equal(sy->n_waiting, 0);
}

static void a_failed_sync_is_never_retried_into_success(void **state)
{
        struct fixture *f = *state;
        struct bm_stats stats;
        put_text(f, "a", "1");
        atomic_store(&f->io.fail_sync, true);
        assert_int_equal(bm_sync(f->store), -EIO);
        atomic_store(&f->io.fail_sync, false);
        assert_int_equal(bm_sync(f->store), -EIO);
        assert_int_equal(bm_insert(f->root, "b", 1, "2", 1, 1), -EROFS);
        assert_int_equal(bm_delete_key(f->root, "a", 1), -EROFS);
        assert_int_equal(bm_addref(f->root, "a", 1, NULL), -EROFS);
        assert_int_equal(bm_map_create(f->root, "m", 1, NULL, 0, NULL, NULL), -EROFS);
        assert_int_equal(bm_checkpoint(f->store), -EROFS);
        assert_text(f, "a", "1");
        assert_int_equal(bm_stats(f->store, &stats), 0);
        assert_true(stats.read_only);
        assert_true(bm_close(f->store) < 0);
        f->store = NULL;
        fixture_open(f);
        assert_text(f, "a", "1");
        put_text(f, "b", "2");
        assert_int_equal(bm_sync(f->store), 0);
}

static void note_result(void *ctx, int result)
{
        *(int *)ctx = result;
}

static void a_failed_sync_answers_those_that_wait(void **state)
{
        struct fixture *f = *state;
        int result = 1;
        put_text(f, "a", "1");
        atomic_store(&f->io.fail_sync, true);
        bm_sync_start(f->store, note_result, &result); /* no thread: at once */
        assert_int_equal(result, -EIO);
}

/* A checkpoint's own files are no different: here the manifest's. */
static int fail_manifest_fd = -1;

static int fail_one(const struct bm_io *io, int fd)
{
        return fd == fail_manifest_fd ? -EIO : bm_io_call(&bm_io_posix, sync_data, fd);
}

static void a_failed_checkpoint_ends_durability_too(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "1");
        fail_manifest_fd = f->store->manifests.fd;
        f->io.ops.sync_data = fail_one;
        assert_int_equal(bm_checkpoint(f->store), -EIO);
        fail_manifest_fd = -1;
        assert_int_equal(bm_insert(f->root, "b", 1, "2", 1, 1), -EROFS);
        assert_int_equal(bm_sync(f->store), -EIO);
        f->io.ops.sync_data = fault_sync_data;
        fixture_kill(f);
        fixture_open(f);
        assert_text(f, "a", "1");
        assert_sound(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_sync_reaches_the_tail),
                test_in_store(many_share_one_flush),
                test_in_store(a_flush_waits_for_the_crowd),
                test_in_store(a_failed_sync_is_never_retried_into_success),
                test_in_store(a_failed_sync_answers_those_that_wait),
                test_in_store(a_failed_checkpoint_ends_durability_too),
        };
        return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
