/* SPDX-License-Identifier: MIT */
/* From what was found in a bucket to what callers see of it. */
#ifndef BM_VIEW_H
#define BM_VIEW_H

#include "bucket.h"
#include "bucketmap.h"

/* Fills in VIEW, unpinned, without a value that is not verified. -EIO for a head that makes no
 * sense, or can no longer be read. */
int bm_view_init(struct bm_view *view, const struct bm_found *found);

/* 0, BM_E_NOT_FOUND or BM_E_STALE. */
int bm_ref_check(const struct bm_ref *ref, const struct bm_found *found);

#endif
