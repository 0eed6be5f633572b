/* SPDX-License-Identifier: MIT */
/* Rebuild, the first step: the data segments in order, how much of each counts, where the log
 * ended. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "error.h"
#include "rebuild_private.h"
#include "recover.h"
#include "store.h"

static int compare_segments(const void *a, const void *b)
{
        const struct bm_segment_header *x = &(*(struct bm_segment *const *)a)->header;
        const struct bm_segment_header *y = &(*(struct bm_segment *const *)b)->header;
        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return (x->number > y->number) - (x->number < y->number);
}

/* 1: the whole frames of a segment. Behind a seal stands what an earlier
 * recovery discarded. *SEALED: there was one. */
static int measure(struct rebuild *rb, struct bm_segment *s, bool *sealed, uint64_t *end)
{
        uint64_t at = BM_SEGMENT_HEADER, whole = at;
        struct bm_record r;
        int result = 0;
        *sealed = false;
        while (!*sealed && (result = bm_segment_record(s, at, &r)) == 0) {
                *sealed = r.type == BM_REC_SEAL;
                if (r.type == BM_REC_SYNC && r.version > rb->told)
                        rb->told = r.version;
                if (*sealed)
                        *end = at;
                at += r.length;
                if (!r.more)
                        whole = at;
        }
        if (result == -EIO) { /* no end, but something that the medium does not give */
                bm_problem_set("byte %" PRIu64 " of segment %08" PRIx32 " cannot be read", at,
                               s->header.file_id);
                return result;
        }
        if (!*sealed)
                *end = whole;
        atomic_store(&s->used, whole);
        atomic_store(&s->synced, 0);
        atomic_store(&s->n_puts, 0);
        atomic_store(&s->kept_bytes, 0);
        atomic_store(&s->kept_version, 0);
        atomic_store(&s->lowest_version, UINT64_MAX);
        atomic_store(&s->state, BM_SEGMENT_SEALED);
        s->left_open = s->header.kind == BM_SEGMENT_COLD;
        return 0;
}

/* Whether the log, as it is, ever was as long as VERSION says. */
static bool was_logged(const struct rebuild *rb, uint64_t version)
{
        for (size_t i = 0; i < rb->n_log; i++) {
                if (rb->list[i]->header.number == bm_pos_number(version))
                        return bm_pos_offset(version) <= rb->ends[i];
        }
        return version <= rb->replay->end; /* in a segment that is gone */
}

/*
 * A copy that compaction made of what the log lost, in this crash or an
 * earlier one: no manifest can have named it, for each syncs the log first, so
 * what it is a copy of still stands where it was. From there on the segment is
 * not used.
 */
static void cut_cold(struct rebuild *rb, struct bm_segment *s)
{
        uint64_t used = atomic_load(&s->used), at = BM_SEGMENT_HEADER;
        struct bm_record r;
        while (at < used) {
                if (bm_segment_record(s, at, &r) != 0)
                        at = bm_salvage_next(s, at, used);
                else if (was_logged(rb, r.version))
                        at += r.length;
                else
                        break;
        }
        atomic_store(&s->used, at);
}

/*
 * For a repair: what was durable counts, with holes in it. The last segment
 * that has any of it; those before it to the last record that is whole, that
 * one to the last before the durable end and what follows without a hole.
 */
static size_t last_durable(struct rebuild *rb, size_t n_log, size_t last)
{
        struct bm_salvage *sv = rb->store->salvage;
        struct bm_replay *replay = rb->replay;
        uint64_t epoch = rb->list[last]->header.epoch;
        sv->rebuilt = true;
        if (bm_replay_look_beyond(rb->store, replay) != 0 || replay->end >= replay->durable)
                return last;
        sv->skipped = sv->data_damaged = true;
        while (last + 1 < n_log &&
               rb->list[last + 1]->header.number <= bm_pos_number(replay->durable) &&
               rb->list[last + 1]->header.epoch < epoch + BM_SALVAGE_EPOCHS)
                last++;
        for (size_t i = 0; i <= last; i++) {
                struct bm_segment *s = rb->list[i];
                uint64_t at = atomic_load(&s->used);
                while (at < s->size &&
                       (i < last || bm_pos(s->header.number, at) < replay->durable)) {
                        struct bm_record r;
                        (void)!bm_salvage_note(rb->store, s, at); /* for want of memory unnamed */
                        at = bm_salvage_next(s, at, s->size);
                        while (at < s->size && bm_segment_record(s, at, &r) == 0) {
                                at += r.length;
                                atomic_store(&s->used, at);
                                rb->ends[i] = at;
                        }
                }
        }
        replay->end = bm_pos(rb->list[last]->header.number, atomic_load(&rb->list[last]->used));
        return last;
}

