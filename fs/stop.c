/* SPDX-License-Identifier: MIT */
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "bucketmap.h"
#include "command.h"
#include "log.h"
#include "mountinfo.h"
#include "print.h"
#include "session.h"
#include "unmount.h"

/* Our own way to wake the thread, never sent from outside. */
#define SIGNAL_END SIGUSR2

static void stop_signals(sigset_t *set)
{
        sigemptyset(set);
        sigaddset(set, SIGTERM);
        sigaddset(set, SIGINT);
        sigaddset(set, SIGHUP);
        sigaddset(set, SIGUSR1);
        sigaddset(set, SIGNAL_END);
}

/* Nothing but our own mount may be unmounted. */
static bool still_mounted(const struct stop *stop)
{
        return mount_is_there(stop->dir, stop->store_path);
}

static void sync_store(struct stop *stop)
{
        int r = bm_sync(stop->store);

        if (r)
                log_message(BM_LOG_ERROR, "sync failed: %s", bm_strerror(r));
}

static void first_signal(struct stop *stop)
{
        char why[UNMOUNT_WHY_SIZE];
        int r = -EBUSY;

        if (still_mounted(stop)) {
                r = unmount_dir(stop->dir, false, why);
                if (r && r != -EBUSY)
                        log_message(BM_LOG_WARNING, "cannot unmount %s: %s", stop->dir, why);
        }
        stop->unmounted = !r;
        if (stop->unmounted)
                return;
        sync_store(stop);
        if (still_mounted(stop)) {
                r = unmount_dir(stop->dir, true, why);
                if (r) {
                        log_message(BM_LOG_ERROR, "cannot detach %s: %s", stop->dir, why);
                        fs_session_exit(stop->session);
                        return;
                }
        }
        log_message(BM_LOG_INFO, "%s is busy: synced, detached, ends with its last user",
                    stop->dir);
}

static void second_signal(struct stop *stop)
{
        sync_store(stop);
        log_message(BM_LOG_WARNING, "ended by a second signal, still in use");
        fs_session_exit(stop->session);
}

static void log_figures(struct stop *stop)
{
        char values[PRINT_BYTES_SIZE], disk[PRINT_BYTES_SIZE], dead[PRINT_BYTES_SIZE],
                log[PRINT_BYTES_SIZE];
        struct bm_stats stats;
        int r;

        if (!stop->store)
                return;
        r = bm_stats(stop->store, &stats);
        if (r) {
                log_message(BM_LOG_ERROR, "no figures: %s", bm_strerror(r));
                return;
        }
        log_message(BM_LOG_INFO,
                    "%ju keys, %ju maps, %s of values, %s on disk, %s reclaimable, %s logged, "
                    "%ju syncs, %ju checkpoints since the mount",
                    (uintmax_t)stats.keys, (uintmax_t)stats.maps,
                    print_bytes(values, stats.value_bytes, false),
                    print_bytes(disk, stats.disk_bytes, false),
                    print_bytes(dead, stats.reclaimable_bytes, false),
                    print_bytes(log, stats.log_bytes, false), (uintmax_t)stats.syncs,
                    (uintmax_t)stats.checkpoints);
}

static void on_signal(struct stop *stop, int signal)
{
        pthread_mutex_lock(&stop->lock);
        if (stop->ended || (stop->unmounted && signal != SIGUSR1)) {
                /* too late, and nothing left to do */
        } else if (signal == SIGUSR1) {
                log_figures(stop);
        } else if (!stop->store) {
                log_message(BM_LOG_ERROR, "%s before it was mounted", strsignal(signal));
                _exit(COMMAND_ERROR);
        } else if (!stop->requested) {
                stop->requested = true;
                first_signal(stop);
        } else {
                second_signal(stop);
        }
        pthread_mutex_unlock(&stop->lock);
}

static void *run(void *ctx)
{
        struct stop *stop = ctx;
        sigset_t set;
        int signal;

        stop_signals(&set);
        for (;;) {
                if (sigwait(&set, &signal))
                        continue;
                if (signal == SIGNAL_END)
                        return NULL;
                on_signal(stop, signal);
        }
}

int stop_init(struct stop *stop)
{
        sigset_t set, all, before;
        int r;

        *stop = (struct stop){.lock = PTHREAD_MUTEX_INITIALIZER};
        sigfillset(&all);
        /* the new thread inherits this: it takes no signal but by sigwait */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&stop->thread, NULL, run, stop);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r)
                return -r;
        stop_signals(&set);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        return 0;
}

void stop_serving(struct stop *stop, struct bm_store *store, struct fs_session *session,
                  const char *store_path, const char *dir)
{
        pthread_mutex_lock(&stop->lock);
        stop->store = store;
        stop->session = session;
        stop->store_path = store_path;
        stop->dir = dir;
        pthread_mutex_unlock(&stop->lock);
}

void stop_deinit(struct stop *stop)
{
        pthread_mutex_lock(&stop->lock);
        stop->ended = true;
        pthread_mutex_unlock(&stop->lock);
        pthread_kill(stop->thread, SIGNAL_END);
        pthread_join(stop->thread, NULL);
}
