/* SPDX-License-Identifier: MIT */
/*
 * replay [N [SEED [PATH...]]]: gives a target each file, those of a directory in
 * the order of their names, and then N inputs that follow from the seed. The
 * first that ends the process is named.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

enum { INPUT_MAX = 600 };

static char at[300]; /* which input */

static void on_crash(int number)
{
        char text[400];
        int n = snprintf(text, sizeof(text), "# %s: signal %d\n", at, number);
        if (write(STDOUT_FILENO, text, (size_t)n) != n)
                _exit(98);
        signal(number, SIG_DFL);
        raise(number);
}

static uint64_t next(uint64_t *state)
{
        *state += 0x9e3779b97f4a7c15u;
        uint64_t z = *state;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
}

static void try_seed(uint64_t seed)
{
        uint8_t bytes[INPUT_MAX];
        uint64_t state = seed;
        /* short ones for the most part: each edit is seen for itself */
        size_t len = next(&state) % (next(&state) % 4 ? 40 : INPUT_MAX);
        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)next(&state);
        snprintf(at, sizeof(at), "seed %llu", (unsigned long long)seed);
        LLVMFuzzerTestOneInput(bytes, len);
}

static void try_file(const char *path)
{
        uint8_t bytes[1 << 16];
        FILE *f = fopen(path, "rb");
        if (!f) {
                perror(path);
                exit(1);
        }
        size_t len = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        snprintf(at, sizeof(at), "%s", path);
        LLVMFuzzerTestOneInput(bytes, len);
}

static int no_dots(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

/* Returns how many files there were. */
static int try_path(const char *path)
{
        struct dirent **entries;
        int n = scandir(path, &entries, no_dots, alphasort);
        if (n < 0) {
                try_file(path); /* says what is wrong with it, if it is no file either */
                return 1;
        }
        for (int i = 0; i < n; i++) {
                char file[4096];
                snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
                try_file(file);
                free(entries[i]);
        }
        free(entries);
        return n;
}

int main(int argc, char **argv)
{
        const int signals[] = {SIGSEGV, SIGABRT, SIGFPE, SIGILL};
        const char *chosen = getenv("BM_SEED");
        uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000;
        uint64_t seed = chosen     ? strtoull(chosen, NULL, 0)
                        : argc > 2 ? strtoull(argv[2], NULL, 0)
                                   : 1;
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
                signal(signals[i], on_crash);
        int files = 0;
        for (int i = 3; i < argc; i++)
                files += try_path(argv[i]);
        for (uint64_t i = 0; i < n; i++)
                try_seed(seed + i);
        printf("# %d files and %llu inputs from seed %llu\n", files, (unsigned long long)n,
               (unsigned long long)seed);
        return 0;
}
