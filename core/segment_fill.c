/* SPDX-License-Identifier: MIT */
/* Filling a segment: pages ahead of the writer, and what it writes. See segment.h. */
#include "base/intmath.h"
#include "segment_private.h"

enum {
        AHEAD = 1 << 20, /* before a sync so much is filled, if less than AHEAD_MIN is */
        AHEAD_MIN = 256 << 10,
        PAGE = 4 << 10,
};

/* Pages up to byte END, in pieces that start at their multiples. */
static int fill(struct bm_segment *s, uint64_t end, uint64_t piece)
{
        int r = 0;
        while (r == 0 && s->filled < end) {
                uint64_t to = bm_min_u64(bm_round_down(s->filled + piece, piece), s->size);
                r = bm_io_call(s->io, fill, s->fd, s->filled, to - s->filled);
                if (r == 0)
                        s->filled = to;
        }
        return r;
}

void bm_segment_fill_to(struct bm_segment *s, uint64_t end)
{
        if (bm_segment_is_stored_into(s))
                (void)!fill(s, bm_min_u64(end, s->size), bm_segment_piece(s));
}

void bm_segment_fill_huge(struct bm_segment *s, uint64_t end)
{
        if (bm_segment_piece(s) == BM_HUGE_PAGE)
                (void)!fill(s, bm_min_u64(bm_round_down(end, BM_HUGE_PAGE), s->size), BM_HUGE_PAGE);
}

void bm_segment_fill_ahead(struct bm_segment *s, bool smallest)
{
        uint64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);
        /* no hurry where it fails: the writer meets that */
        if (bm_segment_is_stored_into(s) && s->filled < used + AHEAD_MIN)
                (void)!fill(s, bm_min_u64(used + AHEAD, s->size),
                            smallest ? PAGE : BM_SEGMENT_FILL);
}

int bm_segment_write(struct bm_segment *s, uint64_t offset, const void *bytes, size_t len)
{
        if (!bm_segment_is_stored_into(s))
                return bm_segment_write_call(s, offset, bytes, len);
        int r = fill(s, offset + len, bm_segment_piece(s));
        return r < 0 ? r : bm_io_call(s->io, map_write, s->fd, s->base, offset, bytes, len);
}

int bm_segment_write_call(struct bm_segment *s, uint64_t offset, const void *bytes, size_t len)
{
        int r = bm_io_call(s->io, pwrite, s->fd, bytes, len, offset);
        /* with all of its last page: what is behind it there is nothing */
        if (r == 0 && s->filled < offset + len)
                s->filled = bm_round_down(offset + len + PAGE - 1, PAGE);
        return r;
}
