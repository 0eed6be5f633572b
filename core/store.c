/* SPDX-License-Identifier: MIT */
/* Creating, opening and closing a store. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint.h"
#include "error.h"
#include "keeper.h"
#include "large.h"
#include "preparer.h"
#include "recover.h"
#include "space.h"
#include "superblock.h"

int64_t bm_now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void bm_store_log(struct bm_store *store, enum bm_log_level level, const char *fmt, ...)
{
        char line[5000];
        va_list ap;
        if (!store->log_fn)
                return;
        va_start(ap, fmt);
        vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        store->log_fn(store->log_ctx, level, line);
}

void bm_store_note_damage(struct bm_store *store)
{
        bm_store_log(store, BM_LOG_ERROR, "%s", bm_last_problem());
        if (!store->damage[0])
                snprintf(store->damage, sizeof(store->damage), "%s", bm_last_problem());
}

int bm_store_writable(const struct bm_store *store)
{
        return store->read_only || atomic_load_explicit(&store->syncer.failed, memory_order_relaxed)
                       ? -EROFS
                       : 0;
}

/* The reserve that a crash or a full disk cut short is filled up again. */
static int open_reserve(struct bm_store *store)
{
        struct bm_io_file file;
        struct bm_io_space space;
        if (bm_drives_space(&store->drives, &space) == 0)
                store->disk_bytes = space.total_bytes;
        if (store->read_only && !(store->salvage && store->salvage->writable))
                return 0;
        store->reserve_fd = bm_io_call(store->io, open_at, store->drives.drives[0].dir,
                                       BM_FILE_RESERVE, O_RDWR | O_CREAT, 0600);
        if (store->reserve_fd < 0)
                return bm_store_not_plain(store, BM_FILE_RESERVE, store->reserve_fd);
        int r = bm_io_call(store->io, stat, store->reserve_fd, &file);
        store->reserved = r == 0 ? file.size_bytes : 0;
        return r;
}

static int read_block(void *ctx, const struct bm_block_row *row, void *buf, size_t len)
{
        struct bm_store *store = ctx;
        struct bm_segment *s = bm_drives_segment(&store->drives, row->file_id);
        if (!s)
                return -EIO;
        return bm_io_call(store->io, pread, s->fd, buf, len,
                          (uint64_t)row->offset_units * BM_LINE_BYTES);
}

static void init_monotonic(pthread_cond_t *cond)
{
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attr);
        pthread_condattr_destroy(&attr);
}

uint64_t bm_sum(const struct bm_store *store, enum bm_sum sum)
{
        uint64_t n = 0;
        for (unsigned i = 0; i < BM_STRIPES; i++)
                n += atomic_load_explicit(&store->stripes[i].sums[sum], memory_order_relaxed);
        return n;
}

void bm_sum_clear(struct bm_store *store, enum bm_sum sum)
{
        for (unsigned i = 0; i < BM_STRIPES; i++)
                atomic_store_explicit(&store->stripes[i].sums[sum], 0, memory_order_relaxed);
}

static void init_stripes(struct bm_store *store)
{
        pthread_rwlockattr_t attr;
        pthread_rwlockattr_init(&attr);
        /* readers come in a stream; a writer must get its turn */
        pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        for (unsigned i = 0; i < BM_STRIPES; i++)
                pthread_rwlock_init(&store->stripes[i].lock, &attr);
        pthread_rwlockattr_destroy(&attr);
}

