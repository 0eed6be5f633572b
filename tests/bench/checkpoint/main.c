/* SPDX-License-Identifier: MIT */
/*
 * usage: bench-checkpoint DIR [KEYS [BUCKETS]]
 *
 * How long an insert takes while checkpoints are written one after the other: a store of KEYS keys
 * (1 000 000) in BUCKETS buckets (1, the worst case) is made in DIR; then values are overwritten
 * and keys added all over, first alone, then with a thread that does nothing but checkpoints.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bucketmap.h"

enum { INSERTS = 400000 };

static struct bm_store *store;
static atomic_bool stop;
static uint32_t took_ns[INSERTS];

static uint64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void must(int result, const char *what)
{
        if (result == 0)
                return;
        fprintf(stderr, "bench-checkpoint: %s: %s\n", what, bm_strerror(result));
        exit(1);
}

static void insert(uint64_t number)
{
        char key[32];
        int len = snprintf(key, sizeof(key), "key%llu", (unsigned long long)number);
        must(bm_insert(bm_root(store), key, (size_t)len, "12345678", 8, 1), "insert");
}

static void *checkpoints(void *ctx)
{
        unsigned *n = ctx;
        for (; !atomic_load(&stop); ++*n)
                must(bm_checkpoint(store), "checkpoint");
        return NULL;
}

static int compare(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
        return (x > y) - (x < y);
}

static void measure(const char *what, uint64_t n_keys)
{
        uint64_t random = 88172645463325252;
        for (unsigned i = 0; i < INSERTS; i++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                uint64_t began = now_ns();
                insert(random % (n_keys + n_keys / 8));
                uint64_t took = now_ns() - began;
                took_ns[i] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
        }
        qsort(took_ns, INSERTS, sizeof(took_ns[0]), compare);
        printf("%-20s p50 %8.1f us  p99.9 %8.1f us  p99.99 %8.1f us  max %8.1f us\n", what,
               took_ns[INSERTS / 2] / 1e3, took_ns[INSERTS - INSERTS / 1000] / 1e3,
               took_ns[INSERTS - INSERTS / 10000] / 1e3, took_ns[INSERTS - 1] / 1e3);
}

int main(int argc, char **argv)
{
        struct bm_config config = BM_CONFIG_INIT;
        unsigned n_checkpoints = 0;
        pthread_t thread;
        if (argc < 2 || argc > 4) {
                fprintf(stderr, "usage: bench-checkpoint DIR [KEYS [BUCKETS]]\n");
                return 2;
        }
        uint64_t n_keys = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000;
        config.n_buckets = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 1;
        config.no_background = true;
        must(bm_create(argv[1], &config), "create");
        must(bm_open(argv[1], &config, &store), "open");
        for (uint64_t i = 0; i < n_keys; i++)
                insert(i);
        must(bm_checkpoint(store), "checkpoint");
        measure("alone", n_keys);
        if (pthread_create(&thread, NULL, checkpoints, &n_checkpoints) != 0)
                return 1;
        measure("beside checkpoints", n_keys);
        atomic_store(&stop, true);
        pthread_join(thread, NULL);
        printf("%u checkpoints of %llu keys in %u buckets\n", n_checkpoints,
               (unsigned long long)n_keys, config.n_buckets);
        must(bm_close(store), "close");
        return 0;
}
