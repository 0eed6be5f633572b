/* SPDX-License-Identifier: MIT */
/*
 * usage: load ROOT DIR CLIENTS FILES SIZE
 * Does on files below DIR what it is told on standard input, a phase a line
 * (phases.c has them), with so many clients at once, each in a directory of its
 * own. Each phase answers with a line: microseconds an operation as the median
 * of short runs, the mean of all, and requests an operation, which the daemon
 * that is mounted at ROOT is asked for ("-" if nobody answers).
 *
 * Threads: the clients, which share no descriptors, as processes would not;
 * they and main meet at a barrier before and after each phase.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ioctl.h"
#include "phases.h"

#define RUN 16u /* operations whose time is taken together */

struct load {
        int root;
        const char *dir;
        unsigned n_clients;
        const struct phase *phase; /* NULL: it is over */
        pthread_barrier_t barrier;
};

struct worker {
        struct load *load;
        struct client client;
        pthread_t thread;
        double *run_us; /* an operation, for each run */
        size_t n_runs;
        double total_us;
        size_t n_ops;
};

static double now_us(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what)
{
        fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
        exit(1);
}

/* Requests since the mount; -1: it cannot tell. */
static int64_t requests(int root)
{
        static struct fs_ioc_requests told;
        int64_t sum = 0;

        if (ioctl(root, FS_IOC_REQUESTS, &told))
                return -1;
        for (uint32_t i = 0; i < told.n_kinds && i < FS_IOC_KINDS; i++) {
                /* what is forgotten is told when memory runs low, not by what was done */
                if (strcmp(told.kinds[i].name, "forget") && strcmp(told.kinds[i].name, "ioctl"))
                        sum += (int64_t)told.kinds[i].requests;
        }
        return sum;
}

static void run_phase(struct worker *w, const struct phase *phase)
{
        struct client *client = &w->client;
        size_t n = phase->count(client);
        double start, end, began;

        w->n_runs = 0;
        w->n_ops = n;
        w->run_us = realloc(w->run_us, (n / RUN + 1) * sizeof(*w->run_us));
        if (!w->run_us)
                die("memory");
        began = start = now_us();
        for (size_t i = 0; i < n; i++) {
                if (phase->run(client, i))
                        die(phase->name);
                if (i % RUN == RUN - 1 || i == n - 1) {
                        end = now_us();
                        w->run_us[w->n_runs++] = (end - start) / (double)(i % RUN + 1);
                        start = end;
                }
        }
        w->total_us = now_us() - began;
}

static void *work(void *ctx)
{
        struct worker *w = ctx;
        struct load *load = w->load;

        /* an own table of descriptors: no lock of the kernel's is shared that processes have not */
        if (unshare(CLONE_FILES) || client_init(&w->client, load->dir))
                die("client");
        for (;;) {
                pthread_barrier_wait(&load->barrier);
                if (!load->phase)
                        break;
                if (load->phase->prepare && load->phase->prepare(&w->client))
                        die(load->phase->name);
                pthread_barrier_wait(&load->barrier);
                /* main asks for the count of requests */
                pthread_barrier_wait(&load->barrier);
                run_phase(w, load->phase);
                pthread_barrier_wait(&load->barrier);
        }
        client_deinit(&w->client);
        free(w->run_us);
        return NULL;
}

static int by_size(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median_of_all(const struct load *load, const struct worker *workers)
{
        size_t n = 0, sum = 0;
        double *all, median;

        for (unsigned c = 0; c < load->n_clients; c++)
                sum += workers[c].n_runs;
        all = calloc(sum + 1, sizeof(*all));
        if (!all)
                die("memory");
        for (unsigned c = 0; c < load->n_clients; c++) {
                memcpy(all + n, workers[c].run_us, workers[c].n_runs * sizeof(*all));
                n += workers[c].n_runs;
        }
        qsort(all, n, sizeof(*all), by_size);
        median = n ? all[n / 2] : 0;
        free(all);
        return median;
}

static void measure(struct load *load, const struct worker *workers)
{
        int64_t before, after;
        double total = 0;
        size_t n_ops = 0;

        pthread_barrier_wait(&load->barrier);
        pthread_barrier_wait(&load->barrier);
        before = requests(load->root);
        pthread_barrier_wait(&load->barrier);
        pthread_barrier_wait(&load->barrier);
        after = requests(load->root);
        for (unsigned c = 0; c < load->n_clients; c++) {
                total += workers[c].total_us / load->n_clients;
                n_ops += workers[c].n_ops;
        }
        /* an operation ends somewhere every so often */
        printf("%s %.3f %.3f ", load->phase->name, median_of_all(load, workers) / load->n_clients,
               n_ops ? total / (double)n_ops : 0);
        if (before < 0)
                puts("-");
        else
                printf("%.3f\n", n_ops ? (double)(after - before) / (double)n_ops : 0);
        fflush(stdout);
}

static void obey(struct load *load, const struct worker *workers)
{
        char line[64];

        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = '\0';
                load->phase = phase_find(line);
                if (!load->phase) {
                        errno = EINVAL;
                        die(line);
                }
                measure(load, workers);
        }
        load->phase = NULL;
        pthread_barrier_wait(&load->barrier);
}

int main(int argc, char **argv)
{
        struct load load = {0};
        struct worker *workers;

        if (argc != 6) {
                fprintf(stderr, "usage: load ROOT DIR CLIENTS FILES SIZE\n");
                return 2;
        }
        load.root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        load.dir = argv[2];
        load.n_clients = (unsigned)strtoul(argv[3], NULL, 10);
        workers = calloc(load.n_clients, sizeof(*workers));
        if (load.root < 0 || !workers)
                die(argv[1]);
        pthread_barrier_init(&load.barrier, NULL, load.n_clients + 1);
        for (unsigned c = 0; c < load.n_clients; c++) {
                workers[c].load = &load;
                workers[c].client = (struct client){.number = c,
                                                    .n_files = strtoul(argv[4], NULL, 10),
                                                    .size = strtoul(argv[5], NULL, 10)};
                errno = pthread_create(&workers[c].thread, NULL, work, &workers[c]);
                if (errno)
                        die("thread");
        }
        obey(&load, workers);
        for (unsigned c = 0; c < load.n_clients; c++)
                pthread_join(workers[c].thread, NULL);
        pthread_barrier_destroy(&load.barrier);
        free(workers);
        return 0;
}
