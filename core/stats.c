/* SPDX-License-Identifier: MIT */
/* Figures of a store. */
#include <string.h>

#include "space.h"
#include "store.h"

static const char *kind_name(uint8_t kind)
{
        switch (kind) {
        case BM_SEGMENT_LOG:
                return "log";
        case BM_SEGMENT_COLD:
                return "cold";
        default:
                return "index";
        }
}

struct listing {
        int (*fn)(void *ctx, const struct bm_segment_info *info);
        void *ctx;
};

static int list_segment(void *ctx, struct bm_segment *s)
{
        struct listing *l = ctx;
        const struct bm_segment_info info = {
                .file_id = s->header.file_id,
                .drive = s->header.drive,
                .kind = kind_name(s->header.kind),
                .number = s->header.number,
                .size = s->size,
                .used = atomic_load(&s->used),
                .live = atomic_load(&s->live_bytes),
        };
        return l->fn(l->ctx, &info);
}

int bm_segments(struct bm_store *store, int (*fn)(void *ctx, const struct bm_segment_info *info),
                void *ctx)
{
        struct listing l = {.fn = fn, .ctx = ctx};
        return bm_drives_each(&store->drives, list_segment, &l);
}

static int add_segment(void *ctx, struct bm_segment *s)
{
        struct bm_stats *st = ctx;
        uint8_t state = atomic_load(&s->state);
        st->disk_bytes += s->size;
        if (s->header.kind == BM_SEGMENT_INDEX)
                return 0;
        st->segments++;
        st->segment_bytes += s->size;
        st->data.file_count++;
        st->data.total_file_size += s->size;
        if (state == BM_SEGMENT_SEALED || state == BM_SEGMENT_GONE)
                st->reclaimable_bytes += bm_segment_reclaimable(s) + s->kept_bytes;
        return 0;
}

static int count_used(struct bm_store *store, uint64_t *used)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&store->maps, &maps, &n);
        if (r < 0)
                return r;
        *used = 0;
        for (size_t i = 0; i < n; i++)
                *used += bm_map_sums(maps[i]).n_keys;
        bm_maps_list_free(&store->maps, maps, n);
        return 0;
}

int bm_stats(struct bm_store *store, struct bm_stats *st)
{
        const struct bm_superblock *sb = &store->drives.superblock;
        struct bm_index_stats *ix = &store->index_stats;
        *st = (struct bm_stats){
                .format_major = sb->major,
                .format_minor = sb->minor,
                .created_ns = sb->created_ns,
                .n_drives = store->drives.n_drives,
                .n_buckets = 1u << sb->buckets_log2,
                .max_search = sb->max_search,
                .keys = bm_sum(store, BM_SUM_KEYS),
                .value_bytes = bm_sum(store, BM_SUM_VALUE_BYTES),
                .live_bytes = bm_sum(store, BM_SUM_LIVE_BYTES),
                .index_bytes = atomic_load(&ix->bytes),
                .index_slots = atomic_load(&ix->slots),
                .index_splits = atomic_load(&ix->splits),
                .index_grows = atomic_load(&ix->grows),
                .longest_probe = atomic_load(&ix->longest_probe),
                .index =
                        {
                                .resizes = atomic_load(&ix->splits) + atomic_load(&ix->grows),
                                .failed_resizes = atomic_load(&ix->failed_grows),
                                .max_size = atomic_load(&ix->max_slots),
                                .resize_us = atomic_load(&ix->grow_us),
                                .longest_us = atomic_load(&ix->longest_us),
                        },
                .data =
                        {
                                .resizes = atomic_load(&store->log.stats.added),
                                .failed_resizes = atomic_load(&store->log.stats.failed),
                                .max_size = atomic_load(&store->log.stats.max_size),
                                .resize_us = atomic_load(&store->log.stats.make_us),
                                .longest_us = atomic_load(&store->log.stats.longest_us),
                                .new_file_us = atomic_load(&store->log.stats.make_us),
                        },
                .compacted_bytes = atomic_load(&store->compacted_bytes),
                .replayed_records = store->replayed_records,
                .read_only = bm_store_writable(store) != 0,
                .clean_open = store->clean_open,
        };
        for (unsigned i = 0; i < store->drives.n_drives; i++)
                st->nomap_drives += store->drives.drives[i].nomap;
        memcpy(st->uuid, sb->store_uuid, sizeof(st->uuid));
        /* the hidden maps are no map of anybody's */
        st->maps = bm_maps_n(&store->maps) - (BM_MAP_PATCHES - BM_MAP_TOP);
        bm_drives_each(&store->drives, add_segment, st);
        st->disk_bytes += bm_spares_bytes(&store->drives);
        st->disk_bytes += store->drives.n_drives * 2ull * BM_SUPERBLOCK + 2 * BM_MANIFEST_ROOT;
        pthread_mutex_lock(&store->reserve_lock);
        st->disk_bytes += store->reserved;
        pthread_mutex_unlock(&store->reserve_lock);
        pthread_mutex_lock(&store->syncer.lock);
        st->syncs = store->syncer.flushes;
        pthread_mutex_unlock(&store->syncer.lock);
        /* not under checkpoint_lock: a compaction may have it for long */
        st->checkpoints = atomic_load(&store->manifests.checkpoints);
        uint64_t log_at_last = atomic_load(&store->manifests.log_at_last);
        st->log_bytes = atomic_load(&store->log.written);
        st->replay_bytes = st->log_bytes - log_at_last;
        return count_used(store, &st->index_used);
}

int bm_space(struct bm_store *store, struct bm_space *space)
{
        struct bm_io_space disk;
        int r = bm_drives_space(&store->drives, &disk);
        if (r < 0)
                return r;
        const uint64_t spare = bm_spares_bytes(&store->drives);
        *space = (struct bm_space){
                .total_bytes = disk.total_bytes,
                .free_bytes = disk.free_bytes + spare,
                .available_bytes = bm_space_available(store, disk.available_bytes + spare),
                .keys = bm_sum(store, BM_SUM_KEYS),
        };
        return 0;
}
