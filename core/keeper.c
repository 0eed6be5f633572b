/* SPDX-License-Identifier: MIT */
/* See keeper.h. */
#include "keeper.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/intmath.h"
#include "checkpoint.h"
#include "compact.h"
#include "large.h"
#include "pace.h"
#include "space.h"
#include "store.h"

enum {
        ROUND_SECONDS = 2,
        QUIET_SECONDS = 1, /* without a full segment: nobody writes much */
        SPARES_ROUNDS = 5, /* of quiet for which files are kept for who writes again */
        VICTIMS_A_CHECKPOINT = 8,
        BYTES_A_CHECKPOINT = 128 << 20, /* or so many victims as have this */
        VICTIMS_A_STEP = 64,
        SHARE_DUE = 10,    /* in the usual course a victim has at least a tenth dead */
        SHARE_NEEDED = 50, /* for want of space, or on request, a fiftieth */
        RELEASE_MS = 250,  /* in which a removed file is forgotten that nobody has open */
};

/* Whoever waits looks again. */
static void tell_pace(struct bm_store *store)
{
        bm_pace_set(store);
        pthread_mutex_lock(&store->keeper.lock);
        pthread_cond_broadcast(&store->keeper.changed);
        pthread_mutex_unlock(&store->keeper.lock);
}

/* A checkpoint that compaction or replay wants. -ENOSPC is for later. */
static int checkpoint(struct bm_store *store)
{
        int r = bm_checkpoint_write(store, BM_CHECKPOINT_USUAL);
        return r == -ENOSPC ? 0 : r;
}

/* What a round is for. */
enum effort {
        BUSY,     /* what is due while others write */
        USUAL,    /* what is due */
        NEEDED,   /* somebody waits for room: one step, and then they look whether it is enough */
        THOROUGH, /* all that can be won */
};

static uint64_t victims_a_checkpoint(struct bm_store *store)
{
        return bm_max_u64(VICTIMS_A_CHECKPOINT, BYTES_A_CHECKPOINT / bm_space_segment_size(store));
}

/* Somebody waits for another round, a segment has been filled, or the store is being closed. */
static bool is_called(struct bm_store *store)
{
        pthread_mutex_lock(&store->keeper.lock);
        bool called = store->keeper.wake;
        pthread_mutex_unlock(&store->keeper.lock);
        return called || atomic_load(&store->closing);
}

/* What was emptied is freed by two checkpoints. */
static int free_emptied(struct bm_store *store)
{
        int r = 0;
        for (int i = 0; r == 0 && i < 2 && bm_compact_pending(store); i++)
                r = checkpoint(store);
        return r;
}

/* Empties what is due, up to a number, and frees it. *DONE: there was more. */
static int compact_step(struct bm_store *store, unsigned least_share, bool *done)
{
        uint64_t n = victims_a_checkpoint(store);
        int r = 0;
        *done = true;
        for (uint64_t i = 0; r == 0 && *done && i < n; i++) {
                if (atomic_load(&store->closing)) {
                        *done = false;
                        return 0;
                }
                r = bm_compact_one(store, least_share, done);
        }
        if (r == -ENOSPC) { /* what was copied by now frees the rest */
                *done = false;
                r = 0;
        }
        if (r == 0)
                r = free_emptied(store);
        tell_pace(store);
        return r;
}

/*
 * Step by step. Without others' work also while what a step freed lets more go, as tombstones do
 * when the last that is older has gone.
 */
static int compact(struct bm_store *store, enum effort effort)
{
        unsigned least_share = effort == THOROUGH ? SHARE_NEEDED : SHARE_DUE;
        uint64_t before, left = UINT64_MAX;
        bool done = true;
        int r = 0;
        do {
                before = left;
                if (effort != THOROUGH && !bm_compact_due(store, effort == BUSY))
                        break;
                r = compact_step(store, least_share, &done);
                if (effort == USUAL)
                        left = bm_compact_left(store);
        } while (r == 0 && (done || (effort == USUAL && left < before && !is_called(store))));
        return r;
}

