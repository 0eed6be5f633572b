/* SPDX-License-Identifier: MIT */
/* bucketmap umount DIR */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "mountinfo.h"
#include "path.h"
#include "storelock.h"
#include "unmount.h"
#include "users.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"DIR", NULL};

        return command_arguments(key, arg, state, names, state->input);
}

struct wait {
        int fd;       /* of the lock */
        pid_t daemon; /* that wrote the lock file */
        int reader;   /* pidfd of a daemon that only reads; -1: none */
};

/*
 * A read-only mount shares the lock with others and writes no lock file: its
 * daemon is asked who it is, while it can be.
 */
static int open_reader(const char *dir)
{
        struct statvfs fs;
        char *store;
        pid_t pid;
        int fd, r;

        if (statvfs(dir, &fs) || !(fs.f_flag & ST_RDONLY))
                return -1;
        fd = control_open(dir, &store);
        free(store);
        if (fd < 0)
                return -1;
        r = control_pid(fd, &pid);
        close(fd);
        return r ? -1 : pidfd_open(pid, 0);
}

/* A mount that follows at once may have the lock before us: then our daemon is done, too. */
static int same_holder(void *ctx, unsigned seconds)
{
        struct wait *wait = ctx;
        struct store_holder holder;

        store_lock_holder(wait->fd, &holder);
        /* the name goes shortly before the lock does */
        return !holder.pid || holder.pid == wait->daemon ? 0 : 1;
}

static int wait_for_daemon(const char *store, struct wait *wait)
{
        int r = wait->fd;

        if (r >= 0)
                r = store_lock_wait(wait->fd, false, same_holder, wait);
        if (r >= 0 && wait->reader >= 0) {
                struct pollfd end = {.fd = wait->reader, .events = POLLIN};

                r = poll(&end, 1, -1) < 0 ? -errno : 0;
        }
        if (r >= 0)
                return COMMAND_FINE;
        return command_error(store, "unmounted, but cannot wait until it is closed: %s",
                             strerror(-r));
}

static int busy(const char *dir)
{
        char users[256];

        command_error(dir, "busy; nothing changed");
        if (mount_users(dir, users, sizeof(users)))
                command_hint("used by %s", users);
        else
                command_hint("a file in it is open, or it is somebody's working directory");
        return COMMAND_ERROR;
}

static int unmount(const char *dir, const char *store)
{
        struct wait wait = {.fd = store_lock_open(store), .reader = open_reader(dir)};
        struct store_holder holder;
        char why[UNMOUNT_WHY_SIZE];
        int code, r;

        /* before the unmounting: afterwards another may be there */
        if (wait.fd >= 0) {
                store_lock_holder(wait.fd, &holder);
                wait.daemon = holder.pid;
        }
        r = unmount_dir(dir, false, why);
        if (r == -EBUSY) {
                code = busy(dir);
        } else if (r) {
                code = command_error(dir, "cannot unmount: %s", why);
        } else {
                code = wait_for_daemon(store, &wait);
        }
        if (wait.fd >= 0)
                close(wait.fd);
        if (wait.reader >= 0)
                close(wait.reader);
        return code;
}

int cmd_umount(int argc, char **argv)
{
        static const struct argp argp = {
                NULL,
                parse,
                "DIR",
                "Ends a mount, and returns when everything is on disk and the store is released. "
                "A mount that is in use stays as it is (exit code 2).",
                NULL,
                NULL,
                NULL};
        const char *word;
        char *dir = NULL, *store = NULL;
        struct mount_table table = MOUNT_TABLE_INIT;
        const struct mount *mount;
        int code, r;

        command_parse(&argp, argc, argv, &word);
        r = path_resolve(word, &dir);
        if (!r)
                r = mount_table_load(&table);
        if (r) {
                code = command_error(word, "cannot unmount: %s", strerror(-r));
                goto out;
        }
        mount = mount_at(&table, dir);
        if (!mount || !mount_is_ours(mount)) {
                code = command_error(dir, "no bucketmap store is mounted there");
                goto out;
        }
        store = strdup(mount->source);
        code = store ? unmount(dir, store) : command_error(dir, "out of memory");
out:
        mount_table_deinit(&table);
        free(store);
        free(dir);
        return code;
}
