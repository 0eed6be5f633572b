/* SPDX-License-Identifier: MIT */
/*
 * A small disk filled to the brim by several writers and emptied by them again, round after round:
 * what was acknowledged is there, every deletion succeeds, what they give back can be had again.
 * The figures printed at the end of a round are for those who look at it.
 * BM_ROUNDS, BM_MIB and BM_SEED change how often, how large, and what.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "small_disk.h"
#include "test_store.h"

enum { WRITERS = 4, VALUE_MAX = 300 << 10, KEYS_MAX = 1 << 20 };

struct full {
        struct small_disk disk;
        char *dir;
        char *path;
        const char *further[1]; /* drives */
        struct bm_config config;
        struct bm_store *store;
        struct bm_map *root;
        uint64_t seed;
        bool mixed;
};

struct writer {
        struct full *full;
        unsigned number;
        struct test_random random;
        uint32_t n;      /* keys that were acknowledged */
        uint32_t *sizes; /* of their values */
        uint32_t *order; /* in which they go */
        uint8_t *value;
        int result;
};

static size_t key_of(const struct writer *w, uint32_t i, char key[32])
{
        return (size_t)snprintf(key, 32, "writer%u-%u", w->number, i);
}

/* Every byte follows from the key. */
static void make_value(struct writer *w, uint32_t i, uint32_t size)
{
        uint64_t word = ((uint64_t)w->number << 32 | i) * 0x9e3779b97f4a7c15u + size;
        for (uint32_t at = 0; at < size; at += 8, word = word * 6364136223846793005u + 1)
                memcpy(w->value + at, &word, 8);
}

static uint32_t size_for(struct writer *w)
{
        if (!w->full->mixed)
                return 100;
        switch (test_random_below(&w->random, 40)) {
        case 0: /* large ones are kept in chunks */
                return (uint32_t)test_random_below(&w->random, VALUE_MAX);
        case 1:
        case 2:
        case 3:
                return (uint32_t)test_random_below(&w->random, 20000);
        default:
                return (uint32_t)test_random_below(&w->random, 400);
        }
}

static void *fill(void *ctx)
{
        struct writer *w = ctx;
        char key[32];
        unsigned refused = 0;
        w->result = 0;
        /* smaller ones may still find room where a large one does not */
        while (refused < 3 && w->n < KEYS_MAX) {
                uint32_t size = refused ? 50 : size_for(w);
                make_value(w, w->n, size);
                int r = bm_insert(w->full->root, key, key_of(w, w->n, key), w->value, size, 1);
                if (r == 0) {
                        w->sizes[w->n++] = size;
                } else if (r == -ENOSPC) {
                        refused++;
                } else {
                        w->result = r;
                        break;
                }
        }
        return NULL;
}

static bool is_whole(struct writer *w, uint32_t i)
{
        static _Thread_local uint8_t buf[VALUE_MAX + 8];
        char key[32];
        size_t done;
        const struct bm_ref ref = {.map = w->full->root, .key = key, .key_len = key_of(w, i, key)};
        make_value(w, i, w->sizes[i]);
        return bm_read_at(&ref, 0, buf, sizeof(buf), &done) == 0 && done == w->sizes[i] &&
               memcmp(buf, w->value, done) == 0;
}

static void *verify(void *ctx)
{
        struct writer *w = ctx;
        w->result = 0;
        for (uint32_t i = 0; i < w->n && w->result == 0; i++) {
                if (!is_whole(w, i))
                        w->result = -EIO;
        }
        return NULL;
}

/* Half of the writers in the order in which they wrote, half in any. */
static void *empty(void *ctx)
{
        struct writer *w = ctx;
        char key[32];
        w->result = 0;
        for (uint32_t i = 0; i < w->n; i++)
                w->order[i] = i;
        for (uint32_t i = w->n; i > 1 && w->number % 2; i--) {
                uint32_t k = (uint32_t)test_random_below(&w->random, i), was = w->order[k];
                w->order[k] = w->order[i - 1];
                w->order[i - 1] = was;
        }
        for (uint32_t i = 0; i < w->n && w->result == 0; i++)
                w->result = bm_delete_key(w->full->root, key, key_of(w, w->order[i], key));
        return NULL;
}

