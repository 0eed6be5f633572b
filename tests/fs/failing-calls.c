/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded into a daemon: while the file that BM_FAILING names holds
 * "CALL PATH", each CALL on a file whose path contains PATH fails with EIO, as
 * on a disk that does. CALL is fdatasync, pread, pwrite or openat.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* what programs call with 64-bit offsets */
ssize_t failing_pread(int fd, void *buf, size_t len, off_t offset) __asm__("pread64");
ssize_t failing_pwrite(int fd, const void *buf, size_t len, off_t offset) __asm__("pwrite64");
int failing_openat(int dir, const char *name, int flags, ...) __asm__("openat64");

static bool fails(const char *call, int fd)
{
        char link[64], path[4096], wanted_call[32], wanted_path[256];
        const char *control = getenv("BM_FAILING");
        FILE *file = control ? fopen(control, "re") : NULL;
        bool found = file && fscanf(file, "%31s %255s", wanted_call, wanted_path) == 2;

        if (file)
                fclose(file);
        if (!found || strcmp(call, wanted_call) != 0)
                return false;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return false;
        path[n] = '\0';
        if (!strstr(path, wanted_path))
                return false;
        errno = EIO;
        return true;
}

int fdatasync(int fd)
{
        return fails("fdatasync", fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t failing_pread(int fd, void *buf, size_t len, off_t offset)
{
        return fails("pread", fd) ? -1 : syscall(SYS_pread64, fd, buf, len, offset);
}

ssize_t failing_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
        return fails("pwrite", fd) ? -1 : syscall(SYS_pwrite64, fd, buf, len, offset);
}

int failing_openat(int dir, const char *name, int flags, ...)
{
        va_list ap;
        va_start(ap, flags);
        int mode = va_arg(ap, int);
        va_end(ap);
        return fails("openat", dir) ? -1 : (int)syscall(SYS_openat, dir, name, flags, mode);
}
