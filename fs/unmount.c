/* SPDX-License-Identifier: MIT */
#include "unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads PIPE to its end, keeps the first line. */
static void read_line(int pipe, char *line, size_t size)
{
        char buf[256];
        size_t len = 0;
        ssize_t n;

        while ((n = read(pipe, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
                size_t take = n < 0 ? 0 : (size_t)n;

                if (take > size - 1 - len)
                        take = size - 1 - len;
                memcpy(line + len, buf, take);
                len += take;
        }
        line[len] = '\0';
        line[strcspn(line, "\n")] = '\0';
}

static int spawn_fusermount(const char *dir, bool lazy, int error_fd, pid_t *pid)
{
        const char *argv[] = {"fusermount3",     "-u", lazy ? "-z" : "--", lazy ? "--" : dir,
                              lazy ? dir : NULL, NULL};
        /* its messages are looked at: no translation; nothing else matters to it */
        char *env[] = {"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin", NULL};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none;
        int r;

        sigemptyset(&none);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
        posix_spawnattr_init(&attr);
        /* the calling thread may have all signals blocked */
        posix_spawnattr_setsigmask(&attr, &none);
        /* an impatient Ctrl-C, which goes to all of the terminal's group, is not for it */
        posix_spawnattr_setpgroup(&attr, 0);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        r = posix_spawnp(pid, argv[0], &actions, &attr, (char *const *)argv, env);
        posix_spawnattr_destroy(&attr);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* The setuid helper of libfuse, which lets users unmount what they mounted. */
static int unmount_as_user(const char *dir, bool lazy, char *why)
{
        int fds[2], status, r;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC))
                return -errno;
        r = spawn_fusermount(dir, lazy, fds[1], &pid);
        close(fds[1]);
        if (r) {
                close(fds[0]);
                snprintf(why, UNMOUNT_WHY_SIZE, "fusermount3: %s", strerror(-r));
                return r;
        }
        read_line(fds[0], why, UNMOUNT_WHY_SIZE);
        close(fds[0]);
        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return -errno;
        }
        if (WIFEXITED(status) && !WEXITSTATUS(status))
                return 0;
        if (strstr(why, strerrordesc_np(EBUSY)))
                return -EBUSY;
        if (!*why)
                snprintf(why, UNMOUNT_WHY_SIZE, "fusermount3 failed");
        /* it looks at the caller's own mounts only */
        if (strstr(why, "not found in /etc/mtab"))
                snprintf(why, UNMOUNT_WHY_SIZE, "only root and who mounted it may");
        return -EPERM;
}

int unmount_dir(const char *dir, bool lazy, char *why)
{
        int r;

        if (geteuid())
                return unmount_as_user(dir, lazy, why);
        if (!umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
                return 0;
        r = -errno;
        snprintf(why, UNMOUNT_WHY_SIZE, "%s", strerror(-r));
        return r;
}
