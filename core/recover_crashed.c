/* SPDX-License-Identifier: MIT */
/* Starts of a store that was not closed in order: from its log, or, without a usable manifest,
 * from all records. Steps 4 to 14. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "checkpoint.h"
#include "error.h"
#include "recover.h"
#include "recover_start.h"
#include "space.h"
#include "store.h"

/* The log between two positions. */
struct range {
        struct bm_store *store;
        uint64_t from, to;
};

/* 9: what was accepted from the page cache may not be on the disk. */
static int rewrite(void *ctx, struct bm_segment *s)
{
        const struct range *range = ctx;
        uint64_t first = bm_pos_number(range->from), last = bm_pos_number(range->to);
        if (s->header.kind != BM_SEGMENT_LOG || s->header.number < first || s->header.number > last)
                return 0;
        uint64_t used = atomic_load(&s->used);
        uint64_t start = s->header.number == first ? bm_pos_offset(range->from) : 0;
        int r = 0;
        if (!bm_mapped_intact(s->base, used))
                r = -EIO;
        else if (start < used)
                r = bm_io_call(s->io, pwrite, s->fd, s->base + start, used - start, start);
        /* copying on write, it would take as much room as the log: such filesystems drop
         * from the cache what they could not write, so that the sync is enough */
        if (r == -ENOSPC && s->access == BM_SEGMENT_BY_CALLS)
                r = 0;
        if (r == 0)
                r = bm_io_call(s->io, sync_data, s->fd);
        if (r == 0)
                atomic_store(&s->synced, used);
        return r;
}

/* 10: segments behind the end must never be taken for its continuation. */
static int remove_later(void *ctx, struct bm_segment *s)
{
        const struct range *range = ctx;
        struct bm_store *store = range->store;
        if (s->header.kind != BM_SEGMENT_LOG || s->header.number <= bm_pos_number(range->to))
                return 0;
        return bm_drives_remove(&store->drives, s);
}

/*
 * Copies that compaction added behind what the manifest knows, perhaps of what
 * the log lost: once the log is longer than it was then, a rebuild could take
 * them for newer than they are, or a torn one for damage. Zeros are synced too:
 * an earlier recovery may have put them there and been killed before it did.
 * A stray is removed as a whole, once the older manifest is overwritten.
 */
static int wipe_behind_cold(void *ctx, struct bm_segment *s)
{
        static const uint8_t zeros[BM_UNIT];
        uint64_t used = atomic_load(&s->used);
        int r = 0;
        if (!s->left_open || !bm_range_ok(used, BM_UNIT, s->size))
                return 0;
        if (memcmp(s->base + used, zeros, BM_UNIT) != 0)
                r = bm_io_call(s->io, pwrite, s->fd, zeros, BM_UNIT, used);
        return r < 0 ? r : bm_io_call(s->io, sync_data, s->fd);
}

/* 12: the last replayed segment ends where the replay did. */
static int seal_at(struct bm_store *store, uint64_t end, const struct bm_segment *next)
{
        struct bm_segment *s = bm_start_segment(store, bm_pos_number(end));
        uint8_t bytes[BM_SEAL_ROOM];
        uint32_t len = bm_log_seal(s, bm_pos_offset(end), next, bytes);
        if (!bm_range_ok(bm_pos_offset(end), len, s->size))
                return BM_E_DAMAGED;
        int r;
        do
                r = bm_io_call(s->io, pwrite, s->fd, bytes, len, bm_pos_offset(end));
        while (bm_space_helps(store, r));
        if (r == 0)
                r = bm_io_call(s->io, sync_data, s->fd);
        atomic_store(&s->used, bm_pos_offset(end) + len);
        atomic_store(&s->state, BM_SEGMENT_SEALED);
        return r;
}

/*
 * The index file of a checkpoint that came to no manifest: it may be what the reserve is short of.
 * And it may say that copies were durable which are wiped next.
 */
static int remove_unfinished(void *ctx, struct bm_segment *s)
{
        struct bm_store *store = ctx;
        if (s->header.kind != BM_SEGMENT_INDEX || atomic_load(&s->state) != BM_SEGMENT_PREPARED ||
            s->header.number <= store->manifests.newest.generation)
                return 0;
        return bm_drives_remove(&store->drives, s);
}

/* Files that the manifest and the log know nothing of: made and never used. */
static int remove_stray(void *ctx, struct bm_segment *s)
{
        struct bm_store *store = ctx;
        if (atomic_load(&s->state) == BM_SEGMENT_PREPARED && s != atomic_load(&store->log.next))
                (void)bm_drives_remove(&store->drives, s);
        return 0;
}

