/* SPDX-License-Identifier: MIT */
/* Going into the background, and telling the caller how the start went. */
#ifndef FS_DAEMON_H
#define FS_DAEMON_H

#include <sys/types.h>

struct daemon {
        int ready_fd; /* the pipe's end of this process; -1: none */
};

#define DAEMON_INIT ((struct daemon){.ready_fd = -1})

/*
 * Forks. Returns 0 in the daemon, which then has no descriptors but the first
 * three (still the caller's, for messages) and keeps its working directory;
 * the daemon's pid in the caller; or a negative errno. Call it before there
 * are threads, open stores or mounts.
 */
pid_t daemon_fork(struct daemon *daemon);

/*
 * In the daemon, when all is well: releases the caller, and lets go of its
 * terminal, session, working directory and descriptors. Messages go to
 * syslog from then on, and the new session weighs less to the scheduler than its
 * clients'. Does nothing if there was no fork. Any thread.
 */
void daemon_ready(struct daemon *daemon);

/*
 * In the caller: 0 as soon as the daemon is ready, else its exit code. If that
 * takes long (a log has to be replayed), a terminal is told so, about STORE.
 */
int daemon_wait(struct daemon *daemon, pid_t pid, const char *store);

#endif
