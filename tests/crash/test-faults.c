/* SPDX-License-Identifier: MIT */
/*
 * Failing calls: the n-th call of a short workload fails, for every n, once or
 * from then on, with EIO or ENOSPC. The store must not crash or hang, must say
 * so where it is asked, and opened again must hold what was done: nothing that
 * returned may be missing, what failed may be there wholly or not at all.
 * The argument is how many calls to leave out from one n to the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io_record.h"
#include "same_luck.h"
#include "scene.h"

enum { DRIVES = 2, OPS = 150, STEP = 5, BAD = 3, TOLD = 4 };

struct plan {
        uint64_t fail_at;
        int error;
        bool sticky;
        uint64_t seed;
};

static struct explorer x; /* for its directories */

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        char *problem = ctx;
        if (!problem[0])
                snprintf(problem, 300, "check: %s", finding->message);
}

/* With files that work. Whether the store holds one of the states from step LO on. */
static void judge(const struct plan *p, const struct history *h, size_t lo, char *problem)
{
        const struct bm_check_args args = {.finding = on_finding, .ctx = problem};
        struct bm_config config = BM_CONFIG_INIT;
        struct record_io io;
        struct bm_store *store;
        struct model model;
        char why[200];
        record_init(&io, NULL, x.paths, DRIVES, NULL);
        config.no_background = true;
        config.io = &io.io;
        config.drives = x.paths + 1;
        config.n_drives = DRIVES - 1;
        int r = bm_open(x.paths[0], &config, &store);
        if (r != 0) {
                snprintf(problem, 300, "opening again: %s: %s", bm_strerror(r), bm_last_problem());
                return;
        }
        r = bm_check(store, &args);
        if (r != 0 && !problem[0])
                snprintf(problem, 300, "check: %s", bm_strerror(r));
        r = model_load(&model, store, why);
        if (r != 0 && !problem[0])
                snprintf(problem, 300, "reading again: %s", why);
        size_t i = h->n_steps;
        while (i-- > lo && h->steps[i].hash != model.hash)
                ;
        if (i + 1 == lo && !problem[0]) {
                snprintf(problem, 300, "holds none of the states %zu to %zu (%s)", lo,
                         h->n_steps - 1, h->steps[h->n_steps - 1].what);
                if (getenv("BM_SHOW"))
                        model_show(&model);
        }
        r = bm_close(store);
        if (r != 0 && !problem[0])
                snprintf(problem, 300, "closing again: %s", bm_strerror(r));
        model_clear(&model);
        record_deinit(&io);
}

/* The fault is over: readers see what the calls' results say. */
static void compare_live(struct bm_store *store, const struct model *model, char *problem)
{
        struct model now;
        char why[200];
        int r = model_load(&now, store, why);
        if (r != 0 && !problem[0])
                snprintf(problem, 300, "reading behind the fault: %s", why);
        else if (now.hash != model->hash && !problem[0])
                snprintf(problem, 300, "behind the fault it holds something else");
        model_clear(&now);
}

