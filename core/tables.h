/* SPDX-License-Identifier: MIT */
/* The tables that a manifest names: put together for a checkpoint, and read back. */
#ifndef BM_TABLES_H
#define BM_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

struct bm_map;
struct bm_store;

/* Bytes that grow; free(bytes) by the owner. */
struct bm_buffer {
        uint8_t *bytes;
        size_t len, cap;
};
int bm_buffer_add(struct bm_buffer *b, const void *bytes, size_t len);

int bm_tables_add_map(struct bm_map *map, struct bm_buffer *b);
int bm_tables_add_segments(struct bm_store *store, struct bm_buffer *b);
int bm_tables_add_counts(struct bm_store *store, struct bm_buffer *b);

/*
 * Loads what MANIFEST names into an empty store: segments' figures, maps,
 * indexes (their blocks are read when first needed), counts. BM_E_DAMAGED,
 * with the problem set, if anything of it is missing or damaged; the maps
 * that were made by then are for the caller to clear.
 */
int bm_tables_load(struct bm_store *store, const struct bm_manifest *manifest);

#endif
