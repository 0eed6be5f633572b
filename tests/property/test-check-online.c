/* SPDX-License-Identifier: MIT */
/*
 * A check beside everything else: it must find nothing while records and maps
 * are moved from map to map, large values written, cut and removed, segments
 * compacted and checkpoints written; and exactly what is damaged, each time,
 * when something is.
 *
 * BM_SEED repeats the choices (not their interleaving), BM_CHECKS sets the number
 * of checks.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "test_store.h"

enum { MOVERS = 2, MAPS = 24, KEYS = 30, LARGE = 40000, PROBLEM = 300 };

struct shared {
        struct test_store *t;
        atomic_bool stop;
        uint64_t map_ids[MAPS];
        char problem[PROBLEM]; /* of the checking thread */
        size_t n_findings, n_named;
};

struct actor {
        pthread_t thread;
        struct shared *shared;
        unsigned number;
        struct test_random random;
        unsigned char bytes[LARGE];
        char problem[PROBLEM];
};

static void complain(struct actor *a, const char *what, int r)
{
        if (!a->problem[0])
                snprintf(a->problem, sizeof(a->problem), "%s: %s", what, bm_strerror(r));
}

static bool is_fine(int r)
{
        return r == 0 || r == BM_E_NOT_FOUND || r == BM_E_LOOP || r == BM_E_NOT_EMPTY ||
               r == BM_E_IS_MAP || r == BM_E_NOT_MAP || r == BM_E_EXISTS;
}

static struct bm_map *any_map(struct actor *a)
{
        struct bm_map *map;
        uint64_t id = a->shared->map_ids[test_random_below(&a->random, MAPS)];
        return bm_map_open(a->shared->t->store, id, &map) == 0 ? map : NULL;
}

/* Each actor has keys of its own; where they are nobody knows. */
static size_t any_key(struct actor *a, char key[32])
{
        return (size_t)snprintf(key, 32, "k%u-%u", a->number,
                                (unsigned)test_random_below(&a->random, KEYS));
}

static void move_key(struct actor *a, struct bm_map *from, struct bm_map *to)
{
        struct bm_rename_args args = {0};
        char key[32];
        size_t len = any_key(a, key);
        const struct bm_ref ref = {from, key, len, 0};
        int r = bm_rename(&ref, to, key, len, &args);
        if (!is_fine(r))
                complain(a, "rename", r);
}

static void move_map(struct actor *a, struct bm_map *from, struct bm_map *to)
{
        struct bm_rename_args args = {.no_replace = true};
        char key[32];
        size_t len = (size_t)snprintf(key, sizeof(key), "m%u",
                                      (unsigned)test_random_below(&a->random, MAPS));
        const struct bm_ref ref = {from, key, len, 0};
        int r = bm_rename(&ref, to, key, len, &args);
        if (!is_fine(r))
                complain(a, "rename of a map", r);
}

static void write_key(struct actor *a, struct bm_map *map)
{
        char key[32];
        size_t len = any_key(a, key), done, size = test_random_below(&a->random, LARGE);
        const struct bm_ref ref = {map, key, len, 0};
        int r;
        switch (test_random_below(&a->random, 5)) {
        case 0:
                r = bm_delete_key(map, key, len);
                break;
        case 1:
                r = bm_truncate(&ref, size, NULL, NULL);
                break;
        case 2:
                r = bm_write_at(&ref, size, a->bytes, LARGE - size, NULL, NULL, &done);
                break;
        default:
                r = bm_insert(map, key, len, a->bytes, size, 1);
                break;
        }
        if (!is_fine(r))
                complain(a, "write", r);
}

static void make_map(struct actor *a, struct bm_map *map)
{
        char key[32];
        size_t len = (size_t)snprintf(key, sizeof(key), "new%u", a->number);
        int r = bm_map_create(map, key, len, NULL, 0, NULL, NULL);
        if (is_fine(r))
                r = bm_map_remove(map, key, len);
        if (!is_fine(r))
                complain(a, "a map", r);
}

