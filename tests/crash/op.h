/* SPDX-License-Identifier: MIT */
/* What the operations of random work have in common; work.c chooses among them. */
#ifndef OP_H
#define OP_H

#include "work.h"

enum { INLINE = 16 << 10 }; /* longest value of bm_update and its like */

/* One operation in the making. */
struct op {
        struct work *w;
        const char *what;
        struct bm_map *map;
        uint64_t map_id; /* 0: the root */
        uint8_t key[32];
        size_t key_len;
        struct model_record *there; /* NULL: nothing */
};

/* Chooses a map and a key; op_close_map lets the map go. */
bool op_begin(struct op *op, struct work *w);
void op_close_map(uint64_t map_id, struct bm_map *map);
/* Compares a result with what it ought to be; true if the operation took place. */
bool op_answered(struct op *op, int r, int expected);
/* The model shows the operation's outcome. */
void op_done(struct op *op);
/* Up to where the next frame to be shown got in a value's chunks; 0: it has none. */
uint64_t op_next_end(const struct op *op);

uint64_t op_below(struct work *w, uint64_t n);
void op_fill_bytes(struct work *w, uint8_t *bytes, size_t len);
size_t op_any_size(struct work *w);
uint64_t op_any_count(struct work *w);

/* The model's record under the key with this value, made if it is not there. */
struct model_record *op_made(struct op *op, const uint8_t *value, size_t size);
/* Asks the store for a new record's id. */
void op_learn_id(struct op *op);
/* Remembers a removed record that is still open; lets the oldest go if there are too many. */
void op_keep_orphan(struct work *w, const struct model_record *m);
/* Lets the oldest go. */
void op_drop_orphan(struct work *w);

void op_insert(struct op *op);
void op_insert_large(struct op *op);
void op_create(struct op *op);
void op_fill(struct op *op);
void op_empty(struct op *op);
void op_delete(struct op *op);
void op_count(struct op *op);
void op_meta(struct op *op);
void op_write(struct op *op);
void op_write_pieces(struct op *op);
void op_truncate(struct op *op);
void op_punch(struct op *op);
void op_allocate(struct op *op);
void op_remove(struct op *op);
void op_use_orphan(struct op *op);
void op_mkmap(struct op *op);
void op_rmmap(struct op *op);
void op_rename(struct op *op);
void op_link(struct op *op);
void op_batch(struct op *op);

#endif
