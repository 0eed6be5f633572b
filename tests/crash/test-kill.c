/* SPDX-License-Identifier: MIT */
/*
 * kill -9: several threads work, each in a map of its own, with everything
 * that the store does in the background; at some file operation, perhaps half
 * way through it, the process is killed. Whoever opens the store next must
 * find what had returned, of each thread at most one operation more, and
 * nothing else. Several kills follow each other on one store.
 * The argument is the number of kills.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bucketmap.h"
#include "explorer.h"
#include "io.h"

enum { KILLS = 200, A_STORE = 10, THREADS = 4, KEYS = 50, VALUE_MAX = 3000, CALLS = 4000 };

/* One thread's map, as it ought to be. */
struct own {
        struct {
                bool there;
                uint64_t seed, len, count;
        } keys[KEYS];
        uint64_t rng;
};

/* Shared with the process that is killed. */
struct progress {
        _Atomic uint64_t done[THREADS]; /* operations that returned */
        _Atomic uint64_t calls;
        _Atomic int problem;
};

struct killing_io {
        struct bm_io io;
        struct bm_io_ops ops;
        struct progress *progress;
        uint64_t at;
};

static struct killing_io kio;

static bool is_last(void)
{
        return atomic_fetch_add(&kio.progress->calls, 1) + 1 == kio.at;
}

static void end_here(void)
{
        (void)kill(getpid(), SIGKILL);
        for (;;)
                (void)pause();
}

static int kill_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t offset)
{
        if (is_last()) {
                (void)bm_io_call(&bm_io_posix, pwrite, fd, buf, len / 2, offset);
                end_here();
        }
        return bm_io_call(&bm_io_posix, pwrite, fd, buf, len, offset);
}

static int kill_map_write(const struct bm_io *io, int fd, void *base, uint64_t offset,
                          const void *src, size_t len)
{
        if (is_last()) {
                (void)bm_io_call(&bm_io_posix, map_write, fd, base, offset, src, len / 2);
                end_here();
        }
        return bm_io_call(&bm_io_posix, map_write, fd, base, offset, src, len);
}

static int kill_sync_data(const struct bm_io *io, int fd)
{
        if (is_last())
                end_here();
        return bm_io_call(&bm_io_posix, sync_data, fd);
}

static int kill_sync_dir(const struct bm_io *io, int dir)
{
        if (is_last())
                end_here();
        return bm_io_call(&bm_io_posix, sync_dir, dir);
}

static int kill_unlink_at(const struct bm_io *io, int dir, const char *name)
{
        if (is_last())
                end_here();
        return bm_io_call(&bm_io_posix, unlink_at, dir, name);
}

/* The work: what comes next follows from OWN alone, so it can be done again without a store. */

struct action {
        unsigned kind, key, other;
        uint64_t seed, len, count;
};

enum { ACT_INSERT, ACT_DELETE, ACT_COUNT, ACT_RENAME };

static struct action next_action(struct own *own)
{
        static const unsigned kinds[] = {ACT_INSERT, ACT_INSERT, ACT_DELETE, ACT_COUNT, ACT_RENAME};
        struct action a = {.kind = kinds[rnd_below(&own->rng, 5)]};
        a.key = (unsigned)rnd_below(&own->rng, KEYS);
        a.other = (unsigned)rnd_below(&own->rng, KEYS);
        a.seed = rnd(&own->rng);
        a.len = rnd_below(&own->rng, VALUE_MAX);
        /* never 1: with that a rename would take the victim's */
        a.count = 2 + rnd_below(&own->rng, UINT64_C(1) << 30);
        if (a.kind != ACT_INSERT && !own->keys[a.key].there)
                a.kind = ACT_INSERT;
        if (a.kind == ACT_RENAME && a.key == a.other)
                a.kind = ACT_DELETE;
        return a;
}

static void act_on_model(struct own *own, const struct action *a)
{
        switch (a->kind) {
        case ACT_INSERT:
                own->keys[a->key].there = true;
                own->keys[a->key].seed = a->seed;
                own->keys[a->key].len = a->len;
                own->keys[a->key].count = a->count;
                break;
        case ACT_DELETE:
                own->keys[a->key].there = false;
                break;
        case ACT_COUNT:
                own->keys[a->key].count = a->count;
                break;
        case ACT_RENAME:
                own->keys[a->other] = own->keys[a->key];
                own->keys[a->key].there = false;
                break;
        }
}

