/* SPDX-License-Identifier: MIT */
/* Reference counts that a slot's 20 bits cannot hold, by record id. */
#ifndef BM_COUNTS_H
#define BM_COUNTS_H

#include <pthread.h>
#include <stdint.h>

#include "format.h"

struct bm_count_entry;

struct bm_counts {
        pthread_mutex_t lock;
        struct bm_count_entry *entries; /* guarded by lock */
};

void bm_counts_init(struct bm_counts *counts);
void bm_counts_deinit(struct bm_counts *counts);
/* -ENOMEM leaves it as it was. */
int bm_counts_set(struct bm_counts *counts, uint64_t record_id, uint64_t count);
/* Makes sure that setting this one cannot fail. */
int bm_counts_reserve(struct bm_counts *counts, uint64_t record_id);
/* 0 if there is none. */
uint64_t bm_counts_get(struct bm_counts *counts, uint64_t record_id);
void bm_counts_drop(struct bm_counts *counts, uint64_t record_id);
/* One more, or one less, of what is dropped with the last. -ENOMEM leaves it as it was. */
int bm_counts_add(struct bm_counts *counts, uint64_t record_id);
void bm_counts_sub(struct bm_counts *counts, uint64_t record_id);
uint64_t bm_counts_n(struct bm_counts *counts);
/* FN for each, under the lock; it returns 0 to go on. */
int bm_counts_each(struct bm_counts *counts, int (*fn)(void *ctx, const struct bm_count_row *row),
                   void *ctx);

#endif
