/* SPDX-License-Identifier: MIT */
/*
 * Patches (patch.h) in a change of a value: writing a few bytes as patches,
 * and taking those of a chunk into account that is written as a whole.
 *
 * All but the last is called from a transaction's FILL, with the locks held.
 */
#ifndef BM_LARGE_PATCH_H
#define BM_LARGE_PATCH_H

#include "large_change.h"
#include "patch.h"

/* A longer write writes the chunk: see DESIGN.md. */
enum { BM_PATCH_PIECES_MAX = 4 };

/* The keys of the patches that such a write may need are locked with the chunk's: BM_E_AGAIN. */
int bm_patch_ahead(struct bm_txn *txn, struct bm_change *c, uint64_t chunk, uint32_t from,
                   uint32_t len);
/*
 * Writes LEN bytes of c->buf to byte FROM of the chunk of STEP, which was added
 * by its key alone, as patches. BM_E_NOT_FOUND: it has to be written as a
 * whole, and nothing was done.
 */
int bm_patch_write(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk,
                   uint32_t from, uint32_t len);

/* Whether so long a write is worth a try. */
bool bm_patch_may_write(uint32_t from, uint32_t len);

/* Adds the steps of the patches of the chunk of STEP; of one without nothing. */
int bm_patches_add(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk);
/* *BYTES, the chunk's own, become the LEN that it has with its patches. */
int bm_patches_compose(struct bm_txn *txn, struct bm_change *c, size_t step, const uint8_t **bytes,
                       uint32_t len);
/* They go with what the chunk was. */
void bm_patches_delete(struct bm_txn *txn, struct bm_change *c, size_t step);

/* Forgets the steps of an earlier attempt; frees all. */
void bm_patches_reset(struct bm_change *c);
void bm_patches_free(struct bm_change *c);

#endif
