/* SPDX-License-Identifier: MIT */
/* See recover.h. The numbers are those of DESIGN.md, "Recovery". */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "checkpoint.h"
#include "error.h"
#include "space.h"
#include "store.h"
#include "superblock.h"
#include "tables.h"
#include "txn.h"

/* 2: manifest and what it names */

struct manifests_read {
        struct bm_manifest list[2]; /* newest first */
        unsigned n;
        bool any_bytes; /* a place held something, good or not */
        bool any_bad;   /* and one what is no manifest of this store */
};

static int read_manifests(struct bm_store *store, struct manifests_read *mr)
{
        uint8_t bytes[BM_MANIFEST_ROOT];
        for (unsigned i = 0; i < 2; i++) {
                struct bm_manifest *m = &mr->list[mr->n];
                int r = bm_io_call(store->io, pread, store->manifests.fd, bytes, sizeof(bytes),
                                   (uint64_t)i * BM_MANIFEST_ROOT);
                if (r == 0)
                        r = bm_manifest_decode(m, bytes);
                if (r == -EIO) /* shorter than it must be */
                        r = BM_E_DAMAGED;
                if (r < 0)
                        return r;
                if (r != BM_E_NOT_FOUND)
                        mr->any_bytes = true;
                if (r == 0 &&
                    memcmp(m->store_uuid, store->drives.superblock.store_uuid, BM_UUID) == 0)
                        mr->n++;
                else if (r != BM_E_NOT_FOUND)
                        mr->any_bad = true;
        }
        if (mr->n == 2 && mr->list[1].generation > mr->list[0].generation) {
                struct bm_manifest older = mr->list[0];
                mr->list[0] = mr->list[1];
                mr->list[1] = older;
        }
        return 0;
}

static int clear_segment(void *ctx, struct bm_segment *s)
{
        bm_segment_from_row(s, &(struct bm_segment_row){.used = BM_SEGMENT_HEADER,
                                                        .lowest_version = UINT64_MAX});
        return 0;
}

/* What a failed load left behind. */
static void clear(struct bm_store *store)
{
        bm_maps_deinit(&store->maps);
        bm_maps_init(&store->maps, store);
        bm_counts_deinit(&store->counts);
        bm_counts_init(&store->counts);
        atomic_store(&store->keys, 0);
        atomic_store(&store->value_bytes, 0);
        atomic_store(&store->live_bytes, 0);
        bm_drives_each(&store->drives, clear_segment, NULL);
}

static int load_newest(struct bm_store *store, const struct manifests_read *mr)
{
        int r = BM_E_DAMAGED;
        for (unsigned i = 0; i < mr->n && r == BM_E_DAMAGED; i++) {
                r = bm_tables_load(store, &mr->list[i]);
                if (r == 0) {
                        store->manifests.newest = mr->list[i];
                        /* one that is newer may have begun to write to the log */
                        if (i > 0 || mr->any_bad)
                                store->manifests.newest.clean = false;
                        return 0;
                }
                bm_store_log(store, BM_LOG_WARNING, "checkpoint %" PRIu64 " cannot be used: %s",
                             mr->list[i].generation, bm_last_problem());
                clear(store);
        }
        if (mr->n == 0)
                bm_problem_set("no valid manifest");
        return r;
}

/* The maps that every store has, and handles to them. */
static int ensure_maps(struct bm_store *store)
{
        const uint8_t buckets = store->drives.superblock.buckets_log2;
        const struct {
                uint64_t id;
                uint8_t buckets_log2;
                struct bm_map **handle;
        } fixed[] = {
                {BM_MAP_TOP, 0, &store->top},         {BM_MAP_ROOT, buckets, &store->root},
                {BM_MAP_CHUNKS, 4, &store->chunks},   {BM_MAP_DROPS, 0, &store->drops},
                {BM_MAP_ORPHANS, 0, &store->orphans}, {BM_MAP_INODES, 4, NULL},
        };
        for (size_t i = 0; i < bm_array_size(fixed); i++) {
                uint64_t parent = fixed[i].id == BM_MAP_ROOT ? BM_MAP_TOP : 0;
                uint64_t record = fixed[i].id == BM_MAP_ROOT ? 1 : 0;
                int r = bm_maps_ensure(&store->maps, fixed[i].id, parent, record,
                                       fixed[i].buckets_log2, NULL);
                if (r < 0)
                        return r;
                if (fixed[i].handle)
                        *fixed[i].handle = bm_maps_get(&store->maps, fixed[i].id);
        }
        return 0;
}

