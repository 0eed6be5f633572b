/* SPDX-License-Identifier: MIT */
/* What the parts of a check share: see check.c. */
#ifndef BM_CHECK_PRIVATE_H
#define BM_CHECK_PRIVATE_H

#include "bucketmap.h"
#include "counts.h"
#include "format.h"

struct named;
struct owner;
struct todo;

struct bm_checker {
        struct bm_store *store;
        const struct bm_check_args *args;
        uint64_t done, total; /* bytes */
        uint64_t n_findings;
        uint64_t next_data; /* data ids from here on are younger than the check */
        uint64_t began;     /* the log's tail then: what stands behind it came meanwhile */
        uint64_t n_moves;   /* the store's, then */
        struct named *named;
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

/* Whether something got another key since the check began: the walk may have
 * met it twice, or never. */
bool bm_check_moved(const struct bm_checker *c);

/* Names of records that are kept by their ids (check_names.c), in this order: */
/* one that was met in a user's map; -ENOMEM, */
int bm_check_name(struct bm_checker *c, const struct bm_check_where *where, uint64_t record_id);
/* one of these records, whose version this is; */
void bm_check_links(struct bm_checker *c, const struct bm_record *r, uint64_t version);
/* one that cannot be read, by the key that it has: WHERE becomes a name of it, if there is one; */
void bm_check_name_of(struct bm_checker *c, const void *key, size_t key_len,
                      struct bm_check_where *where);
/* at the end, names that lead nowhere. */
void bm_check_names_left(struct bm_checker *c);
void bm_check_names_free(struct bm_checker *c);

#endif
