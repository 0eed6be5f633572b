/* SPDX-License-Identifier: MIT */
/* What the load does to files, operation by operation. */
#ifndef BENCH_PHASES_H
#define BENCH_PHASES_H

#include <stddef.h>

struct client {
        unsigned number;
        size_t n_files;
        size_t size; /* of a file, bytes */
        /* private */
        int dir;
        int file;    /* the large one */
        char *bytes; /* of any file or block */
        unsigned random;
};

struct phase {
        const char *name;
        size_t (*count)(const struct client *client); /* of operations */
        int (*prepare)(struct client *client);        /* not measured; may be NULL */
        int (*run)(struct client *client, size_t i);  /* 0, or -1 with errno set */
};

/* Makes its directory below DIR, which another client may do, too. 0 or -1. */
int client_init(struct client *client, const char *dir);
void client_deinit(struct client *client);

/* NULL: there is no such phase. */
const struct phase *phase_find(const char *name);

#endif
