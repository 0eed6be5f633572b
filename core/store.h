/* SPDX-License-Identifier: MIT */
/*
 * An open store: what all of the core's upper half shares.
 *
 * Threads: any number of callers; the syncer's (sync.h); the preparer, which
 * makes the next log segment ahead of need; and the keeper, which compacts,
 * sweeps dropped chunks and writes checkpoints (keeper.h).
 *
 * Locks, in the order in which they may be taken: check_lock, rename_lock,
 * checkpoint_lock, stripes (in ascending order), maps.lock, reserve_lock,
 * log.prepare_lock, log.append_lock, drives.lock, counts.lock, watch.lock. The syncer's lock is
 * never held while another is taken.
 */
#ifndef BM_STORE_H
#define BM_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "base/figure.h"
#include "bucketmap.h"
#include "counts.h"
#include "drives.h"
#include "index.h"
#include "log.h"
#include "map.h"
#include "salvage.h"
#include "sync.h"
#include "watch.h"

enum { BM_STRIPES = 256 };

/* Sums over the store, in a part for each stripe: one counter for all would go from
 * processor to processor with each change. */
enum bm_sum {
        BM_SUM_KEYS,        /* of the maps that users see; maps not counted */
        BM_SUM_VALUE_BYTES, /* likewise */
        BM_SUM_LIVE_BYTES,  /* of records in data segments */
        BM_SUMS,
};

struct bm_stripe {
        _Alignas(BM_CACHE_LINE) pthread_rwlock_t lock;
        /* changed under the lock, exclusively; read anywhere: relaxed, nothing is ordered by them.
         * A part may be below 0, modulo 2^64: what is moved by a compaction may stay in another's.
         */
        _Atomic uint64_t sums[BM_SUMS];
};

/* What the keeper has been asked, and how far it is (keeper.c). */
struct bm_keeper {
        pthread_t thread;
        _Atomic bool running; /* the preparer asks, while it may be stopped */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        pthread_cond_t let_go; /* of an orphan; apart, for that would wake the thread each time */
        /* guarded by lock */
        bool stop, wake;
        uint64_t asked, answered; /* tickets of those who wait for room: given out, and looked at */
        bool won;                 /* the last round freed something */
        uint64_t rounds;          /* that came to an end */
        uint64_t released;        /* orphans, since the store was opened */
        unsigned quiet;           /* the thread's: rounds since one beside others' writing */
        _Atomic uint64_t swept_at; /* log.written when the last sweep began */
        /* pace.c */
        _Atomic uint64_t looked_at; /* number of the log segment for which pace was set last */
        _Atomic uint32_t pace;      /* what writers wait, ns for each KiB that they log */
};

/* The newest manifest and what follows from it (checkpoint.c). */
struct bm_manifests {
        int fd;
        struct bm_manifest newest;
        bool strays; /* segments that it does not know may be there: until a recovery has ended */
        _Atomic uint64_t log_at_last;                /* log.written when it was made */
        _Atomic uint64_t records_at_last;            /* log.n_records likewise */
        _Atomic uint64_t index_bytes;                /* of the blocks that it refers to */
        _Atomic uint64_t index_written, index_freed; /* bytes of index files since open */
        _Atomic uint64_t checkpoints;
};

struct bm_store {
        /* constant after opening */
        char *path;
        const struct bm_io *io;
        bool read_only, stamp_times, no_background;
        void (*log_fn)(void *ctx, enum bm_log_level level, const char *message);
        void *log_ctx;
        int lock_fd, reserve_fd;
        struct bm_map *root, *top, *inodes, *chunks, *drops, *orphans, *patches;
        bool clean_open;
        struct bm_salvage *salvage; /* not NULL: opened for a repair */
        bool tolerant;              /* read-only: what is missing is left out, and said */
        char damage[256];           /* what the open found first; "": nothing */
        bool lost_segment;          /* a manifest names a data segment that is not there */
        uint64_t replayed_records;
        struct bm_block_source block_source;

