/* SPDX-License-Identifier: MIT */
/* What the parts of a check share: see check.c. */
#ifndef BM_CHECK_PRIVATE_H
#define BM_CHECK_PRIVATE_H

#include "bucketmap.h"
#include "counts.h"

struct owner;
struct todo;

struct bm_checker {
        struct bm_store *store;
        const struct bm_check_args *args;
        uint64_t done, total; /* bytes */
        uint64_t n_findings;
        uint64_t next_data; /* data ids from here on are younger than the check */
        struct owner *owners;
        struct bm_counts dropped; /* data ids whose chunks wait for the sweeper */
        struct todo *first, **last, *walked;
};

/* WHERE: the key, if it is known. */
struct bm_check_where {
        uint64_t map_id;
        const char *path;
        const void *key;
        size_t key_len;
};

void __attribute__((format(printf, 4, 5)))
bm_check_report(struct bm_checker *c, enum bm_check_kind kind, const struct bm_check_where *w,
                const char *fmt, ...);
/* So many bytes more were looked at. */
void bm_check_advance(struct bm_checker *c, uint64_t bytes);

/* Each reports what it finds; a negative errno: something could not be read at all. */
int bm_check_keys(struct bm_checker *c);
void bm_check_segments(struct bm_checker *c);
int bm_check_superblocks(struct bm_checker *c);
void bm_check_manifests(struct bm_checker *c);

void bm_check_keys_free(struct bm_checker *c);

#endif
