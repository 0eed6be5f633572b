/* SPDX-License-Identifier: MIT */
/* See checkpoint.h. */
#include "checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/intmath.h"
#include "hash.h"
#include "space.h"
#include "store.h"
#include "tables.h"

enum {
        REPLAY_BYTES_MAX = 256 << 20,
        REPLAY_RECORDS_MAX = 3000000,
        SHRINK_BLOCKS = 64,          /* merged at most, a bucket and checkpoint */
        INDEX_GARBAGE_MIN = 4 << 20, /* dead bytes of index files that are not worth the work */
};

struct writer {
        struct bm_store *store;
        struct bm_segment *file;     /* index segment that takes the changed blocks and tables */
        uint64_t at;                 /* bytes of it in use */
        struct bm_buffer blocks;     /* images to be written at `at` */
        struct bm_buffer pages;      /* the pages table */
        struct bm_manifest manifest; /* in the making */
};

/* Under a bucket's lock: a block's row, and its image if it changed. */
static int take_block(void *ctx, struct bm_block_row *row, const void *image, size_t len)
{
        struct writer *w = ctx;
        uint8_t bytes[BM_BLOCK_ROW];
        int r;
        if (image) {
                row->file_id = w->file->header.file_id;
                row->offset_units = (uint32_t)((w->at + w->blocks.len) / BM_LINE_BYTES);
                r = bm_buffer_add(&w->blocks, image, len);
                if (r < 0)
                        return r;
        }
        bm_block_row_encode(row, bytes);
        r = bm_buffer_add(&w->pages, bytes, sizeof(bytes));
        struct bm_segment *s = bm_drives_segment(&w->store->drives, row->file_id);
        if (r == 0 && s)
                atomic_fetch_add(&s->live_bytes, len);
        return r;
}

static int write_out(struct writer *w, const void *bytes, size_t len)
{
        int r;
        do
                r = bm_io_call(w->store->io, pwrite, w->file->fd, bytes, len, w->at);
        while (r == -ENOSPC &&
               bm_space_draw(w->store, UINT64_C(1) << BM_SEGMENT_LOG2_MIN, BM_SPACE_ALL));
        if (r == 0)
                w->at += len;
        return r;
}

static int take_bucket(struct writer *w, struct bm_map *map, size_t i)
{
        struct bm_store *store = w->store;
        struct bm_bucket *bucket = &map->buckets[i];
        pthread_rwlock_t *lock = &store->stripes[bm_stripe_of(map->id, i)].lock;
        struct bm_bucket_row row = {.map_id = map->id, .bucket = (uint32_t)i};
        uint8_t bytes[BM_BUCKET_ROW];
        w->blocks.len = 0;
        pthread_rwlock_wrlock(lock);
        /* what deletions left sparse is drawn together, a part at a time */
        (void)bm_index_shrink(&bucket->index, SHRINK_BLOCKS);
        row.applied = bm_log_tail(&store->log);
        row.n_blocks = bm_index_n_rows(&bucket->index);
        row.n_maps = bucket->n_maps;
        row.value_bytes = bucket->value_bytes;
        bm_bucket_row_encode(&row, bytes);
        int r = bm_buffer_add(&w->pages, bytes, sizeof(bytes));
        if (r == 0)
                r = bm_index_checkpoint(&bucket->index, map->id, row.applied, take_block, w);
        pthread_rwlock_unlock(lock);
        if (r == 0 && w->blocks.len)
                r = write_out(w, w->blocks.bytes, w->blocks.len);
        return r;
}

static int take_map(struct writer *w, struct bm_map *map, struct bm_buffer *rows)
{
        int r = 0;
        if (map->id == BM_MAP_ORPHANS || atomic_load(&map->dead))
                return 0;
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2 && r == 0; i++)
                r = take_bucket(w, map, i);
        return r < 0 ? r : bm_tables_add_map(map, rows);
}

/* Writes one table behind the blocks. */
static int put_table(struct writer *w, enum bm_table table, const struct bm_buffer *b)
{
        struct bm_extent *e = &w->manifest.tables[table];
        *e = (struct bm_extent){
                .file_id = w->file->header.file_id,
                .offset = w->at,
                .length = b->len,
                .checksum = bm_checksum(b->bytes, b->len),
        };
        atomic_fetch_add(&w->file->live_bytes, b->len);
        return b->len ? write_out(w, b->bytes, b->len) : 0;
}

static int take_maps(struct writer *w, struct bm_buffer *rows)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&w->store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++)
                r = take_map(w, maps[i], rows);
        bm_maps_list_free(&w->store->maps, maps, n);
        return r;
}

