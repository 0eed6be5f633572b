/* SPDX-License-Identifier: MIT */
/*
 * Signals that end a daemon. A thread of its own waits for SIGTERM, SIGINT
 * and SIGHUP, which are blocked everywhere else:
 *   before stop_serving  the process ends at once; an open store stands that
 *   first                unmount; if busy: sync, detach, serve the last users
 *   second               sync and leave the loop, if it is still used
 * and for SIGUSR1, which logs a line of figures.
 */
#ifndef FS_STOP_H
#define FS_STOP_H

#include <pthread.h>
#include <stdbool.h>

struct bm_store;
struct fs_session;

struct stop {
        pthread_t thread; /* constant after stop_init */

        pthread_mutex_t lock;
        /* guarded by lock */
        struct bm_store *store; /* NULL: not serving yet */
        struct fs_session *session;
        const char *store_path, *dir;
        bool requested; /* the first signal was seen */
        bool unmounted; /* by us: what remains is to close, which no signal hastens */
        bool ended;     /* stop_deinit was called */
};

/* Blocks the signals and starts the thread. Call it before other threads start. 0 or a negative
 * errno. */
int stop_init(struct stop *stop);

/* From now on signals unmount. All that is handed in must stay until stop_deinit. */
void stop_serving(struct stop *stop, struct bm_store *store, struct fs_session *session,
                  const char *store_path, const char *dir);

/* Ends the thread; the signals stay blocked, since closing must not be disturbed. */
void stop_deinit(struct stop *stop);

#endif
