/* SPDX-License-Identifier: MIT */
/* One thread of the stress test: keys that only it changes, and what they must hold. */
#ifndef STRESS_ACTOR_H
#define STRESS_ACTOR_H

#include <pthread.h>

#include "../unit/store-fixture.h"

enum { STRESS_SLOTS = 40, STRESS_MAPS = 3, STRESS_VALUE_MAX = 120000 };

/* What one of the actor's keys holds. */
struct slot {
        bool there;
        uint64_t count;
        size_t size;
        uint8_t *bytes; /* STRESS_VALUE_MAX of them */
};

struct actor {
        pthread_t thread;
        struct bm_store *store;
        struct bm_map *maps[STRESS_MAPS]; /* all actors' */
        unsigned number;
        uint64_t random;
        uint64_t n_operations;
        struct slot slots[STRESS_MAPS][STRESS_SLOTS];
        uint8_t buf[STRESS_VALUE_MAX + 16];
};

/* Asserts of cmocka's work in the main thread only. */
#define wanted(condition)                                                                          \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)
#define gives(call, result)                                                                        \
        do {                                                                                       \
                int gave_ = (call);                                                                \
                if (gave_ != (result)) {                                                           \
                        fprintf(stderr, "%s:%d: %s gave %d (%s)\n", __FILE__, __LINE__, #call,     \
                                gave_, bm_strerror(gave_));                                        \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

struct actor *actor_new(unsigned number, uint64_t seed, uint64_t n_operations);
void actor_free(struct actor *a);
void actor_attach(struct actor *a, struct bm_store *store, struct bm_map *const *maps);
uint64_t actor_random(struct actor *a, uint64_t below);

/* Key of a slot; its length. */
size_t actor_key(const struct actor *a, unsigned slot, char key[32]);
struct bm_ref actor_ref(const struct actor *a, unsigned map, unsigned slot, char key[32]);

/* The slot holds what it must, by every way of reading. */
void actor_verify(struct actor *a, unsigned map, unsigned slot);
/* All of them do, and a listing of each map gives each once. */
void actor_verify_all(struct actor *a);
void actor_list(struct actor *a, unsigned map);

/* One random operation (stress-operations.c). */
void actor_step(struct actor *a);

#endif
