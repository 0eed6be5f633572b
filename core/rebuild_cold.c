/* SPDX-License-Identifier: MIT */
/*
 * A rebuild's cold segments. No log leads through them, so that a record which is not whole may be
 * where a crash ended, and then what it is a copy of still stands where it was; or it is damage,
 * and then keys may be lost with it. The difference is whether it was durable. The header of each
 * index file has a position that tells (checkpoint.c, copies_durable): what was copied before the
 * log had come there was. And what was copied so late that no header tells has its original still,
 * for that goes with a checkpoint whose header does.
 */
#include <inttypes.h>
#include <string.h>

#include "base/intmath.h"
#include "error.h"
#include "recover.h"
#include "store.h"

static int note_index(void *ctx, struct bm_segment *s)
{
        uint64_t *durable = ctx;
        if (s->header.kind == BM_SEGMENT_INDEX)
                *durable = bm_max_u64(*durable, s->header.durable);
        return 0;
}

uint64_t bm_rebuild_durable_copies(struct bm_store *store)
{
        uint64_t durable = 0;
        bm_drives_each(&store->drives, note_index, &durable);
        return durable;
}

/* Its version says when a copy was made: that is where the log ended, less one. If nothing was
 * logged between the two, it was made before or after DURABLE. A tombstone keeps an old one. */
static bool was_durable(const struct bm_segment *s, const struct bm_record *r, uint64_t durable)
{
        return r->type != BM_REC_DEL && r->flags & BM_RECF_VERSION &&
               r->version + 1 >= s->header.durable && r->version + 1 < durable;
}

static bool is_end(const struct bm_segment *s, uint64_t at)
{
        static const uint8_t zeros[BM_UNIT];
        return !bm_range_ok(at, BM_UNIT, s->size) || memcmp(s->base + at, zeros, BM_UNIT) == 0;
}

/* At AT stands no whole record; NEXT is where there is one again, or the end. */
static bool is_damage(const struct bm_segment *s, uint64_t at, uint64_t next, uint64_t durable)
{
        struct bm_record r;
        if (next < s->size)
                return bm_segment_record(s, next, &r) == 0 && was_durable(s, &r, durable);
        return bm_record_parse(&r, s->base + at, s->size - at, s->header.base_time) == 0 &&
               was_durable(s, &r, durable);
}

static uint64_t skip_whole(const struct bm_segment *s, uint64_t at)
{
        struct bm_record r;
        while (at < s->size && bm_segment_record(s, at, &r) == 0)
                at += r.length;
        return at;
}

int bm_rebuild_measure_cold(struct bm_store *store, struct bm_segment *s, uint64_t durable)
{
        uint64_t at = atomic_load(&s->used), next = at;
        for (bool told = false; at < s->size && !is_end(s, at); told = true) {
                next = bm_salvage_next(s, at, s->size);
                if (!is_damage(s, at, next, durable))
                        break;
                if (!told)
                        bm_problem_set("segment %08" PRIx32 " is damaged at byte %" PRIu64,
                                       s->header.file_id, at);
                if (!store->read_only)
                        return BM_E_DAMAGED;
                if (!told)
                        bm_store_note_damage(store);
                if (store->salvage) {
                        store->salvage->data_damaged = true;
                        int r = bm_salvage_note(store, s, at);
                        if (r < 0)
                                return r;
                }
                at = skip_whole(s, next);
                if (next < s->size)
                        atomic_store(&s->used, at);
        }
        return 0;
}
