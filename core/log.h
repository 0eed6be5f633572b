/* SPDX-License-Identifier: MIT */
/*
 * The log: frames appended one after the other to a chain of segments.
 *
 * One lock is held over reserve and copy, so there is never a hole before a
 * record whose append returned. A frame is a run of records, all but the last
 * flagged "more"; it never crosses a segment. The next segment is made aside
 * (bm_log_prepare) and installed by the append that finds the present one
 * full: the data's counterpart of the index's Reallocated.
 */
#ifndef BM_LOG_H
#define BM_LOG_H

#include <pthread.h>

#include "base/compiler.h"
#include "base/figure.h"
#include "drives.h"

struct bm_location {
        struct bm_segment *segment;
        uint32_t offset, length; /* bytes */
};

/* Not an outcome for callers: the disk has no room for bytes of a segment that
 * is there already (nomap only). */
enum { BM_E_DISK_FULL = 999 }; /* below those of transactions: txn.h */

enum { BM_SEAL_ROOM = 64 }; /* every log segment keeps this free for its seal */

/* Who may append while the reserve is not whole (space.h), in ascending order. */
enum bm_claim {
        BM_CLAIM_NONE,   /* who is refused first */
        BM_CLAIM_CUT,    /* what shortens a value: it frees space in the end, as far as is known */
        BM_CLAIM_REMOVE, /* what is sure to free some */
};

struct bm_log {
        /* constant after init */
        struct bm_drives *drives;
        uint64_t epoch;
        void (*sealed)(void *ctx); /* called after a segment was filled, under the append lock */
        void *sealed_ctx;
        pthread_mutex_t prepare_lock; /* before append_lock */
        /* guarded by append_lock for change; acquire/release for readers */
        struct bm_segment *_Atomic active;
        struct bm_segment *_Atomic next; /* prepared, or NULL; set under prepare_lock */
        /* guarded by append_lock */
        struct bm_segment **unsynced; /* sealed since the last flush */
        size_t n_unsynced, cap_unsynced;
        /* changed by each append, under the lock: one cache line, which nothing else is in */
        _Alignas(BM_CACHE_LINE) pthread_mutex_t append_lock;
        _Atomic uint64_t tail;               /* position behind the last record; as active */
        _Atomic uint64_t written, n_records; /* bytes and records since open; relaxed, figures */
        /* bytes appended between two syncs that somebody asked for, a moving mean; relaxed, hints
         */
        _Alignas(BM_CACHE_LINE) _Atomic uint64_t sync_span;
        _Atomic uint64_t asked_at;
        _Atomic unsigned least_claim; /* an enum bm_claim: others may not append; relaxed */
        struct bm_log_stats {
                _Atomic uint64_t added, failed, make_us, longest_us, max_size;
        } stats;
};

void bm_log_init(struct bm_log *log, struct bm_drives *drives);
void bm_log_deinit(struct bm_log *log);

/* Goes on in SEGMENT, of which USED bytes are filled. */
int bm_log_start(struct bm_log *log, struct bm_segment *segment, uint64_t used);

/*
 * Appends N records as one frame; WHERE[i] gets the place of each. Sets each
 * record's length and more flag. Records that put something count as living in
 * their segment. What has not the CLAIM that is wanted now is refused as if it were full.
 * BM_E_DATA_NO_SPACE: *CAPACITY gets what bm_log_prepare wants; nothing was
 * written. BM_E_DISK_FULL: likewise nothing.
 * -EFBIG: the frame is larger than BM_FRAME_MAX.
 */
int bm_log_append(struct bm_log *log, struct bm_record *records, size_t n, enum bm_claim claim,
                  struct bm_location *where, uint64_t *capacity);

/* Whether the segment numbered CAPACITY is the last one that there is. */
bool bm_log_lacks_next(struct bm_log *log, uint64_t capacity);

/*
 * Makes the segment that follows the one numbered CAPACITY, SIZE bytes (a
 * power of two), unless that is no longer the active one or the next is there
 * already. DURABLE: a position known durable. -ENOSPC leaves nothing behind.
 */
int bm_log_prepare(struct bm_log *log, uint64_t capacity, uint64_t size, uint64_t durable);

/* Somebody asks for a sync: how often that is decides how the log is written. */
void bm_log_note_sync(struct bm_log *log);

/* Encodes, for byte OFFSET of SEGMENT, the seal that leads to NEXT; its length. */
uint32_t bm_log_seal(const struct bm_segment *segment, uint64_t offset,
                     const struct bm_segment *next, uint8_t out[BM_SEAL_ROOM]);

/* Append lock held. Makes room for one more filled segment before it is needed, so that sealing
 * cannot fail half way. -ENOMEM. */
int bm_log_reserve_unsynced(struct bm_log *log);

/* Hands out what a flush up to *TAIL must sync: the segments sealed since the
 * last call (malloc'd array, the caller's) and the active one. */
int bm_log_take_unsynced(struct bm_log *log, struct bm_segment ***segments, size_t *n,
                         uint64_t *tail);

/* Before a flush; if there are many, see bm_segment_fill_ahead. */
void bm_log_fill_ahead(struct bm_log *log);

/* Bytes that the active segment takes yet, at this moment. */
uint64_t bm_log_room(const struct bm_log *log);

static inline uint64_t bm_log_tail(struct bm_log *log)
{
        /* acquire: pairs with the append's release, behind the copy */
        return atomic_load_explicit(&log->tail, memory_order_acquire);
}

#endif
