/* SPDX-License-Identifier: MIT */
/* See space.h. */
#include "space.h"

#include <errno.h>

#include "base/intmath.h"
#include "keeper.h"
#include "pace.h"
#include "store.h"

enum {
        TABLES_SLACK = 64 << 10, /* headers, and the ends of blocks */
        BLOCK_BYTES_A_ROW = 512, /* fewer bytes has no index block that has a row in the tables */
        FILL_STEP = 16 << 10,    /* what is left of a disk is worth having from here on */
        PIECE_SHARE = 2,         /* of a segment is what the log gets of the reserve at a time */
};

static const uint64_t smallest = UINT64_C(1) << BM_SEGMENT_LOG2_MIN;

/* What the parts of the reserve must have. */
struct parts {
        uint64_t log, cold, checkpoint;
        uint64_t longer; /* of the log's, for what copies are longer than what they are of */
        uint64_t growth; /* what ordinary writes may add to the checkpoint's until the next look */
        uint64_t index;  /* bytes of it now */
};

static uint64_t whole(const struct parts *p)
{
        return p->log + p->cold + p->checkpoint + p->growth;
}

struct sums {
        uint64_t output; /* what compaction would copy out of the segment that has most to copy */
        uint64_t longer; /* by how much copies of all that lives would be longer */
        uint64_t segments;
};

static int add_segment(void *ctx, struct bm_segment *s)
{
        struct sums *sums = ctx;
        if (s->header.kind == BM_SEGMENT_INDEX)
                return 0;
        const uint64_t output = bm_segment_output(s);
        sums->segments++;
        sums->longer += output - bm_min_u64(output, atomic_load(&s->live_bytes));
        if (bm_segment_reclaimable(s) > 0 && atomic_load(&s->n_live) > 0)
                sums->output = bm_max_u64(sums->output, output + atomic_load(&s->kept_bytes));
        return 0;
}

/*
 * What stands in the index files is written anew beside them; what does not
 * stand there yet will, and then must be written anew beside that.
 */
static uint64_t checkpoint_bytes(struct bm_store *store, const struct sums *sums)
{
        uint64_t index = atomic_load(&store->index_stats.bytes);
        uint64_t there = atomic_load(&store->manifests.index_bytes);
        return index + (index > there ? index - there : 0) +
               index / BLOCK_BYTES_A_ROW * BM_BLOCK_ROW + (sums->segments + 2) * BM_SEGMENT_ROW +
               bm_maps_n(&store->maps) * (BM_MAP_ROW + BM_BUCKET_ROW) +
               (UINT64_C(2) << store->drives.superblock.buckets_log2) * BM_BUCKET_ROW +
               bm_counts_n(&store->counts) * BM_COUNT_ROW + TABLES_SLACK;
}

/* With segments of SIZE bytes. Takes locks, and must be called without reserve_lock. */
static struct parts parts_with(struct bm_store *store, uint64_t size)
{
        struct sums sums = {0};
        bm_drives_each(&store->drives, add_segment, &sums);
        /* copies do not fill their segments wholly: half as much again */
        uint64_t output = bm_max_u64(sums.output, size);
        const uint64_t longer = bm_round_up(sums.longer, smallest);
        return (struct parts){
                .log = 2 * size + longer,
                .longer = longer,
                .cold = bm_round_up(output + output / 2, smallest),
                .checkpoint = bm_round_up(checkpoint_bytes(store, &sums), smallest),
                /* two segments of the smallest records bring half as much index each */
                .growth = 2 * size,
                .index = atomic_load(&store->index_stats.bytes),
        };
}

static struct parts parts_of(struct bm_store *store)
{
        return parts_with(store, bm_space_segment_size(store));
}

/* What USE must leave. */
static uint64_t kept_by(enum bm_space_use use, const struct parts *p)
{
        switch (use) {
        case BM_SPACE_CUT:
                /* and what it adds to the index before the next look, and has swept behind it */
                return p->log + p->cold + p->checkpoint + p->growth / 2;
        case BM_SPACE_LOG:
                return p->cold + p->checkpoint;
        case BM_SPACE_COLD:
                return p->checkpoint;
        case BM_SPACE_ALL:
                break;
        }
        return 0;
}

/* Locked. Says who may append from here on. */
static void set_claim(struct bm_store *store, const struct parts *parts)
{
        enum bm_claim least = BM_CLAIM_REMOVE;
        if (store->reserved >= whole(parts))
                least = BM_CLAIM_NONE;
        else if (store->reserved >= kept_by(BM_SPACE_CUT, parts))
                least = BM_CLAIM_CUT;
        atomic_store(&store->log.least_claim, least);
        atomic_store(&store->index_look, parts->index + parts->growth / 4);
}

