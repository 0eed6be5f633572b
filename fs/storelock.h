/* SPDX-License-Identifier: MIT */
/*
 * Waiting for whoever has a store. The lock itself is the core's: a flock on
 * the store's file "lock", whose text is the holder's process id and a note.
 */
#ifndef FS_STORELOCK_H
#define FS_STORELOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct store_holder {
        pid_t pid; /* 0: nobody, or unknown */
        char note[256];
};

/* What the daemon's note begins with, in its two stages. */
#define NOTE_MOUNTED "mounted at "
#define NOTE_CLOSING "closing, was mounted at "

/* A descriptor of STORE's lock file, or a negative errno. */
int store_lock_open(const char *store);

/*
 * Who wrote the lock file last, if that process is alive; it may have let go
 * of the lock since. Readers do not write it.
 */
void store_lock_holder(int fd, struct store_holder *holder);

/*
 * Waits until no process has the store for writing, and with READERS_TOO for
 * reading either; keeps nobody from it. TICK is called before it and then about once a second with
 * the seconds that went by, and returns 0 to go on; what else it returns is returned. Else 0 or a
 * negative errno. Uses SIGALRM: for programs with one thread, or with SIGALRM blocked in all
 * others.
 */
int store_lock_wait(int fd, bool readers_too, int (*tick)(void *ctx, unsigned seconds), void *ctx);

#endif