static void set_ids(struct bm_store *store, const struct bm_replay *rp)
{
        atomic_store(&store->next_record, rp->next_record);
        atomic_store(&store->next_map, rp->next_map);
        atomic_store(&store->next_data, rp->next_data);
}

/*
 * Copies that compaction added behind what the manifest knows, perhaps of what
 * the log lost: once the log is longer than it was then, a rebuild could take
 * them for newer than they are.
 */
static int wipe_behind_cold(struct bm_store *store)
{
        static const uint8_t zeros[BM_UNIT];
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                /* a stray is removed as a whole, once the older manifest is overwritten */
                if (!s || s->header.kind != BM_SEGMENT_COLD ||
                    atomic_load(&s->state) == BM_SEGMENT_PREPARED)
                        continue;
                uint64_t used = atomic_load(&s->used);
                if (!bm_range_ok(used, BM_UNIT, s->size) ||
                    memcmp(s->base + used, zeros, BM_UNIT) == 0)
                        continue;
                int r = bm_io_call(s->io, pwrite, s->fd, zeros, BM_UNIT, used);
                if (r == 0)
                        r = bm_io_call(s->io, sync_data, s->fd);
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct bm_segment *log_segment(struct bm_store *store, uint64_t number)
{
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                if (s && s->header.kind == BM_SEGMENT_LOG && s->header.number == number)
                        return s;
        }
        return NULL;
}

/* A log segment to go on in: step 11. */
static int start_log(struct bm_store *store, uint64_t number, uint64_t durable,
                     struct bm_segment **segment)
{
        for (;;) {
                atomic_store(&store->log.segment_size, bm_space_segment_size(store));
                int r = bm_drives_make(&store->drives, BM_SEGMENT_LOG,
                                       atomic_load(&store->log.segment_size), number,
                                       store->log.epoch, durable, segment);
                if (r != -ENOSPC ||
                    !bm_space_draw(store, atomic_load(&store->log.segment_size), BM_SPACE_ALL))
                        return r;
        }
}

static void begin_at(struct bm_store *store, struct bm_segment *s, uint64_t used, uint64_t durable)
{
        bm_log_start(&store->log, s, used);
        atomic_store(&store->syncer.durable, durable);
        atomic_store(&store->syncer.covered, durable);
}

/* A store that was never opened before */

static int put_root(struct bm_txn *txn, void *ctx)
{
        static const struct bm_map_entry root = {.map_id = BM_MAP_ROOT};
        uint8_t *bytes = ctx;
        struct bm_map_entry entry = root;
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

static int begin_fresh(struct bm_store *store)
{
        uint8_t bytes[BM_MAP_ENTRY_BYTES];
        struct bm_segment *segment;
        struct bm_txn txn;
        set_ids(store,
                &(struct bm_replay){.next_record = 2, .next_map = BM_MAP_FIRST, .next_data = 1});
        store->log.epoch = 1;
        store->next_cold = 1;
        int r = ensure_maps(store);
        if (r == 0 && store->read_only) {
                bm_problem_set("the store was never finished");
                return BM_E_DAMAGED;
        }
        if (r == 0)
                r = start_log(store, 1, bm_pos(1, 0), &segment);
        if (r < 0)
                return r;
        begin_at(store, segment, BM_SEGMENT_HEADER, bm_pos(1, BM_SEGMENT_HEADER));
        bm_txn_init(&txn, store);
        r = bm_txn_add(&txn, store->top, "/", 1, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, put_root, bytes);
        bm_txn_deinit(&txn);
        return r < 0 ? r : bm_checkpoint_write(store, false);
}

/* A store that was closed in order: step 3 */

static int begin_clean(struct bm_store *store)
{
        const struct bm_manifest *m = &store->manifests.newest;
        struct bm_segment *found = log_segment(store, bm_pos_number(m->covered));
        if (!found) {
                bm_problem_set("log segment number %" PRIu64 " is missing",
                               bm_pos_number(m->covered));
                return BM_E_DAMAGED;
        }
        uint64_t used = bm_pos_offset(m->covered);
        if (used < BM_SEGMENT_HEADER || used % BM_UNIT != 0 || used + BM_SEAL_ROOM > found->size) {
                bm_problem_set("the manifest says that the log ends at byte %" PRIu64
                               " of segment number %" PRIu64,
                               used, bm_pos_number(m->covered));
                return BM_E_DAMAGED;
        }
        store->clean_open = true;
        store->log.epoch = m->epoch;
        begin_at(store, found, used, m->covered);
        return store->read_only ? 0 : bm_checkpoint_unclean(store);
}

/* A store that was not: steps 4 to 14 */

/* 9: what was accepted from the page cache may not be on the disk. */
static int rewrite(struct bm_store *store, uint64_t from, uint64_t to)
{
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                if (!s || s->header.kind != BM_SEGMENT_LOG ||
                    s->header.number < bm_pos_number(from) || s->header.number > bm_pos_number(to))
                        continue;
                uint64_t used = atomic_load(&s->used);
                uint64_t start = s->header.number == bm_pos_number(from) ? bm_pos_offset(from) : 0;
                int r = start < used ? bm_io_call(s->io, pwrite, s->fd, s->base + start,
                                                  used - start, start)
                                     : 0;
                if (r == 0)
                        r = bm_io_call(s->io, sync_data, s->fd);
                if (r < 0)
                        return r;
                atomic_store(&s->synced, used);
        }
        return 0;
}

