/* SPDX-License-Identifier: MIT */
/*
 * What C tests share: a store in a directory of its own, short forms for
 * keys and values, and repeatable random numbers. Failures are cmocka's.
 */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bucketmap.h"

/* Random numbers (xorshift64*); the same from the same seed. */
struct test_random {
        uint64_t state;
};

/* The seed: BM_SEED from the environment, else from the clock. Prints it. */
uint64_t test_seed(void);
void test_random_init(struct test_random *random, uint64_t seed);
uint64_t test_random_next(struct test_random *random);
/* 0 .. BELOW - 1 */
uint64_t test_random_below(struct test_random *random, uint64_t below);
void test_random_fill(struct test_random *random, void *buf, size_t len);

/* A number from the environment, or DEFAULT_VALUE. */
uint64_t test_env_number(const char *name, uint64_t default_value);

/* A new directory below TMPDIR. The string is to be freed by test_dir_remove. */
char *test_dir_new(void);
/* Removes the directory with all in it, and frees PATH. NULL is allowed. */
void test_dir_remove(char *path);
/* DIR/NAME, to be freed. */
char *test_path(const char *dir, const char *name);
/* A checksum over names, sizes and contents below DIR, lock files left out. */
uint64_t test_dir_digest(const char *dir);
void test_dir_copy(const char *from, const char *to);

struct test_store {
        char *dir;  /* of its own */
        char *path; /* of the store in it */
        struct bm_config config;
        struct bm_store *store;
        struct bm_map *root;
};

/* cmocka's setup and teardown: an open, empty store in *STATE. */
int test_store_setup(void **state);
int test_store_teardown(void **state);
#define test_with_store(name)                                                                      \
        cmocka_unit_test_setup_teardown(name, test_store_setup, test_store_teardown)

/* The parts of it, for tests that want other settings or reopen. */
struct test_store *test_store_new(const struct bm_config *config);
void test_store_free(struct test_store *t);
void test_store_open(struct test_store *t);
void test_store_close(struct test_store *t);
void test_store_reopen(struct test_store *t);
/* bm_check finds nothing. */
void test_store_check(struct bm_store *store);

/* What a key holds: absent, or value and count. Messages name WHERE. */
#define assert_absent(map, key, len) test_assert_absent(map, key, len, __FILE__, __LINE__)
#define assert_holds(map, key, len, value, value_len, count)                                       \
        test_assert_holds(map, key, len, value, value_len, count, __FILE__, __LINE__)
void test_assert_absent(struct bm_map *map, const void *key, size_t len, const char *file,
                        int line);
void test_assert_holds(struct bm_map *map, const void *key, size_t len, const void *value,
                       size_t value_len, uint64_t count, const char *file, int line);

/* The result of a call is 0. */
#define assert_ok(call) test_assert_result(call, 0, #call, __FILE__, __LINE__)
/* The result of a call is WANT. */
#define assert_result(call, want) test_assert_result(call, want, #call, __FILE__, __LINE__)
void test_assert_result(int result, int want, const char *call, const char *file, int line);

/* Number of keys that a listing gives. */
size_t test_count_keys(struct bm_map *map);

#endif
