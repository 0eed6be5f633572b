/* SPDX-License-Identifier: MIT */
/* The key hash (keyed with the store's secret) and the checksums. XXH3 from libxxhash. */
#ifndef BM_HASH_H
#define BM_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

/* Hash algorithm and checksum algorithm numbers of the superblock. */
enum { BM_HASH_XXH3_64_SECRET = 1, BM_CHECKSUM_XXH3 = 1 };

uint64_t bm_hash_key(const uint8_t secret[BM_HASH_SECRET], const void *key, size_t len);
uint64_t bm_checksum(const void *data, size_t len);
/* Low 32 bits, seeded: for records. */
uint32_t bm_checksum_seeded(const void *data, size_t len, uint64_t seed);
/* What the two do with more than a few hundred bytes (hash_long.c). */
uint64_t bm_checksum_long(const void *data, size_t len, uint64_t seed);
/* Fills BUF with random bytes from the system; negative errno. */
int bm_random(void *buf, size_t len);

#endif