/* 10: segments behind the end must never be taken for its continuation. */
static int remove_later(struct bm_store *store, uint64_t end)
{
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                if (!s || s->header.kind != BM_SEGMENT_LOG ||
                    s->header.number <= bm_pos_number(end))
                        continue;
                int r = bm_drives_remove(&store->drives, s);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* 12: the last replayed segment ends where the replay did. */
static int seal_at(struct bm_store *store, uint64_t end, const struct bm_segment *next)
{
        struct bm_segment *s = log_segment(store, bm_pos_number(end));
        uint8_t bytes[BM_SEAL_ROOM];
        uint32_t len = bm_log_seal(s, bm_pos_offset(end), next, bytes);
        if (!bm_range_ok(bm_pos_offset(end), len, s->size))
                return BM_E_DAMAGED;
        int r = bm_io_call(s->io, pwrite, s->fd, bytes, len, bm_pos_offset(end));
        if (r == 0)
                r = bm_io_call(s->io, sync_data, s->fd);
        atomic_store(&s->used, bm_pos_offset(end) + len);
        atomic_store(&s->state, BM_SEGMENT_SEALED);
        return r;
}

/* Files that the manifest and the log know nothing of: made and never used. */
static void remove_strays(struct bm_store *store)
{
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                if (s && atomic_load(&s->state) == BM_SEGMENT_PREPARED &&
                    s != atomic_load(&store->log.next))
                        (void)bm_drives_remove(&store->drives, s);
        }
}

static int begin_after(struct bm_store *store, const struct bm_replay *rp)
{
        struct bm_segment *segment;
        int r = rewrite(store, store->manifests.newest.covered, rp->end);
        if (r == 0)
                r = remove_later(store, rp->end);
        if (r == 0)
                r = wipe_behind_cold(store);
        if (r == 0)
                r = start_log(store, bm_pos_number(rp->end) + 1, rp->end, &segment);
        if (r == 0)
                r = seal_at(store, rp->end, segment);
        if (r != 0)
                return r;
        begin_at(store, segment, BM_SEGMENT_HEADER,
                 bm_pos(segment->header.number, BM_SEGMENT_HEADER));
        r = bm_checkpoint_write(store, false);
        if (r == -ENOSPC) { /* the next open replays the same once more */
                bm_store_log(store, BM_LOG_WARNING, "no room for a checkpoint: %s",
                             strerror(ENOSPC));
                return 0;
        }
        if (r == 0)
                remove_strays(store);
        return r;
}

/* A store without a usable manifest: its index is made from all there is. */

static void raise_numbers(struct bm_store *store)
{
        for (uint32_t id = 1; id <= store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&store->drives, id);
                const struct bm_segment_header *h = s ? &s->header : NULL;
                uint64_t *generation = &store->manifests.newest.generation;
                if (!h)
                        continue;
                if (h->epoch >= store->log.epoch)
                        store->log.epoch = h->epoch + 1;
                if (h->kind == BM_SEGMENT_COLD && h->number >= store->next_cold)
                        store->next_cold = h->number + 1;
                if (h->kind == BM_SEGMENT_INDEX && h->number >= *generation)
                        *generation = h->number + 1;
        }
}

static int begin_rebuilt(struct bm_store *store, uint64_t generation)
{
        struct bm_replay rp = {.next_record = 2, .next_map = BM_MAP_FIRST, .next_data = 1};
        bm_store_log(store, BM_LOG_WARNING,
                     "%s: no usable manifest; making the index from all records", store->path);
        store->manifests.newest = (struct bm_manifest){.generation = generation};
        store->next_cold = 1;
        store->log.epoch = 1;
        raise_numbers(store);
        int r = ensure_maps(store);
        if (r == 0)
                r = bm_rebuild(store, &rp);
        if (r != 0)
                return r;
        set_ids(store, &rp);
        store->replayed_records = rp.records;
        r = bm_recount(store);
        if (r != 0 || store->read_only)
                return r;
        r = begin_after(store, &rp);
        /* the other place holds what could not be used */
        return r == 0 && store->manifests.checkpoints ? bm_checkpoint_unclean(store) : r;
}

