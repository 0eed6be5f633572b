/* SPDX-License-Identifier: MIT */
/* See sync.h. */
#include "sync.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define NS UINT64_C(1000000000)

enum {
        GATHER_SHARE = 4, /* of a flush's time is what the next may wait for its callers */
};

struct bm_sync_waiter {
        struct bm_sync_waiter *next;
        uint64_t target;
        void (*done)(void *ctx, int result);
        void *ctx;
};

int bm_syncer_init(struct bm_syncer *sy, struct bm_log *log, unsigned interval)
{
        pthread_condattr_t attr;
        *sy = (struct bm_syncer){.log = log, .interval = interval};
        pthread_mutex_init(&sy->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&sy->changed, &attr);
        pthread_cond_init(&sy->wanted, &attr);
        pthread_condattr_destroy(&attr);
        return 0;
}

void bm_syncer_deinit(struct bm_syncer *sy)
{
        pthread_cond_destroy(&sy->wanted);
        pthread_cond_destroy(&sy->changed);
        pthread_mutex_destroy(&sy->lock);
}

/*
 * Leaves the durable position in the log, so that damage below it is never
 * taken for the log's end. Where there is no room, the next segment's header
 * says it. Nothing but this record is then behind the durable mark, which is
 * what `covered` is for: an idle store need not be flushed again.
 */
static void note_durable(struct bm_syncer *sy, uint64_t durable)
{
        struct bm_record record = {
                .type = BM_REC_SYNC, .flags = BM_RECF_VERSION, .version = durable};
        struct bm_location where;
        uint64_t capacity, covered = durable;
        if (bm_log_append(sy->log, &record, 1, BM_CLAIM_REMOVE, &where, &capacity) == 0) {
                uint64_t at = bm_pos(where.segment->header.number, where.offset);
                sy->note_says = durable;
                sy->note_end = at + where.length;
                if (at == durable)
                        covered = sy->note_end;
        }
        atomic_store(&sy->covered, covered);
}

void bm_syncer_mark(struct bm_syncer *sy)
{
        struct bm_record record = {.type = BM_REC_SYNC,
                                   .flags = BM_RECF_VERSION,
                                   .version = atomic_load(&sy->durable)};
        struct bm_location where;
        uint64_t capacity;
        (void)!bm_log_append(sy->log, &record, 1, BM_CLAIM_REMOVE, &where, &capacity);
}

/* Without the lock, by the leader only. */
static int flush(struct bm_syncer *sy)
{
        struct bm_segment **segments;
        uint64_t tail;
        size_t n;
        bm_log_fill_ahead(sy->log);
        int r = bm_log_take_unsynced(sy->log, &segments, &n, &tail);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                struct bm_segment *s = segments[i];
                /* acquire: pairs with the log's release, so that what is sealed has its end */
                const bool sealed =
                        atomic_load_explicit(&s->state, memory_order_acquire) == BM_SEGMENT_SEALED;
                uint64_t used = atomic_load_explicit(&s->used, memory_order_acquire);
                if (atomic_load(&s->synced) >= used)
                        continue;
                int one = bm_segment_sync(s, used);
                if (one < 0)
                        r = one;
                /* sealed meanwhile, it is in the next flush's list, which wants its file */
                if (one == 0 && sealed)
                        bm_segment_close_file(s);
        }
        if (r == 0)
                r = bm_segments_sync_names(segments, n);
        free(segments);
        if (r < 0)
                return r;
        atomic_store(&sy->durable, tail);
        if (sy->note_end <= tail)
                atomic_store(&sy->told, sy->note_says);
        note_durable(sy, tail);
        return 0;
}

/* Locked. Wakes the callers that wait, and the thread only where there is something for it: who
 * leads sees to the waiters at the end. */
static void tell(struct bm_syncer *sy)
{
        pthread_cond_broadcast(&sy->changed);
        if (!sy->leading && (sy->waiters || sy->stop))
                pthread_cond_signal(&sy->wanted);
}

/* Locked. Takes out the waiters that can be answered. */
static struct bm_sync_waiter *take_answered(struct bm_syncer *sy)
{
        struct bm_sync_waiter *answered = NULL, **p = &sy->waiters;
        while (*p) {
                struct bm_sync_waiter *w = *p;
                if (w->target > atomic_load(&sy->covered) && atomic_load(&sy->failed) == 0) {
                        p = &w->next;
                        continue;
                }
                *p = w->next;
                w->next = answered;
                answered = w;
                sy->n_waiting--;
        }
        return answered;
}

static void answer(struct bm_syncer *sy, struct bm_sync_waiter *w)
{
        while (w) {
                struct bm_sync_waiter *next = w->next;
                w->done(w->ctx, atomic_load(&sy->failed));
                free(w);
                w = next;
        }
}

static struct timespec now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t;
}

static struct timespec later(struct timespec t, uint64_t ns)
{
        ns += (uint64_t)t.tv_nsec;
        return (struct timespec){.tv_sec = t.tv_sec + (time_t)(ns / NS),
                                 .tv_nsec = (long)(ns % NS)};
}

/*
 * Locked; gives the lock up meanwhile. Those whom the last flush answered come back soon, if they
 * sync one thing after the other: a flush for all of them is worth a wait for the last. Without it
 * each flush serves those who came during the one before, half of them.
 */