static struct bm_store *store_new(const struct bm_config *config)
{
        struct bm_store *store = aligned_alloc(64, (sizeof(*store) + 63) / 64 * 64);
        if (!store)
                return NULL;
        memset(store, 0, sizeof(*store));
        store->io = config->io ? config->io : &bm_io_posix;
        store->read_only = config->read_only;
        store->stamp_times = config->stamp_times;
        store->no_background = config->no_background;
        store->log_fn = config->log;
        store->log_ctx = config->log_ctx;
        store->lock_fd = store->reserve_fd = store->manifests.fd = -1;
        store->block_source = (struct bm_block_source){.read = read_block, .ctx = store};
        bm_maps_init(&store->maps, store);
        bm_counts_init(&store->counts);
        bm_counts_init(&store->held);
        bm_log_init(&store->log, &store->drives);
        bm_syncer_init(&store->syncer, &store->log,
                       config->commit_interval ? config->commit_interval : 5);
        bm_watch_init(&store->watch);
        pthread_mutex_init(&store->check_lock, NULL);
        pthread_mutex_init(&store->rename_lock, NULL);
        pthread_mutex_init(&store->checkpoint_lock, NULL);
        pthread_mutex_init(&store->reserve_lock, NULL);
        pthread_mutex_init(&store->preparer_lock, NULL);
        pthread_cond_init(&store->preparer_changed, NULL);
        pthread_mutex_init(&store->keeper.lock, NULL);
        init_monotonic(&store->keeper.changed);
        init_monotonic(&store->keeper.let_go);
        init_stripes(store);
        return store;
}

/* Gives everything back as it is; nothing is written. */
static void store_free(struct bm_store *store)
{
        bm_maps_deinit(&store->maps);
        bm_counts_deinit(&store->counts);
        bm_counts_deinit(&store->held);
        bm_log_deinit(&store->log);
        bm_syncer_deinit(&store->syncer);
        bm_drives_deinit(&store->drives);
        if (store->reserve_fd >= 0)
                (void)bm_io_call(store->io, close, store->reserve_fd);
        if (store->manifests.fd >= 0)
                (void)bm_io_call(store->io, close, store->manifests.fd);
        if (store->lock_fd >= 0) /* last: with it the store is anybody's */
                (void)bm_io_call(store->io, close, store->lock_fd);
        for (unsigned i = 0; i < BM_STRIPES; i++)
                pthread_rwlock_destroy(&store->stripes[i].lock);
        pthread_cond_destroy(&store->keeper.let_go);
        pthread_cond_destroy(&store->keeper.changed);
        pthread_mutex_destroy(&store->keeper.lock);
        pthread_cond_destroy(&store->preparer_changed);
        pthread_mutex_destroy(&store->preparer_lock);
        pthread_mutex_destroy(&store->reserve_lock);
        pthread_mutex_destroy(&store->checkpoint_lock);
        pthread_mutex_destroy(&store->rename_lock);
        pthread_mutex_destroy(&store->check_lock);
        bm_watch_deinit(&store->watch);
        free(store->path);
        free(store);
}

static int start_threads(struct bm_store *store)
{
        if (store->read_only || store->no_background)
                return 0;
        store->log.sealed = bm_preparer_wake;
        store->log.sealed_ctx = store;
        int r = bm_preparer_start(store);
        if (r == 0)
                r = bm_syncer_start(&store->syncer);
        if (r == 0)
                r = bm_keeper_start(store);
        if (r == 0)
                bm_preparer_wake(store);
        return r;
}

static void stop_threads(struct bm_store *store)
{
        bm_keeper_stop(store);
        bm_preparer_stop(store);
        bm_syncer_stop(&store->syncer);
}

static int close_file(void *ctx, struct bm_segment *s)
{
        bm_segment_close_file(s);
        return 0;
}

static int open_all(struct bm_store *store, const char *path, const struct bm_config *config)
{
        store->path = strdup(path);
        if (!store->path)
                return -ENOMEM;
        int r = bm_drives_open(&store->drives, store->io, path, config);
        if (r == 0 && store->drives.superblock.ro_compat != 0 && !store->read_only)
                r = BM_E_NEWER_FORMAT;
        if (r == 0)
                r = bm_store_lock(store);
        if (r == 0)
                r = open_reserve(store);
        if (r == 0)
                r = bm_set_owner_note(store, config->owner_note);
        if (r == 0)
                r = bm_recover(store);
        if (r != 0)
                return r;
        bm_drives_each(&store->drives, close_file, NULL);
        if (!store->read_only) {
                (void)bm_space_refill(store);
                /* or a full disk would not bear being killed and opened again and again */
                if (bm_space_is_exhausted(store))
                        (void)bm_keeper_win_space(store);
        }
        if (config->expected_keys)
                bm_set_anticipated_count(store->root, config->expected_keys);
        return start_threads(store);
}

