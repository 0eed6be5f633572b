/* SPDX-License-Identifier: MIT */
/*
 * What the core benchmark asks of a store: bucketmap's own or a peer's. Each
 * is driven with the settings that its documentation recommends for this
 * load, named in `settings` so that the table can say them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum durability {
        UNSYNCED, /* the system writes when it likes */
        GROUPED,  /* the driver calls sync() after every thousand writes */
        EACH      /* the driver calls sync() after every write */
};

struct setup {
        const char *dir; /* exists; the store's own */
        uint64_t n_keys; /* that will be in it */
        size_t value_max;
        enum durability durability;
        bool fresh; /* made by this open; else it has been closed before */
};

/* Gets to see a value where the store has it, or a copy if it cannot show. */
typedef void (*look_fn)(void *ctx, const void *value, size_t len, uint64_t count);

/* Keys that the phases hit_many and ref_many take at once. */
enum { MANY = 16 };

struct peer_key {
        const void *key;
        size_t len;
};

/*
 * A handle is opened once and attached to by each thread; what attach returns
 * is used by that thread alone. Results: 0 good (get and del: 0 nothing
 * there, 1 found), negative on any failure, which ends the run.
 */
struct peer {
        const char *name;
        const char *settings;
        bool threads; /* several may work at the same time */
        bool floor;   /* no store: nothing is to be compared with it, and it keeps nothing */
        void *(*open)(const struct setup *setup);
        int (*close)(void *db);
        void *(*attach)(void *db);
        int (*detach)(void *session); /* commits what is pending, without a sync */
        int (*insert)(void *session, const void *key, size_t key_len, const void *value, size_t len,
                      uint64_t count);
        int (*get)(void *session, const void *key, size_t key_len, look_fn look, void *ctx);
        int (*ref)(void *session, const void *key, size_t key_len); /* count + 1 */
        int (*del)(void *session, const void *key, size_t key_len);
        /* The same of N keys, each of which is there; NULL: the store has no such call. Results 0.
         */
        int (*get_many)(void *session, const struct peer_key *keys, size_t n, look_fn look,
                        void *const *ctxs);
        int (*ref_many)(void *session, const struct peer_key *keys, size_t n);
        int (*scan)(void *session, look_fn look, void *ctx);
        int (*sync)(void *session); /* everything so far is durable */
};

/* By the call of the store, or else one key after the other. */
int peer_get_many(const struct peer *peer, void *session, const struct peer_key *keys, size_t n,
                  look_fn look, void *const *ctxs);
int peer_ref_many(const struct peer *peer, void *session, const struct peer_key *keys, size_t n);

/* NULL-terminated; those whose library was there at build time. Ours first. */
extern const struct peer *const bench_peers[];

extern const struct peer peer_bucketmap, peer_tkrzw, peer_kyoto, peer_lmdb, peer_rocksdb, peer_gdbm,
        peer_bdb, peer_sqlite, peer_memory;

/* Peers that have no place for a count keep it in the value's first 8 bytes. */
enum { COUNT_BYTES = 8, PACKED_MAX = (256 << 10) + COUNT_BYTES };

/* Puts count and value into BUF of PACKED_MAX bytes; returns their length. */
size_t pack_count(void *buf, const void *value, size_t len, uint64_t count);

/* Shows a packed value to LOOK. */
void look_packed(look_fn look, void *ctx, const void *packed, size_t len);

/* Adds one to the count of a packed value. */
void packed_ref(void *packed);
