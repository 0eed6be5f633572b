/* SPDX-License-Identifier: MIT */
/*
 * Memory for the images of index blocks. A hit or a miss is a read at a random place
 * of the index, and what it costs is the memory's latency and the TLB's miss: so the images stand
 * together in regions of 2 MiB that become huge pages. Process-wide, as malloc is; any thread.
 */
#ifndef BM_INDEX_MEMORY_H
#define BM_INDEX_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* BYTES (at most BM_IMAGE_BYTES_MAX, undefined contents) at a multiple of 64, or NULL. The
 * caller's, for bm_image_free. */
enum { BM_IMAGE_BYTES_MAX = 32 << 10 };
uint8_t *bm_image_new(size_t bytes);

/* NULL is allowed. A region that nothing is left in goes back to the system. */
void bm_image_free(uint8_t *image);

#endif
