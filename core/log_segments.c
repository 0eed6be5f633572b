/* SPDX-License-Identifier: MIT */
/* The log's segments: the next one is made aside, what was filled waits for a flush. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

int bm_log_reserve_unsynced(struct bm_log *log)
{
        if (log->n_unsynced < log->cap_unsynced)
                return 0;
        size_t cap = log->cap_unsynced ? log->cap_unsynced * 2 : 16;
        struct bm_segment **grown = realloc(log->unsynced, cap * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        log->unsynced = grown;
        log->cap_unsynced = cap;
        return 0;
}

static uint64_t elapsed_us(const struct timespec *since)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)((now.tv_sec - since->tv_sec) * 1000000 +
                          (now.tv_nsec - since->tv_nsec) / 1000);
}

static void count_made(struct bm_log *log, int r, uint64_t size, uint64_t us)
{
        if (r < 0) {
                atomic_fetch_add(&log->stats.failed, 1);
                return;
        }
        atomic_fetch_add(&log->stats.added, 1);
        atomic_fetch_add(&log->stats.make_us, us);
        if (us > atomic_load(&log->stats.longest_us))
                atomic_store(&log->stats.longest_us, us);
        if (size > atomic_load(&log->stats.max_size))
                atomic_store(&log->stats.max_size, size);
}

/* Both at one moment: between an installation's steps a second successor would be
 * made. Once true it stays so until the holder of prepare_lock made one. */
bool bm_log_lacks_next(struct bm_log *log, uint64_t capacity)
{
        pthread_mutex_lock(&log->append_lock);
        bool lacks = bm_pos_number(bm_log_tail(log)) == capacity &&
                     !atomic_load_explicit(&log->next, memory_order_relaxed);
        pthread_mutex_unlock(&log->append_lock);
        return lacks;
}

int bm_log_prepare(struct bm_log *log, uint64_t capacity, uint64_t size, uint64_t durable)
{
        struct timespec began;
        struct bm_segment *made;
        int r = 0;
        pthread_mutex_lock(&log->prepare_lock);
        if (bm_log_lacks_next(log, capacity)) {
                clock_gettime(CLOCK_MONOTONIC, &began);
                r = bm_drives_make(log->drives, BM_SEGMENT_LOG, size, capacity + 1, log->epoch,
                                   durable, &made);
                if (r == 0) {
                        /* nothing that a sync would write before there is anything in it */
                        bm_segment_fill_huge(
                                made, atomic_load_explicit(&log->sync_span, memory_order_relaxed));
                        atomic_store_explicit(&log->next, made, memory_order_release);
                }
                count_made(log, r, size, elapsed_us(&began));
        }
        pthread_mutex_unlock(&log->prepare_lock);
        return r;
}

int bm_log_take_unsynced(struct bm_log *log, struct bm_segment ***segments, size_t *n,
                         uint64_t *tail)
{
        int r = 0;
        pthread_mutex_lock(&log->append_lock);
        struct bm_segment **list = malloc((log->n_unsynced + 1) * sizeof(*list));
        if (list) {
                if (log->n_unsynced)
                        memcpy(list, log->unsynced, log->n_unsynced * sizeof(*list));
                list[log->n_unsynced] = atomic_load_explicit(&log->active, memory_order_relaxed);
                *segments = list;
                *n = log->n_unsynced + 1;
                *tail = bm_log_tail(log);
                log->n_unsynced = 0;
        } else {
                r = -ENOMEM;
        }
        pthread_mutex_unlock(&log->append_lock);
        return r;
}
