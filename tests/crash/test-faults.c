/* SPDX-License-Identifier: MIT */
/*
 * Failing calls: the n-th call of a short workload, or of an open after a kill, fails, for every n,
 * once or from then on, with EIO or ENOSPC. The store must not crash or hang, must say so where it
 * is asked, and opened again must hold what was done: nothing that returned may be missing, what
 * failed may be there wholly or not at all; a failing write has written half. The argument, or
 * BM_STEP, is the distance from one n to the next: 1 for all of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explorer.h"
#include "io_record.h"
#include "same_luck.h"
#include "work.h"

enum { DRIVES = 2, OPS = 150, STEP = 5, BAD = 3, TOLD = 4 };

struct plan {
        uint64_t fail_at;
        int error;
        bool sticky, recovery;
        uint64_t seed;
};

static struct explorer x; /* for its directories */
static const char *failed_call;

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
        struct record_io io;
        struct bm_store *store;
        struct model model;
        char why[200];
        record_init(&io, NULL, x.paths, DRIVES, NULL);
        struct bm_config config = explorer_config(&x, &io);
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
        if (history_find(h, model.hash, lo, h->n_steps - 1) < 0 && !problem[0]) {
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

struct run {
        struct history history;
        struct model model;
        struct trace trace;
};

static struct work work_for(struct run *run, struct bm_store *store, const struct plan *p)
{
        return (struct work){.store = store,
                             .model = &run->model,
                             .history = &run->history,
                             .trace = &run->trace,
                             .name = 'a',
                             .rng = p->seed,
                             .faults = p->fail_at > 0};
}

/* A store as a killed process leaves it. */
static void leave_killed(const struct plan *p, struct run *run, char *problem)
{
        struct record_io io;
        struct bm_store *store;
        struct disk disk;
        disk_load(&disk, x.paths, DRIVES);
        record_init(&io, &disk, x.paths, DRIVES, &run->trace);
        struct bm_config config = explorer_config(&x, &io);
        int r = bm_open(x.paths[0], &config, &store);
        if (r == 0) {
                struct work w = work_for(run, store, p);
                work_begin(&w);
                if (!work_run(&w, OPS))
                        snprintf(problem, 300, "%s", w.problem);
                size_t killed = run->trace.n;
                work_end(&w);
                r = bm_close(store);
                for (size_t i = 0; i < killed; i++)
                        disk_apply(&disk, &run->trace.events[i]);
        }
        if (r != 0)
                snprintf(problem, 300, "before the kill: %s", bm_strerror(r));
        disk_cut(&disk, CUT_KEEP, 0);
        remove_store(x.paths, DRIVES);
        disk_store(&disk, x.paths);
        disk_deinit(&disk);
        record_deinit(&io);
}

/* Work while calls fail. True if the caller got to hear of it. */
static bool work_with_faults(const struct plan *p, struct run *run, struct bm_store *store,
                             const struct record_io *io, char *problem)
{
        struct work w = work_for(run, store, p);
        work_begin(&w);
        if (!work_run(&w, p->recovery ? OPS / 10 : OPS))
                snprintf(problem, 300, "%s", w.problem);
        if (w.first_error && w.first_error != -EIO && w.first_error != -ENOSPC &&
            w.first_error != -EROFS)
                snprintf(problem, 300, "a call failed with %s", bm_strerror(w.first_error));
        if (w.first_error && io->failed == 0)
                snprintf(problem, 300, "a call failed without a fault: %s",
                         bm_strerror(w.first_error));
        work_end(&w);
        if (!p->sticky)
                compare_live(store, &run->model, problem);
        int r = bm_close(store);
        if (r != 0 && io->failed == 0)
                snprintf(problem, 300, "close: %s", bm_strerror(r));
        return w.first_error != 0 || r != 0;
}

/* One run; returns how many calls it made. *TOLD: the caller got to hear of a failure. */
static uint64_t run(const struct plan *p, char *problem, bool *told)
{
        struct run run = {0};
        struct record_io io;
        struct bm_store *store;
        same_luck(p->seed);
        record_init(&io, NULL, x.paths, DRIVES, NULL);
        struct bm_config config = explorer_config(&x, &io);
        int r = bm_create(x.paths[0], &config);
        if (r != 0) {
                snprintf(problem, 300, "creating: %s", bm_strerror(r));
                return 0;
        }
        history_base(&run.history, 0, "nothing");
        if (p->recovery)
                leave_killed(p, &run, problem);
        io.calls = 0;
        io.fail_at = p->fail_at;
        io.fail_errno = p->error;
        io.sticky = p->sticky;
        r = bm_open(x.paths[0], &config, &store);
        *told = r != 0;
        if (r != 0 && io.failed == 0)
                snprintf(problem, 300, "open: %s", bm_strerror(r));
        if (r == 0)
                *told = work_with_faults(p, &run, store, &io, problem);
        uint64_t calls = io.calls;
        failed_call = io.failed_call;
        record_deinit(&io);
        history_settle(&run.history);
        if (!problem[0])
                judge(p, &run.history, run.history.n_steps - 1, problem);
        remove_store(x.paths, DRIVES);
        model_clear(&run.model);
        history_deinit(&run.history);
        trace_deinit(&run.trace);
        return calls;
}

static void tell(const struct plan *p, const char *problem)
{
        printf("# seed %llu%s, call %llu, %s%s (%s): %s\n", (unsigned long long)p->seed,
               p->recovery ? " after a kill" : "", (unsigned long long)p->fail_at,
               strerror(p->error), p->sticky ? " from then on" : "", failed_call ? failed_call : "",
               problem);
        fflush(stdout);
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
                        tell(p, problem);
                _exit(problem[0] ? BAD : told ? TOLD : 0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                exit(99);
        if (WIFSIGNALED(status))
                tell(p, strsignal(WTERMSIG(status)));
        remove_store(x.paths, DRIVES);
        bool ok = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == TOLD);
        *n_told += WIFEXITED(status) && WEXITSTATUS(status) == TOLD;
        return ok;
}

int main(int argc, char **argv)
{
        static const int errors[] = {EIO, ENOSPC};
        const char *seed = getenv("BM_SEED"), *only = getenv("BM_CALL");
        const char *every = argc > 1 ? argv[1] : getenv("BM_STEP");
        uint64_t step = every ? strtoull(every, NULL, 0) : STEP;
        struct plan p = {.seed = seed ? strtoull(seed, NULL, 0) : 1};
        char problem[300] = "";
        size_t n_bad = 0, n = 0, n_told = 0;
        bool told;
        explorer_init(&x, p.seed);
        for (size_t e = 0; e < 4; e++) {
                p.fail_at = 0;
                p.error = errors[e % 2];
                p.recovery = e >= 2;
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