static void value_of(uint64_t seed, uint64_t len, uint8_t *out)
{
        for (uint64_t i = 0; i < len; i++) {
                if (i % 8 == 0)
                        seed = mix64(seed + 1);
                out[i] = (uint8_t)(seed >> i % 8 * 8);
        }
}

static size_t key_name(unsigned key, char out[16])
{
        return (size_t)snprintf(out, 16, "k%u", key);
}

static int act_on_store(struct bm_map *map, const struct action *a)
{
        struct bm_rename_args args = {.no_replace = false};
        uint8_t value[VALUE_MAX];
        char key[16], other[16];
        size_t len = key_name(a->key, key);
        const struct bm_ref ref = {.map = map, .key = key, .key_len = len};
        switch (a->kind) {
        case ACT_INSERT:
                value_of(a->seed, a->len, value);
                return bm_insert(map, key, len, value, a->len, a->count);
        case ACT_DELETE:
                return bm_delete_key(map, key, len);
        case ACT_COUNT:
                return bm_count_set(&ref, a->count);
        default:
                return bm_rename(&ref, map, other, key_name(a->other, other), &args);
        }
}

struct worker {
        struct bm_map *map;
        struct own own;
        unsigned number;
};

static void *worker_thread(void *ctx)
{
        struct worker *w = ctx;
        for (uint64_t i = 1;; i++) {
                struct action a = next_action(&w->own);
                int r = act_on_store(w->map, &a);
                if (r != 0) {
                        atomic_store(&kio.progress->problem, r);
                        end_here();
                }
                act_on_model(&w->own, &a);
                atomic_fetch_add(&kio.progress->done[w->number], 1);
                if (i % 64 == w->number && bm_sync(bm_map_store(w->map)) != 0)
                        end_here();
        }
        return NULL;
}

static int open_own(struct bm_store *store, unsigned number, struct bm_map **map)
{
        char key[16];
        size_t len = (size_t)snprintf(key, sizeof(key), "thread%u", number);
        struct bm_view view;
        uint64_t map_id;
        int r = bm_read_value(bm_root(store), key, len, &view);
        if (r == 0) {
                map_id = view.map_id;
                bm_view_release(&view);
        } else if (r == BM_E_NOT_FOUND) {
                r = bm_map_create(bm_root(store), key, len, NULL, 0, &map_id, NULL);
        }
        return r == 0 ? bm_map_open(store, map_id, map) : r;
}

static void work_until_killed(const char *path, const struct own *owns)
{
        struct bm_config config = BM_CONFIG_INIT;
        static struct worker workers[THREADS];
        pthread_t threads[THREADS];
        struct bm_store *store;
        config.commit_interval = 1;
        config.io = &kio.io;
        int r = bm_open(path, &config, &store);
        for (unsigned i = 0; i < THREADS && r == 0; i++) {
                workers[i].number = i;
                workers[i].own = owns[i];
                r = open_own(store, i, &workers[i].map);
        }
        if (r != 0) {
                atomic_store(&kio.progress->problem, r);
                end_here();
        }
        for (unsigned i = 0; i < THREADS; i++) {
                if (pthread_create(&threads[i], NULL, worker_thread, &workers[i]) != 0)
                        end_here();
        }
        for (unsigned i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
}

/* Judging */

static bool is_same(struct bm_map *map, const struct own *own)
{
        struct bm_map_info info;
        uint8_t value[VALUE_MAX];
        uint64_t n = 0;
        for (unsigned i = 0; i < KEYS; i++) {
                struct bm_view view;
                char key[16];
                int r = bm_read_value(map, key, key_name(i, key), &view);
                if (own->keys[i].there != (r == 0) || (r != 0 && r != BM_E_NOT_FOUND)) {
                        if (r == 0)
                                bm_view_release(&view);
                        return false;
                }
                if (r != 0)
                        continue;
                n++;
                value_of(own->keys[i].seed, own->keys[i].len, value);
                bool same = view.size == own->keys[i].len && view.count == own->keys[i].count &&
                            (view.size == 0 || memcmp(view.value, value, view.size) == 0);
                bm_view_release(&view);
                if (!same)
                        return false;
        }
        return bm_map_info(map, &info) == 0 && info.n_keys == n;
}

/* What is there after DONE operations, or after the one that was under way too. */
static bool settle(struct bm_map *map, struct own *own, uint64_t done)
{
        for (uint64_t i = 0; i < done; i++) {
                struct action a = next_action(own);
                act_on_model(own, &a);
        }
        if (is_same(map, own))
                return true;
        struct action a = next_action(own);
        act_on_model(own, &a);
        return is_same(map, own);
}

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        printf("# check: %s\n", finding->message);
}