static void *move(void *arg)
{
        struct actor *a = arg;
        test_random_fill(&a->random, a->bytes, sizeof(a->bytes));
        while (!atomic_load(&a->shared->stop) && !a->problem[0]) {
                struct bm_map *from = any_map(a), *to = any_map(a);
                switch (test_random_below(&a->random, 10)) {
                case 0:
                        move_map(a, from, to);
                        break;
                case 1:
                        make_map(a, from);
                        break;
                case 2:
                case 3:
                        write_key(a, from);
                        break;
                default:
                        move_key(a, from, to);
                        break;
                }
                bm_map_close(from);
                bm_map_close(to);
        }
        return NULL;
}

static void *tidy(void *arg)
{
        struct actor *a = arg;
        while (!atomic_load(&a->shared->stop) && !a->problem[0]) {
                int r = test_random_below(&a->random, 2) ? bm_compact(a->shared->t->store)
                                                         : bm_checkpoint(a->shared->t->store);
                if (r != 0)
                        complain(a, "tidying", r);
        }
        return NULL;
}

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct shared *s = ctx;
        s->n_findings++;
        if (finding->key && finding->key_len == 6 && memcmp(finding->key, "victim", 6) == 0)
                s->n_named++;
        else if (!s->problem[0])
                snprintf(s->problem, sizeof(s->problem), "%s%.*s: %s", finding->path,
                         (int)finding->key_len, finding->key ? (const char *)finding->key : "",
                         finding->message);
}

static void make_maps(struct shared *s)
{
        for (unsigned i = 0; i < MAPS; i++) {
                char key[32];
                size_t len = (size_t)snprintf(key, sizeof(key), "m%u", i);
                assert_ok(bm_map_create(s->t->root, key, len, NULL, 0, &s->map_ids[i], NULL));
        }
}

/* Overwrites a byte of the value of "victim" behind the library's back. */
static void damage_victim(struct shared *s)
{
        static const char value[] = "this value is going to be damaged";
        struct bm_view view;
        assert_ok(bm_insert(s->t->root, "victim", 6, value, sizeof(value), 1));
        assert_ok(bm_sync(s->t->store));
        assert_ok(bm_read_value(s->t->root, "victim", 6, &view));
        *(char *)(uintptr_t)view.value ^= 1;
        bm_view_release(&view);
}

static void run(void **state, bool damaged)
{
        struct shared s = {.t = *state};
        struct actor *actors = calloc(MOVERS + 1, sizeof(*actors));
        const struct bm_check_args args = {.finding = on_finding, .ctx = &s};
        uint64_t n = test_env_number("BM_CHECKS", 40), seed = test_seed();
        assert_non_null(actors);
        make_maps(&s);
        if (damaged)
                damage_victim(&s);
        for (unsigned i = 0; i <= MOVERS; i++) {
                actors[i].shared = &s;
                actors[i].number = i;
                test_random_init(&actors[i].random, seed + i);
                pthread_create(&actors[i].thread, NULL, i < MOVERS ? move : tidy, &actors[i]);
        }
        int r = damaged ? BM_E_DAMAGED : 0;
        for (uint64_t i = 0; i < n && r == (damaged ? BM_E_DAMAGED : 0); i++)
                r = bm_check(s.t->store, &args);
        atomic_store(&s.stop, true);
        for (unsigned i = 0; i <= MOVERS; i++)
                pthread_join(actors[i].thread, NULL);
        for (unsigned i = 0; i <= MOVERS; i++)
                assert_string_equal(actors[i].problem, "");
        assert_string_equal(s.problem, "");
        assert_int_equal(r, damaged ? BM_E_DAMAGED : 0);
        assert_int_equal(s.n_named, damaged ? n : 0);
        free(actors);
}

static void a_check_gives_no_false_alarm(void **state)
{
        run(state, false);
}

static void a_check_finds_what_is_damaged_once(void **state)
{
        run(state, true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_with_store(a_check_gives_no_false_alarm),
                test_with_store(a_check_finds_what_is_damaged_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
