/* SPDX-License-Identifier: MIT */
/*
 * The test of the power-cut test: each deliberate fault must be caught. A run
 * ends at the first bad state. The argument is the most states for one fault.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mutants.h"

enum { STATES = 6000, OPS = 250, CUTS = 60, CAUGHT = 3 };

/* In a process of its own, for a store with a fault may well crash. */
static void live(const struct mutant *m, size_t limit)
{
        struct explorer x;
        explorer_init(&x, 1);
        x.max_reports = 1;
        x.limit = limit;
        x.mutate = m->mutate;
        if (m->in_code)
                *m->in_code = true;
        while (!explorer_done(&x)) {
                explore_round(&x, OPS, CUTS);
                x.seed++;
        }
        printf("# after %zu states\n", x.n_states);
        fflush(stdout);
        explorer_deinit(&x);
        _exit(x.n_failed ? CAUGHT : 0);
}

int main(int argc, char **argv)
{
        size_t limit = argc > 1 ? strtoull(argv[1], NULL, 0) : STATES;
        int escaped = 0;
        printf("1..%zu\n", n_mutants);
        for (size_t i = 0; i < n_mutants; i++) {
                int status = 0;
                fflush(stdout);
                pid_t pid = fork();
                if (pid == 0)
                        live(&mutants[i], limit);
                if (pid < 0 || waitpid(pid, &status, 0) != pid)
                        return 99;
                bool caught = WIFSIGNALED(status) || WEXITSTATUS(status) == CAUGHT;
                printf("%s %zu - %s\n", caught ? "ok" : "not ok", i + 1, mutants[i].name);
                escaped += !caught;
        }
        return escaped ? 1 : 0;
}
