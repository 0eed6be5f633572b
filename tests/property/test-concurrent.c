/* SPDX-License-Identifier: MIT */
/*
 * Readers, writers, growth, compaction and checkpoints at once. Each writer
 * owns some keys, so that it knows exactly what they must hold; readers check
 * that every value is one that was written, whole. Then everything is
 * compared again, also after opening the store anew.
 *
 * BM_SEED repeats the choices (not their interleaving), BM_OPS sets the
 * number of operations of a writer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <xxhash.h>

#include "test_store.h"

enum { WRITERS = 3, READERS = 2, KEYS = 4000 /* of a writer */, VALUE_MAX_BYTES = 60000 };

/* A value tells what it belongs to and carries its own checksum. */
struct stamp {
        uint64_t check; /* of all that follows */
        uint32_t owner, number;
        uint64_t turn;
};

/* What a key must hold. */
struct known {
        bool there;
        uint64_t turn, count;
        size_t size;
};

struct shared {
        struct test_store *t;
        atomic_bool stop;
        _Atomic uint64_t n_read;
        uint64_t seed, n_operations;
};

struct actor {
        pthread_t thread;
        struct shared *shared;
        uint32_t owner;
        struct test_random random;
        struct known known[KEYS];
        unsigned char buf[VALUE_MAX_BYTES];
        char problem[200]; /* asserts do not work outside the main thread */
};

#define complain(actor, ...) snprintf((actor)->problem, sizeof((actor)->problem), __VA_ARGS__)

static size_t key_of(uint32_t owner, uint32_t number, char key[32])
{
        return (size_t)snprintf(key, 32, "%u-%u", owner, number);
}

static void make_value(struct actor *a, uint32_t number, uint64_t turn, size_t size)
{
        struct stamp stamp = {.owner = a->owner, .number = number, .turn = turn};
        struct test_random random;

        memcpy(a->buf, &stamp, sizeof(stamp));
        test_random_init(&random, turn);
        test_random_fill(&random, a->buf + sizeof(stamp), size - sizeof(stamp));
        stamp.check = XXH3_64bits(a->buf + sizeof(stamp.check), size - sizeof(stamp.check));
        memcpy(a->buf, &stamp, sizeof(stamp));
}

/* Whether BUF is a whole value of OWNER's key NUMBER; its turn in *TURN. */
static bool value_is_whole(const unsigned char *buf, size_t size, uint32_t owner, uint32_t number,
                           uint64_t *turn)
{
        struct stamp stamp;

        if (size < sizeof(stamp))
                return false;
        memcpy(&stamp, buf, sizeof(stamp));
        *turn = stamp.turn;
        return stamp.owner == owner && stamp.number == number &&
               stamp.check == XXH3_64bits(buf + sizeof(stamp.check), size - sizeof(stamp.check));
}

/*
 * Reads OWNER's key NUMBER as it is now. Returns 0, BM_E_NOT_FOUND, or -1
 * after a complaint. Nobody but its owner may compare a large value as a
 * whole: each chunk is read before or after a change, as it comes.
 */
static int read_key(struct actor *a, uint32_t owner, uint32_t number, struct known *found)
{
        struct bm_map *map = a->shared->t->root;
        struct bm_view view;
        char key[32];
        size_t len = key_of(owner, number, key), done = 0;
        int r = bm_read_value(map, key, len, &view);

        *found = (struct known){0};
        if (r == BM_E_NOT_FOUND)
                return r;
        if (r != 0) {
                complain(a, "reading %s gave %s", key, bm_strerror(r));
                return -1;
        }
        *found = (struct known){.there = true, .count = view.count, .size = view.size};
        if (view.value) {
                if (!value_is_whole(view.value, view.size, owner, number, &found->turn)) {
                        complain(a, "%s is not whole", key);
                        r = -1;
                }
        } else if (owner == a->owner) {
                struct bm_ref ref = {.map = map, .key = key, .key_len = len};

                r = bm_read_at(&ref, 0, a->buf, sizeof(a->buf), &done);
                if (r != 0 || done != view.size ||
                    !value_is_whole(a->buf, done, owner, number, &found->turn)) {
                        complain(a, "%s (large) is not whole", key);
                        r = -1;
                }
        }
        bm_view_release(&view);
        return r;
}

