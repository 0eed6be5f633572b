/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"
#include "io_record.h"
#include "judge.h"
#include "same_luck.h"
#include "turns.h"
#include "work.h"

enum { WORKERS_MAX = 3 };

static const uint64_t SECOND_NS = UINT64_C(1000000000);

void scene_deinit(struct scene *s)
{
        disk_deinit(&s->disk);
        trace_deinit(&s->trace);
        history_deinit(&s->history);
}

bool scene_create(struct explorer *x, struct disk *disk, uint64_t *rng, enum sort_of_work sort)
{
        struct record_io io;
        unsigned n_drives = 1 + (unsigned)rnd_below(rng, 2);
        record_init(&io, NULL, x->paths, n_drives, NULL);
        struct bm_config config = BM_CONFIG_INIT;
        config.io = &io.io;
        config.drives = x->paths + 1;
        config.n_drives = n_drives - 1;
        config.n_buckets = 1u << rnd_below(rng, 3);
        config.max_search = sort == WORK_MANY ? 4u << rnd_below(rng, 3) : 0;
        int r = bm_create(x->paths[0], &config);
        if (r == 0)
                disk_load(disk, x->paths, n_drives);
        else
                snprintf(x->problem, sizeof(x->problem), "creating: %s: %s", bm_strerror(r),
                         bm_last_problem());
        record_deinit(&io);
        remove_store(x->paths, n_drives);
        return r == 0;
}

/* A cut alone must leave one of the two manifests: each is whole before the other is touched. */
static void on_log(void *ctx, enum bm_log_level level, const char *message)
{
        struct explorer *x = ctx;
        if (explorer_watches(x))
                printf("# log: %s\n", message);
        if (strstr(message, "no usable manifest") && !strstr(x->trail, "lost") && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "both manifests are lost");
}

static struct bm_config config_for(struct explorer *x, const struct record_io *io,
                                   const struct plan *plan)
{
        struct bm_config config = explorer_config(x, io);
        config.no_background = plan->n_workers == 0;
        config.commit_interval = plan->interval;
        config.log = on_log;
        config.log_ctx = x;
        return config;
}

/* The state that was asked for: its files, if BM_KEEP names a directory, */
static void keep_copy(const struct disk *disk)
{
        const char *dir = getenv("BM_KEEP");
        char names[DRIVES_MAX][300];
        const char *paths[DRIVES_MAX];
        for (unsigned i = 0; i < DRIVES_MAX; i++) {
                snprintf(names[i], sizeof(names[i]), "%s/%u", dir ? dir : "", i);
                paths[i] = names[i];
        }
        if (dir)
                disk_store(disk, paths);
}

/* and all that was done to them. */
static void show_trace(const struct trace *trace, const struct disk *disk)
{
        static const char *const kinds[] = {"write",  "size",    "sync",   "create",
                                            "unlink", "syncdir", "nothing"};
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *e = &trace->events[i];
                printf("#  %zu thread %u %s file %u dir %u %s %llu+%llu\n", i, e->thread,
                       kinds[e->kind], e->file, e->dir, e->name, (unsigned long long)e->offset,
                       (unsigned long long)e->len);
        }
        for (unsigned i = 0; i < DIRS; i++) {
                for (size_t k = 0; k < disk->dirs[i].n_names; k++)
                        printf("#  before: dir %u %s is file %u\n", i, disk->dirs[i].names[k].name,
                               disk->dirs[i].names[k].file);
        }
}

/* Read-only it is the same, and nothing is written. It may not be whole: a
 * manifest that was being written is damaged until one is written again. */
static uint64_t look(struct explorer *x, const struct past *past)
{
        struct trace trace = {0};
        struct model model = {0};
        struct record_io io;
        struct bm_store *store;
        record_init(&io, past->visible, x->paths, past->visible->n_drives, &trace);
        struct bm_config config = config_for(x, &io, &(struct plan){0});
        config.read_only = true;
        int r = bm_open(x->paths[0], &config, &store);
        if (r != 0)
                snprintf(x->problem, sizeof(x->problem), "open read-only: %s: %s", bm_strerror(r),
                         bm_last_problem());
        if (r == 0) {
                (void)judge(x, store, past, &model);
                r = bm_close(store);
        }
        if (r != 0 && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "close read-only: %s", bm_strerror(r));
        if (trace.n != 0 && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "a read-only open wrote");
        uint64_t hash = model.hash;
        model_clear(&model);
        trace_deinit(&trace);
        record_deinit(&io);
        return hash;
}

