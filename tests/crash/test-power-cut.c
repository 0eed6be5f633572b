/* SPDX-License-Identifier: MIT */
/*
 * Power cuts: random work, random moments, random luck of what was not synced.
 * The argument is how many states to try; BM_SEED is where the seeds start.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "same_luck.h"
#include "scene.h"

enum { STATES = 2000, OPS = 250, CUTS = 40 };

static struct explorer x;

/* A crash of the store's own ends the run, but says where it was. */
static void on_crash(int sig)
{
        char text[600];
        int n = snprintf(text, sizeof(text), "# seed %llu:%s: signal %d\n",
                         (unsigned long long)x.seed, x.trail, sig);
        if (write(STDOUT_FILENO, text, (size_t)n) != n)
                _exit(98);
        _exit(97);
}

int main(int argc, char **argv)
{
        const char *seed = getenv("BM_SEED");
        unsigned rounds = 0;
        explorer_init(&x, seed ? strtoull(seed, NULL, 0) : 1);
        x.limit = argc > 1 ? strtoull(argv[1], NULL, 0) : STATES;
        signal(SIGSEGV, on_crash);
        signal(SIGABRT, on_crash);
        signal(SIGBUS, on_crash);
        signal(SIGFPE, on_crash);
        printf("# seeds from %llu\n", (unsigned long long)x.seed);
        fflush(stdout);
        while (x.n_states < x.limit && x.n_failed < x.max_reports) {
                same_luck(x.seed);
                explore_round(&x, 1 + (unsigned)(x.seed % 2), OPS, CUTS);
                x.seed++;
                rounds++;
        }
        printf("# %zu states, %zu of them distinct, from %u rounds: %zu bad\n", x.n_states,
               x.seen.n, rounds, x.n_failed);
        explorer_deinit(&x);
        return x.n_failed ? 1 : 0;
}
