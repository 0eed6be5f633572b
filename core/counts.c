/* SPDX-License-Identifier: MIT */
/* See counts.h. */
#include "counts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* out of memory is an error of the call, not the end of the process */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct bm_count_entry {
        struct bm_count_row row;
        UT_hash_handle hh;
};

void bm_counts_init(struct bm_counts *counts)
{
        pthread_mutex_init(&counts->lock, NULL);
        counts->entries = NULL;
}

void bm_counts_deinit(struct bm_counts *counts)
{
        struct bm_count_entry *e, *next;
        HASH_ITER(hh, counts->entries, e, next)
        {
                HASH_DEL(counts->entries, e);
                free(e);
        }
        pthread_mutex_destroy(&counts->lock);
}

static struct bm_count_entry *find(struct bm_counts *counts, uint64_t record_id)
{
        struct bm_count_entry *e;
        HASH_FIND(hh, counts->entries, &record_id, sizeof(record_id), e);
        return e;
}

/* Locked. The entry of that id, made if need be; NULL without memory. */
static struct bm_count_entry *find_or_add(struct bm_counts *counts, uint64_t record_id)
{
        struct bm_count_entry *e = find(counts, record_id);
        if (e)
                return e;
        e = calloc(1, sizeof(*e));
        if (!e)
                return NULL;
        e->row.record_id = record_id;
        HASH_ADD(hh, counts->entries, row.record_id, sizeof(record_id), e);
        if (!e->hh.tbl) {
                free(e);
                return NULL;
        }
        return e;
}

int bm_counts_set(struct bm_counts *counts, uint64_t record_id, uint64_t count)
{
        pthread_mutex_lock(&counts->lock);
        struct bm_count_entry *e = find_or_add(counts, record_id);
        if (e)
                e->row.count = count;
        pthread_mutex_unlock(&counts->lock);
        return e ? 0 : -ENOMEM;
}

int bm_counts_reserve(struct bm_counts *counts, uint64_t record_id)
{
        pthread_mutex_lock(&counts->lock);
        struct bm_count_entry *e = find_or_add(counts, record_id);
        pthread_mutex_unlock(&counts->lock);
        return e ? 0 : -ENOMEM;
}

uint64_t bm_counts_get(struct bm_counts *counts, uint64_t record_id)
{
        pthread_mutex_lock(&counts->lock);
        struct bm_count_entry *e = find(counts, record_id);
        uint64_t count = e ? e->row.count : 0;
        pthread_mutex_unlock(&counts->lock);
        return count;
}

void bm_counts_drop(struct bm_counts *counts, uint64_t record_id)
{
        pthread_mutex_lock(&counts->lock);
        struct bm_count_entry *e = find(counts, record_id);
        if (e) {
                HASH_DEL(counts->entries, e);
                free(e);
        }
        pthread_mutex_unlock(&counts->lock);
}

int bm_counts_add(struct bm_counts *counts, uint64_t record_id)
{
        pthread_mutex_lock(&counts->lock);
        struct bm_count_entry *e = find_or_add(counts, record_id);
        if (e)
                e->row.count++;
        pthread_mutex_unlock(&counts->lock);
        return e ? 0 : -ENOMEM;
}

void bm_counts_sub(struct bm_counts *counts, uint64_t record_id)
{
        pthread_mutex_lock(&counts->lock);
        struct bm_count_entry *e = find(counts, record_id);
        if (e && --e->row.count == 0) {
                HASH_DEL(counts->entries, e);
                free(e);
        }
        pthread_mutex_unlock(&counts->lock);
}

uint64_t bm_counts_n(struct bm_counts *counts)
{
        pthread_mutex_lock(&counts->lock);
        uint64_t n = HASH_COUNT(counts->entries);
        pthread_mutex_unlock(&counts->lock);
        return n;
}

int bm_counts_each(struct bm_counts *counts, int (*fn)(void *ctx, const struct bm_count_row *row),
                   void *ctx)
{
        struct bm_count_entry *e, *next;
        int r = 0;
        pthread_mutex_lock(&counts->lock);
        HASH_ITER(hh, counts->entries, e, next)
        {
                r = fn(ctx, &e->row);
                if (r != 0)
                        break;
        }
        pthread_mutex_unlock(&counts->lock);
        return r;
}
