/* SPDX-License-Identifier: MIT */
/*
 * The test of the power-cut test: each deliberate fault must be caught. A run
 * ends at the first bad state. The argument is the most states for one fault;
 * BM_MUTANT is the number of the only one to try.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mutants.h"

enum { STATES = 20000, CAUGHT = 3, MUTANTS_MAX = 64 };

/* In a process of its own, for a store with a fault may well crash or hang. */
static int live(const struct mutant *m, size_t limit)
{
        struct explorer x;
        explorers_child();
        explorer_init(&x, 1);
        x.max_reports = 1;
        x.limit = limit;
        x.mutate = m->mutate;
        mutants_live(m);
        while (!explorer_done(&x)) {
                (m->round ? m->round : explore_round)(&x);
                x.seed++;
        }
        printf("# %s: %s after %zu states\n", m->name, x.n_failed ? "caught" : "survives",
               x.n_states);
        fflush(stdout);
        explorer_deinit(&x);
        return x.n_failed ? CAUGHT : 0;
}

/* Waits for one of them. */
static bool is_caught(const pid_t *pids, bool *caught)
{
        int status = 0;
        pid_t pid = wait(&status);
        for (size_t i = 0; pid > 0 && i < n_mutants; i++) {
                if (pids[i] == pid)
                        caught[i] = WIFSIGNALED(status) || WEXITSTATUS(status) == CAUGHT;
        }
        if (pid > 0)
                explorers_clean(pid);
        return pid > 0;
}

int main(int argc, char **argv)
{
        size_t limit = argc > 1 ? strtoull(argv[1], NULL, 0) : STATES;
        const char *only = getenv("BM_MUTANT");
        long jobs = sysconf(_SC_NPROCESSORS_ONLN), running = 0;
        pid_t pids[MUTANTS_MAX] = {0};
        bool caught[MUTANTS_MAX] = {false};
        int escaped = 0;
        printf("1..%zu\n", only ? 1 : n_mutants);
        fflush(stdout);
        explorers_begin();
        for (size_t i = 0; i < n_mutants; i++) {
                if (only && atoi(only) != (int)i + 1)
                        continue;
                if (running >= jobs)
                        running -= is_caught(pids, caught);
                pids[i] = fork();
                if (pids[i] == 0)
                        _exit(live(&mutants[i], limit));
                if (pids[i] < 0)
                        return 99;
                running++;
        }
        while (is_caught(pids, caught))
                ;
        explorers_end();
        for (size_t i = 0; i < n_mutants; i++) {
                if (pids[i] == 0)
                        continue;
                printf("%s %zu - %s\n", caught[i] ? "ok" : "not ok", i + 1, mutants[i].name);
                escaped += !caught[i];
        }
        return escaped ? 1 : 0;
}
