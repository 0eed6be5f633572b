/* SPDX-License-Identifier: MIT */
/* See keeper.h. */
#include "keeper.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "checkpoint.h"
#include "compact.h"
#include "large.h"
#include "space.h"
#include "store.h"

enum {
        ROUND_SECONDS = 2,
        VICTIMS_A_CHECKPOINT = 8,
        SHARE_DUE = 10,    /* in the usual course a victim has at least a tenth dead */
        SHARE_NEEDED = 50, /* for want of space, or on request, a fiftieth */
};

/* A checkpoint that compaction or replay wants. -ENOSPC is for later. */
static int checkpoint(struct bm_store *store)
{
        int r = bm_checkpoint_write(store, false);
        return r == -ENOSPC ? 0 : r;
}

/* Empties segments; what was won is freed by the two checkpoints behind it. */
static int compact(struct bm_store *store, unsigned least_share, bool all)
{
        bool done = true;
        int r = 0;
        while (r == 0 && done && (all || bm_compact_due(store))) {
                for (int i = 0; r == 0 && done && i < VICTIMS_A_CHECKPOINT; i++) {
                        if (atomic_load(&store->closing))
                                return 0;
                        r = bm_compact_one(store, least_share, &done);
                }
                if (r == -ENOSPC) /* what was copied by now frees the rest */
                        r = 0, done = false;
                for (int i = 0; r == 0 && i < 2 && bm_compact_pending(store); i++)
                        r = checkpoint(store);
        }
        return r;
}

/* The calling thread is in a round, and cannot wait for another. */
static _Thread_local bool in_round;

/* What fails is reported and does not keep the rest from being done: a damaged
 * record must not let the log grow without end. */
static int one_round(struct bm_store *store, bool thorough)
{
        int r = bm_store_writable(store), swept = 0, compacted = 0;
        if (r < 0)
                return r;
        in_round = true;
        if (atomic_load(&store->drops->n_keys) > 0)
                swept = bm_large_sweep(store, NULL);
        if (thorough || bm_compact_due(store))
                compacted = compact(store, thorough ? SHARE_NEEDED : SHARE_DUE, thorough);
        if (bm_checkpoint_due(store))
                r = checkpoint(store);
        for (int i = 0; r == 0 && i < 2 && bm_compact_pending(store); i++)
                r = checkpoint(store);
        bm_checkpoint_free(store);
        atomic_store(&store->log.segment_size, bm_space_segment_size(store));
        (void)bm_space_refill(store);
        in_round = false;
        if (r == 0)
                r = compacted;
        return r == 0 && swept != -ENOSPC ? swept : r;
}

static void run_round(struct bm_store *store, bool thorough)
{
        int r = one_round(store, thorough);
        if (r < 0 && r != -EROFS)
                bm_store_log(store, BM_LOG_ERROR, "keeping the store in order failed: %s",
                             strerror(-r));
}

static void *keeper_thread(void *ctx)
{
        struct bm_store *store = ctx;
        struct bm_keeper *k = &store->keeper;
        pthread_mutex_lock(&k->lock);
        while (!k->stop) {
                struct timespec due;
                clock_gettime(CLOCK_MONOTONIC, &due);
                due.tv_sec += ROUND_SECONDS;
                if (!k->wake)
                        pthread_cond_timedwait(&k->changed, &k->lock, &due);
                if (k->stop)
                        break;
                bool thorough = k->thorough;
                k->wake = k->thorough = false;
                pthread_mutex_unlock(&k->lock);
                run_round(store, thorough);
                pthread_mutex_lock(&k->lock);
                k->rounds++;
                pthread_cond_broadcast(&k->changed);
        }
        k->rounds += 2; /* nobody waits for a round that never comes */
        pthread_cond_broadcast(&k->changed);
        pthread_mutex_unlock(&k->lock);
        return NULL;
}

int bm_keeper_start(struct bm_store *store)
{
        int r = pthread_create(&store->keeper.thread, NULL, keeper_thread, store);
        store->keeper.running = r == 0;
        return -r;
}

void bm_keeper_stop(struct bm_store *store)
{
        struct bm_keeper *k = &store->keeper;
        atomic_store(&store->closing, true);
        if (!k->running)
                return;
        pthread_mutex_lock(&k->lock);
        k->stop = true;
        pthread_cond_broadcast(&k->changed);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->thread, NULL);
        k->running = false;
}

void bm_keeper_wake(struct bm_store *store)
{
        struct bm_keeper *k = &store->keeper;
        pthread_mutex_lock(&k->lock);
        k->wake = true;
        pthread_cond_broadcast(&k->changed);
        pthread_mutex_unlock(&k->lock);
}

/* Waits for a round that began after now. */
static void wait_round(struct bm_store *store)
{
        struct bm_keeper *k = &store->keeper;
        pthread_mutex_lock(&k->lock);
        uint64_t until = k->rounds + 2; /* the one under way may have begun before */
        while (k->rounds < until && !k->stop) {
                k->wake = k->thorough = true;
                pthread_cond_broadcast(&k->changed);
                pthread_cond_wait(&k->changed, &k->lock);
        }
        pthread_mutex_unlock(&k->lock);
}

bool bm_keeper_win_space(struct bm_store *store)
{
        uint64_t before = atomic_load(&store->freed_bytes);
        /* sweeping logs tombstones itself */
        if (in_round)
                return false;
        if (store->keeper.running)
                wait_round(store);
        else
                run_round(store, true);
        return atomic_load(&store->freed_bytes) > before;
}

int bm_compact(struct bm_store *store)
{
        uint64_t before;
        int r = bm_store_writable(store);
        do {
                before = atomic_load(&store->freed_bytes);
                if (r == 0)
                        r = one_round(store, true);
        } while (r == 0 && atomic_load(&store->freed_bytes) > before);
        return r;
}

/* The preparer */

static void *preparer_thread(void *ctx)
{
        struct bm_store *store = ctx;
        pthread_mutex_lock(&store->preparer_lock);
        while (!store->preparer_stop) {
                if (!store->preparer_wanted) {
                        pthread_cond_wait(&store->preparer_changed, &store->preparer_lock);
                        continue;
                }
                store->preparer_wanted = false;
                pthread_mutex_unlock(&store->preparer_lock);
                /* without room this is the writer's to meet, and to report */
                (void)bm_space_prepare(store, bm_pos_number(bm_log_tail(&store->log)));
                bm_keeper_wake(store);
                pthread_mutex_lock(&store->preparer_lock);
        }
        pthread_mutex_unlock(&store->preparer_lock);
        return NULL;
}

int bm_preparer_start(struct bm_store *store)
{
        int r = pthread_create(&store->preparer, NULL, preparer_thread, store);
        store->preparer_running = r == 0;
        return -r;
}

void bm_preparer_wake(void *ctx)
{
        struct bm_store *store = ctx;
        pthread_mutex_lock(&store->preparer_lock);
        store->preparer_wanted = true;
        pthread_cond_signal(&store->preparer_changed);
        pthread_mutex_unlock(&store->preparer_lock);
}

void bm_preparer_stop(struct bm_store *store)
{
        if (!store->preparer_running)
                return;
        pthread_mutex_lock(&store->preparer_lock);
        store->preparer_stop = true;
        pthread_cond_signal(&store->preparer_changed);
        pthread_mutex_unlock(&store->preparer_lock);
        pthread_join(store->preparer, NULL);
        store->preparer_running = false;
}