static int take_tables(struct writer *w)
{
        struct bm_buffer maps = {0}, segments = {0}, counts = {0};
        int r = take_maps(w, &maps);
        /* after the buckets: whoever logged before they were taken has counted */
        if (r == 0)
                r = bm_tables_add_segments(w->store, &segments);
        if (r == 0)
                r = bm_tables_add_counts(w->store, &counts);
        if (r == 0)
                r = put_table(w, BM_TABLE_PAGES, &w->pages);
        if (r == 0)
                r = put_table(w, BM_TABLE_SEGMENTS, &segments);
        if (r == 0)
                r = put_table(w, BM_TABLE_MAPS, &maps);
        if (r == 0)
                r = put_table(w, BM_TABLE_COUNTS, &counts);
        free(maps.bytes);
        free(segments.bytes);
        free(counts.bytes);
        return r;
}

/* Segments of the log before its replay, and cold ones, that a compaction
 * emptied are left out from now on. */
static int exclude_emptied(void *ctx, struct bm_segment *s)
{
        struct writer *w = ctx;
        if (s->header.kind == BM_SEGMENT_INDEX) {
                atomic_store(&s->live_bytes, 0); /* counted anew */
                return 0;
        }
        if (!s->emptied || atomic_load(&s->n_live) > 0 ||
            atomic_load(&s->state) != BM_SEGMENT_SEALED)
                return 0;
        if (s->header.kind == BM_SEGMENT_LOG &&
            s->header.number >= bm_pos_number(w->manifest.replay_from))
                return 0;
        atomic_store(&s->state, BM_SEGMENT_GONE);
        s->excluded_in = w->manifest.generation;
        return 0;
}

static int exclude_index_file(void *ctx, struct bm_segment *s)
{
        struct writer *w = ctx;
        if (s->header.kind == BM_SEGMENT_INDEX && s != w->file &&
            atomic_load(&s->live_bytes) == 0 && atomic_load(&s->state) == BM_SEGMENT_SEALED) {
                atomic_store(&s->state, BM_SEGMENT_GONE);
                s->excluded_in = w->manifest.generation;
        }
        return 0;
}

/* What a sync failed for may be clean in the page cache and not on the disk:
 * trying again would succeed and mean nothing. */
static int sync_file(struct bm_store *store, int fd)
{
        int r = bm_io_call(store->io, sync_data, fd);
        if (r < 0)
                bm_syncer_fail(&store->syncer, -EIO);
        return r;
}

static int sync_cold(struct bm_store *store)
{
        struct bm_segment **list;
        size_t n;
        int r = bm_drives_list(&store->drives, &list, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                struct bm_segment *s = list[i];
                uint64_t used = atomic_load_explicit(&s->used, memory_order_acquire);
                if (s->header.kind != BM_SEGMENT_COLD || atomic_load(&s->synced) >= used)
                        continue;
                r = bm_segment_sync(s, used);
                if (r < 0)
                        bm_syncer_fail(&store->syncer, -EIO);
                if (r == 0)
                        bm_segment_close_file(s);
        }
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
        return r < 0 ? r : sync_file(store, store->manifests.fd);
}

static bool is_free(const struct bm_segment *s, uint64_t generation)
{
        return atomic_load(&s->state) == BM_SEGMENT_GONE && s->excluded_in < generation &&
               atomic_load_explicit(&s->pins, memory_order_acquire) == 0;
}

/* Frees what neither of the two kept manifests refers to. */
static void free_unreferenced(struct bm_store *store)
{
        struct bm_segment **list;
        size_t n;
        if (bm_drives_list(&store->drives, &list, &n) < 0)
                return; /* the next checkpoint does it */
        for (size_t i = 0; i < n; i++) {
                if (!is_free(list[i], store->manifests.newest.generation))
                        continue;
                /* an index segment goes with each checkpoint for another that came: no gain */
                if (list[i]->header.kind != BM_SEGMENT_INDEX)
                        atomic_fetch_add(&store->freed_bytes, list[i]->size);
                int r = bm_drives_remove(&store->drives, list[i]);
                if (r < 0)
                        bm_store_log(store, BM_LOG_WARNING, "cannot remove a segment: %s",
                                     strerror(-r));
        }
        free(list);
}

/* Blocks that were to stand in a file that failed are changed blocks again. */
static void take_back(struct writer *w)
{
        struct bm_store *store = w->store;
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&store->maps, &maps, &n);
        if (r < 0) { /* no memory: then nothing may be written any more */
                bm_syncer_fail(&store->syncer, -EIO);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < (size_t)1 << maps[i]->buckets_log2; k++) {
                        pthread_rwlock_t *lock = &store->stripes[bm_stripe_of(maps[i]->id, k)].lock;
                        pthread_rwlock_wrlock(lock);
                        /* their images are in memory, so nothing is read */
                        (void)bm_index_dirty_file(&maps[i]->buckets[k].index,
                                                  w->file->header.file_id);
                        pthread_rwlock_unlock(lock);
                }
        }
        bm_maps_list_free(&store->maps, maps, n);
        bm_drives_remove(&store->drives, w->file);
}

/* Index files that hold little that is current are written anew. */
struct garbage {
        uint64_t used, live;
        uint32_t worst;
        uint64_t worst_dead;
};

