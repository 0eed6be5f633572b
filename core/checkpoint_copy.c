/* SPDX-License-Identifier: MIT */
/* See checkpoint_private.h: blocks and tables on their way into the index file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "checkpoint_private.h"
#include "hash.h"
#include "space.h"

enum {
        SHRINK_BLOCKS = 64,     /* merged at most, a bucket and checkpoint, */
        SHRINK_BLOCKS_HOLD = 4, /* of them under one hold of the lock */
        COPY_BYTES_HOLD = 64 << 10,
        WRITE_BYTES = 1 << 20, /* at a time; and what a bucket's last hold brought */
};

struct piece {
        struct bm_writer *w;
        const void *bytes;
        size_t len;
};

static int write_piece(void *ctx, uint64_t size)
{
        const struct piece *p = ctx;
        return bm_io_call(p->w->store->io, pwrite, p->w->file->fd, p->bytes, p->len, p->w->at);
}

static int write_out(struct bm_writer *w, const void *bytes, size_t len)
{
        struct piece p = {.w = w, .bytes = bytes, .len = len};
        int r = 0;
        if (len)
                r = w->alone ? bm_space_spend(w->store, write_piece, &p) : write_piece(&p, len);
        if (r == 0)
                w->at += len;
        return r;
}

/* Under a bucket's lock: a block's row, and its image if it is to be written. */
static int take_block(void *ctx, struct bm_block_row *row, const void *image, size_t len)
{
        struct bm_writer *w = ctx;
        uint8_t bytes[BM_BLOCK_ROW];
        int r;
        if (image) {
                row->file_id = w->file->header.file_id;
                row->offset_units = (uint32_t)((w->at + w->blocks.len) / BM_LINE_BYTES);
                r = bm_buffer_add(&w->blocks, image, len);
                if (r < 0)
                        return r;
        }
        w->index_bytes += len;
        bm_block_row_encode(row, bytes);
        r = bm_buffer_add(&w->pages, bytes, sizeof(bytes));
        struct bm_segment *s = bm_drives_segment(&w->store->drives, row->file_id);
        if (r == 0 && s)
                atomic_fetch_add(&s->live_bytes, len);
        return r;
}

static int write_blocks(struct bm_writer *w)
{
        int r = write_out(w, w->blocks.bytes, w->blocks.len);
        w->blocks.len = 0;
        return r;
}

/* What deletions left sparse is drawn together, a part at a time. */
static void shrink(struct bm_index *ix, pthread_rwlock_t *lock)
{
        bool more = true;
        for (unsigned n = 0; more && n < SHRINK_BLOCKS; n += SHRINK_BLOCKS_HOLD) {
                bm_stripe_lock(lock);
                more = bm_index_shrink(ix, SHRINK_BLOCKS_HOLD);
                pthread_rwlock_unlock(lock);
        }
}

/* Under the bucket's lock, when its last block was copied: its counters as they were when the
 * blocks were that count in them. */
static void end_bucket(struct bm_bucket *bucket, struct bm_bucket_row *row)
{
        row->n_maps = bucket->n_maps - bucket->late_maps;
        row->value_bytes = bucket->value_bytes - bucket->late_bytes;
        bucket->late_maps = bucket->late_bytes = 0;
}

/*
 * A run of blocks at a time, so that nobody waits long for the lock. Each block says in its header
 * which position it includes; the row's is the first run's, which all of them do.
 */
static int take_bucket(struct bm_writer *w, struct bm_map *map, size_t i)
{
        struct bm_store *store = w->store;
        struct bm_bucket *bucket = &map->buckets[i];
        pthread_rwlock_t *lock = &store->stripes[bm_stripe_of(map->id, i)].lock;
        struct bm_index_run run = {
                .map_id = map->id, .max_bytes = COPY_BYTES_HOLD, .rewrite = w->rewrite};
        struct bm_bucket_row row = {.map_id = map->id, .bucket = (uint32_t)i};
        uint8_t bytes[BM_BUCKET_ROW] = {0};
        size_t row_at = w->pages.len;
        shrink(&bucket->index, lock);
        int r = bm_buffer_add(&w->pages, bytes, sizeof(bytes));
        while (r == 0 && !run.done) {
                bm_stripe_lock(lock);
                run.applied = bm_log_tail(&store->log);
                if (row.applied == 0)
                        row.applied = run.applied;
                r = bm_index_checkpoint(&bucket->index, &run, take_block, w);
                if (run.done)
                        end_bucket(bucket, &row);
                pthread_rwlock_unlock(lock);
                if (r == 0 && (run.done || w->blocks.len >= WRITE_BYTES))
                        r = write_blocks(w);
        }
        row.n_blocks = run.n_rows;
        bm_bucket_row_encode(&row, bytes);
        if (r == 0)
                memcpy(w->pages.bytes + row_at, bytes, sizeof(bytes));
        return r;
}

