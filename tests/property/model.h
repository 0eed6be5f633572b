/* SPDX-License-Identifier: MIT */
/*
 * A store as it ought to be, in the plainest way: maps of records in memory.
 * operations.c does the same random things to it and to a real store,
 * verify.c compares the two.
 *
 * What happens depends on the seed and on nothing that the store answers, so
 * that a process which only keeps the model can follow another one that works
 * on the store and dies.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "test_store.h"

enum {
        MODEL_KEYS = 250,  /* different keys; each map has some of them */
        MODEL_MAPS = 10,   /* at most, the root included */
        MODEL_ORPHANS = 8, /* at most */
        MODEL_SIZE_MAX = 160 << 10,
        MODEL_INLINE = 16 << 10,
        MODEL_CHUNK = 32 << 10,
        MODEL_PIECE = 4 << 10,
};

struct model_map;

struct model_record {
        uint64_t id; /* 0: not known yet */
        uint64_t count;
        unsigned char *value;
        size_t size;
        unsigned char *meta;
        size_t meta_len;
        struct model_map *map; /* what the key names; NULL: a value */
        unsigned number;       /* of a map: of its one key */
        uint32_t links;        /* names that it has */
        bool by_id;            /* it had several at some time */
};

/* One of a record's names. */
struct model_name {
        unsigned number; /* of the key */
        struct model_record *record;
        UT_hash_handle hh;
};

struct model_map {
        uint64_t id; /* 0: not known yet */
        struct model_name *names;
        struct model_map *parent; /* NULL: the root */
        struct model_record *entry;
        struct bm_map *open; /* NULL: not open */
};

struct model {
        struct model_map *maps[MODEL_MAPS]; /* the root first, then dense */
        unsigned n_maps;
        struct model_record *orphans[MODEL_ORPHANS];
        unsigned n_orphans;
};

/* The key with that number: 1 to 255 bytes, odd ones among them. */
size_t model_key(unsigned number, char key[BM_KEY_MAX]);
/* The number of a key that model_key made; anything else fails. */
unsigned model_key_number(const void *key, size_t len);

void model_init(struct model *model);
void model_deinit(struct model *model);

struct model_record *model_find(struct model_map *map, unsigned number);
/* Adds one that is not there: count 1, no bytes. */
struct model_record *model_add(struct model_map *map, unsigned number);
/* Takes the name away, and leaves the record. */
void model_take(struct model_map *map, unsigned number);
/* Gives a record a name, by a number that is free. */
void model_put(struct model_map *map, struct model_record *record, unsigned number);
/* Frees what has no name any more. */
void model_record_free(struct model_record *record);
void model_set_value(struct model_record *record, const void *value, size_t size);
void model_set_meta(struct model_record *record, const void *meta, size_t len);
/* Cuts it or fills it up with zeros. */
void model_resize(struct model_record *record, size_t size);

struct model_map *model_map_add(struct model *model, struct model_map *parent,
                                struct model_record *entry);
void model_map_remove(struct model *model, struct model_map *map);
/* Whether MAP is INNER or lies above it. */
bool model_map_holds(const struct model_map *map, const struct model_map *inner);
/* Removed but open records end with the process. */
void model_drop_orphans(struct model *model);

/* One run: the model, and the store if this process has it open. */
struct run {
        struct model model;
        struct test_random random;
        struct bm_store *store; /* NULL: only the model is kept */
        uint64_t n_done;
        bool atomic_only; /* leave out what a kill may leave half done */
        /* a listing that stays open while things change */
        struct bm_cursor *cursor;
        struct model_map *listed;
        bool there[MODEL_KEYS]; /* all the time since it began */
        bool returned[MODEL_KEYS];
};

/* One random operation on both, with the answer that the model expects. */
void run_operation(struct run *run);
/* The model's map as an open map of the store. */
struct bm_map *run_map(struct run *run, struct model_map *map);
/* Before the store is closed: cursor and maps. */
void run_release(struct run *run);
/* Everything in the store is as in the model; learns the ids. */
void run_verify(struct run *run);
/* One record; VIEW is the store's. */
void run_verify_record(struct run *run, struct model_record *record, const struct bm_ref *ref,
                       const struct bm_view *view);

/* The open listing (listing.c) */
void run_listing_step(struct run *run, struct test_random *random);
void run_listing_end(struct run *run);
/* A key of MAP has gone. */
void run_listing_gone(struct run *run, const struct model_map *map, unsigned number);
/* Lists MAP from the start and again from a random place. */
void run_list_from_cookie(struct run *run, struct model_map *map, struct test_random *random);

/* Operations on a record's bytes (operations_value.c) */
void op_set_meta(struct run *run, struct test_random *random);
void op_write_at(struct run *run, struct test_random *random);
void op_truncate(struct run *run, struct test_random *random);
void op_punch(struct run *run, struct test_random *random);
void op_allocate(struct run *run, struct test_random *random);
void op_read(struct run *run, struct test_random *random);
/* Operations on names (operations_names.c) */
void op_rename(struct run *run, struct test_random *random);
void op_link(struct run *run, struct test_random *random);
void op_remove(struct run *run, struct test_random *random);
void op_orphan(struct run *run, struct test_random *random);
void op_map_create(struct run *run, struct test_random *random);
void op_map_remove(struct run *run, struct test_random *random);
/* Operations on many keys (operations_batch.c) */
void op_write_batch(struct run *run, struct test_random *random);
void op_batch_insert(struct run *run, struct test_random *random);

/* What operations share */

struct random_bytes {
        unsigned char bytes[MODEL_SIZE_MAX];
        size_t len;
};

struct model_map *pick_map(struct run *run, struct test_random *random);
unsigned pick_number(struct test_random *random);
/* Sizes around which something changes: inline or large, chunk borders. */
size_t pick_size(struct test_random *random, size_t limit);
/* A value of up to LIMIT bytes; most are short. Static: good until the next. */
struct random_bytes *pick_value(struct test_random *random, size_t limit);
struct random_bytes *pick_bytes(struct test_random *random, size_t len);

/* A ref to NUMBER in MAP, by any id, by the right one or (rarely) by a wrong
 * one; then *WRONG is set. */
struct named {
        struct bm_ref ref;
        char key[BM_KEY_MAX];
        bool wrong;
};
void pick_ref(struct run *run, struct test_random *random, struct model_map *map, unsigned number,
              struct named *named);

/* What naming a value by a ref can go wrong in. */
uint64_t ref_results(const struct model_record *record, const struct named *named);

/* Results that fit: none (0 is wanted), or some of enum bm_error. */
#define RESULT(error)              (UINT64_C(1) << (error))
#define expect(run, call, results) run_expect(run, call, results, #call, __FILE__, __LINE__)
void run_expect(struct run *run, int result, uint64_t results, const char *call, const char *file,
                int line);

/* A meta callback that puts new bytes and looks at what is there. */
struct new_meta {
        unsigned char bytes[300];
        size_t len;
        const struct model_record *before; /* NULL: do not look */
};
void pick_meta(struct test_random *random, struct new_meta *meta);
int put_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len);

#endif
