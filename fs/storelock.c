/* SPDX-License-Identifier: MIT */
#include "storelock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

int store_lock_open(const char *store)
{
        char *path;
        int fd;

        if (asprintf(&path, "%s/lock", store) < 0)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                fd = -errno;
        free(path);
        return fd;
}

void store_lock_holder(int fd, struct store_holder *holder)
{
        char text[sizeof(holder->note) + 32], *note;
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        *holder = (struct store_holder){0};
        if (n <= 0)
                return;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        holder->pid = (pid_t)strtol(text, &note, 10);
        /* left behind by a process that was killed */
        if (holder->pid <= 0 || (kill(holder->pid, 0) && errno == ESRCH)) {
                holder->pid = 0;
                return;
        }
        snprintf(holder->note, sizeof(holder->note), "%s", note + strspn(note, " "));
}

static void interrupt(int signal)
{
        /* its coming makes flock return */
}

static void set_alarm(time_t seconds)
{
        struct itimerval timer = {.it_interval.tv_sec = seconds, .it_value.tv_sec = seconds};

        setitimer(ITIMER_REAL, &timer, NULL);
}

int store_lock_wait(int fd, bool readers_too, int (*tick)(void *ctx, unsigned seconds), void *ctx)
{
        struct sigaction action = {.sa_handler = interrupt}, before;
        unsigned seconds = 0;
        int r;

        sigaction(SIGALRM, &action, &before);
        set_alarm(1);
        for (;;) {
                r = tick(ctx, seconds++);
                if (r)
                        break;
                r = flock(fd, readers_too ? LOCK_EX : LOCK_SH) ? -errno : 0;
                if (r != -EINTR)
                        break;
        }
        set_alarm(0);
        sigaction(SIGALRM, &before, NULL);
        flock(fd, LOCK_UN);
        return r;
}
