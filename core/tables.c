/* SPDX-License-Identifier: MIT */
/* See tables.h. */
#include "tables.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "error.h"
#include "hash.h"
#include "store.h"

int bm_buffer_add(struct bm_buffer *b, const void *bytes, size_t len)
{
        if (len > b->cap - b->len) {
                size_t cap = bm_max_u64(b->cap * 2, bm_max_u64(b->len + len, 4096));
                uint8_t *grown = realloc(b->bytes, cap);
                if (!grown)
                        return -ENOMEM;
                b->bytes = grown;
                b->cap = cap;
        }
        memcpy(b->bytes + b->len, bytes, len);
        b->len += len;
        return 0;
}

/* Writing */

int bm_tables_add_map(struct bm_map *map, struct bm_buffer *b)
{
        struct bm_maps *maps = &map->store->maps;
        uint8_t bytes[BM_MAP_ROW];
        struct bm_map_row row = {.map_id = map->id, .buckets_log2 = map->buckets_log2};
        pthread_rwlock_rdlock(&maps->lock);
        row.parent_id = map->parent_id;
        row.record_id = map->record_id;
        pthread_rwlock_unlock(&maps->lock);
        const struct bm_map_sums sums = bm_map_sums(map);
        row.n_keys = sums.n_keys;
        row.n_maps = sums.n_maps;
        row.value_bytes = sums.value_bytes;
        row.changed_ns = atomic_load(&map->changed_ns);
        bm_map_row_encode(&row, bytes);
        return bm_buffer_add(b, bytes, sizeof(bytes));
}

static int add_segment(void *ctx, struct bm_segment *s)
{
        struct bm_segment_row row;
        uint8_t bytes[BM_SEGMENT_ROW];
        uint8_t state = atomic_load(&s->state);
        if (s->header.kind == BM_SEGMENT_INDEX || state == BM_SEGMENT_PREPARED ||
            state == BM_SEGMENT_GONE)
                return 0;
        bm_segment_to_row(s, &row);
        bm_segment_row_encode(&row, bytes);
        return bm_buffer_add(ctx, bytes, sizeof(bytes));
}

int bm_tables_add_segments(struct bm_store *store, struct bm_buffer *b)
{
        return bm_drives_each(&store->drives, add_segment, b);
}

static int add_count(void *ctx, const struct bm_count_row *row)
{
        uint8_t bytes[BM_COUNT_ROW];
        bm_count_row_encode(row, bytes);
        return bm_buffer_add(ctx, bytes, sizeof(bytes));
}

int bm_tables_add_counts(struct bm_store *store, struct bm_buffer *b)
{
        return bm_counts_each(&store->counts, add_count, b);
}

/* Reading */

static const char *const table_names[BM_TABLES] = {"pages", "segments", "maps", "counts", "spare"};

static int read_table(struct bm_store *store, const struct bm_manifest *m, enum bm_table table,
                      size_t row_size, struct bm_buffer *b)
{
        const struct bm_extent *e = &m->tables[table];
        struct bm_segment *s = bm_drives_segment(&store->drives, e->file_id);
        *b = (struct bm_buffer){0};
        if (e->length == 0)
                return 0;
        if (!s || s->header.kind != BM_SEGMENT_INDEX ||
            !bm_range_ok(e->offset, e->length, s->size) || e->length % row_size != 0) {
                bm_problem_set("the %s table's place (segment %08" PRIx32 ") is missing",
                               table_names[table], e->file_id);
                return BM_E_DAMAGED;
        }
        b->bytes = malloc(e->length);
        if (!b->bytes)
                return -ENOMEM;
        b->len = e->length;
        int r = bm_io_call(store->io, pread, s->fd, b->bytes, b->len, e->offset);
        if (r == 0 && bm_checksum(b->bytes, b->len) != e->checksum) {
                bm_problem_set("the %s table (segment %08" PRIx32 ") fails its checksum",
                               table_names[table], e->file_id);
                r = BM_E_DAMAGED;
        }
        if (r != 0) {
                free(b->bytes);
                b->bytes = NULL;
        }
        return r;
}

static int load_segments(struct bm_store *store, const struct bm_buffer *b)
{
        for (size_t at = 0; at < b->len; at += BM_SEGMENT_ROW) {
                struct bm_segment_row row;
                int r = bm_segment_row_decode(&row, b->bytes + at);
                if (r != 0)
                        return r;
                struct bm_segment *s = bm_drives_segment(&store->drives, row.file_id);
                if (!s || s->header.number != row.number || s->header.salt != row.salt ||
                    s->header.kind != row.kind || row.used > s->size) {
                        bm_problem_set("segment %08" PRIx32 " is missing or another", row.file_id);
                        store->lost_segment = true;
                        if (store->salvage)
                                store->salvage->data_damaged = true;
                        else if (!store->tolerant)
                                return BM_E_DAMAGED;
                        bm_store_note_damage(store);
                        continue;
                }
                bm_segment_from_row(s, &row);
                /* nobody goes on in a cold segment that an earlier process began */
                s->left_open = row.kind == BM_SEGMENT_COLD && row.state == BM_SEGMENT_OPEN;
                if (row.kind == BM_SEGMENT_COLD)
                        atomic_store(&s->state, BM_SEGMENT_SEALED);
                atomic_store(&s->synced, row.used);
                bm_sum_add(store, 0, BM_SUM_LIVE_BYTES, row.live_bytes);
        }
        return 0;
}

