/* SPDX-License-Identifier: MIT */
/*
 * Threads: this one runs the session's loop (which has workers of its own),
 * stop.c has one for signals, the core those of its background. They all
 * start after the fork and end before the store is closed.
 */
#include "serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acquire.h"
#include "bucketmap.h"
#include "command.h"
#include "daemon.h"
#include "dead_mount.h"
#include "log.h"
#include "mountinfo.h"
#include "options.h"
#include "service.h"
#include "session.h"
#include "stop.h"
#include "storelock.h"

struct service {
        const char *path, *dir;
        struct daemon *daemon;
        bool foreground;
        bool served; /* it was mounted, and that was logged */
        struct bm_store *store;
        struct fs_session *session;
};

/* Who started a daemon hears of it by that process's end. */
static void tell_manager(const struct service *service, const char *state)
{
        int r = service->foreground ? service_tell(state) : 0;

        if (r)
                log_message(BM_LOG_WARNING, "cannot tell the service manager: %s", strerror(-r));
}

static void log_start(const struct service *service)
{
        struct bm_stats stats;

        if (bm_stats(service->store, &stats) || stats.clean_open)
                log_message(BM_LOG_INFO, "mounted at %s", service->dir);
        else
                log_message(BM_LOG_INFO,
                            "mounted at %s; it was not closed cleanly, %ju records replayed",
                            service->dir, (uintmax_t)stats.replayed_records);
}

static void on_ready(void *ctx)
{
        struct service *service = ctx;

        daemon_ready(service->daemon);
        tell_manager(service, SERVICE_READY);
        log_start(service);
        service->served = true;
}

static char *note(const char *stage, const char *dir)
{
        char *text;

        return asprintf(&text, "%s%s", stage, dir) < 0 ? NULL : text;
}

/* The store knows more drives than the command line: where they are is seen only now. */
static int check_drives(const struct service *service)
{
        const char *drive;
        int code = COMMAND_FINE;

        for (unsigned i = 1; !code && (drive = bm_drive_path(service->store, i)); i++)
                code = drive_check_place("drive", drive, service->dir);
        return code;
}

static int open_store(struct service *service, const struct mount_options *options)
{
        char *mounted = note(NOTE_MOUNTED, service->dir);
        struct bm_config config = BM_CONFIG_INIT;
        int code;

        if (!mounted)
                return command_error(service->path, "out of memory");
        config.n_buckets = options->n_buckets;
        config.max_search = options->max_search;
        config.commit_interval = options->commit_interval;
        config.drives = (const char *const *)options->drives.paths;
        config.n_drives = options->drives.n;
        config.read_only = options->fs.read_only;
        config.nomap = options->nomap;
        config.stamp_times = true;
        config.owner_note = mounted;
        config.log = log_core;
        code = acquire_store(service->path, &config, !options->no_create && !options->fs.read_only,
                             &service->store);
        free(mounted);
        if (!code)
                code = check_drives(service);
        /* a daemon that was killed may have ended only now, while the store was waited for */
        return code ? code : detach_dead(service->path, service->dir);
}

/* Tells others that waiting is worth while. */
static void note_closing(struct service *service)
{
        char *closing = note(NOTE_CLOSING, service->dir);

        tell_manager(service, SERVICE_STOPPING);
        if (closing && bm_set_owner_note(service->store, closing))
                log_message(BM_LOG_WARNING, "cannot note in the lock file that it is closing");
        free(closing);
}

static int failed(const char *what, const char *dir, int result)
{
        log_message(BM_LOG_ERROR, "%s %s: %s", what, dir, bm_strerror(result));
        return COMMAND_ERROR;
}

/* fusermount3 looks at the mount point as the user, and says no more than that it may not. */
static bool is_taken(const char *dir)
{
        struct mount_table table;
        const struct mount *mount;
        bool taken;

        if (!geteuid() || mount_table_load(&table))
                return false;
        mount = mount_at(&table, dir);
        taken = mount && mount_is_ours(mount);
        mount_table_deinit(&table);
        return taken;
}

static int cannot_mount(const char *dir, int result)
{
        if (is_taken(dir)) {
                log_message(BM_LOG_ERROR,
                            "cannot mount at %s: a bucketmap store is mounted there already", dir);
                return COMMAND_ERROR;
        }
        failed("cannot mount at", dir, result);
        if (result == -EPERM && !geteuid())
                command_hint("a container has to be given the right to mount: "
                             "--cap-add SYS_ADMIN");
        return COMMAND_ERROR;
}

static int run_session(struct service *service, struct mount_options *options, struct stop *stop)
{
        int r = fs_session_new(&options->fs, service->store, &options->fuse, &service->session);

        if (r)
                return failed("cannot start a session for", service->dir, r);
        stop_serving(stop, service->store, service->session, service->path, service->dir);
        r = fs_session_mount(service->session, service->dir);
        if (r)
                return cannot_mount(service->dir, r);
        r = fs_session_run(service->session, on_ready, service);
        fs_session_unmount(service->session);
        return r ? failed("lost the mount at", service->dir, r) : COMMAND_FINE;
}

static int close_store(struct service *service)
{
        int r = bm_close(service->store);

        if (!r && service->served)
                log_message(BM_LOG_INFO, "closed, was mounted at %s", service->dir);
        if (!r)
                return COMMAND_FINE;
        log_message(BM_LOG_ERROR, "the last sync failed, the next mount has to recover: %s",
                    bm_strerror(r));
        return COMMAND_ERROR;
}

int serve(const char *store, const char *dir, struct mount_options *options, struct daemon *daemon)
{
        struct service service = {
                .path = store, .dir = dir, .daemon = daemon, .foreground = daemon->ready_fd < 0};
        struct stop stop;
        int code, closed, r;

        fuse_set_log_func(log_fuse);
        r = stop_init(&stop);
        if (r)
                return command_error(store, "cannot start a thread: %s", strerror(-r));
        code = open_store(&service, options);
        if (!code) {
                code = run_session(&service, options, &stop);
                note_closing(&service);
        }
        stop_deinit(&stop);
        if (service.store) {
                fs_session_free(service.session);
                closed = close_store(&service);
                code = code ? code : closed;
        }
        return code;
}