static int begin_crashed(struct bm_store *store)
{
        const struct bm_manifest *m = &store->manifests.newest;
        struct bm_replay rp = {
                .durable = m->covered,
                .next_record = m->next_record,
                .next_map = m->next_map,
                .next_data = m->next_data,
        };
        int r = bm_replay(store, m->replay_from, &rp);
        if (r != 0)
                return r;
        if (rp.end < rp.durable) {
                bm_problem_set("the log ends at byte %" PRIu64 " of segment number %" PRIu64
                               ", but was durable up to byte %" PRIu64 " of number %" PRIu64,
                               bm_pos_offset(rp.end), bm_pos_number(rp.end),
                               bm_pos_offset(rp.durable), bm_pos_number(rp.durable));
                if (!store->read_only)
                        return BM_E_DAMAGED;
                bm_store_log(store, BM_LOG_ERROR, "%s", bm_last_problem());
                store->found_damage = true;
        }
        set_ids(store, &rp);
        store->replayed_records = rp.records;
        store->log.epoch = m->epoch + 1;
        r = bm_recount(store);
        if (r != 0 || store->read_only)
                return r;
        return begin_after(store, &rp);
}

/* Segment files that a killed process had not come to write a header to. */
struct unfinished {
        struct bm_store *store;
        struct {
                unsigned drive;
                uint32_t file_id;
        } list[64]; /* more than these the next open removes */
        size_t n;
};

/* A segment that cannot be opened matters only if something refers to it;
 * loading the tables says so. */
static void note_bad_segment(void *ctx, unsigned drive, uint32_t file_id, int result)
{
        struct unfinished *u = ctx;
        struct bm_store *store = u->store;
        if (result == BM_E_NOT_FOUND) {
                if (u->n == bm_array_size(u->list))
                        return;
                u->list[u->n].drive = drive;
                u->list[u->n++].file_id = file_id;
                return;
        }
        if (result != BM_E_MISMATCH)
                store->lost_segment = true; /* for all that a rebuild would know */
        bm_store_log(store, BM_LOG_WARNING, "segment %08" PRIx32 " on %s is left out: %s", file_id,
                     store->drives.drives[drive].path, bm_strerror(result));
}

static void remove_unfinished(const struct unfinished *u)
{
        struct bm_drives *d = &u->store->drives;
        for (size_t i = 0; i < u->n; i++) {
                char name[BM_SEGMENT_NAME];
                bm_segment_name(u->list[i].file_id, name);
                (void)bm_io_call(d->io, unlink_at, d->drives[u->list[i].drive].segments, name);
        }
}

int bm_recover(struct bm_store *store)
{
        struct manifests_read mr = {.n = 0};
        struct unfinished unfinished = {.store = store};
        int flags = store->read_only ? O_RDONLY : O_RDWR;
        store->manifests.fd = bm_io_call(store->io, open_at, store->drives.drives[0].dir,
                                         BM_FILE_MANIFEST, flags, 0);
        if (store->manifests.fd == -ENOENT) {
                bm_problem_set("the manifest is missing");
                return BM_E_DAMAGED;
        }
        if (store->manifests.fd < 0)
                return store->manifests.fd;
        int r = read_manifests(store, &mr);
        if (r == 0)
                r = bm_drives_scan(&store->drives, !store->read_only, note_bad_segment,
                                   &unfinished);
        if (r < 0)
                return r;
        if (!mr.any_bytes && store->drives.highest_file_id == 0)
                return begin_fresh(store);
        r = load_newest(store, &mr);
        /* with a file that is gone, keys would be gone without a word */
        if (r == BM_E_DAMAGED && !store->lost_segment)
                return begin_rebuilt(store, mr.n ? mr.list[0].generation : 1);
        if (r == 0 && !store->read_only)
                r = bm_checkpoint_settle(store);
        if (r == 0)
                r = ensure_maps(store);
        if (r != 0)
                return r;
        const struct bm_manifest *m = &store->manifests.newest;
        set_ids(store, &(struct bm_replay){.next_record = m->next_record,
                                           .next_map = m->next_map,
                                           .next_data = m->next_data});
        store->next_cold = m->next_segment;
        r = m->clean ? begin_clean(store) : begin_crashed(store);
        if (r == 0 && !store->read_only)
                remove_unfinished(&unfinished);
        return r;
}
