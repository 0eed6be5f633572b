/* SPDX-License-Identifier: MIT */
/*
 * usage: bench-background DIR [KEYS [BUCKETS]]
 *
 * What callers notice of the store's own work. A store of KEYS keys (1 000 000) in BUCKETS buckets
 * (1, the worst case for checkpoints) is made in DIR. Values are overwritten and keys added all
 * over, first alone, then with a thread that does nothing but checkpoints. Keys are read all over,
 * first alone, then while a compaction empties segments that are half dead. A line each: what, and
 * p50, p99, p99.99 and the longest in microseconds.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "../core/latency.h"
#include "bucketmap.h"

enum { OPERATIONS = 400000 };

static struct bm_store *store;
static uint64_t n_keys;

static void must(int result, const char *what)
{
        if (result == 0)
                return;
        fprintf(stderr, "bench-background: %s: %s\n", what, bm_strerror(result));
        exit(1);
}

static size_t key_of(uint64_t number, char key[32])
{
        return (size_t)snprintf(key, 32, "key%llu", (unsigned long long)number);
}

static void insert(uint64_t number)
{
        char key[32];
        must(bm_insert(bm_root(store), key, key_of(number, key), "12345678", 8, 1), "insert");
}

static void read_one(uint64_t number)
{
        struct bm_view view;
        char key[32];
        must(bm_read_value(bm_root(store), key, key_of(number, key), &view), "read");
        must(bm_view_release(&view), "view");
}

/* What a thread does beside the measured operations. */
struct beside {
        void (*run)(struct beside *b);
        atomic_bool stop; /* it is to end */
        atomic_bool done; /* it has ended */
        unsigned n;
};

static void *run_beside(void *ctx)
{
        struct beside *b = ctx;
        b->run(b);
        atomic_store(&b->done, true);
        return NULL;
}

static void checkpoints(struct beside *b)
{
        for (; !atomic_load(&b->stop); b->n++)
                must(bm_checkpoint(store), "checkpoint");
}

static void compaction(struct beside *b)
{
        must(bm_compact(store), "compact");
        b->n++;
}

/* OPERATIONS of RUN, and more for as long as what is BESIDE takes, if it ends by itself. */
static void measure(const char *what, void (*run)(uint64_t number), uint64_t range,
                    struct beside *beside, bool to_its_end)
{
        static struct latency latency;
        uint64_t random = 88172645463325252;
        pthread_t thread;
        latency = (struct latency){0};
        if (beside && pthread_create(&thread, NULL, run_beside, beside) != 0)
                exit(1);
        for (unsigned i = 0; to_its_end ? !atomic_load_explicit(&beside->done, memory_order_relaxed)
                                        : i < OPERATIONS;
             i++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                uint64_t began = latency_now();
                run(random % range);
                latency_add(&latency, latency_now() - began);
        }
        if (beside) {
                atomic_store(&beside->stop, true);
                pthread_join(thread, NULL);
        }
        printf("%s\t%.1f\t%.1f\t%.1f\t%.1f\n", what, (double)latency_quantile(&latency, 0.5) / 1e3,
               (double)latency_quantile(&latency, 0.99) / 1e3,
               (double)latency_quantile(&latency, 0.9999) / 1e3, (double)latency.max_ns / 1e3);
        fflush(stdout);
}

int main(int argc, char **argv)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct beside checkpointing = {.run = checkpoints}, compacting = {.run = compaction};
        if (argc < 2 || argc > 4) {
                fprintf(stderr, "usage: bench-background DIR [KEYS [BUCKETS]]\n");
                return 2;
        }
        n_keys = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000;
        config.n_buckets = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 1;
        config.no_background = true;
        must(bm_create(argv[1], &config), "create");
        must(bm_open(argv[1], &config, &store), "open");
        for (uint64_t i = 0; i < n_keys; i++)
                insert(i);
        must(bm_checkpoint(store), "checkpoint");
        measure("insert alone", insert, n_keys + n_keys / 8, NULL, false);
        measure("insert beside checkpoints", insert, n_keys + n_keys / 8, &checkpointing, false);
        for (uint64_t i = 0; i < n_keys; i += 2)
                insert(i);
        must(bm_sync(store), "sync");
        measure("hit alone", read_one, n_keys, NULL, false);
        measure("hit beside compaction", read_one, n_keys, &compacting, true);
        printf("# %u checkpoints and %u compaction of %llu keys in %u buckets\n", checkpointing.n,
               compacting.n, (unsigned long long)n_keys, config.n_buckets);
        must(bm_close(store), "close");
        return 0;
}