/*
 * Whether the log went on from segment I of the list to the next. Between them there may be some
 * that were emptied and removed. Others are missing because no sync came to them: the log does not
 * say then that it was durable up to the last of them.
 */
static bool goes_on(const struct rebuild *rb, size_t i)
{
        uint64_t next = rb->list[i + 1]->header.number;
        return next == rb->list[i]->header.number + 1 ||
               rb->told >= bm_pos(next - 1, BM_SEGMENT_HEADER);
}

/*
 * Where the log ended: behind what is whole in the first segment without a
 * seal. Later ones were made ahead, or lost what led to them in a power cut;
 * they are left out, unless something says that more was durable.
 */
static int find_end(struct rebuild *rb, const bool *sealed)
{
        struct bm_replay *replay = rb->replay;
        size_t n_log = 0, last = 0;
        for (; n_log < rb->n && rb->list[n_log]->header.kind == BM_SEGMENT_LOG; n_log++)
                rb->told = bm_max_u64(rb->told, rb->list[n_log]->header.durable);
        while (last + 1 < n_log && sealed[last] && goes_on(rb, last))
                last++;
        if (n_log == 0 && rb->n > 0 && rb->store->salvage) {
                /* copies are left, and no log to judge them by */
                rb->store->salvage->rebuilt = rb->store->salvage->skipped = true;
                replay->end = UINT64_MAX;
                return 0;
        }
        if (n_log == 0) {
                bm_problem_set("no manifest and no log");
                return BM_E_DAMAGED;
        }
        if (sealed[last] &&
            !rb->store->salvage) /* and leads to nothing: another seal takes the place of this */
                atomic_store(&rb->list[last]->used, rb->ends[last]);
        replay->end = bm_pos(rb->list[last]->header.number, atomic_load(&rb->list[last]->used));
        if (rb->store->salvage)
                last = last_durable(rb, n_log, last);
        rb->n_log = last + 1;
        memmove(rb->list + last + 1, rb->list + n_log, (rb->n - n_log) * sizeof(*rb->list));
        rb->n -= n_log - last - 1;
        int r = bm_replay_look_beyond(rb->store, replay);
        if (r == 0 && replay->end < replay->durable && !rb->store->salvage) {
                bm_problem_set("log segment number %" PRIu64 " is damaged at byte %" PRIu64,
                               bm_pos_number(replay->end), bm_pos_offset(replay->end));
                if (!rb->store->read_only)
                        return BM_E_DAMAGED;
                bm_store_note_damage(rb->store);
        }
        return r;
}

int bm_rebuild_collect(struct rebuild *rb)
{
        bool *sealed = NULL;
        size_t n, kept = 0;
        int r = bm_drives_list(&rb->store->drives, &rb->list, &n);
        if (r == 0) {
                sealed = calloc(n + 1, sizeof(*sealed));
                rb->ends = calloc(n + 1, sizeof(*rb->ends));
                r = sealed && rb->ends ? 0 : -ENOMEM;
        }
        for (size_t i = 0; i < n && r == 0; i++) {
                if (rb->list[i]->header.kind != BM_SEGMENT_INDEX)
                        rb->list[kept++] = rb->list[i];
        }
        rb->n = kept;
        if (r == 0 && kept > 0)
                qsort(rb->list, kept, sizeof(struct bm_segment *), compare_segments);
        const uint64_t durable = bm_rebuild_durable_copies(rb->store);
        for (size_t i = 0; i < kept && r == 0; i++) {
                r = measure(rb, rb->list[i], &sealed[i], &rb->ends[i]);
                if (r == 0 && rb->list[i]->header.kind == BM_SEGMENT_COLD)
                        r = bm_rebuild_measure_cold(rb->store, rb->list[i], durable);
        }
        if (r == 0)
                r = find_end(rb, sealed);
        for (size_t i = 0; i < rb->n && r == 0; i++) {
                if (rb->list[i]->header.kind == BM_SEGMENT_COLD)
                        cut_cold(rb, rb->list[i]);
        }
        free(sealed);
        return r;
}