static void all(struct writer *writers, void *(*fn)(void *ctx), const char *what)
{
        pthread_t threads[WRITERS];
        for (unsigned i = 0; i < WRITERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, fn, &writers[i]), 0);
        for (unsigned i = 0; i < WRITERS; i++)
                pthread_join(threads[i], NULL);
        for (unsigned i = 0; i < WRITERS; i++) {
                if (writers[i].result != 0)
                        fail_msg("%s: writer %u: %s", what, i, bm_strerror(writers[i].result));
        }
}

static void reopen(struct full *f)
{
        assert_ok(bm_close(f->store));
        assert_ok(bm_open(f->path, &f->config, &f->store));
        f->root = bm_root(f->store);
}

static uint64_t used(struct full *f)
{
        uint64_t sum = 0;
        for (unsigned i = 0; i < f->disk.n_disks; i++)
                sum += small_disk_used(&f->disk, i);
        return sum;
}

/* The background gives back what was deleted. The pause only spares the processor. */
static void wait_until_small(struct full *f, uint64_t limit)
{
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        while (used(f) > limit)
                nanosleep(&pause, NULL);
}

static uint64_t compacted(struct full *f)
{
        struct bm_stats stats;
        assert_ok(bm_stats(f->store, &stats));
        return stats.compacted_bytes;
}

static void one_round(struct full *f, unsigned round, struct writer *writers)
{
        uint32_t n = 0;
        for (unsigned i = 0; i < WRITERS; i++) {
                struct writer *w = &writers[i];
                w->full = f;
                w->number = i;
                w->n = 0;
                test_random_init(&w->random, f->seed + round * WRITERS + i);
        }
        all(writers, fill, "filling");
        all(writers, verify, "what was acknowledged");
        uint64_t full = used(f);
        reopen(f);
        all(writers, verify, "opened again");
        all(writers, empty, "deleting");
        for (unsigned i = 0; i < WRITERS; i++)
                n += writers[i].n;
        assert_int_equal(test_count_keys(f->root), 0);
        test_store_check(f->store);
        printf("# round %u%s: %u keys, %llu KiB full, %llu KiB emptied, %llu KiB compacted\n",
               round, f->mixed ? ", mixed" : "", n, (unsigned long long)(full >> 10),
               (unsigned long long)(used(f) >> 10), (unsigned long long)(compacted(f) >> 10));
        fflush(stdout);
}

static void rounds(bool mixed, bool two_drives)
{
        struct full f = {.config = BM_CONFIG_INIT, .mixed = mixed, .seed = test_seed()};
        struct writer writers[WRITERS];
        small_disk_init(&f.disk);
        f.dir = test_dir_new();
        f.path = test_path(f.dir, "store");
        char *further = test_path(f.dir, "further");
        if (two_drives) {
                f.further[0] = further;
                f.config.drives = f.further;
                f.config.n_drives = 1;
                small_disk_add(&f.disk, further, test_env_number("BM_MIB", 16) << 19);
        }
        small_disk_add(&f.disk, f.path, test_env_number("BM_MIB", 16) << 20);
        f.config.io = &f.disk.io;
        assert_ok(bm_create(f.path, &f.config));
        assert_ok(bm_open(f.path, &f.config, &f.store));
        f.root = bm_root(f.store);
        for (unsigned i = 0; i < WRITERS; i++) {
                writers[i].sizes = malloc(KEYS_MAX * sizeof(uint32_t));
                writers[i].order = malloc(KEYS_MAX * sizeof(uint32_t));
                writers[i].value = malloc(VALUE_MAX + 8);
                assert_true(writers[i].sizes && writers[i].order && writers[i].value);
        }
        for (unsigned round = 0; round < test_env_number("BM_ROUNDS", 3); round++)
                one_round(&f, round, writers);
        wait_until_small(&f, test_env_number("BM_MIB", 16) << 19);
        assert_ok(bm_close(f.store));
        for (unsigned i = 0; i < WRITERS; i++) {
                free(writers[i].sizes);
                free(writers[i].order);
                free(writers[i].value);
        }
        free(f.path);
        free(further);
        test_dir_remove(f.dir);
        small_disk_deinit(&f.disk);
}

static void small_values(void **state)
{
        rounds(false, false);
}

static void mixed_values(void **state)
{
        rounds(true, false);
}

/* The second disk is the smaller one, and full first. */
static void two_drives(void **state)
{
        rounds(false, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(small_values),
                cmocka_unit_test(mixed_values),
                cmocka_unit_test(two_drives),
        };
        return cmocka_run_group_tests_name("full", tests, NULL, NULL);
}
