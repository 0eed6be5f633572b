/* SPDX-License-Identifier: MIT */
/* A set of numbers, at about 16 bytes each; 0 is always in it. Locking is the caller's. */
#ifndef BM_ID_SET_H
#define BM_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bm_id_set { /* all zero: empty */
        uint64_t *slots;
        size_t n, cap; /* CAP is 0 or a power of two */
};

void bm_id_set_deinit(struct bm_id_set *set);
bool bm_id_set_has(const struct bm_id_set *set, uint64_t id);
/* 1: it was not there, 0: it was, -ENOMEM. */
int bm_id_set_add(struct bm_id_set *set, uint64_t id);

#endif