/* The key is as its owner left it. */
static void check_own(struct actor *a, uint32_t number)
{
        const struct known *known = &a->known[number];
        struct known found;

        if (read_key(a, a->owner, number, &found) < 0)
                return;
        if (found.there != known->there)
                complain(a, "key %u-%u: there %d, wanted %d", a->owner, number, found.there,
                         known->there);
        else if (found.there && (found.turn != known->turn || found.count != known->count ||
                                 found.size != known->size))
                complain(a, "key %u-%u: turn %llu count %llu size %zu, wanted %llu %llu %zu",
                         a->owner, number, (unsigned long long)found.turn,
                         (unsigned long long)found.count, found.size,
                         (unsigned long long)known->turn, (unsigned long long)known->count,
                         known->size);
}

static size_t pick_size(struct actor *a)
{
        size_t size = sizeof(struct stamp) + test_random_below(&a->random, 200);

        if (test_random_below(&a->random, 200) == 0)
                size = sizeof(struct stamp) +
                       test_random_below(&a->random, VALUE_MAX_BYTES - sizeof(struct stamp));
        return size;
}

static int write_one(struct actor *a, uint32_t number, uint64_t turn)
{
        size_t size = pick_size(a);
        char key[32];
        size_t len = key_of(a->owner, number, key);

        make_value(a, number, turn, size);
        a->known[number] =
                (struct known){.there = true, .turn = turn, .count = turn % 7, .size = size};
        return bm_insert(a->shared->t->root, key, len, a->buf, size, turn % 7);
}

static int delete_one(struct actor *a, uint32_t number)
{
        char key[32];
        size_t len = key_of(a->owner, number, key);
        int want = a->known[number].there ? 0 : BM_E_NOT_FOUND;
        int r = bm_delete_key(a->shared->t->root, key, len);

        a->known[number].there = false;
        return r == want ? 0 : r ? r : -1;
}

static int refer_one(struct actor *a, uint32_t number)
{
        struct known *known = &a->known[number];
        char key[32];
        size_t len = key_of(a->owner, number, key);
        uint64_t count = 0;
        int r = bm_addref(a->shared->t->root, key, len, &count);

        if (!known->there)
                return r == BM_E_NOT_FOUND ? 0 : r ? r : -1;
        known->count++;
        return r != 0 ? r : count == known->count ? 0 : -1;
}

/* Two keys at once: one comes, the other goes. */
static int write_batch(struct actor *a, uint32_t in, uint32_t out, uint64_t turn)
{
        struct bm_map *map = a->shared->t->root;
        size_t size = sizeof(struct stamp) + test_random_below(&a->random, 100);
        struct bm_write_batch *batch;
        char key[32];
        int r;

        if (in == out)
                return 0;
        r = bm_write_batch_new(a->shared->t->store, &batch);
        if (r != 0)
                return r;
        make_value(a, in, turn, size);
        r = bm_write_batch_insert(batch, map, key, key_of(a->owner, in, key), a->buf, size, 3);
        if (r == 0)
                r = bm_write_batch_delete(batch, map, key, key_of(a->owner, out, key));
        if (r == 0)
                r = bm_write_batch_commit(batch);
        bm_write_batch_free(batch);
        a->known[in] = (struct known){.there = true, .turn = turn, .count = 3, .size = size};
        a->known[out].there = false;
        return r;
}

static void *writer(void *arg)
{
        struct actor *a = arg;

        for (uint64_t turn = 1; turn <= a->shared->n_operations && !a->problem[0]; turn++) {
                uint32_t number = (uint32_t)test_random_below(&a->random, KEYS);
                int r = 0;

                switch (test_random_below(&a->random, 10)) {
                case 0:
                case 1:
                        r = delete_one(a, number);
                        break;
                case 2:
                        r = refer_one(a, number);
                        break;
                case 3:
                        r = write_batch(a, number, (uint32_t)test_random_below(&a->random, KEYS),
                                        turn);
                        break;
                case 4:
                case 5:
                        check_own(a, number);
                        break;
                default:
                        r = write_one(a, number, turn);
                        break;
                }
                if (r != 0)
                        complain(a, "turn %llu on key %u-%u gave %d (%s)", (unsigned long long)turn,
                                 a->owner, number, r, r == -1 ? "wrong" : bm_strerror(r));
        }
        return NULL;
}