static void gather(struct bm_syncer *sy)
{
        const struct timespec until = later(now(), sy->flush_ns / GATHER_SHARE);
        while (sy->n_waiting > 0 && sy->n_waiting < sy->crowd && !sy->stop) {
                if (pthread_cond_timedwait(&sy->changed, &sy->lock, &until) != 0)
                        break;
        }
}

/* Locked; gives the lock up meanwhile. */
static void lead(struct bm_syncer *sy)
{
        sy->leading = true;
        gather(sy);
        pthread_mutex_unlock(&sy->lock);
        const struct timespec began = now();
        int r = flush(sy);
        const struct timespec ended = now();
        pthread_mutex_lock(&sy->lock);
        sy->flush_ns = (uint64_t)(ended.tv_sec - began.tv_sec) * NS + (uint64_t)ended.tv_nsec -
                       (uint64_t)began.tv_nsec;
        sy->crowd = sy->n_waiting;
        if (r < 0 && atomic_load(&sy->failed) == 0)
                atomic_store(&sy->failed, -EIO);
        sy->leading = false;
        sy->flushes++;
        struct bm_sync_waiter *answered = take_answered(sy);
        tell(sy);
        if (!answered)
                return;
        pthread_mutex_unlock(&sy->lock);
        answer(sy, answered);
        pthread_mutex_lock(&sy->lock);
}

static int sync_until(struct bm_syncer *sy, _Atomic uint64_t *mark)
{
        uint64_t target = bm_log_tail(sy->log);
        pthread_mutex_lock(&sy->lock);
        sy->n_waiting++;
        if (sy->leading) /* perhaps it waits for us */
                tell(sy);
        while (atomic_load(mark) < target && atomic_load(&sy->failed) == 0) {
                if (sy->leading)
                        pthread_cond_wait(&sy->changed, &sy->lock);
                else
                        lead(sy);
        }
        sy->n_waiting--;
        int r = atomic_load(&sy->failed);
        pthread_mutex_unlock(&sy->lock);
        return r;
}

int bm_syncer_sync(struct bm_syncer *sy)
{
        bm_log_note_sync(sy->log);
        return sync_until(sy, &sy->covered);
}

int bm_syncer_sync_wholly(struct bm_syncer *sy)
{
        return sync_until(sy, &sy->durable);
}

void bm_syncer_start_sync(struct bm_syncer *sy, void (*done)(void *ctx, int result), void *ctx)
{
        struct bm_sync_waiter *w = sy->running ? malloc(sizeof(*w)) : NULL;
        uint64_t target = bm_log_tail(sy->log);
        bm_log_note_sync(sy->log);
        if (!w) { /* no thread, or no memory: the caller's thread does it */
                done(ctx, bm_syncer_sync(sy));
                return;
        }
        *w = (struct bm_sync_waiter){.target = target, .done = done, .ctx = ctx};
        pthread_mutex_lock(&sy->lock);
        if (atomic_load(&sy->covered) >= target || atomic_load(&sy->failed) != 0) {
                pthread_mutex_unlock(&sy->lock);
                answer(sy, w);
                return;
        }
        w->next = sy->waiters;
        sy->waiters = w;
        sy->n_waiting++;
        tell(sy);
        pthread_mutex_unlock(&sy->lock);
}

void bm_syncer_fail(struct bm_syncer *sy, int error)
{
        pthread_mutex_lock(&sy->lock);
        if (atomic_load(&sy->failed) == 0)
                atomic_store(&sy->failed, error);
        struct bm_sync_waiter *answered = take_answered(sy);
        tell(sy);
        pthread_mutex_unlock(&sy->lock);
        answer(sy, answered);
}

static void *sync_thread(void *ctx)
{
        struct bm_syncer *sy = ctx;
        struct timespec due = later(now(), sy->interval * NS);
        pthread_setname_np(pthread_self(), "bm-syncer");
        pthread_mutex_lock(&sy->lock);
        while (!sy->stop || sy->waiters) {
                bool late = false;
                if (sy->leading || !sy->waiters) {
                        if (sy->interval)
                                late = pthread_cond_timedwait(&sy->wanted, &sy->lock, &due) ==
                                       ETIMEDOUT;
                        else
                                pthread_cond_wait(&sy->wanted, &sy->lock);
                }
                bool dirty = atomic_load(&sy->covered) < bm_log_tail(sy->log);
                if (!sy->leading && atomic_load(&sy->failed) == 0 &&
                    (sy->waiters || (late && dirty)))
                        lead(sy);
                if (late || sy->waiters)
                        due = later(now(), sy->interval * NS);
        }
        pthread_mutex_unlock(&sy->lock);
        return NULL;
}

int bm_syncer_start(struct bm_syncer *sy)
{
        int r = pthread_create(&sy->thread, NULL, sync_thread, sy);
        sy->running = r == 0;
        return -r;
}

void bm_syncer_stop(struct bm_syncer *sy)
{
        if (!sy->running)
                return;
        pthread_mutex_lock(&sy->lock);
        sy->stop = true;
        tell(sy);
        pthread_mutex_unlock(&sy->lock);
        pthread_join(sy->thread, NULL);
        sy->running = false;
}