static bool judge(const char *path, struct own *owns, const struct progress *progress)
{
        const struct bm_check_args args = {.finding = on_finding};
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        bool ok = true;
        config.no_background = true;
        int r = bm_open(path, &config, &store);
        if (r != 0) {
                printf("# open: %s: %s\n", bm_strerror(r), bm_last_problem());
                return false;
        }
        r = bm_check(store, &args);
        if (r != 0)
                printf("# check: %s\n", bm_strerror(r));
        for (unsigned i = 0; i < THREADS && r == 0; i++) {
                struct bm_map *map;
                r = open_own(store, i, &map);
                if (r != 0)
                        break;
                if (!settle(map, &owns[i], atomic_load(&progress->done[i]))) {
                        printf("# thread %u: not as after %llu or one more\n", i,
                               (unsigned long long)atomic_load(&progress->done[i]));
                        ok = false;
                }
                bm_map_close(map);
        }
        if (bm_close(store) != 0)
                ok = false;
        return ok && r == 0;
}

/* A store and several lives of it. False: a bad one. */
static bool live(struct explorer *x, uint64_t *rng, unsigned n_kills)
{
        struct own owns[THREADS] = {0};
        struct bm_config config = BM_CONFIG_INIT;
        bool ok = true;
        int r = bm_create(x->paths[0], &config);
        if (r != 0) {
                printf("# create: %s\n", bm_strerror(r));
                return false;
        }
        for (unsigned i = 0; i < THREADS; i++)
                owns[i].rng = rnd(rng);
        for (unsigned k = 0; k < n_kills && ok; k++) {
                memset(kio.progress, 0, sizeof(*kio.progress));
                kio.at = 1 + rnd_below(rng, CALLS);
                fflush(stdout);
                pid_t pid = fork();
                int status = 0;
                if (pid == 0)
                        work_until_killed(x->paths[0], owns);
                if (pid < 0 || waitpid(pid, &status, 0) != pid)
                        exit(99);
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
                    atomic_load(&kio.progress->problem)) {
                        printf("# the worker ended otherwise: status %d, %s\n", status,
                               bm_strerror(atomic_load(&kio.progress->problem)));
                        ok = false;
                }
                if (!judge(x->paths[0], owns, kio.progress))
                        ok = false;
                if (!ok)
                        printf("# kill %u at call %llu\n", k, (unsigned long long)kio.at);
        }
        remove_store(x->paths, 1);
        return ok;
}

int main(int argc, char **argv)
{
        const char *seed_text = getenv("BM_SEED");
        uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 1, rng = mix64(seed);
        size_t kills = argc > 1 ? strtoull(argv[1], NULL, 0) : KILLS, n = 0, n_bad = 0;
        struct explorer x;
        explorer_init(&x, seed);
        kio.io.ops = &kio.ops;
        kio.ops = *bm_io_posix.ops;
        kio.ops.pwrite = kill_pwrite;
        kio.ops.map_write = kill_map_write;
        kio.ops.sync_data = kill_sync_data;
        kio.ops.sync_dir = kill_sync_dir;
        kio.ops.unlink_at = kill_unlink_at;
        kio.progress = mmap(NULL, sizeof(*kio.progress), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (kio.progress == MAP_FAILED)
                return 99;
        for (; n < kills && n_bad < 5; n += A_STORE)
                n_bad += !live(&x, &rng, A_STORE);
        printf("# %zu kills from seed %llu: %zu stores bad\n", n, (unsigned long long)seed, n_bad);
        explorer_deinit(&x);
        return n_bad ? 1 : 0;
}
