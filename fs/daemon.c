/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "log.h"

#define FIRST_FREE_FD 3

/* How long the start may take before a terminal is told. */
#define PATIENCE_SECONDS 2

/* A session's nice value where the scheduler groups tasks by sessions (autogroup, sched(7)). A
 * daemon as heavy as its clients is woken on another processor than theirs: with two of each a
 * request took five times as long (core/DESIGN.md, "The mount, measured"). */
#define SESSION_NICE "3"
#define WEIGH_TRIES  10

/* A descriptor inherited from a shell or a test harness would keep it waiting for our end. */
static int keep_only(int fd)
{
        if (fd != FIRST_FREE_FD && dup3(fd, FIRST_FREE_FD, O_CLOEXEC) < 0)
                return -errno;
        if (close_range(FIRST_FREE_FD + 1, ~0U, 0))
                return -errno;
        return FIRST_FREE_FD;
}

pid_t daemon_fork(struct daemon *daemon)
{
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC))
                return -errno;
        /* or what is buffered would be written twice */
        fflush(NULL);
        pid = fork();
        if (pid < 0) {
                pid = -errno;
                close(fds[0]);
                close(fds[1]);
        } else if (pid == 0) {
                daemon->ready_fd = keep_only(fds[1]);
                if (daemon->ready_fd < 0)
                        return daemon->ready_fd;
        } else {
                close(fds[1]);
                daemon->ready_fd = fds[0];
        }
        return pid;
}

/* Without autogroups there is no such file, and nothing to mend. Of ordinary users the kernel takes
 * one such value in a tenth of a second, from all of them together. */
static void weigh_less(void)
{
        const struct timespec pause = {.tv_nsec = 100000000};
        int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
        unsigned tries = 1;
        ssize_t n;

        if (fd < 0)
                return;
        while ((n = write(fd, SESSION_NICE, strlen(SESSION_NICE))) < 0 && errno == EAGAIN &&
               tries++ < WEIGH_TRIES)
                nanosleep(&pause, NULL);
        if (n < 0)
                log_message(BM_LOG_INFO, "the session's nice value stays: %s", strerror(errno));
        close(fd);
}

void daemon_ready(struct daemon *daemon)
{
        bool own_session;
        int null;

        if (daemon->ready_fd < 0)
                return;
        log_to_syslog();
        own_session = setsid() > 0;
        if (chdir("/"))
                log_message(BM_LOG_WARNING, "cannot leave the working directory: %s",
                            strerror(errno));
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null >= 0) {
                for (int fd = 0; fd < FIRST_FREE_FD; fd++)
                        dup2(null, fd);
                close(null);
        }
        /* the caller may be gone, which changes nothing */
        if (write(daemon->ready_fd, "", 1) < 0)
                log_message(BM_LOG_INFO, "nobody waited for the mount: %s", strerror(errno));
        close(daemon->ready_fd);
        daemon->ready_fd = -1;
        /* it may take a while, which nobody has to wait for */
        if (own_session)
                weigh_less();
}

/* Until there is something to read; once a second a terminal is shown that time goes by. */
static void show_waiting(int fd, const char *store)
{
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        bool terminal = isatty(STDERR_FILENO), shown = false;
        int r;

        for (unsigned seconds = 1;; seconds++) {
                r = poll(&ready, 1, terminal ? 1000 : -1);
                if (r > 0 || (r < 0 && errno != EINTR))
                        break;
                if (r == 0 && seconds >= PATIENCE_SECONDS) {
                        fprintf(stderr, "\r%s: %s: opening, %u s ...\033[K", PROGRAM, store,
                                seconds);
                        shown = true;
                }
        }
        if (shown)
                fputs("\r\033[K", stderr);
}

int daemon_wait(struct daemon *daemon, pid_t pid, const char *store)
{
        int status;
        ssize_t n;
        char byte;

        show_waiting(daemon->ready_fd, store);
        do
                n = read(daemon->ready_fd, &byte, 1);
        while (n < 0 && errno == EINTR);
        close(daemon->ready_fd);
        daemon->ready_fd = -1;
        if (n == 1)
                return 0;
        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return COMMAND_ERROR;
        }
        if (WIFSIGNALED(status))
                fprintf(stderr, "%s: the daemon ended early: %s\n", PROGRAM,
                        strsignal(WTERMSIG(status)));
        /* an end without a word before the mount answered is no success */
        return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : COMMAND_ERROR;
}
