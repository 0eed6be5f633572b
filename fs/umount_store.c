/* SPDX-License-Identifier: MIT */
#include "umount_store.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "mountinfo.h"
#include "path.h"
#include "storelock.h"
#include "unmount.h"
#include "users.h"

/* seconds of silence before it is said what is waited for */
#define PATIENCE 2
/* looks, pauses between them, before a mount counts as busy: somebody may only look at it, too */
#define LOOKS 5

struct wait {
        const char *store;
        const char *device; /* as mountinfo names it */
        int fd;             /* of the lock */
        pid_t daemon;       /* that wrote the lock file */
        int reader;         /* pidfd of a daemon that only reads; -1: none */
        unsigned timeout;   /* seconds; 0: none */
        bool last;          /* no other mount of the same daemon was there */
};

/*
 * A read-only mount shares the lock with others and writes no lock file: its
 * daemon is asked who it is, while it can be. No other is asked anything: it
 * may be one that does not answer any more.
 */
static int open_reader(const struct mount *mount)
{
        char *store;
        pid_t pid;
        int fd, r;

        if (!mount->read_only)
                return -1;
        fd = control_open(mount->dir, &store);
        free(store);
        if (fd < 0)
                return -1;
        r = control_pid(fd, &pid);
        close(fd);
        return r ? -1 : pidfd_open(pid, 0);
}

/* Made with mount --bind meanwhile, or before with --lazy. */
static bool name_remaining(const char *device)
{
        struct mount_table table;
        bool found = false;

        if (mount_table_load(&table))
                return false;
        for (size_t i = 0; i < table.n; i++) {
                if (!strcmp(table.mounts[i].device, device)) {
                        command_hint("still mounted at %s", table.mounts[i].dir);
                        found = true;
                }
        }
        mount_table_deinit(&table);
        return found;
}

/* A mount namespace that was made meanwhile, a container's perhaps, has the mount still. */
static void say_waiting(const struct wait *wait, pid_t daemon)
{
        char viewers[256];

        command_error(wait->store, "waiting for process %d to finish", (int)daemon);
        if (!name_remaining(wait->device) && mount_viewers(wait->store, viewers, sizeof(viewers)))
                command_hint("still mounted for %s, in another mount namespace", viewers);
}

/* By another daemon: who unmounts what a dead one left may find that. */
static bool is_mounted_again(const char *store)
{
        struct mount_table table;
        bool found;

        if (mount_table_load(&table))
                return false;
        found = mount_of_store(&table, store) != NULL;
        mount_table_deinit(&table);
        return found;
}

/* A mount that follows at once may have the lock before us: then our daemon is done, too. */
static int same_holder(void *ctx, unsigned seconds)
{
        struct wait *wait = ctx;
        struct store_holder holder;

        if (wait->timeout && seconds >= wait->timeout)
                return -ETIMEDOUT;
        if (wait->last && is_mounted_again(wait->store))
                return 1;
        store_lock_holder(wait->fd, &holder);
        if (seconds == PATIENCE && holder.pid)
                say_waiting(wait, holder.pid);
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

                r = poll(&end, 1, wait->timeout ? (int)wait->timeout * 1000 : -1);
                if (r <= 0)
                        r = r ? -errno : -ETIMEDOUT;
        }
        if (r >= 0)
                return COMMAND_FINE;
        if (r == -ETIMEDOUT) {
                command_error(store, "unmounted, but still being closed after %u s", wait->timeout);
                return COMMAND_IN_USE;
        }
        return command_error(store, "unmounted, but cannot wait until it is closed: %s",
                             strerror(-r));
}

/* Another mount keeps a mount busy just as a process does. */
static bool name_mounts_below(const char *dir)
{
        struct mount_table table;
        bool found = false;

        if (mount_table_load(&table))
                return false;
        for (size_t i = 0; i < table.n; i++) {
                if (strcmp(table.mounts[i].dir, dir) && path_is_within(table.mounts[i].dir, dir)) {
                        command_hint("%s is mounted below", table.mounts[i].dir);
                        found = true;
                }
        }
        mount_table_deinit(&table);
        return found;
}

/* What keeps the daemon of the mount at DIR when that is gone. */
static bool name_copies(const char *dir)
{
        struct mount_table table;
        const struct mount *mount, *copy = NULL;
        bool found = false;

        if (mount_table_load(&table))
                return false;
        mount = mount_at(&table, dir);
        while (mount && (copy = mount_next_copy(&table, mount, copy))) {
                command_hint("also mounted at %s", copy->dir);
                found = true;
        }
        mount_table_deinit(&table);
        if (found)
                command_hint("unmount it there first; --lazy leaves it there");
        return found;
}