/* The calling thread is in a round, and cannot wait for another. */
static _Thread_local bool in_round;

/* Bytes of files that went, of data, and of the index more than came anew. */
struct won {
        uint64_t data;
        int64_t index;
};

static struct won won_by_now(struct bm_store *store)
{
        return (struct won){
                .data = atomic_load(&store->freed_bytes),
                .index = (int64_t)(atomic_load(&store->manifests.index_freed) -
                                   atomic_load(&store->manifests.index_written)),
        };
}

/* An index that is written for the first time takes what was reserved for it: that is no loss. */
static bool has_won_since(struct bm_store *store, const struct won *before)
{
        const struct won now = won_by_now(store);
        return now.data > before->data || now.index > before->index;
}

/*
 * One step towards room on a full disk: what can be emptied with the reserve's
 * help, and one checkpoint, which frees it at once. *WON: files came free.
 */
static int make_room(struct bm_store *store, unsigned least_share, bool *won)
{
        const struct won before = won_by_now(store);
        bool done = true;
        int r = 0;
        for (int i = 0; r == 0 && done && i < VICTIMS_A_STEP; i++) {
                if (atomic_load(&store->closing))
                        break;
                r = bm_compact_one(store, least_share, &done);
        }
        if (r == -ENOSPC) /* what was emptied by now frees the rest */
                r = 0;
        if (r == 0 && (bm_compact_pending(store) || bm_checkpoint_wasteful(store)))
                r = bm_checkpoint_write(store, BM_CHECKPOINT_ALONE);
        (void)bm_space_refill(store);
        *won = has_won_since(store, &before);
        return r;
}

/* In the usual course step after step, until the reserve is whole or nothing is won any more. */
static int refill(struct bm_store *store, enum effort effort, bool *won)
{
        int r;
        do
                r = make_room(store, effort == NEEDED ? SHARE_NEEDED : SHARE_DUE, won);
        while (r == 0 && effort <= USUAL && *won && bm_space_is_short(store) &&
               !atomic_load(&store->closing));
        return r == -ENOSPC ? 0 : r;
}

/* What fails is reported and does not keep the rest from being done: a damaged
 * record must not let the log grow without end. */
static int one_round(struct bm_store *store, enum effort effort, bool *won)
{
        int r = bm_store_writable(store), swept = 0, compacted = 0;
        *won = false;
        if (r < 0)
                return r;
        in_round = true;
        const bool soon =
                effort == BUSY || (effort == USUAL && store->keeper.quiet < SPARES_ROUNDS);
        atomic_store_explicit(&store->drives.spares.wanted, soon, memory_order_relaxed);
        bm_space_note(store, !soon);
        const uint64_t written = atomic_load(&store->log.written);
        if (!bm_map_is_empty(store->drops))
                swept = bm_large_sweep(store, NULL);
        atomic_store(&store->keeper.swept_at, written);
        tell_pace(store);
        if (effort == NEEDED || (effort <= USUAL && !bm_space_refill(store)))
                compacted = refill(store, effort, won);
        else
                compacted = compact(store, effort);
        if (bm_checkpoint_due(store))
                r = checkpoint(store);
        if (r == 0)
                r = free_emptied(store);
        bm_checkpoint_free(store);
        (void)bm_space_refill(store);
        in_round = false;
        if (r == 0)
                r = compacted;
        return r == 0 && swept != -ENOSPC ? swept : r;
}

/* Whether it won room. */
static bool run_round(struct bm_store *store, enum effort effort)
{
        bool won;
        int r = one_round(store, effort, &won);
        if (r < 0 && r != -EROFS)
                bm_store_log(store, BM_LOG_ERROR, "keeping the store in order failed: %s",
                             strerror(-r));
        return won;
}

