/* SPDX-License-Identifier: MIT */
/*
 * Writers that replace a few values without a pause, while the store's own threads get a processor
 * only when nobody else wants it: what is dead must not pile up without limit, whatever the
 * machine has to do. BM_MIB is how much each writer writes, BM_SEED what.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_store.h"

enum { WRITERS = 4, LARGE_MAX = 128 << 10, MIB = 512, TASKS_MAX = 64 };
enum { LOOK = 64 << 10 }; /* bytes that a writer writes from one look at the size to the next */
/* What a store of that size may have at most beside what lives: segments that are being emptied,
 * freed, prepared. Without a limit it comes to many times that. */
static const uint64_t spare = UINT64_C(900) << 20;

struct growth {
        struct bm_store *store;
        struct bm_map *root;
        unsigned keys;
        size_t value_max;
        _Atomic uint64_t highest;
};

struct writer {
        struct growth *growth;
        unsigned number;
        struct test_random random;
        uint64_t bytes;
};

static size_t list_tasks(pid_t tasks[TASKS_MAX])
{
        size_t n = 0;
        DIR *d = opendir("/proc/self/task");
        assert_non_null(d);
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                if (e->d_name[0] != '.' && n < TASKS_MAX)
                        tasks[n++] = (pid_t)atoi(e->d_name);
        }
        closedir(d);
        return n;
}

/* All threads but those of BEFORE wait until everybody else is idle. */
static void starve_others(const pid_t *before, size_t n_before)
{
        const struct sched_param param = {0};
        pid_t tasks[TASKS_MAX];
        size_t n = list_tasks(tasks), starved = 0;
        for (size_t i = 0; i < n; i++) {
                bool old = false;
                for (size_t k = 0; k < n_before; k++)
                        old |= before[k] == tasks[i];
                if (!old)
                        starved += sched_setscheduler(tasks[i], SCHED_IDLE, &param) == 0;
        }
        assert_true(starved > 0);
}

static void look(struct growth *g)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(g->store, &stats), 0);
        uint64_t highest = atomic_load(&g->highest);
        while (stats.segment_bytes > highest &&
               !atomic_compare_exchange_weak(&g->highest, &highest, stats.segment_bytes))
                ;
}

static void *write_thread(void *ctx)
{
        static const uint8_t value[LARGE_MAX];
        struct writer *w = ctx;
        struct growth *g = w->growth;
        uint64_t looked = 0;
        while (w->bytes < (uint64_t)test_env_number("BM_MIB", MIB) << 20) {
                char key[32];
                const size_t size = 1 + test_random_below(&w->random, g->value_max);
                const size_t len =
                        (size_t)snprintf(key, sizeof(key), "key%u",
                                         (unsigned)test_random_below(&w->random, g->keys));
                /* some go for a while */
                if (test_random_below(&w->random, 8) == 0) {
                        int r = bm_delete_key(g->root, key, len);
                        assert_true(r == 0 || r == BM_E_NOT_FOUND);
                }
                assert_int_equal(bm_insert(g->root, key, len, value, size, 1), 0);
                w->bytes += size;
                if (w->bytes - looked > LOOK) {
                        looked = w->bytes;
                        look(g);
                }
        }
        return NULL;
}

static void replace_without_a_pause(unsigned keys, size_t value_max)
{
        struct growth g = {.keys = keys, .value_max = value_max};
        struct writer writers[WRITERS];
        pthread_t threads[WRITERS];
        pid_t before[TASKS_MAX];
        struct bm_config config = BM_CONFIG_INIT;
        const uint64_t seed = test_seed();
        char *dir = test_dir_new(), path[4096];
        snprintf(path, sizeof(path), "%s/store", dir);
        assert_int_equal(bm_create(path, &config), 0);
        const size_t n_before = list_tasks(before);
        assert_int_equal(bm_open(path, &config, &g.store), 0);
        g.root = bm_root(g.store);
        starve_others(before, n_before);
        for (unsigned i = 0; i < WRITERS; i++) {
                writers[i] = (struct writer){.growth = &g, .number = i};
                test_random_init(&writers[i].random, seed + i);
                assert_int_equal(pthread_create(&threads[i], NULL, write_thread, &writers[i]), 0);
        }
        for (unsigned i = 0; i < WRITERS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        struct bm_stats stats;
        assert_int_equal(bm_stats(g.store, &stats), 0);
        print_message("# %.1f MB of segments at most, %.1f MB live at the end, %.1f MB written\n",
                      (double)atomic_load(&g.highest) / 1e6, (double)stats.live_bytes / 1e6,
                      (double)stats.log_bytes / 1e6);
        assert_true(atomic_load(&g.highest) < spare + (uint64_t)keys * value_max);
        assert_int_equal(bm_close(g.store), 0);
        test_dir_remove(dir);
}

static void dropped_chunks_do_not_pile_up(void **state)
{
        replace_without_a_pause(100, LARGE_MAX);
}

static void dead_records_do_not_pile_up(void **state)
{
        replace_without_a_pause(5000, 4000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(dropped_chunks_do_not_pile_up),
                cmocka_unit_test(dead_records_do_not_pile_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