/* Work */

struct worker {
        pthread_t thread;
        struct work work;
        unsigned n_ops;
        bool ok;
};

static void *worker_thread(void *ctx)
{
        struct worker *w = ctx;
        work_begin(&w->work);
        w->ok = work_run(&w->work, w->n_ops);
        work_end(&w->work);
        return NULL;
}

/* Each has the keys that begin with its letter. */
static void run_workers(struct explorer *x, struct scene *s, struct bm_store *store,
                        struct model *models, const struct plan *plan)
{
        unsigned n = plan->n_workers ? plan->n_workers : 1;
        struct worker workers[WORKERS_MAX];
        for (unsigned i = 0; i < n; i++) {
                workers[i] = (struct worker){.n_ops = plan->n_ops / n};
                workers[i].work = (struct work){.store = store,
                                                .model = &models[i],
                                                .history = &s->history,
                                                .trace = &s->trace,
                                                .name = (char)('a' + i),
                                                .sort = plan->sort,
                                                .loud = explorer_watches(x),
                                                .rng = mix64(plan->seed + i)};
                if (plan->n_workers == 0)
                        worker_thread(&workers[i]);
                else if (pthread_create(&workers[i].thread, NULL, worker_thread, &workers[i]) != 0)
                        exit(99);
        }
        for (unsigned i = 0; i < n; i++) {
                if (plan->n_workers > 0)
                        (void)pthread_join(workers[i].thread, NULL);
                if (workers[i].work.problem[0] && !x->problem[0])
                        snprintf(x->problem, sizeof(x->problem), "%s", workers[i].work.problem);
        }
}

/* From the open on. */
static int live(struct explorer *x, struct scene *s, struct bm_store *store,
                const struct past *past, const struct plan *plan, uint64_t *hash)
{
        const struct bounds *b = &past->bounds;
        struct model whole = {0}, models[WORKERS_MAX] = {0};
        s->opened = s->trace.n;
        judge_whole(x, store);
        long step = judge(x, store, past, &whole);
        *hash = whole.hash;
        for (size_t i = b->durable; step >= 0 && i <= (size_t)step; i++)
                history_base(&s->history, past->history->steps[i].hash,
                             past->history->steps[i].what);
        if (step >= 0) {
                history_ack(&s->history, s->opened, s->opened);
                for (unsigned i = 0; i < WORKERS_MAX; i++)
                        model_take(&whole, &models[i], (uint8_t)('a' + i));
                run_workers(x, s, store, models, plan);
                judge_models(x, store, models, WORKERS_MAX);
        }
        int r = bm_close(store);
        if (step >= 0)
                history_ack(&s->history, s->trace.n, s->trace.n);
        for (unsigned i = 0; i < WORKERS_MAX; i++)
                model_clear(&models[i]);
        model_clear(&whole);
        return r;
}

bool scene_play(struct explorer *x, struct scene *s, const struct past *past,
                const struct plan *plan)
{
        uint64_t looked = 0, hash = 0;
        struct record_io io;
        struct bm_store *store;
        x->problem[0] = 0;
        same_luck(plan->seed);
        same_luck_pass(past->clock_ns);
        disk_store(past->visible, x->paths);
        if (explorer_watches(x))
                keep_copy(past->visible);
        if (plan->look)
                looked = look(x, past);
        record_init(&io, past->visible, x->paths, past->visible->n_drives, &s->trace);
        struct bm_config config = config_for(x, &io, plan);
        if (plan->n_workers > 0) {
                turns_begin(plan->seed);
                s->history.interval_ns = plan->interval * SECOND_NS;
        }
        int r = bm_open(x->paths[0], &config, &store);
        if (r != 0) {
                snprintf(x->problem, sizeof(x->problem), "open: %s: %s", bm_strerror(r),
                         bm_last_problem());
        } else {
                r = live(x, s, store, past, plan, &hash);
                if (r != 0 && !x->problem[0])
                        snprintf(x->problem, sizeof(x->problem), "close: %s", bm_strerror(r));
        }
        if (plan->n_workers > 0)
                turns_end();
        if (plan->look && looked != hash && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "read-only it holds something else");
        s->clock_ns = same_luck_now();
        history_settle(&s->history);
        if (explorer_watches(x))
                show_trace(&s->trace, past->visible);
        record_deinit(&io);
        remove_store(x->paths, past->visible->n_drives);
        return !x->problem[0];
}
