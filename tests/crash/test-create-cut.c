/* SPDX-License-Identifier: MIT */
/*
 * Power cuts while a store is made, on one drive and on two; while what a cut left is opened or
 * made again; and while a creation that failed takes back what it had made. Whatever is left can be
 * opened, and then is an empty store, or it can be made again; behind a failing call it may also be
 * refused, in words. Every place for a cut is tried with every kind of luck. The argument is how
 * many cuts to make in each second attempt.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bucketmap.h"
#include "explorer.h"
#include "io_record.h"
#include "model.h"
#include "same_luck.h"

enum { SECOND_CUTS = 3, FAILURE_CUTS = 10 };

static struct explorer x;
static unsigned second_cuts = SECOND_CUTS;
static size_t n_opened, n_made, n_refused;
static bool after_failure; /* a call of the first creation fails */

/* What is called on a disk: a creation, or an open first, and a creation where there is no store.
 */
struct attempt {
        bool open_first;
        uint64_t fail_at; /* this call of the creation fails; 0: none */
        int error;
};

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        snprintf(x.problem, sizeof(x.problem), "check: %s", finding->message);
}

/* Empty but for the key that is put there, which a cut may have left. */
static void judge(const struct model *model)
{
        if (model->n > 1 || (model->n == 1 && model->records[0].key[0] != 'k'))
                snprintf(x.problem, sizeof(x.problem), "a new store holds something");
}

static int look_at_root(struct bm_store *store)
{
        struct bm_view view;
        struct bm_ref root;
        bm_root_ref(store, &root);
        int r = bm_read_ref(&root, &view);
        bm_view_release(&view);
        return r;
}

/* Opens, uses and closes what must be an empty store. */
static int use(const struct bm_config *config)
{
        const struct bm_check_args args = {.finding = on_finding};
        struct bm_store *store;
        struct model model = {0};
        char why[200];
        int r = bm_open(x.paths[0], config, &store);
        if (r != 0)
                return r;
        r = bm_check(store, &args);
        if (r == 0)
                r = model_load(&model, store, why);
        if (r == 0)
                judge(&model);
        if (r == 0)
                r = look_at_root(store);
        if (r == 0)
                r = bm_insert(bm_root(store), "key", 3, "value", 5, 1);
        model_clear(&model);
        int closed = bm_close(store);
        return r != 0 ? r : closed;
}

/* False: x.problem says what is wrong. */
static bool run(const struct attempt *a, struct record_io *io)
{
        const struct bm_config config = explorer_config(&x, io);
        int opened = a->open_first ? use(&config) : BM_E_NOT_A_STORE;
        int made = BM_E_NOT_EMPTY_DIR;
        if (opened != 0) {
                io->fail_at = a->fail_at ? io->calls + a->fail_at : 0;
                io->fail_errno = a->error;
                made = bm_create(x.paths[0], &config);
                io->fail_at = 0;
        }
        n_made += made == 0;
        n_opened += made != 0;
        if (opened != 0 && made < 0 && io->failed > 0)
                return !x.problem[0];
        if (opened != 0 && (made == 0 || made == BM_E_NOT_EMPTY_DIR))
                opened = use(&config);
        /* what a failed call left half written may be taken for damage, if it says so */
        if (after_failure && (made == BM_E_NOT_EMPTY_DIR || made == 0) &&
            (opened == BM_E_NOT_A_STORE || (opened == BM_E_DAMAGED && bm_last_problem()[0])))
                n_refused++;
        else if (opened != 0 && !x.problem[0])
                snprintf(x.problem, sizeof(x.problem), "making: %s; opening: %s: %s",
                         bm_strerror(made), bm_strerror(opened), bm_last_problem());
        return !x.problem[0];
}

static void cut_all(const struct disk *before, const struct trace *trace, unsigned depth);

/* What DISK, on which nothing is pending, allows. */
static bool play(const struct disk *disk, const struct attempt *a, unsigned depth)
{
        struct trace trace = {0};
        struct record_io io;
        same_luck(mix64(x.seed + x.n_states));
        disk_store(disk, x.paths);
        record_init(&io, disk, x.paths, disk->n_drives, &trace);
        x.problem[0] = 0;
        bool ok = run(a, &io), failed = io.failed > 0;
        record_deinit(&io);
        remove_store(x.paths, disk->n_drives);
        if (!ok)
                explorer_report(&x);
        else
                cut_all(disk, &trace, depth);
        trace_deinit(&trace);
        return failed;
}

static void one_state(const struct disk *disk, enum cut_style style, uint64_t seed, unsigned depth)
{
        struct disk visible;
        disk_clone(&visible, disk);
        disk_cut(&visible, style, seed);
        if (seen_add(x.seen, disk_hash(&visible))) {
                for (unsigned open_first = 0; open_first < 2; open_first++) {
                        x.n_states++;
                        (void)play(&visible, &(struct attempt){.open_first = open_first}, depth);
                }
        }
        disk_deinit(&visible);
}

static void cut_all(const struct disk *before, const struct trace *trace, unsigned depth)
{
        struct disk disk;
        const size_t n_places = (trace->n + 1) * CUT_STYLES;
        const size_t most = depth > 0 ? second_cuts : after_failure ? FAILURE_CUTS : n_places;
        uint64_t rng = x.seed + depth;
        disk_clone(&disk, before);
        for (size_t at = 0; depth < 2 && at <= trace->n && !explorer_done(&x); at++) {
                for (unsigned style = 0; style < CUT_STYLES; style++) {
                        if (rnd_below(&rng, n_places) >= most)
                                continue;
                        snprintf(x.trail, sizeof(x.trail), " %zu of %zu calls, depth %u, style %u",
                                 at, trace->n, depth, style);
                        one_state(&disk, (enum cut_style)style, rnd(&rng), depth + 1);
                }
                if (at < trace->n)
                        disk_apply(&disk, &trace->events[at]);
        }
        disk_deinit(&disk);
}

int main(int argc, char **argv)
{
        const char *seed = getenv("BM_SEED");
        if (argc > 1)
                second_cuts = (unsigned)strtoul(argv[1], NULL, 0);
        explorer_init(&x, seed ? strtoull(seed, NULL, 0) : 1);
        printf("# seeds from %llu\n", (unsigned long long)x.seed);
        for (unsigned n = 1; n <= DRIVES_MAX; n++) {
                const struct disk nothing = {.n_drives = n};
                (void)play(&nothing, &(struct attempt){0}, 0);
                struct attempt failing = {.fail_at = 1, .error = ENOSPC};
                after_failure = true;
                while (play(&nothing, &failing, 0) && !explorer_done(&x))
                        failing.fail_at++;
                after_failure = false;
                printf("# %u drives: %llu failing calls\n", n, (unsigned long long)failing.fail_at);
        }
        printf("# %zu states, %zu opened, %zu made again, %zu refused after a failure, %zu bad\n",
               x.n_states, n_opened, n_made, n_refused, x.n_failed);
        explorer_deinit(&x);
        return x.n_failed ? 1 : 0;
}