/* A listing gives no key twice, and every key that never goes. */
static void list_all(struct actor *a)
{
        static _Thread_local unsigned char seen[WRITERS][KEYS];
        struct bm_cursor *cursor;
        struct bm_item item;
        unsigned permanent = 0;
        int r = bm_cursor_open(a->shared->t->root, 0, &cursor);

        memset(seen, 0, sizeof(seen));
        while (r == 0 && (r = bm_cursor_next(cursor, &item)) == 0) {
                char text[32] = {0};
                unsigned owner, number;

                if (item.key_len >= sizeof(text))
                        break;
                memcpy(text, item.key, item.key_len);
                if (strncmp(text, "permanent-", 10) == 0) {
                        permanent++;
                } else if (sscanf(text, "%u-%u", &owner, &number) != 2 || owner >= WRITERS ||
                           number >= KEYS) {
                        complain(a, "the listing gave '%s'", text);
                } else if (seen[owner][number]++) {
                        complain(a, "the listing gave %s twice", text);
                }
        }
        if (r != BM_E_NOT_FOUND)
                complain(a, "the listing ended with %s", bm_strerror(r));
        else if (permanent != 100)
                complain(a, "the listing gave %u of 100 permanent keys", permanent);
        bm_cursor_close(cursor);
}

static void *reader(void *arg)
{
        struct actor *a = arg;
        struct known found;

        while (!atomic_load(&a->shared->stop) && !a->problem[0]) {
                for (int i = 0; i < 2000; i++)
                        if (read_key(a, (uint32_t)test_random_below(&a->random, WRITERS),
                                     (uint32_t)test_random_below(&a->random, KEYS), &found) < 0)
                                return NULL;
                list_all(a);
                atomic_fetch_add(&a->shared->n_read, 2000);
        }
        return NULL;
}

/* Compaction, checkpoints and syncs without a pause, as long as writers work. */
static void *keeper(void *arg)
{
        struct actor *a = arg;
        struct bm_store *store = a->shared->t->store;
        struct bm_stats stats;
        int r = 0;

        for (unsigned i = 0; r == 0 && !atomic_load(&a->shared->stop); i++) {
                if (i % 8 == 0)
                        r = bm_compact(store);
                else if (i % 8 == 4)
                        r = bm_checkpoint(store);
                else if (i % 2)
                        r = bm_sync(store);
                else
                        r = bm_stats(store, &stats);
        }
        if (r != 0)
                complain(a, "keeping gave %d (%s)", r, bm_strerror(r));
        return NULL;
}

static struct actor *start(struct shared *shared, uint32_t owner, void *(*fn)(void *))
{
        struct actor *a = calloc(1, sizeof(*a));

        assert_non_null(a);
        a->shared = shared;
        a->owner = owner;
        test_random_init(&a->random, shared->seed + owner);
        assert_int_equal(pthread_create(&a->thread, NULL, fn, a), 0);
        return a;
}

static void join(struct actor *a)
{
        pthread_join(a->thread, NULL);
        if (a->problem[0])
                fail_msg("%u: %s", a->owner, a->problem);
}

static void check_everything(struct shared *shared, struct actor **writers)
{
        size_t n = 100;

        for (unsigned i = 0; i < WRITERS; i++) {
                for (uint32_t number = 0; number < KEYS; number++) {
                        check_own(writers[i], number);
                        n += writers[i]->known[number].there;
                }
                if (writers[i]->problem[0])
                        fail_msg("afterwards: %s", writers[i]->problem);
        }
        assert_int_equal(test_count_keys(shared->t->root), n);
        test_store_check(shared->t->store);
}

static void concurrent(void **state)
{
        struct bm_config config = {.n_buckets = 4, .max_search = 8};
        struct shared shared = {.seed = test_seed(),
                                .n_operations = test_env_number("BM_OPS", 100000)};
        struct actor *writers[WRITERS], *others[READERS + 1];

        shared.t = test_store_new(&config);
        for (int i = 0; i < 100; i++) {
                char key[32];
                size_t len = (size_t)snprintf(key, sizeof(key), "permanent-%d", i);

                assert_ok(bm_insert(shared.t->root, key, len, key, len, 1));
        }
        for (unsigned i = 0; i < WRITERS; i++)
                writers[i] = start(&shared, i, writer);
        for (unsigned i = 0; i < READERS; i++)
                others[i] = start(&shared, WRITERS + i, reader);
        others[READERS] = start(&shared, WRITERS + READERS, keeper);

        for (unsigned i = 0; i < WRITERS; i++)
                join(writers[i]);
        atomic_store(&shared.stop, true);
        for (unsigned i = 0; i <= READERS; i++)
                join(others[i]);
        assert_true(atomic_load(&shared.n_read) > 0);

        check_everything(&shared, writers);
        test_store_reopen(shared.t);
        check_everything(&shared, writers);
        for (unsigned i = 0; i < WRITERS; i++)
                free(writers[i]);
        for (unsigned i = 0; i <= READERS; i++)
                free(others[i]);
        test_store_free(shared.t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(concurrent)};

        return cmocka_run_group_tests_name("concurrent", tests, NULL, NULL);
}
