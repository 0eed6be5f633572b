/* SPDX-License-Identifier: MIT */
#include "mount_store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "daemon.h"
#include "dead_mount.h"
#include "log.h"
#include "path.h"
#include "serve.h"

#define FUSE_DEVICE "/dev/fuse"

static int check_dir(const struct mount_request *request)
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

static int prepare(struct mount_request *request)
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
static int confirm(const struct mount_request *request, struct daemon *daemon, pid_t pid)
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

static int start(struct mount_request *request)
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

int mount_store(struct mount_request *request)
{
        int code = prepare(request);

        return code ? code : start(request);
}

int mount_request_init(struct mount_request *request)
{
        *request = (struct mount_request){0};
        return mount_options_init(&request->options);
}

void mount_request_deinit(struct mount_request *request)
{
        mount_options_deinit(&request->options);
        free(request->store);
        free(request->dir);
}
