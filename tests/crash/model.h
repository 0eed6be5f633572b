/* SPDX-License-Identifier: MIT */
/*
 * What a store ought to hold: a list of records, and one number that stands
 * for all of it. A record is known by its map's id, its key, its own id,
 * count, value and meta, and by the id of the map that it names. Names of one
 * record are records of the same id here, which change together.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucketmap.h"

struct model_record {
        uint64_t map_id; /* that holds it */
        uint8_t key[32];
        size_t key_len;
        uint64_t record_id, count;
        uint32_t links;     /* names that it has */
        uint64_t names_map; /* 0: a value */
        uint8_t *value, *meta;
        size_t size, meta_len;
        uint64_t hash; /* of all this */
};

struct model {
        struct model_record *records;
        size_t n, cap;
        uint64_t hash; /* sum of the records' */
};

struct model_record *model_find(struct model *m, uint64_t map_id, const void *key, size_t key_len);
/* A new record; the caller fills it and calls model_changed. */
struct model_record *model_add(struct model *m, uint64_t map_id, const void *key, size_t key_len);
void model_set_value(struct model_record *r, const void *value, size_t size);
void model_set_meta(struct model_record *r, const void *meta, size_t len);
/* One more name of R. */
void model_link(struct model *m, const struct model_record *r, uint64_t map_id, const void *key,
                size_t key_len);
/* The record differs from when this was last called for it. */
void model_changed(struct model *m, struct model_record *r);
void model_remove(struct model *m, struct model_record *r);
size_t model_count_in(const struct model *m, uint64_t map_id);
/* Takes the records whose keys begin with FIRST over into TO, which is empty. */
void model_take(struct model *m, struct model *to, uint8_t first);
void model_clear(struct model *m);
void model_show(const struct model *m);

/* Reads the whole store. Returns what a call that failed returned; PROBLEM
 * (of 200 bytes) says which. */
int model_load(struct model *m, struct bm_store *store, char *problem);

#endif