static int busy(const char *dir)
{
        char users[256];
        bool named;

        command_error(dir, "busy; nothing changed");
        named = name_copies(dir);
        if (mount_users(dir, users, sizeof(users))) {
                command_hint("used by %s", users);
                named = true;
        }
        if (name_mounts_below(dir))
                named = true;
        if (!named)
                command_hint("a file in it is open, or it is somebody's working directory");
        return COMMAND_ERROR;
}

enum copies {
        COPIES_NONE, /* it is the only mount of its daemon in this namespace */
        COPIES_SOME, /* it was there first */
        COPIES_SELF, /* it is one: the daemon serves the others when it is gone */
};

/* The daemon's own mount was there before what was made of it. The mount of a dead daemon goes
 * without more ado. */
static enum copies look_for_copies(const char *dir)
{
        struct mount_table table;
        const struct mount *mount, *copy = NULL;
        enum copies copies = COPIES_NONE;

        if (mount_table_load(&table))
                return COPIES_NONE;
        mount = mount_at(&table, dir);
        if (mount)
                copy = mount_next_copy(&table, mount, NULL);
        if (copy && !mount_is_dead(mount))
                copies = copy < mount ? COPIES_SELF : COPIES_SOME;
        mount_table_deinit(&table);
        return copies;
}

/* Sets *COPIES to what was there before. */
static int try_unmount(const struct umount_request *request, const char *dir, enum copies *copies,
                       char *why)
{
        *copies = look_for_copies(dir);
        /* it would be gone, and its daemon not */
        if (*copies == COPIES_SOME && !request->lazy)
                return -EBUSY;
        return unmount_dir(dir, request->lazy, why);
}

/* Again and again until its users have left, for as long as is asked for, and a moment anyway. */
static int unmount_in_time(const struct umount_request *request, const char *dir,
                           enum copies *copies, char *why)
{
        const struct timespec pause = {.tv_nsec = 50000000};
        struct timespec now;
        time_t end;
        int r;

        clock_gettime(CLOCK_MONOTONIC, &now);
        end = now.tv_sec + (time_t)request->timeout;
        for (unsigned looks = 1;; looks++) {
                r = try_unmount(request, dir, copies, why);
                clock_gettime(CLOCK_MONOTONIC, &now);
                if (r != -EBUSY || (now.tv_sec >= end && looks >= LOOKS))
                        return r;
                nanosleep(&pause, NULL);
        }
}

static int unmount(const struct umount_request *request, const struct mount *mount)
{
        const char *dir = mount->dir, *store = mount->source;
        struct wait wait = {.store = store,
                            .device = mount->device,
                            .fd = store_lock_open(store),
                            .reader = open_reader(mount),
                            .timeout = request->timeout};
        struct store_holder holder;
        char why[UNMOUNT_WHY_SIZE];
        enum copies copies;
        int code, r;

        /* before the unmounting: afterwards another may be there */
        if (wait.fd >= 0) {
                store_lock_holder(wait.fd, &holder);
                wait.daemon = holder.pid;
        }
        r = unmount_in_time(request, dir, &copies, why);
        /* somebody else was faster */
        if (r && !mount_is_there(dir, store))
                r = 0;
        wait.last = copies == COPIES_NONE;
        if (r == -EBUSY)
                code = busy(dir);
        else if (r)
                code = command_error(dir, "cannot unmount: %s", why);
        else if (copies == COPIES_SELF || (request->lazy && !request->timeout))
                code = COMMAND_FINE;
        else
                code = wait_for_daemon(store, &wait);
        if (wait.fd >= 0)
                close(wait.fd);
        if (wait.reader >= 0)
                close(wait.reader);
        return code;
}

int umount_store(const struct umount_request *request)
{
        char *dir = NULL;
        struct mount_table table = MOUNT_TABLE_INIT;
        const struct mount *mount;
        int code, r = path_resolve(request->dir, &dir);

        /* called in the mount, this process is not to keep it busy itself */
        if (!r && chdir("/"))
                r = -errno;
        if (!r)
                r = mount_table_load(&table);
        if (r) {
                code = command_error(request->dir, "cannot unmount: %s", strerror(-r));
                goto out;
        }
        mount = mount_at(&table, dir);
        if (mount && mount_is_ours(mount))
                code = unmount(request, mount);
        else
                code = command_error(dir, "no bucketmap store is mounted there");
out:
        mount_table_deinit(&table);
        free(dir);
        return code;
}