struct taking {
        struct bm_writer *w;
        const struct bm_map *map; /* whose buckets are taken; a removed one's are not */
        struct bm_buffer maps;
};

static int take(void *ctx, struct bm_map *map, size_t i)
{
        struct taking *t = ctx;
        if (i == 0 && map->id != BM_MAP_ORPHANS && !atomic_load(&map->dead))
                t->map = map;
        if (t->map != map)
                return 0;
        int r = take_bucket(t->w, map, i);
        /* behind them, so that its time is not older than theirs */
        if (r == 0 && i + 1 == (size_t)1 << map->buckets_log2)
                r = bm_tables_add_map(map, &t->maps);
        return r;
}

/* Writes one table behind the blocks. */
static int put_table(struct bm_writer *w, enum bm_table table, const struct bm_buffer *b)
{
        struct bm_extent *e = &w->manifest.tables[table];
        *e = (struct bm_extent){
                .file_id = w->file->header.file_id,
                .offset = w->at,
                .length = b->len,
                .checksum = bm_checksum(b->bytes, b->len),
        };
        atomic_fetch_add(&w->file->live_bytes, b->len);
        return write_out(w, b->bytes, b->len);
}

int bm_checkpoint_copy(struct bm_writer *w)
{
        struct bm_store *store = w->store;
        struct bm_buffer segments = {0}, counts = {0};
        struct taking taking = {.w = w};
        int r = bm_maps_each_bucket(&store->maps, take, &taking);
        /* after the buckets: whoever logged before they were taken has counted */
        if (r == 0)
                r = bm_tables_add_segments(store, &segments);
        if (r == 0)
                r = bm_tables_add_counts(store, &counts);
        if (r == 0)
                r = put_table(w, BM_TABLE_PAGES, &w->pages);
        if (r == 0)
                r = put_table(w, BM_TABLE_SEGMENTS, &segments);
        if (r == 0)
                r = put_table(w, BM_TABLE_MAPS, &taking.maps);
        if (r == 0)
                r = put_table(w, BM_TABLE_COUNTS, &counts);
        free(taking.maps.bytes);
        free(segments.bytes);
        free(counts.bytes);
        return r;
}

static int make_file(void *ctx, uint64_t size)
{
        struct bm_writer *w = ctx;
        struct bm_store *store = w->store;
        /* what the reserve gives up is room on its own drive */
        return (w->alone ? bm_drives_make_first : bm_drives_make)(
                &store->drives, BM_SEGMENT_INDEX, BM_SEGMENT_HEADER, w->manifest.generation,
                store->log.epoch, w->durable, &w->file);
}

int bm_checkpoint_make_file(struct bm_writer *w)
{
        w->at = BM_SEGMENT_HEADER;
        return w->alone ? bm_space_spend(w->store, make_file, w) : make_file(w, 0);
}

static int give_back(void *ctx, struct bm_map *map, size_t i)
{
        struct bm_writer *w = ctx;
        struct bm_bucket *bucket = &map->buckets[i];
        pthread_rwlock_t *lock = &w->store->stripes[bm_stripe_of(map->id, i)].lock;
        bm_stripe_lock(lock);
        /* their images are in memory, so nothing is read */
        (void)bm_index_dirty_file(&bucket->index, w->file->header.file_id);
        bm_index_end_run(&bucket->index);
        bucket->late_maps = bucket->late_bytes = 0;
        pthread_rwlock_unlock(lock);
        return 0;
}

void bm_checkpoint_take_back(struct bm_writer *w)
{
        struct bm_store *store = w->store;
        if (bm_maps_each_bucket(&store->maps, give_back, w) < 0) {
                /* no memory: then nothing may be written any more */
                bm_syncer_fail(&store->syncer, -EIO);
                return;
        }
        bm_drives_remove(&store->drives, w->file);
}