static int load_maps(struct bm_store *store, const struct bm_buffer *b)
{
        for (size_t at = 0; at < b->len; at += BM_MAP_ROW) {
                struct bm_map_row row;
                int r = bm_map_row_decode(&row, b->bytes + at);
                if (r == 0)
                        r = bm_maps_ensure(&store->maps, row.map_id, row.parent_id, row.record_id,
                                           row.buckets_log2, NULL);
                if (r != 0)
                        return r;
                struct bm_map *map = bm_maps_get(&store->maps, row.map_id);
                atomic_store(&map->changed_ns, row.changed_ns);
                bm_maps_put(&store->maps, map);
        }
        return 0;
}

/* The counters of the store are sums of their buckets', which were taken
 * together with the blocks: so replay, which starts from the blocks, starts
 * from the right ones. */
static void add_bucket_totals(struct bm_map *map, struct bm_bucket *bucket)
{
        struct bm_store *store = map->store;
        if (bm_map_has_values(map))
                bm_sum_add(store, 0, BM_SUM_VALUE_BYTES, bucket->value_bytes);
        if (bm_map_is_user(map))
                bm_sum_add(store, 0, BM_SUM_KEYS, bucket->index.n_used - bucket->n_maps);
}

static int load_blocks(struct bm_store *store, struct bm_bucket *bucket, const uint8_t *bytes,
                       uint32_t n)
{
        struct bm_block_row *rows = calloc(n + 1, sizeof(*rows));
        int r = rows ? 0 : -ENOMEM;
        for (uint32_t i = 0; i < n && r == 0; i++) {
                r = bm_block_row_decode(&rows[i], bytes + (size_t)i * BM_BLOCK_ROW);
                struct bm_segment *s = bm_drives_segment(&store->drives, rows[i].file_id);
                if (r == 0 && (!s || s->header.kind != BM_SEGMENT_INDEX)) {
                        bm_problem_set("index segment %08" PRIx32 " is missing", rows[i].file_id);
                        r = BM_E_DAMAGED;
                } else if (r == 0) {
                        atomic_fetch_add(&s->live_bytes,
                                         BM_BLOCK_HEADER + rows[i].lines * BM_LINE_BYTES);
                        atomic_store(&s->used, s->size);
                        atomic_store(&s->state, BM_SEGMENT_SEALED);
                }
        }
        if (r == 0)
                r = bm_index_load(&bucket->index, rows, n);
        free(rows);
        return r;
}

static int load_pages(struct bm_store *store, const struct bm_buffer *b)
{
        size_t at = 0;
        while (at < b->len) {
                struct bm_bucket_row row;
                if (b->len - at < BM_BUCKET_ROW)
                        return BM_E_DAMAGED;
                int r = bm_bucket_row_decode(&row, b->bytes + at);
                at += BM_BUCKET_ROW;
                if (r != 0)
                        return r;
                if (row.n_blocks > (b->len - at) / BM_BLOCK_ROW)
                        return BM_E_DAMAGED;
                struct bm_map *map = bm_maps_get(&store->maps, row.map_id);
                if (!map || row.bucket >> map->buckets_log2 != 0) {
                        bm_maps_put(&store->maps, map);
                        return BM_E_DAMAGED;
                }
                struct bm_bucket *bucket = &map->buckets[row.bucket];
                r = bucket->applied ? BM_E_DAMAGED /* twice in the table */
                                    : load_blocks(store, bucket, b->bytes + at, row.n_blocks);
                if (r == 0) {
                        bucket->applied = row.applied;
                        bucket->n_maps = row.n_maps;
                        bucket->value_bytes = row.value_bytes;
                        add_bucket_totals(map, bucket);
                }
                bm_maps_put(&store->maps, map);
                if (r != 0)
                        return r;
                at += (size_t)row.n_blocks * BM_BLOCK_ROW;
        }
        return 0;
}

static int load_counts(struct bm_store *store, const struct bm_buffer *b)
{
        for (size_t at = 0; at < b->len; at += BM_COUNT_ROW) {
                struct bm_count_row row;
                int r = bm_count_row_decode(&row, b->bytes + at);
                if (r == 0)
                        r = bm_counts_set(&store->counts, row.record_id, row.count);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* The files that hold the tables themselves are in use too. */
static void count_tables(struct bm_store *store, const struct bm_manifest *m)
{
        for (unsigned i = 0; i < BM_TABLES; i++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, m->tables[i].file_id);
                if (!s || m->tables[i].length == 0)
                        continue;
                atomic_fetch_add(&s->live_bytes, m->tables[i].length);
                atomic_store(&s->used, s->size);
                atomic_store(&s->state, BM_SEGMENT_SEALED);
        }
}

int bm_tables_load(struct bm_store *store, const struct bm_manifest *m)
{
        static const struct {
                enum bm_table table;
                size_t row;
                int (*load)(struct bm_store *store, const struct bm_buffer *b);
        } tables[] = {
                {BM_TABLE_SEGMENTS, BM_SEGMENT_ROW, load_segments},
                {BM_TABLE_MAPS, BM_MAP_ROW, load_maps},
                {BM_TABLE_PAGES, 8, load_pages},
                {BM_TABLE_COUNTS, BM_COUNT_ROW, load_counts},
        };
        for (size_t i = 0; i < bm_array_size(tables); i++) {
                struct bm_buffer b;
                int r = read_table(store, m, tables[i].table, tables[i].row, &b);
                if (r == 0)
                        r = tables[i].load(store, &b);
                free(b.bytes);
                if (r != 0)
                        return r;
        }
        count_tables(store, m);
        atomic_store(&store->manifests.index_bytes, atomic_load(&store->index_stats.bytes));
        return 0;
}
