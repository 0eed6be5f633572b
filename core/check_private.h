/* SPDX-License-Identifier: MIT */
/* What the parts of a check share: see check.c. */
#ifndef BM_CHECK_PRIVATE_H
#define BM_CHECK_PRIVATE_H

#include "bucketmap.h"
#include "id_set.h"
#include "index.h"
#include "map.h"
#include "segment.h"

/* What is said of a place in the map that PATH leads to: where the root map has no key behind it,
 * it needs a name itself. */
static inline const char *bm_check_path(uint64_t map_id, const void *key, const char *path)
{
        return map_id == BM_MAP_ROOT && !key ? "./" : path;
}

enum { BM_CHECK_MESSAGE = 4600 };

/* A damaged record that was reported under its key, so that the walk of the
 * segments does not report it once more. */
struct bm_check_place {
        uint32_t file_id, offset, length; /* LENGTH 0: unknown, to the next whole record */
};

struct bm_check_chunk;
struct bm_check_named;
struct bm_check_todo;

struct bm_checker {
        struct bm_store *store;
        const struct bm_check_args *args;
        uint64_t done, total, told; /* bytes */
        uint64_t n_findings;
        int stopped; /* what the caller's progress gave */
        bool naming; /* a second walk, for names only */
        /* what is younger than the check may belong to what it passed before */
        uint64_t next_data, next_map;
        uint64_t began;   /* the log's tail then: what stands behind it came meanwhile */
        uint64_t n_moves; /* the store's, then */
        struct bm_check_named *named;
        uint32_t last_file_id;
        bool heads_unknown;      /* part of an index, or a head, is lost: chunks may be anybody's */
        struct bm_id_set walked; /* maps */
        struct bm_id_set dropped; /* data ids whose chunks wait for the sweeper */
        struct bm_id_set strays;  /* data ids that were reported to belong to no value */
        struct bm_check_todo *first, **last;
        struct bm_check_chunk *chunks; /* damaged ones and patches, in want of a name */
        size_t n_chunks, cap_chunks;
        struct bm_check_place *places;
        size_t n_places, cap_places;
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
/* So many bytes more were looked at. Not 0: the caller wants an end. */
int bm_check_advance(struct bm_checker *c, uint64_t bytes);

/* Each reports what it finds. Not 0: what the caller's progress gave, or a negative errno:
 * something could not be read at all. */

/* All maps; check_keys.c. */
int bm_check_keys(struct bm_checker *c);
/* All records of all segments, and the copies of superblock and manifest; check_files.c. */
int bm_check_segments(struct bm_checker *c);
int bm_check_superblocks(struct bm_checker *c);
int bm_check_manifests(struct bm_checker *c);

/* One slot (check_record.c) */

/* A slot as it was a moment ago; its segment, NULL if there is none, is pinned meanwhile. */
struct bm_check_slot {
        struct bm_known_slot known;
        struct bm_segment *segment;
};

struct bm_check_walk;
typedef int (*bm_check_visit)(struct bm_check_walk *w, const struct bm_check_slot *slot);

struct bm_check_walk {
        struct bm_checker *check;
        struct bm_map *map;
        const char *path;
        uint64_t known_mask; /* bits of a hash that a slot knows */
        size_t bucket;
        bm_check_visit visit;
};

/* What is wrong with a record, if anything. */
struct bm_check_verdict {
        bool bad, usable; /* a finding; the record can be read all the same */
        enum bm_check_kind kind;
        const char *what; /* with the place behind it if PLACED */
        bool placed;
        struct bm_record record; /* without a key if that cannot be believed */
};

/* False: it looked bad, and is not there any more; the verdict means nothing, but for `usable`. */
bool bm_check_judge(struct bm_check_walk *w, const struct bm_check_slot *slot,
                    struct bm_check_verdict *verdict);
int bm_check_report_verdict(struct bm_check_walk *w, const struct bm_check_slot *slot,
                            const struct bm_check_verdict *verdict);
/* Whether the index still leads to that place. Takes the bucket's lock. */
bool bm_check_is_there(const struct bm_check_walk *w, const struct bm_check_slot *slot);
/* The record, whole or not, was reported: not to be reported as nobody's. */
int bm_check_note_place(struct bm_checker *c, const struct bm_slot *slot);
const char *bm_check_place_of(const struct bm_check_walk *w, const struct bm_check_slot *slot,
                              char *buf, size_t len);

/* Walking (check_keys.c) */

int bm_check_walk_map(struct bm_checker *c, uint64_t map_id, const char *path,
                      bm_check_visit visit);
/* Every map of the user's, with its path. VISIT enters those below it (bm_check_enter). */
int bm_check_user_maps(struct bm_checker *c, bm_check_visit visit);
/* What follows from a record that can be read: the map that it names is to be walked, too. */
int bm_check_follow(struct bm_check_walk *w, const struct bm_record *record);

/* Names of records that are kept by their ids (check_names.c), in this order: */

/* one that was met in a user's map; -ENOMEM, */
int bm_check_name(struct bm_checker *c, const struct bm_check_where *where, uint64_t record_id);
/* one of these records, whose version this is; */
void bm_check_links(struct bm_checker *c, const struct bm_record *r, uint64_t version);
/* one of which a name is wanted, by the key that it has: WHERE becomes a name, if there is one; */
void bm_check_name_of(struct bm_checker *c, const void *key, size_t key_len,
                      struct bm_check_where *where);
/* at the end, names that lead nowhere. */
void bm_check_names_left(struct bm_checker *c);
void bm_check_names_free(struct bm_checker *c);

/* Chunks of large values (check_chunks.c) */

int bm_check_chunks(struct bm_checker *c);
/* A chunk, or a patch of one: its key, if it is WHOLE. */
struct bm_check_part {
        bool whole;
        uint64_t data_id, number;
        struct bm_record record;
};
/* Looks at what SLOT leads to, a chunk or a PATCH. What is wrong with it is reported, or will be
 * under its value's name; then PART is not whole. */
int bm_check_part(struct bm_check_walk *w, const struct bm_check_slot *slot, bool patch,
                  struct bm_check_part *part);

/* Their patches (check_patches.c); those of one chunk, or one PIECE of it alone. */
int bm_check_patches(struct bm_checker *c);
int bm_check_patches_of(struct bm_checker *c, uint64_t data_id, uint64_t chunk, unsigned piece);

#endif