static void *keeper_thread(void *ctx)
{
        struct bm_store *store = ctx;
        struct bm_keeper *k = &store->keeper;
        bool woken = false;
        pthread_setname_np(pthread_self(), "bm-keeper");
        pthread_mutex_lock(&k->lock);
        while (!k->stop) {
                struct timespec due;
                clock_gettime(CLOCK_MONOTONIC, &due);
                due.tv_sec += woken ? QUIET_SECONDS : ROUND_SECONDS;
                if (!k->wake)
                        pthread_cond_timedwait(&k->changed, &k->lock, &due);
                if (k->stop)
                        break;
                uint64_t asked = k->asked;
                woken = k->wake; /* a segment is full */
                k->wake = false;
                k->quiet = woken ? 0 : k->quiet + 1;
                pthread_mutex_unlock(&k->lock);
                bool won = run_round(store, asked > k->answered ? NEEDED : woken ? BUSY : USUAL);
                bm_pace_set(store);
                pthread_mutex_lock(&k->lock);
                k->answered = asked;
                k->won = won;
                k->rounds++;
                pthread_cond_broadcast(&k->changed);
        }
        pthread_cond_broadcast(&k->changed); /* nobody waits for a round that never comes */
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
        pthread_cond_broadcast(&k->let_go);
        pthread_mutex_unlock(&k->lock);
        pthread_join(k->thread, NULL);
        k->running = false;
        atomic_store(&k->pace, 0);
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
static bool wait_round(struct bm_store *store)
{
        struct bm_keeper *k = &store->keeper;
        pthread_mutex_lock(&k->lock);
        uint64_t ticket = ++k->asked;
        k->wake = true;
        pthread_cond_broadcast(&k->changed);
        while (k->answered < ticket && !k->stop)
                pthread_cond_wait(&k->changed, &k->lock);
        bool won = k->answered >= ticket && k->won;
        pthread_mutex_unlock(&k->lock);
        return won;
}

bool bm_keeper_win_space(struct bm_store *store)
{
        if (in_round) /* sweeping logs tombstones itself */
                return false;
        return store->keeper.running ? wait_round(store) : run_round(store, NEEDED);
}

void bm_keeper_note_release(struct bm_store *store)
{
        struct bm_keeper *k = &store->keeper;
        pthread_mutex_lock(&k->lock);
        k->released++;
        pthread_cond_broadcast(&k->let_go);
        pthread_mutex_unlock(&k->lock);
}

bool bm_keeper_wait_release(struct bm_store *store, uint64_t *seen)
{
        struct bm_keeper *k = &store->keeper;
        struct timespec end;
        if (in_round)
                return false;
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_nsec += RELEASE_MS * 1000000L;
        end.tv_sec += end.tv_nsec / 1000000000L;
        end.tv_nsec %= 1000000000L;
        const bool there = !bm_map_is_empty(store->orphans);
        pthread_mutex_lock(&k->lock);
        int r = 0;
        while (there && r == 0 && k->released == *seen && !k->stop)
                r = pthread_cond_timedwait(&k->let_go, &k->lock, &end);
        const bool released = k->released != *seen;
        *seen = k->released;
        pthread_mutex_unlock(&k->lock);
        return released;
}

void bm_keeper_wait(struct bm_store *store)
{
        struct bm_keeper *k = &store->keeper;
        pthread_mutex_lock(&k->lock);
        const uint64_t rounds = k->rounds;
        k->wake = true;
        pthread_cond_broadcast(&k->changed);
        /* for a round at most, for what is dead may have to stay: there may be no room for copies
         */
        while (bm_pace_is_over(store) && k->rounds == rounds && !k->stop)
                pthread_cond_wait(&k->changed, &k->lock);
        pthread_mutex_unlock(&k->lock);
}

int bm_compact(struct bm_store *store)
{
        uint64_t before;
        bool won;
        int r = bm_store_writable(store);
        do {
                before = atomic_load(&store->freed_bytes);
                if (r == 0)
                        r = one_round(store, THOROUGH, &won);
        } while (r == 0 && atomic_load(&store->freed_bytes) > before);
        return r;
}
