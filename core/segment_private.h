/* SPDX-License-Identifier: MIT */
/* What making a segment's file and filling it have in common. */
#ifndef BM_SEGMENT_PRIVATE_H
#define BM_SEGMENT_PRIVATE_H

#include "segment.h"

enum { BM_SEGMENT_FILL = 64 << 10 }; /* bytes that are filled at once as the writer goes on */

_Static_assert((int)BM_HUGE_PAGE <= (int)BM_IO_FILL_MAX, "a huge page is filled by one call");

static inline bool bm_segment_is_stored_into(const struct bm_segment *s)
{
        return bm_segment_is_mapped(s) || s->access == BM_SEGMENT_IN_MEMORY;
}

/*
 * What is written a huge page at a time gets huge pages in the page cache (ext4 and xfs of today),
 * and is mapped by them: one fault instead of 512, and hardly a miss of the TLB. Elsewhere it is
 * as good as any other way to fill a file.
 */
static inline uint64_t bm_segment_piece(const struct bm_segment *s)
{
        return s->access == BM_SEGMENT_HUGE && s->size % BM_HUGE_PAGE == 0 ? BM_HUGE_PAGE
                                                                           : BM_SEGMENT_FILL;
}

#endif
