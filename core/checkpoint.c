/* SPDX-License-Identifier: MIT */
/* See checkpoint.h: the order of things, and the manifest. */
#include "checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "checkpoint_private.h"
#include "recover.h"
#include "space.h"

enum {
        REPLAY_BYTES_MAX = 256 << 20,
        REPLAY_RECORDS_MAX = 3000000,
};

/* What a sync failed for may be clean in the page cache and not on the disk:
 * trying again would succeed and mean nothing. R is the sync's result. */
static int final(struct bm_store *store, int r)
{
        if (r < 0)
                bm_syncer_fail(&store->syncer, -EIO);
        return r;
}

static bool is_cold_and_new(const struct bm_segment *s)
{
        return s->header.kind == BM_SEGMENT_COLD &&
               atomic_load(&s->synced) < atomic_load_explicit(&s->used, memory_order_acquire);
}

static int sync_cold(struct bm_store *store)
{
        struct bm_segment **list;
        size_t n, n_new = 0;
        int r = bm_drives_list(&store->drives, &list, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                if (!is_cold_and_new(list[i]))
                        continue;
                r = bm_segment_sync(list[i], atomic_load(&list[i]->used));
                if (r == 0)
                        bm_segment_close_file(list[i]);
                list[n_new++] = list[i];
        }
        if (r == 0)
                r = bm_segments_sync_names(list, n_new);
        free(list);
        return r;
}

static int write_manifest(struct bm_store *store, const struct bm_manifest *m)
{
        uint8_t bytes[BM_MANIFEST_ROOT];
        bm_manifest_encode(m, bytes);
        int r;
        do
                r = bm_io_call(store->io, pwrite, store->manifests.fd, bytes, sizeof(bytes),
                               m->generation % 2 * BM_MANIFEST_ROOT);
        while (bm_space_helps(store, r));
        return r < 0 ? r : final(store, bm_io_call(store->io, sync_data, store->manifests.fd));
}

static void fill_manifest(struct bm_store *store, struct bm_manifest *m)
{
        *m = (struct bm_manifest){
                .generation = store->manifests.newest.generation + 1,
                .epoch = store->log.epoch,
                /* whoever logged before this holds its bucket's lock until it
                 * is in the index, so the buckets taken below include it */
                .replay_from = bm_log_tail(&store->log),
        };
        memcpy(m->store_uuid, store->drives.superblock.store_uuid, BM_UUID);
}

static void finish_manifest(struct bm_store *store, struct bm_manifest *m)
{
        /* behind all that any copy includes, removals of maps too */
        m->covered = bm_log_tail(&store->log);
        m->next_record = atomic_load(&store->next_record);
        m->next_map = atomic_load(&store->next_map);
        m->next_data = atomic_load(&store->next_data);
        m->next_segment = store->next_cold;
        m->keys = bm_sum(store, BM_SUM_KEYS);
        m->maps = bm_maps_n(&store->maps);
        m->value_bytes = bm_sum(store, BM_SUM_VALUE_BYTES);
}

static int sync_data(struct bm_store *store)
{
        int r = bm_syncer_sync_wholly(&store->syncer);
        return r == 0 ? final(store, sync_cold(store)) : r;
}

/* Everything that the manifest names is made durable before it. */
static int sync_all(struct bm_writer *w)
{
        int r = sync_data(w->store);
        return r == 0 ? final(w->store, bm_segment_settle(w->file)) : r;
}

/*
 * Where the log was when all copies that compaction had made were durable: for a rebuild, which
 * has no manifest, must tell a lost copy from one that never was whole. The checkpoint before has
 * seen to it, and emptied segments are freed when there have been two. One that frees them at once
 * (FREES) sees to it itself. While what a crash left is there still, no more is said than before.
 */
static int copies_durable(struct bm_store *store, bool frees, uint64_t *durable)
{
        if (store->manifests.strays) {
                *durable = bm_rebuild_durable_copies(store);
                return 0;
        }
        *durable = frees ? bm_log_tail(&store->log) : store->manifests.newest.covered;
        return frees ? sync_data(store) : 0;
}

static int rewrite_manifest(struct bm_store *store, bool clean)
{
        struct bm_manifest m = store->manifests.newest;
        m.generation++;
        m.clean = clean;
        int r = write_manifest(store, &m);
        if (r == 0)
                store->manifests.newest = m;
        return r;
}