/* One run; returns how many calls it made. *TOLD: the caller got to hear of a failure. */
static uint64_t run(const struct plan *p, char *problem, bool *told)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct record_io io;
        struct trace trace = {0};
        struct history history = {0};
        struct model model = {0};
        struct bm_store *store;
        same_luck(p->seed);
        record_init(&io, NULL, x.paths, DRIVES, NULL);
        config.no_background = true;
        config.io = &io.io;
        config.drives = x.paths + 1;
        config.n_drives = DRIVES - 1;
        int r = bm_create(x.paths[0], &config);
        if (r != 0) {
                snprintf(problem, 300, "creating: %s", bm_strerror(r));
                return 0;
        }
        io.calls = 0;
        io.fail_at = p->fail_at;
        io.fail_errno = p->error;
        io.sticky = p->sticky;
        history_step(&history, 0, 0, 0, "nothing");
        r = bm_open(x.paths[0], &config, &store);
        *told = r != 0;
        if (r != 0 && io.failed == 0)
                snprintf(problem, 300, "open: %s", bm_strerror(r));
        if (r == 0) {
                struct work w = {.store = store,
                                 .model = &model,
                                 .history = &history,
                                 .trace = &trace,
                                 .rng = p->seed,
                                 .faults = p->fail_at > 0};
                if (!work_run(&w, OPS))
                        snprintf(problem, 300, "%s", w.problem);
                if (w.first_error && w.first_error != -EIO && w.first_error != -ENOSPC &&
                    w.first_error != -EROFS)
                        snprintf(problem, 300, "a call failed with %s", bm_strerror(w.first_error));
                if (w.first_error && io.failed == 0)
                        snprintf(problem, 300, "a call failed without a fault: %s",
                                 bm_strerror(w.first_error));
                work_end(&w);
                if (!p->sticky)
                        compare_live(store, &model, problem);
                *told = w.first_error != 0;
                r = bm_close(store);
                *told |= r != 0;
                if (r != 0 && io.failed == 0)
                        snprintf(problem, 300, "close: %s", bm_strerror(r));
        }
        uint64_t calls = io.calls;
        record_deinit(&io);
        if (!problem[0])
                judge(p, &history, history.n_steps - 1, problem);
        remove_store(x.paths, DRIVES);
        model_clear(&model);
        history_deinit(&history);
        trace_deinit(&trace);
        return calls;
}

/* In a process of its own: a crash or a hang concerns this plan alone. */
static bool survives(const struct plan *p, size_t *n_told)
{
        bool told = false;
        char problem[300] = "";
        int status = 0;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                (void)run(p, problem, &told);
                if (problem[0])
                        printf("# seed %llu, call %llu, %s%s: %s\n", (unsigned long long)p->seed,
                               (unsigned long long)p->fail_at, strerror(p->error),
                               p->sticky ? " from then on" : "", problem);
                fflush(stdout);
                _exit(problem[0] ? BAD : told ? TOLD : 0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                exit(99);
        if (WIFSIGNALED(status))
                printf("# seed %llu, call %llu, %s%s: signal %d\n", (unsigned long long)p->seed,
                       (unsigned long long)p->fail_at, strerror(p->error),
                       p->sticky ? " from then on" : "", WTERMSIG(status));
        remove_store(x.paths, DRIVES);
        bool ok = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == TOLD);
        *n_told += WIFEXITED(status) && WEXITSTATUS(status) == TOLD;
        return ok;
}

int main(int argc, char **argv)
{
        static const int errors[] = {EIO, ENOSPC};
        const char *seed = getenv("BM_SEED"), *only = getenv("BM_CALL");
        uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 0) : STEP;
        struct plan p = {.seed = seed ? strtoull(seed, NULL, 0) : 1};
        char problem[300] = "";
        size_t n_bad = 0, n = 0, n_told = 0;
        bool told;
        explorer_init(&x, p.seed);
        for (size_t e = 0; e < 2; e++) {
                p.fail_at = 0;
                p.error = errors[e];
                uint64_t calls = run(&p, problem, &told);
                if (problem[0]) {
                        printf("# without a fault: %s\n", problem);
                        return 1;
                }
                for (unsigned sticky = 0; sticky < 2; sticky++) {
                        p.sticky = sticky;
                        for (p.fail_at = 1; p.fail_at <= calls; p.fail_at += step) {
                                if (only && strtoull(only, NULL, 0) != p.fail_at)
                                        continue;
                                n_bad += !survives(&p, &n_told);
                                n++;
                        }
                }
        }
        printf("# %zu failing calls from seed %llu: %zu reached the caller, %zu bad\n", n,
               (unsigned long long)p.seed, n_told, n_bad);
        explorer_deinit(&x);
        return n_bad ? 1 : 0;
}