int bm_open(const char *path, const struct bm_config *config, struct bm_store **storep)
{
        return bm_open_salvage(path, config, NULL, storep);
}

int bm_open_salvage(const char *path, const struct bm_config *config, struct bm_salvage *salvage,
                    struct bm_store **storep)
{
        bm_problem_clear();
        *storep = NULL;
        struct bm_store *store = store_new(config);
        if (!store)
                return -ENOMEM;
        store->salvage = salvage;
        int r = open_all(store, path, config);
        if (r != 0) {
                stop_threads(store);
                store_free(store);
                return r;
        }
        *storep = store;
        return 0;
}

/* The segment made ahead of need is no use to a closed store. */
static void drop_prepared(struct bm_store *store)
{
        struct bm_segment *next = atomic_load(&store->log.next);
        if (!next)
                return;
        atomic_store(&store->log.next, NULL);
        (void)bm_drives_remove(&store->drives, next);
}

int bm_close(struct bm_store *store)
{
        if (!store)
                return 0;
        stop_threads(store);
        int r = 0;
        if (!store->read_only) {
                drop_prepared(store);
                r = bm_orphans_clear(store);
                int synced = bm_syncer_sync(&store->syncer);
                if (r == 0)
                        r = synced;
                if (r == 0 && store->cold)
                        atomic_store(&store->cold->state, BM_SEGMENT_SEALED);
                if (r == 0)
                        r = bm_checkpoint_write(store, BM_CHECKPOINT_CLEAN);
                if (r == 0)
                        bm_space_settle(store);
                (void)bm_io_call(store->io, truncate, store->lock_fd, 0);
        }
        store_free(store);
        return r;
}

int bm_create(const char *path, const struct bm_config *config)
{
        const char *paths[BM_DRIVES_MAX];
        bool there[BM_DRIVES_MAX];
        struct bm_config plain = *config;
        struct bm_store *store;
        bm_problem_clear();
        if (config->n_drives >= BM_DRIVES_MAX)
                return -EINVAL;
        paths[0] = path;
        for (size_t i = 0; i < config->n_drives; i++)
                paths[i + 1] = config->drives[i];
        const struct bm_io *io = config->io ? config->io : &bm_io_posix;
        for (size_t i = 0; i <= config->n_drives; i++) {
                int dir = bm_io_call(io, open_dir, paths[i]);
                there[i] = dir >= 0;
                if (there[i])
                        (void)bm_io_call(io, close, dir);
        }
        int r = bm_drives_create(io, paths, (unsigned)config->n_drives + 1, config);
        if (r != 0)
                return r;
        /* the first open completes it: the root's entry, the first manifest */
        plain.read_only = false;
        plain.no_background = true;
        r = bm_open(path, &plain, &store);
        if (r == 0)
                r = bm_close(store);
        if (r == 0 && config->n_drives > 0)
                r = bm_drives_created(io, path);
        if (r != 0)
                bm_drives_destroy(io, paths, (unsigned)config->n_drives + 1, there);
        return r;
}

const char *bm_drive_path(const struct bm_store *store, unsigned i)
{
        return i < store->drives.n_drives ? store->drives.drives[i].path : NULL;
}

int bm_sync(struct bm_store *store)
{
        return store->read_only ? 0 : bm_syncer_sync(&store->syncer);
}

void bm_sync_start(struct bm_store *store, void (*done)(void *ctx, int result), void *ctx)
{
        if (store->read_only)
                done(ctx, 0);
        else
                bm_syncer_start_sync(&store->syncer, done, ctx);
}
