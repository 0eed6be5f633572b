/* SPDX-License-Identifier: MIT */
/* Growing a part of an index from outside its locks. */
#ifndef BM_GROW_H
#define BM_GROW_H

#include "bucket.h"

/* Prepares a larger block for where TARGET belongs; the next writer installs
 * it. CAPACITY as bm_index_insert gave it. Holds no lock when called. */
int bm_grow_part(const struct bm_target *target, uint64_t capacity);

#endif
