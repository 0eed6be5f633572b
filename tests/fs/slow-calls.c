/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: system calls as slow or as poor as a test wants them.
 * SLOW_SYNC=FILE: a sync of a segment adds a line to FILE.calls, and then
 * waits until nobody holds a lock on FILE. SLOW_ANSWER=FILE: likewise before
 * libfuse answers with nothing but an error number. NO_LOCKS: flock is ENOLCK,
 * as over NFS without a lock daemon.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "fuse_api.h"

static int real_flock(int fd, int operation)
{
        int (*call)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
        return call(fd, operation);
}

static void add_line(const char *file, const char *line)
{
        char path[4200];
        snprintf(path, sizeof(path), "%s.calls", file);
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0 || dprintf(fd, "%s\n", line) < 0)
                abort();
        close(fd);
}

static void wait_for(const char *file)
{
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || real_flock(fd, LOCK_SH) != 0)
                abort();
        close(fd);
}

int fdatasync(int fd)
{
        int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
        const char *file = getenv("SLOW_SYNC");
        char link[32], path[4096] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (file && readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "/segments/")) {
                add_line(file, path);
                wait_for(file);
        }
        return call(fd);
}

int fuse_reply_err(fuse_req_t req, int error)
{
        int (*call)(fuse_req_t, int) = (int (*)(fuse_req_t, int))dlsym(RTLD_NEXT, "fuse_reply_err");
        const char *file = getenv("SLOW_ANSWER");
        if (file) {
                add_line(file, "answer");
                wait_for(file);
        }
        return call(req, error);
}

int flock(int fd, int operation)
{
        if (!getenv("NO_LOCKS"))
                return real_flock(fd, operation);
        errno = ENOLCK;
        return -1;
}
