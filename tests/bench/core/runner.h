/* SPDX-License-Identifier: MIT */
/*
 * A store in a process of its own, that does what it is told through a pipe:
 * the stores take turns slice by slice, so that noise of the machine meets
 * all alike, and each one's CPU time and memory can be told apart.
 */
#pragma once

#include <sys/types.h>

#include "phase.h"

struct runner {
        const struct peer *peer;
        char dir[4096];
        pid_t pid;
        int commands, results;
};

struct space {
        int error;
        uint64_t ns;         /* that opening or closing took */
        uint64_t disk_bytes; /* allocated, after a close */
        uint64_t anon_peak, rss_peak;
};

/* Starts the process; the store is opened by the first runner_open. Returns 0 or a negative errno.
 */
int runner_start(struct runner *r, const struct peer *peer, const char *parent_dir,
                 const struct load *load);

/*
 * Kills the process as kill -9 does, with its store open, and starts another
 * one on the same directory; runner_open there is the store's recovery.
 */
int runner_kill(struct runner *r, const struct load *load);

/* Ends it and removes its directory. */
void runner_stop(struct runner *r);

int runner_open(struct runner *r, struct space *space);

int runner_close(struct runner *r, struct space *space);

/* Lets the background work of all come to its end: three seconds of the same bytes on disk, at
 * most a minute. Ours begins a second after the last write. */
void runner_settle(const struct runner *runners, unsigned n);

int runner_slice(struct runner *r, const struct slice *slice, struct result *result);
