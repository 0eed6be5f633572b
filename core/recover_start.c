/* SPDX-License-Identifier: MIT */
/* What every start has in common; and the two without a replay: of a store that was never opened
 * before, and of one that was closed in order. */
#include "recover_start.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/intmath.h"
#include "checkpoint.h"
#include "error.h"
#include "recover.h"
#include "space.h"
#include "store.h"
#include "txn.h"

int bm_start_maps(struct bm_store *store)
{
        const uint8_t buckets = store->drives.superblock.buckets_log2;
        const struct {
                uint64_t id;
                uint8_t buckets_log2;
                struct bm_map **handle;
        } fixed[] = {
                {BM_MAP_TOP, 0, &store->top},         {BM_MAP_ROOT, buckets, &store->root},
                {BM_MAP_CHUNKS, 4, &store->chunks},   {BM_MAP_DROPS, 0, &store->drops},
                {BM_MAP_ORPHANS, 0, &store->orphans}, {BM_MAP_INODES, 4, &store->inodes},
                {BM_MAP_PATCHES, 4, &store->patches},
        };
        for (size_t i = 0; i < bm_array_size(fixed); i++) {
                uint64_t parent = fixed[i].id == BM_MAP_ROOT ? BM_MAP_TOP : 0;
                uint64_t record = fixed[i].id == BM_MAP_ROOT ? 1 : 0;
                int r = bm_maps_ensure(&store->maps, fixed[i].id, parent, record,
                                       fixed[i].buckets_log2, NULL);
                if (r < 0)
                        return r;
                *fixed[i].handle = bm_maps_get(&store->maps, fixed[i].id);
        }
        return 0;
}

void bm_start_ids(struct bm_store *store, const struct bm_replay *rp)
{
        atomic_store(&store->next_record, rp->next_record);
        atomic_store(&store->next_map, rp->next_map);
        atomic_store(&store->next_data, rp->next_data);
}

int bm_start_each(struct bm_store *store, int (*fn)(void *ctx, struct bm_segment *s), void *ctx)
{
        struct bm_segment **list;
        size_t n;
        int r = bm_drives_list(&store->drives, &list, &n);
        for (size_t i = 0; i < n && r == 0; i++)
                r = fn(ctx, list[i]);
        free(list);
        return r;
}

struct by_number {
        uint64_t number;
        struct bm_segment *found;
};

static int is_number(void *ctx, struct bm_segment *s)
{
        struct by_number *b = ctx;
        if (s->header.kind != BM_SEGMENT_LOG || s->header.number != b->number)
                return 0;
        b->found = s;
        return 1;
}

struct bm_segment *bm_start_segment(struct bm_store *store, uint64_t number)
{
        struct by_number b = {.number = number};
        bm_drives_each(&store->drives, is_number, &b);
        return b.found;
}

struct first_segment {
        struct bm_store *store;
        uint64_t number, durable;
        struct bm_segment *made;
};

static int make_first(void *ctx, uint64_t size)
{
        struct first_segment *f = ctx;
        return bm_drives_make(&f->store->drives, BM_SEGMENT_LOG, size, f->number,
                              f->store->log.epoch, f->durable, &f->made);
}

int bm_start_log(struct bm_store *store, uint64_t number, uint64_t durable,
                 struct bm_segment **segment)
{
        struct first_segment f = {.store = store, .number = number, .durable = durable};
        int r = make_first(&f, bm_space_segment_size(store));
        if (r == -ENOSPC)
                r = bm_space_spend(store, make_first, &f);
        *segment = f.made;
        return r < 0 ? r : bm_segment_settle(f.made);
}

void bm_start_at(struct bm_store *store, struct bm_segment *s, uint64_t used, uint64_t durable)
{
        bm_log_start(&store->log, s, used);
        atomic_store(&store->syncer.durable, durable);
        atomic_store(&store->syncer.told, s->header.durable);
        atomic_store(&store->syncer.covered, durable);
}

/* A store that was never opened before */

static int put_root(struct bm_txn *txn, void *ctx)
{
        static const struct bm_map_entry root = {.map_id = BM_MAP_ROOT};
        uint8_t *bytes = ctx;
        struct bm_map_entry entry = root;
        if (txn->steps[0].found.there)
                return 0;
        entry.buckets_log2 = txn->store->drives.superblock.buckets_log2;
        bm_map_entry_encode(&entry, bytes);
        txn->steps[0].action = BM_ACT_PUT;
        txn->steps[0].next = (struct bm_record){
                .type = BM_REC_MAP,
                .record_id = 1,
                .count = 1,
                .value = bytes,
                .value_len = BM_MAP_ENTRY_BYTES,
        };
        return 0;
}

int bm_start_root(struct bm_store *store)
{
        uint8_t bytes[BM_MAP_ENTRY_BYTES];
        struct bm_txn txn;
        bm_txn_init(&txn, store);
        int r = bm_txn_add(&txn, store->top, "/", 1, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, put_root, bytes);
        bm_txn_deinit(&txn);
        return r;
}

int bm_start_fresh(struct bm_store *store)
{
        struct bm_segment *segment = NULL;
        bm_start_ids(store, &(struct bm_replay){
                                    .next_record = 2, .next_map = BM_MAP_FIRST, .next_data = 1});
        store->log.epoch = 1;
        store->next_cold = 1;
        int r = bm_start_maps(store);
        if (r == 0 && store->read_only) {
                bm_problem_set("the store was never finished");
                return BM_E_DAMAGED;
        }
        if (r == 0)
                r = bm_start_log(store, 1, bm_pos(1, 0), &segment);
        if (r < 0)
                return r;
        bm_start_at(store, segment, BM_SEGMENT_HEADER, bm_pos(1, BM_SEGMENT_HEADER));
        r = bm_start_root(store);
        return r < 0 ? r : bm_checkpoint_write(store, BM_CHECKPOINT_USUAL);
}

int bm_start_look(struct bm_store *store)
{
        struct bm_view view;
        struct bm_ref root;
        bm_root_ref(store, &root);
        int r = bm_read_ref(&root, &view);
        bm_view_release(&view);
        if (r != -EIO)
                return r < 0 ? r : 0;
        bm_problem_set("the record of the root map cannot be read");
        return BM_E_DAMAGED;
}

/* A store that was closed in order: step 3 */

int bm_start_clean(struct bm_store *store)
{
        const struct bm_manifest *m = &store->manifests.newest;
        struct bm_segment *found = bm_start_segment(store, bm_pos_number(m->covered));
        if (!found) {
                bm_problem_set("log segment number %" PRIu64 " is missing",
                               bm_pos_number(m->covered));
                if (!store->tolerant)
                        return BM_E_DAMAGED;
                bm_store_note_damage(store);
                return 0;
        }
        uint64_t used = bm_pos_offset(m->covered);
        if (used < BM_SEGMENT_HEADER || used % BM_UNIT != 0 || used + BM_SEAL_ROOM > found->size) {
                bm_problem_set("the manifest says that the log ends at byte %" PRIu64
                               " of segment number %" PRIu64,
                               used, bm_pos_number(m->covered));
                return BM_E_DAMAGED;
        }
        int r = bm_start_look(store);
        if (r != 0)
                return r;
        store->clean_open = true;
        store->log.epoch = m->epoch;
        bm_start_at(store, found, used, m->covered);
        return store->read_only ? 0 : bm_checkpoint_unclean(store);
}