/* The tables that were made are what the manifest names now, and what the disk holds. */
static void put_in_force(struct bm_writer *w)
{
        struct bm_store *store = w->store;
        pthread_mutex_lock(&store->drives.lock); /* figures are looked at under it */
        w->file->size = w->at;
        pthread_mutex_unlock(&store->drives.lock);
        atomic_store(&w->file->used, w->at);
        atomic_store(&w->file->state, BM_SEGMENT_SEALED);
        bm_checkpoint_exclude_index(w);
        store->manifests.newest = w->manifest;
        atomic_store(&store->manifests.index_bytes, w->index_bytes);
        atomic_fetch_add(&store->manifests.checkpoints, 1);
        atomic_fetch_add(&store->manifests.index_written, w->at);
}

static int make(struct bm_writer *w, bool clean)
{
        struct bm_store *store = w->store;
        int r = bm_checkpoint_copy(w);
        finish_manifest(store, &w->manifest);
        w->manifest.clean = clean;
        if (clean) /* nobody writes any more */
                w->manifest.replay_from = w->manifest.covered;
        if (r == 0)
                r = sync_all(w);
        if (r == 0)
                r = write_manifest(store, &w->manifest);
        free(w->blocks.bytes);
        free(w->pages.bytes);
        return r;
}

/*
 * checkpoint_lock is held. ALONE: the checkpoint may draw on the reserve, and
 * therefore leaves nothing on the disk of what others wrote of the index:
 * the next one needs just as much.
 */
static int write_locked(struct bm_store *store, bool clean, bool alone)
{
        struct bm_writer w = {
                .store = store, .alone = alone, .rewrite = bm_checkpoint_rewrite(store, alone)};
        uint64_t log = atomic_load(&store->log.written);
        uint64_t records = atomic_load(&store->log.n_records);
        /* or copies to come could not be told from those that this one makes durable */
        if (store->copied_at == bm_log_tail(&store->log))
                bm_syncer_mark(&store->syncer);
        fill_manifest(store, &w.manifest);
        bm_checkpoint_exclude_data(&w);
        int r = copies_durable(store, clean || alone, &w.durable);
        if (r == 0)
                r = bm_checkpoint_make_file(&w);
        if (r == 0) {
                r = make(&w, clean);
                if (r < 0)
                        bm_checkpoint_take_back(&w);
        }
        if (r < 0)
                return r;
        put_in_force(&w);
        atomic_store(&store->manifests.log_at_last, log);
        atomic_store(&store->manifests.records_at_last, records);
        /* Both places name the same state: a closed store need not keep the one before, and on a
         * full disk what that one alone refers to is the room that everybody waits for. */
        if (clean || alone)
                (void)rewrite_manifest(store, clean);
        bm_checkpoint_free_unreferenced(store, clean || alone);
        return 0;
}

int bm_checkpoint_write(struct bm_store *store, enum bm_checkpoint_kind kind)
{
        bool clean = kind == BM_CHECKPOINT_CLEAN;
        bool alone = kind == BM_CHECKPOINT_ALONE || bm_space_is_short(store);
        pthread_mutex_lock(&store->checkpoint_lock);
        int r = atomic_load(&store->syncer.failed);
        if (r == 0)
                r = write_locked(store, clean, alone);
        if (r == -ENOSPC && !alone) {
                alone = true;
                r = write_locked(store, clean, alone);
        }
        pthread_mutex_unlock(&store->checkpoint_lock);
        if (alone) /* what it took of the reserve came free as another file */
                (void)bm_space_refill(store);
        return r;
}

int bm_checkpoint_settle(struct bm_store *store)
{
        return write_manifest(store, &store->manifests.newest);
}

int bm_checkpoint_unclean(struct bm_store *store)
{
        return rewrite_manifest(store, false);
}

void bm_checkpoint_free(struct bm_store *store)
{
        pthread_mutex_lock(&store->checkpoint_lock);
        bm_checkpoint_free_unreferenced(store, false);
        pthread_mutex_unlock(&store->checkpoint_lock);
}

bool bm_checkpoint_due(struct bm_store *store)
{
        uint64_t bytes = bm_max_u64(REPLAY_BYTES_MAX, atomic_load(&store->index_stats.bytes) / 4);
        return atomic_load(&store->log.written) - atomic_load(&store->manifests.log_at_last) >
                       bytes ||
               atomic_load(&store->log.n_records) - atomic_load(&store->manifests.records_at_last) >
                       REPLAY_RECORDS_MAX;
}

int bm_checkpoint(struct bm_store *store)
{
        int r = bm_store_writable(store);
        return r < 0 ? r : bm_checkpoint_write(store, BM_CHECKPOINT_USUAL);
}