static int begin_after(struct bm_store *store, const struct bm_replay *rp)
{
        struct bm_segment *segment;
        struct range range = {
                .store = store, .from = store->manifests.newest.covered, .to = rp->end};
        int r = bm_start_each(store, rewrite, &range);
        if (r == 0)
                r = bm_start_each(store, remove_later, &range);
        if (r == 0)
                r = bm_start_each(store, remove_unfinished, store);
        if (r == 0)
                r = bm_start_each(store, wipe_behind_cold, NULL);
        if (r == 0)
                r = bm_start_log(store, bm_pos_number(rp->end) + 1, rp->end, &segment);
        if (r == 0)
                r = seal_at(store, rp->end, segment);
        if (r != 0)
                return r;
        bm_start_at(store, segment, BM_SEGMENT_HEADER,
                    bm_pos(segment->header.number, BM_SEGMENT_HEADER));
        store->manifests.strays = true;
        r = bm_start_root(store);
        if (r == 0)
                r = bm_checkpoint_write(store, BM_CHECKPOINT_USUAL);
        if (r == -ENOSPC) { /* the next open replays the same once more */
                bm_store_log(store, BM_LOG_WARNING, "no room for a checkpoint: %s",
                             strerror(ENOSPC));
                return 0;
        }
        if (r == 0)
                (void)bm_start_each(store, remove_stray, store);
        store->manifests.strays = false;
        return r;
}

/* A store without a usable manifest: its index is made from all there is. */

static int raise_numbers(void *ctx, struct bm_segment *s)
{
        struct bm_store *store = ctx;
        const struct bm_segment_header *h = &s->header;
        uint64_t *generation = &store->manifests.newest.generation;
        if (h->epoch >= store->log.epoch)
                store->log.epoch = h->epoch + 1;
        if (h->kind == BM_SEGMENT_COLD && h->number >= store->next_cold)
                store->next_cold = h->number + 1;
        if (h->kind == BM_SEGMENT_INDEX && h->number >= *generation)
                *generation = h->number + 1;
        return 0;
}

/* Until a checkpoint comes the next open would have to replay it again. */
static void note_replayed(struct bm_store *store, const struct bm_replay *replay)
{
        store->replayed_records = replay->records;
        atomic_store(&store->manifests.log_at_last, UINT64_C(0) - replay->bytes);
        atomic_store(&store->manifests.records_at_last, UINT64_C(0) - replay->records);
}

int bm_start_rebuilt(struct bm_store *store, uint64_t generation)
{
        struct bm_replay rp = {.next_record = 2, .next_map = BM_MAP_FIRST, .next_data = 1};
        bm_store_log(store, BM_LOG_WARNING,
                     "no usable manifest; making the index from all records");
        if (store->read_only) /* else it is mended by this */
                bm_store_note_damage(store);
        store->manifests.newest = (struct bm_manifest){.generation = generation};
        store->next_cold = 1;
        store->log.epoch = 1;
        bm_drives_each(&store->drives, raise_numbers, store);
        int r = bm_start_maps(store);
        if (r == 0)
                r = bm_rebuild(store, &rp);
        if (r != 0)
                return r;
        bm_start_ids(store, &rp);
        note_replayed(store, &rp);
        r = bm_recount(store);
        if (r != 0 || store->read_only)
                return r;
        r = begin_after(store, &rp);
        /* the other place holds what could not be used */
        return r == 0 && store->manifests.checkpoints ? bm_checkpoint_unclean(store) : r;
}

int bm_start_crashed(struct bm_store *store)
{
        const struct bm_manifest *m = &store->manifests.newest;
        struct bm_replay rp = {
                .durable = m->covered,
                .next_record = m->next_record,
                .next_map = m->next_map,
                .next_data = m->next_data,
        };
        /* behind a clean end nothing was logged, and the segment may be gone */
        int r = store->salvage && m->clean ? 0 : bm_replay(store, m->replay_from, &rp);
        if (store->salvage && m->clean)
                rp.end = m->covered;
        if (r != 0)
                return r;
        if (rp.end < rp.durable) {
                bm_problem_set("the log ends at byte %" PRIu64 " of segment number %" PRIu64
                               ", but was durable up to byte %" PRIu64 " of number %" PRIu64,
                               bm_pos_offset(rp.end), bm_pos_number(rp.end),
                               bm_pos_offset(rp.durable), bm_pos_number(rp.durable));
                if (!store->read_only)
                        return BM_E_DAMAGED;
                bm_store_note_damage(store);
        }
        bm_start_ids(store, &rp);
        note_replayed(store, &rp);
        store->log.epoch = m->epoch + 1;
        r = bm_recount(store);
        if (r == 0)
                r = bm_start_look(store);
        if (r != 0 || store->read_only)
                return r;
        return begin_after(store, &rp);
}
