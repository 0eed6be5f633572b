/* SPDX-License-Identifier: MIT */
/*
 * Power cuts: random work, random moments, random luck of what was not synced.
 * The argument is how many distinct states to look at; with "recovery" as another one, they are
 * those of accidents of recoveries. BM_SEED is where the
 * seeds start. As many processes as there are processors share the work
 * (BM_JOBS: as many as that). With BM_STATE only that state of that seed is
 * looked at, and shown; BM_KEEP is a directory for a copy of it. SIGTERM and
 * SIGINT end it early.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explorer.h"

enum { STATES = 10000, JOBS_MAX = 64 };

struct total {
        _Atomic uint64_t seed, n_rounds, n_states, n_failed;
        _Atomic bool stop;
};

static struct explorer x;
static struct total *total;

/* Whoever has enough of it still gets to hear how many there were. */
static void on_stop(int sig)
{
        atomic_store(&total->stop, true);
}

/* A crash of the store's own ends the process, but says where it was. */
static void on_crash(int sig)
{
        char text[600];
        int n = snprintf(text, sizeof(text), "# BM_SEED=%llu BM_STATE=%s:%s: signal %d\n",
                         (unsigned long long)x.seed, x.state, x.trail, sig);
        if (write(STDOUT_FILENO, text, (size_t)n) != n)
                _exit(98);
        _exit(97);
}

static int run(void (*round)(struct explorer *x), size_t limit, struct seen *seen)
{
        explorers_child();
        explorer_init(&x, 0);
        struct seen *own = x.seen;
        x.limit = limit;
        x.seen = seen;
        x.stop = &total->stop;
        signal(SIGSEGV, on_crash);
        signal(SIGABRT, on_crash);
        signal(SIGBUS, on_crash);
        signal(SIGFPE, on_crash);
        do {
                x.seed = atomic_fetch_add(&total->seed, 1);
                round(&x);
                atomic_fetch_add(&total->n_rounds, 1);
        } while (!explorer_done(&x) && !x.only);
        atomic_fetch_add(&total->n_states, x.n_states);
        atomic_fetch_add(&total->n_failed, x.n_failed);
        x.seen = own;
        explorer_deinit(&x);
        return 0;
}

static unsigned n_jobs(void)
{
        const char *jobs = getenv("BM_JOBS");
        long n = jobs ? atol(jobs) : sysconf(_SC_NPROCESSORS_ONLN);
        if (getenv("BM_STATE"))
                n = 1;
        return n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

int main(int argc, char **argv)
{
        const char *seed = getenv("BM_SEED");
        size_t limit = argc > 1 ? strtoull(argv[1], NULL, 0) : STATES;
        bool recovery = argc > 2 && strcmp(argv[2], "recovery") == 0;
        unsigned jobs = n_jobs();
        pid_t pids[JOBS_MAX];
        struct seen *seen = seen_new();
        total = mmap(NULL, sizeof(*total), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        if (total == MAP_FAILED)
                return 99;
        atomic_store(&total->seed, seed ? strtoull(seed, NULL, 0) : 1);
        printf("# seeds from %llu\n", (unsigned long long)atomic_load(&total->seed));
        fflush(stdout);
        signal(SIGTERM, on_stop);
        signal(SIGINT, on_stop);
        explorers_begin();
        for (unsigned i = 0; i < jobs; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        return run(recovery ? explore_recovery : explore_round, limit, seen);
                if (pids[i] < 0)
                        return 99;
        }
        for (unsigned i = 0; i < jobs; i++) {
                int status;
                if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
                        atomic_fetch_add(&total->n_failed, 1);
                explorers_clean(pids[i]);
        }
        explorers_end();
        printf("# %llu states, %zu of them distinct, from %llu rounds: %llu bad\n",
               (unsigned long long)atomic_load(&total->n_states), seen_count(seen),
               (unsigned long long)atomic_load(&total->n_rounds),
               (unsigned long long)atomic_load(&total->n_failed));
        return atomic_load(&total->n_failed) ? 1 : 0;
}
