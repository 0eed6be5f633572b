/* SPDX-License-Identifier: MIT */
/*
 * The durable mark, and group commit: callers that want to be durable at the
 * same time share one flush of the drives. The first becomes the leader and
 * flushes; who comes meanwhile waits for the next flush, which one of them
 * leads. Those that do not want to wait leave a callback, for the syncer's
 * own thread, which also flushes every commit interval.
 *
 * After one failed flush nothing is durable any more until the store is
 * opened again: the kernel may show pages as clean that are not on disk.
 */
#ifndef BM_SYNC_H
#define BM_SYNC_H

#include "log.h"

struct bm_sync_waiter;

struct bm_syncer {
        struct bm_log *log;
        unsigned interval; /* seconds; 0: never by itself */
        bool running;      /* there is a thread; constant after start */
        pthread_t thread;
        pthread_mutex_t lock;
        /* clock: monotonic */
        pthread_cond_t changed; /* for callers: a flush ended, or one more waits */
        pthread_cond_t wanted; /* for the thread: a waiter has nobody to flush for it, or the end */
        /* guarded by lock */
        bool leading; /* a flush is under way */
        bool stop;
        uint64_t flushes;
        unsigned n_waiting; /* callers and waiters that are not answered yet */
        unsigned crowd;     /* the same at the end of the last flush, those it answers included */
        uint64_t flush_ns;  /* how long that took */
        struct bm_sync_waiter *waiters;
        /* the leader's: the newest record that says what is durable, and its end */
        uint64_t note_says, note_end;
        /* guarded by lock for change */
        _Atomic uint64_t durable; /* everything below is on the disks */
        _Atomic uint64_t told;    /* what a record says of `durable` that is durable itself */
        _Atomic uint64_t covered; /* the same, a sync record of our own behind it included */
        _Atomic int failed;       /* 0, or the errno that ended durability */
};

int bm_syncer_init(struct bm_syncer *syncer, struct bm_log *log, unsigned interval);
int bm_syncer_start(struct bm_syncer *syncer); /* its thread */
void bm_syncer_stop(struct bm_syncer *syncer); /* ends the thread; waiters were answered */
void bm_syncer_deinit(struct bm_syncer *syncer);

/* Makes the log durable up to its present tail. A sync record of the syncer's
 * own at its very end may not be. */
int bm_syncer_sync(struct bm_syncer *syncer);
/* The same, that record included: what a manifest covers must be durable. */
int bm_syncer_sync_wholly(struct bm_syncer *syncer);
/* The same with a callback; see bm_sync_start. */
void bm_syncer_start_sync(struct bm_syncer *syncer, void (*done)(void *ctx, int result), void *ctx);
/* Lets the log go on, by a record that says nothing new. */
void bm_syncer_mark(struct bm_syncer *syncer);
/* Durability ended for another reason (a segment or manifest could not be synced). */
void bm_syncer_fail(struct bm_syncer *syncer, int error);

#endif