/* Locked. As much of it as the disk has room for. */
static void fill_up(struct bm_store *store, const struct parts *parts)
{
        const uint64_t want = whole(parts);
        uint64_t step = want > store->reserved ? want - store->reserved : 0;
        while (store->reserved < want) {
                step = bm_min_u64(step, want - store->reserved);
                if (bm_io_call(store->io, allocate, store->reserve_fd, store->reserved, step) == 0)
                        store->reserved += step;
                else if (bm_spares_drop(&store->drives) > 0)
                        continue;
                else if (step > FILL_STEP)
                        step = bm_max_u64(step / 2, FILL_STEP);
                else
                        break;
        }
        set_claim(store, parts);
}

/* Locked. */
static bool cut_to(struct bm_store *store, uint64_t want)
{
        if (bm_io_call(store->io, truncate, store->reserve_fd, want) < 0)
                return false;
        store->reserved = want;
        return true;
}

/* Locked. Gives SIZE bytes back to the disk if what USE must leave is left then. PARTS: NULL if
 * that is nothing. */
static bool draw(struct bm_store *store, uint64_t size, enum bm_space_use use,
                 const struct parts *parts)
{
        const uint64_t kept = parts ? kept_by(use, parts) : 0;
        if (store->reserved < size || store->reserved - size < kept)
                return false;
        const bool done = cut_to(store, store->reserved - size);
        if (parts)
                set_claim(store, parts);
        else
                atomic_store(&store->log.least_claim, BM_CLAIM_REMOVE);
        return done;
}

/* What is to be made. */
struct request {
        int (*make)(void *ctx, uint64_t size); /* -ENOSPC leaves nothing behind */
        bool (*needed)(void *ctx);             /* false: somebody else made it meanwhile */
        void *ctx;
};

/* Without reserve_lock, for the new segment is written and synced. Rather a small one than none. */
static int make_from_disk(struct bm_store *store, const struct request *q)
{
        uint64_t size = bm_space_segment_size(store);
        int r;
        do
                r = q->make(q->ctx, size);
        while (r == -ENOSPC && (size /= 2) >= smallest);
        return r;
}

/* From the part of the reserve that USE may have. */
static int make_from_reserve(struct bm_store *store, const struct request *q, enum bm_space_use use,
                             const struct parts *parts)
{
        int r = 0;
        pthread_mutex_lock(&store->reserve_lock);
        if (q->needed(q->ctx)) {
                const uint64_t kept = kept_by(use, parts);
                uint64_t part = store->reserved > kept ? store->reserved - kept : 0;
                uint64_t size = bm_max_u64(bm_space_segment_size(store) / PIECE_SHARE, smallest);
                while (size > smallest && size > part)
                        size /= 2;
                r = -ENOSPC;
                while (r == -ENOSPC && draw(store, size, use, parts))
                        r = q->make(q->ctx, size);
        }
        pthread_mutex_unlock(&store->reserve_lock);
        return r;
}

/*
 * While the reserve is whole and the disk has more, that is what is taken.
 * Else whatever the disk has goes to the reserve first, so that nothing is
 * taken which the parts that must be kept still lack. Who may not append now gets
 * nothing, though somebody else may have made it.
 */
static int make(struct bm_store *store, const struct request *q, const struct parts *parts,
                enum bm_claim claim, enum bm_space_use use)
{
        pthread_mutex_lock(&store->reserve_lock);
        fill_up(store, parts);
        bool is_whole = store->reserved >= whole(parts);
        bool may_draw = claim != BM_CLAIM_NONE && claim >= atomic_load(&store->log.least_claim);
        pthread_mutex_unlock(&store->reserve_lock);
        int r = is_whole ? make_from_disk(store, q) : -ENOSPC;
        return r == -ENOSPC && may_draw ? make_from_reserve(store, q, use, parts) : r;
}

static bool always(void *ctx)
{
        return true;
}

int bm_space_make_cold(struct bm_store *store, bm_space_make_fn fn, void *ctx)
{
        const struct parts parts = parts_of(store);
        const struct request q = {.make = fn, .needed = always, .ctx = ctx};
        return make(store, &q, &parts, BM_CLAIM_REMOVE, BM_SPACE_COLD);
}

/* What is above KEPT of the reserve, and what the disks have beside it. */
static uint64_t room_above(struct bm_store *store, uint64_t kept)
{
        struct bm_io_space disk = {0};
        uint64_t reserved = bm_space_reserved(store);
        (void)bm_drives_space(&store->drives, &disk);
        return disk.available_bytes + (reserved > kept ? reserved - kept : 0);
}

bool bm_space_draw(struct bm_store *store, uint64_t need, enum bm_space_use use)
{
        struct parts parts;
        if (use != BM_SPACE_ALL)
                parts = parts_of(store);
        pthread_mutex_lock(&store->reserve_lock);
        bool drawn = draw(store, need, use, use == BM_SPACE_ALL ? NULL : &parts);
        pthread_mutex_unlock(&store->reserve_lock);
        return drawn;
}

