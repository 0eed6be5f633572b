/* SPDX-License-Identifier: MIT */
/*
 * What a store with a fault would have done: traces are changed as if its
 * code had left something out, or done it too early. A simulation that does
 * not notice proves nothing.
 */
#ifndef MUTANTS_H
#define MUTANTS_H

#include "explorer.h"

struct mutant {
        const char *name;
        void (*mutate)(struct trace *trace, const struct disk *before);
        bool *in_code; /* set while the mutant lives: a function of the core that was replaced */
};

extern const struct mutant mutants[];
extern const size_t n_mutants;

#endif