        /* each with locks of its own */
        struct bm_drives drives;
        struct bm_log log;
        struct bm_syncer syncer;
        struct bm_maps maps;
        struct bm_counts counts;
        struct bm_counts held; /* data ids that the sweeper spares: large.h */
        struct bm_keeper keeper;
        struct bm_watch watch; /* for a check that runs meanwhile */
        struct bm_index_stats index_stats;

        pthread_mutex_t check_lock;      /* one check at a time; before all others */
        pthread_mutex_t rename_lock;     /* at most one directory changes its parent */
        pthread_mutex_t checkpoint_lock; /* guards manifests and what compaction changes */
        struct bm_manifests manifests;
        uint64_t next_cold;      /* number of the next cold segment; likewise */
        struct bm_segment *cold; /* being filled by the compactor; guarded by checkpoint_lock */
        uint64_t copied_at;      /* the log's tail then; likewise */

        pthread_mutex_t reserve_lock;
        uint64_t reserved;           /* bytes in the reserve; guarded by reserve_lock */
        _Atomic uint64_t index_look; /* bytes of the index beyond which it is reckoned anew */
        uint64_t disk_bytes;         /* of the disks under the drives; constant after opening */
        /* the most that lived since it was last quiet, bytes; relaxed, a hint: bm_space_note */
        _Atomic uint64_t lived;

        pthread_t preparer;
        bool preparer_running;
        pthread_mutex_t preparer_lock;
        pthread_cond_t preparer_changed;
        bool preparer_wanted, preparer_stop; /* guarded by preparer_lock */

        /* synchronise themselves; apart from what everybody reads all the time */
        _Alignas(BM_CACHE_LINE) _Atomic uint64_t next_record;
        _Atomic uint64_t next_map, next_data;
        _Atomic uint64_t n_moves; /* transactions by which something got another key */
        _Atomic uint64_t compacted_bytes, swept_chunks, freed_bytes;
        _Atomic bool closing; /* long work ends early */
        _Atomic bool damaged; /* said once in the log */

        struct bm_stripe stripes[BM_STRIPES];
};

/* What bm_last_problem says was found by a read-only open that goes on: it is
 * logged, and check tells it. */
void bm_store_note_damage(struct bm_store *store);
/* bm_open for a repair, where SALVAGE is not NULL and CONFIG says read_only: the store is as it
 * can be had, in memory only. SALVAGE must outlive it. */
int bm_open_salvage(const char *path, const struct bm_config *config, struct bm_salvage *salvage,
                    struct bm_store **storep);

/* Changes STRIPE's part of a sum. The stripe is locked exclusively, or the store opens. */
static inline void bm_sum_add(struct bm_store *store, unsigned stripe, enum bm_sum sum, uint64_t n)
{
        bm_figure_add(&store->stripes[stripe].sums[sum], n);
}
/* Exact when nobody writes. */
uint64_t bm_sum(const struct bm_store *store, enum bm_sum sum);
/* While the store opens. */
void bm_sum_clear(struct bm_store *store, enum bm_sum sum);

/* One log line for the store's owner. */
void bm_store_log(struct bm_store *store, enum bm_log_level level, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* -EROFS where nothing may be changed, else 0. */
int bm_store_writable(const struct bm_store *store);

/* Takes the lock file, for itself alone unless nothing will be written (store_lock.c). BM_E_IN_USE
 * with the problem set: to whom the store belongs now. */
int bm_store_lock(struct bm_store *store);

/* What opening NAME gave. A descriptor or an error; BM_E_DAMAGED, with the problem set, where
 * something bears the name of a file of ours and is none: nothing of it is touched. */
int bm_store_not_plain(const struct bm_store *store, const char *name, int fd);

/* Now, for records: ns since the epoch. */
int64_t bm_now_ns(void);

#endif