uint64_t bm_space_for_cold(struct bm_store *store)
{
        return room_above(store, parts_of(store).checkpoint);
}

uint64_t bm_space_for_checkpoint(struct bm_store *store)
{
        return room_above(store, 0);
}

int bm_space_spend(struct bm_store *store, bm_space_make_fn fn, void *ctx)
{
        int r = fn(ctx, smallest);
        if (r != -ENOSPC)
                return r;
        pthread_mutex_lock(&store->reserve_lock);
        while (r == -ENOSPC && store->reserved > 0 &&
               draw(store, bm_min_u64(smallest, store->reserved), BM_SPACE_ALL, NULL))
                r = fn(ctx, smallest);
        pthread_mutex_unlock(&store->reserve_lock);
        return r;
}

bool bm_space_is_short(struct bm_store *store)
{
        return atomic_load(&store->log.least_claim) != BM_CLAIM_NONE;
}

bool bm_space_is_exhausted(struct bm_store *store)
{
        const struct parts parts = parts_of(store);
        return bm_space_reserved(store) < parts.cold + parts.checkpoint + smallest;
}

uint64_t bm_space_available(struct bm_store *store, uint64_t free)
{
        /* a segment more, or nothing */
        if (bm_space_is_short(store) || free < smallest)
                return 0;
        /* filled with that, larger segments make the reserve larger */
        const struct parts parts = parts_with(store, bm_space_segment_size_with(store, free));
        const uint64_t want = whole(&parts);
        const uint64_t reserved = bm_space_reserved(store);
        const uint64_t lacks = want > reserved ? want - reserved : 0;
        return free > lacks + smallest ? free - lacks : smallest;
}

bool bm_space_refill(struct bm_store *store)
{
        const struct parts parts = parts_of(store);
        uint64_t want = whole(&parts);
        pthread_mutex_lock(&store->reserve_lock);
        if (store->reserved > want + want / 4) /* what lives has shrunk */
                (void)cut_to(store, want);
        fill_up(store, &parts);
        bool is_whole = store->reserved >= want;
        pthread_mutex_unlock(&store->reserve_lock);
        return is_whole;
}

void bm_space_look(struct bm_store *store)
{
        if (atomic_load(&store->index_stats.bytes) > atomic_load(&store->index_look))
                (void)bm_space_refill(store);
}

uint64_t bm_space_reserved(struct bm_store *store)
{
        pthread_mutex_lock(&store->reserve_lock);
        uint64_t reserved = store->reserved;
        pthread_mutex_unlock(&store->reserve_lock);
        return reserved;
}

void bm_space_settle(struct bm_store *store)
{
        const struct parts parts = parts_of(store);
        /* what longer copies need of the log's part is there again when the store is opened */
        uint64_t least = parts.log - parts.longer + parts.cold;
        struct bm_io_space disk;
        if (bm_drives_space(&store->drives, &disk) < 0)
                return;
        pthread_mutex_lock(&store->reserve_lock);
        if (disk.available_bytes <= 2 * parts.checkpoint)
                fill_up(store, &parts);
        else if (store->reserved > least)
                (void)cut_to(store, least);
        pthread_mutex_unlock(&store->reserve_lock);
}

struct log_segment {
        struct bm_store *store;
        uint64_t capacity;
};

static int prepare_log(void *ctx, uint64_t size)
{
        const struct log_segment *l = ctx;
        return bm_log_prepare(&l->store->log, l->capacity, size,
                              atomic_load(&l->store->syncer.durable));
}

static bool lacks_next(void *ctx)
{
        const struct log_segment *l = ctx;
        return bm_log_lacks_next(&l->store->log, l->capacity);
}

static int make_log(struct bm_store *store, uint64_t capacity, enum bm_claim claim)
{
        struct log_segment l = {.store = store, .capacity = capacity};
        const struct request q = {.make = prepare_log, .needed = lacks_next, .ctx = &l};
        const struct parts parts = parts_of(store);
        return make(store, &q, &parts, claim,
                    claim == BM_CLAIM_REMOVE ? BM_SPACE_LOG : BM_SPACE_CUT);
}

int bm_space_prepare(struct bm_store *store, uint64_t capacity)
{
        return make_log(store, capacity, BM_CLAIM_NONE);
}

int bm_space_grow(struct bm_store *store, uint64_t capacity, enum bm_claim claim)
{
        bool won = true;
        uint64_t released = 0;
        bm_pace_set_for(store, capacity);
        if (claim == BM_CLAIM_NONE && bm_pace_is_over(store))
                bm_keeper_wait(store);
        int r = make_log(store, capacity, claim);
        while (r == -ENOSPC && (won || bm_keeper_wait_release(store, &released))) {
                won = bm_keeper_win_space(store);
                r = make_log(store, capacity, claim);
        }
        return r;
}