static int add_garbage(void *ctx, struct bm_segment *s)
{
        struct garbage *g = ctx;
        if (s->header.kind != BM_SEGMENT_INDEX || atomic_load(&s->state) != BM_SEGMENT_SEALED)
                return 0;
        uint64_t used = atomic_load(&s->used), live = atomic_load(&s->live_bytes);
        g->used += used;
        g->live += live;
        if (used - live > g->worst_dead) {
                g->worst_dead = used - live;
                g->worst = s->header.file_id;
        }
        return 0;
}

static int collect_garbage(struct bm_store *store)
{
        struct garbage g = {0};
        struct bm_map **maps;
        size_t n;
        bm_drives_each(&store->drives, add_garbage, &g);
        if (g.used < 2 * g.live + INDEX_GARBAGE_MIN || g.worst == 0)
                return 0;
        int r = bm_maps_list(&store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                for (size_t k = 0; k < (size_t)1 << maps[i]->buckets_log2 && r == 0; k++) {
                        pthread_rwlock_t *lock = &store->stripes[bm_stripe_of(maps[i]->id, k)].lock;
                        pthread_rwlock_wrlock(lock);
                        r = bm_index_dirty_file(&maps[i]->buckets[k].index, g.worst);
                        pthread_rwlock_unlock(lock);
                }
        }
        bm_maps_list_free(&store->maps, maps, n);
        return r;
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
        m->keys = atomic_load(&store->keys);
        m->maps = bm_maps_n(&store->maps);
        m->value_bytes = atomic_load(&store->value_bytes);
}

static int make_file(struct writer *w)
{
        struct bm_store *store = w->store;
        int r;
        do {
                r = bm_drives_make(&store->drives, BM_SEGMENT_INDEX, BM_SEGMENT_HEADER,
                                   w->manifest.generation, store->log.epoch,
                                   atomic_load(&store->syncer.durable), &w->file);
        } while (r == -ENOSPC &&
                 bm_space_draw(store, UINT64_C(1) << BM_SEGMENT_LOG2_MIN, BM_SPACE_ALL));
        w->at = BM_SEGMENT_HEADER;
        return r;
}

/* Everything that the manifest names is made durable before it. */
static int sync_all(struct writer *w)
{
        struct bm_store *store = w->store;
        int r = bm_syncer_sync_wholly(&store->syncer);
        if (r == 0)
                r = sync_cold(store);
        if (r == 0)
                r = sync_file(store, w->file->fd);
        return r;
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

/* checkpoint_lock is held. */
static int write_locked(struct bm_store *store, bool clean)
{
        struct writer w = {.store = store};
        int r = collect_garbage(store);
        if (r < 0)
                return r;
        atomic_store(&store->manifests.records_since, 0);
        fill_manifest(store, &w.manifest);
        bm_drives_each(&store->drives, exclude_emptied, &w);
        r = make_file(&w);
        if (r < 0)
                return r;
        r = take_tables(&w);
        finish_manifest(store, &w.manifest);
        w.manifest.clean = clean;
        if (clean) /* nobody writes any more */
                w.manifest.replay_from = w.manifest.covered;
        if (r == 0)
                r = sync_all(&w);
        if (r == 0)
                r = write_manifest(store, &w.manifest);
        free(w.blocks.bytes);
        free(w.pages.bytes);
        if (r < 0) {
                take_back(&w);
                return r;
        }
        pthread_mutex_lock(&store->drives.lock); /* figures are looked at under it */
        w.file->size = w.at;
        pthread_mutex_unlock(&store->drives.lock);
        atomic_store(&w.file->used, w.at);
        atomic_store(&w.file->state, BM_SEGMENT_SEALED);
        bm_drives_each(&store->drives, exclude_index_file, &w);
        store->manifests.newest = w.manifest;
        atomic_store(&store->manifests.log_at_last, atomic_load(&store->log.written));
        atomic_fetch_add(&store->manifests.checkpoints, 1);
        /* both places name the same state of a closed store, which need not
         * keep the one before */
        if (clean)
                (void)rewrite_manifest(store, true);
        free_unreferenced(store);
        return 0;
}

int bm_checkpoint_write(struct bm_store *store, bool clean)
{
        pthread_mutex_lock(&store->checkpoint_lock);
        int r = atomic_load(&store->syncer.failed);
        if (r == 0)
                r = write_locked(store, clean);
        pthread_mutex_unlock(&store->checkpoint_lock);
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
        free_unreferenced(store);
        pthread_mutex_unlock(&store->checkpoint_lock);
}

bool bm_checkpoint_due(struct bm_store *store)
{
        uint64_t bytes = bm_max_u64(REPLAY_BYTES_MAX, atomic_load(&store->index_stats.bytes) / 4);
        return atomic_load(&store->log.written) - atomic_load(&store->manifests.log_at_last) >
                       bytes ||
               atomic_load(&store->manifests.records_since) > REPLAY_RECORDS_MAX;
}

int bm_checkpoint(struct bm_store *store)
{
        int r = bm_store_writable(store);
        return r < 0 ? r : bm_checkpoint_write(store, false);
}
