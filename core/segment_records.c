/* SPDX-License-Identifier: MIT */
/* What stands in a segment: its records, and the figures about them. See segment.h. */
#include <errno.h>

#include "bucketmap.h"
#include "segment.h"

enum { VERSION_BYTES = 8 }; /* a record of the log gets longer by as much as a copy */

/* How much of a record is verified. */
enum verified { ALL, HEAD, NOTHING };

static int record_at(const struct bm_segment *s, uint64_t offset, enum verified verified,
                     struct bm_record *record)
{
        if (offset < BM_SEGMENT_HEADER || offset >= s->size)
                return BM_E_DAMAGED;
        const uint8_t *at = s->base + offset;
        const uint64_t left = s->size - offset, salt = s->header.salt;
        const int64_t base_time = s->header.base_time;
        int r;
        if (verified == ALL)
                r = bm_record_decode(record, at, left, salt, offset, base_time);
        else if (verified == HEAD)
                r = bm_record_decode_head(record, at, left, salt, offset, base_time);
        else
                r = bm_record_parse(record, at, left, base_time);
        /* zeros in place of its beginning, or of what it says to be its length */
        if (r == 0 ? bm_record_intact(record)
                   : bm_mapped_intact(at, bm_record_length(at, left) + 1))
                return r;
        return -EIO;
}

int bm_segment_record(const struct bm_segment *s, uint64_t offset, struct bm_record *record)
{
        return record_at(s, offset, ALL, record);
}

int bm_segment_record_head(const struct bm_segment *s, uint64_t offset, struct bm_record *record)
{
        return record_at(s, offset, HEAD, record);
}

int bm_segment_record_unverified(const struct bm_segment *s, uint64_t offset,
                                 struct bm_record *record)
{
        return record_at(s, offset, NOTHING, record);
}

void bm_segment_count_put(struct bm_segment *s, uint64_t version)
{
        atomic_fetch_add_explicit(&s->n_puts, 1, memory_order_relaxed);
        /* Only the one compactor ever lowers it: a log segment's is its start. */
        if (version < atomic_load_explicit(&s->lowest_version, memory_order_relaxed))
                atomic_store_explicit(&s->lowest_version, version, memory_order_relaxed);
}

void bm_segment_count_tombstone(struct bm_segment *s, uint32_t length, uint64_t version)
{
        uint64_t highest = atomic_load_explicit(&s->kept_version, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->kept_bytes, length, memory_order_relaxed);
        while (highest < version &&
               !atomic_compare_exchange_weak_explicit(&s->kept_version, &highest, version,
                                                      memory_order_relaxed, memory_order_relaxed))
                ;
}

void bm_segment_add_live(struct bm_segment *s, uint32_t length)
{
        atomic_fetch_add_explicit(&s->n_live, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->live_bytes, length, memory_order_relaxed);
}

void bm_segment_add_put(struct bm_segment *s, uint32_t length, uint64_t version)
{
        bm_segment_count_put(s, version);
        bm_segment_add_live(s, length);
}

void bm_segment_drop_live(struct bm_segment *s, uint32_t length)
{
        atomic_fetch_sub_explicit(&s->n_live, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&s->live_bytes, length, memory_order_relaxed);
}

uint64_t bm_segment_output(const struct bm_segment *s)
{
        uint64_t live = atomic_load_explicit(&s->live_bytes, memory_order_relaxed);
        uint64_t n_live = atomic_load_explicit(&s->n_live, memory_order_relaxed);
        return s->header.kind == BM_SEGMENT_LOG ? live + n_live * VERSION_BYTES : live;
}

uint64_t bm_segment_reclaimable(const struct bm_segment *s)
{
        uint64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);
        uint64_t kept = atomic_load_explicit(&s->kept_bytes, memory_order_relaxed);
        uint64_t held = bm_segment_output(s) + kept + BM_SEGMENT_HEADER;
        /* a full one's last bytes did not take the next record, nor would those of its copies */
        if (used < s->size / 2 && atomic_load(&s->state) != BM_SEGMENT_OPEN)
                used = s->size;
        return used > held ? used - held : 0;
}

void bm_segment_to_row(const struct bm_segment *s, struct bm_segment_row *row)
{
        *row = (struct bm_segment_row){
                .file_id = s->header.file_id,
                .drive = s->header.drive,
                .kind = s->header.kind,
                .size_log2 = s->header.size_log2,
                .state = atomic_load_explicit(&s->state, memory_order_relaxed),
                .number = s->header.number,
                .salt = s->header.salt,
                .used = atomic_load_explicit(&s->used, memory_order_acquire),
                .live_bytes = atomic_load_explicit(&s->live_bytes, memory_order_relaxed),
                .kept_bytes = atomic_load_explicit(&s->kept_bytes, memory_order_relaxed),
                .n_puts = atomic_load_explicit(&s->n_puts, memory_order_relaxed),
                .n_live = atomic_load_explicit(&s->n_live, memory_order_relaxed),
                .lowest_version = atomic_load_explicit(&s->lowest_version, memory_order_relaxed),
                .kept_version = atomic_load_explicit(&s->kept_version, memory_order_relaxed),
                .base_time = s->header.base_time,
        };
}

void bm_segment_from_row(struct bm_segment *s, const struct bm_segment_row *row)
{
        atomic_store_explicit(&s->state, row->state, memory_order_relaxed);
        atomic_store_explicit(&s->used, row->used, memory_order_relaxed);
        atomic_store_explicit(&s->live_bytes, row->live_bytes, memory_order_relaxed);
        atomic_store_explicit(&s->n_puts, row->n_puts, memory_order_relaxed);
        atomic_store_explicit(&s->n_live, row->n_live, memory_order_relaxed);
        atomic_store_explicit(&s->lowest_version, row->lowest_version, memory_order_relaxed);
        atomic_store_explicit(&s->kept_bytes, row->kept_bytes, memory_order_relaxed);
        atomic_store_explicit(&s->kept_version, row->kept_version, memory_order_relaxed);
}
