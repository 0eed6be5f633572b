/* SPDX-License-Identifier: MIT */
/* bucketmap mount [OPTION...] STORE DIR */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "daemon.h"
#include "dead_mount.h"
#include "log.h"
#include "options.h"
#include "path.h"
#include "serve.h"

#define FUSE_DEVICE "/dev/fuse"

struct request {
        const char *words[2]; /* STORE, DIR as given */
        struct mount_options options;
        bool foreground, debug;
        char *store, *dir; /* absolute */
};

static const struct argp_option options[] = {
        {NULL, 'o', "OPT[,OPT]...", 0, "Mount options, see below", 0},
        {NULL, 'f', NULL, 0, "Stay in the foreground, messages to stderr", 0},
        {NULL, 's', NULL, 0, "Serve with a single thread", 0},
        {NULL, 'd', NULL, 0, "Show every request; implies -f", 0},
        {0},
};

static const char doc[] =
        "Shows the store STORE as the directory DIR: each key a file. A store that does not exist "
        "yet is created.\v"
        "Mount options:\n"
        "  ro                   change nothing\n"
        "  nocreate             do not create a store\n"
        "  allow_other          let other users in; the kernel checks permissions\n"
        "  nopermcheck          no permission checks on a private mount\n"
        "  unlink=delete|guard  guard: a file with a count above 1 stays (EBUSY)\n"
        "  list_counts          listxattr shows user.bucketmap.refcount\n"
        "  commit=SECONDS       longest time until a change is durable (5)\n"
        "  buckets=N            at creation: buckets of the root map (16)\n"
        "  max_search=N         at creation: slots that a probe looks at (32)\n"
        "  drive=DIR            at creation: spread it over this directory, too; repeatable\n"
        "and those of FUSE and of mount(8): allow_root, auto_unmount, noexec, nofail ...";

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", "DIR", NULL};
        struct request *request = state->input;

        switch (key) {
        case 'o':
                if (mount_options_add(&request->options, arg))
                        return ENOMEM;
                return 0;
        case 'f':
                request->foreground = true;
                return 0;
        case 's':
                request->options.fs.single_threaded = true;
                return 0;
        case 'd':
                request->foreground = request->debug = true;
                return mount_options_add(&request->options, "debug") ? ENOMEM : 0;
        case ARGP_KEY_SUCCESS: {
                char why[256];
                int r = mount_options_finish(&request->options, why, sizeof(why));

                if (r == -EINVAL)
                        command_usage(state, "%s", why);
                return -r;
        }
        default:
                return command_arguments(key, arg, state, names, request->words);
        }
}

static int check_dir(const struct request *request)
{
        const struct drive_list *drives = &request->options.drives;
        struct stat st;
        int code;

        if (stat(request->dir, &st))
                return command_error(request->dir, "cannot mount there: %s", strerror(errno));
        if (!S_ISDIR(st.st_mode))
                return command_error(request->dir, "cannot mount there: %s", strerror(ENOTDIR));
        code = drive_check_place("store", request->store, request->dir);
        for (size_t i = 0; i < drives->n && !code; i++)
                code = drive_check_place("drive", drives->paths[i], request->dir);
        return code;
}

static int check_fuse(void)
{
        int error;

        if (!access(FUSE_DEVICE, R_OK | W_OK))
                return COMMAND_FINE;
        error = errno;
        command_error(FUSE_DEVICE, "cannot mount: %s", strerror(error));
        if (error == EACCES)
                command_hint("root can open it to all users: chmod 666 %s", FUSE_DEVICE);
        else
                command_hint("root can load it: modprobe fuse; a container has to be given it");
        return COMMAND_ERROR;
}

static int prepare(struct request *request)
{
        int r = path_resolve(request->words[0], &request->store);

        if (r)
                return command_error(request->words[0], "cannot open: %s", strerror(-r));
        r = path_resolve(request->words[1], &request->dir);
        if (r)
                return command_error(request->words[1], "cannot mount there: %s", strerror(-r));
        request->options.fs.store_path = request->store;
        r = drive_list_resolve(&request->options.drives, request->store);
        if (!r)
                r = detach_dead(request->store, request->dir);
        if (!r)
                r = check_dir(request);
        if (!r)
                r = check_fuse();
        if (!r && mount_options_name(&request->options, request->store))
                r = command_error(request->store, "out of memory");
        return r;
}

/* In the caller: the daemon says that it serves; whether it does is seen from here only. */
static int confirm(const struct request *request, struct daemon *daemon, pid_t pid)
{
        struct statx stx;
        int code = daemon_wait(daemon, pid, request->store);

        if (code)
                return code;
        if (!statx(AT_FDCWD, request->dir, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx))
                return COMMAND_FINE;
        code = command_error(request->dir, "mounted, but does not answer: %s", strerror(errno));
        kill(pid, SIGTERM);
        return code;
}

static int start(struct request *request)
{
        struct daemon daemon = DAEMON_INIT;
        pid_t pid = 0;

        log_init(request->store, request->foreground || isatty(STDERR_FILENO));
        if (!request->foreground)
                pid = daemon_fork(&daemon);
        if (pid < 0)
                return command_error(request->store, "cannot start the daemon: %s", strerror(-pid));
        if (pid > 0)
                return confirm(request, &daemon, pid);
        return serve(request->store, request->dir, &request->options, &daemon);
}

int cmd_mount(int argc, char **argv)
{
        static const struct argp argp = {options, parse, "STORE DIR", doc, NULL, NULL, NULL};
        struct request request = {0};
        int code = COMMAND_ERROR;

        if (!mount_options_init(&request.options)) {
                command_parse(&argp, argc, argv, &request);
                code = prepare(&request);
                if (!code)
                        code = start(&request);
        }
        mount_options_deinit(&request.options);
        free(request.store);
        free(request.dir);
        return code;
}
