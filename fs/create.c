/* SPDX-License-Identifier: MIT */
#include "create.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The store itself cannot carry the lock: it is not there yet. Where the
 * parent cannot be opened there is no lock, and no harm but to those who make
 * the same store at the same moment. A descriptor or -1.
 */
static int lock_parent(const char *path)
{
        const char *slash = strrchr(path, '/');
        char *parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
        int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        free(parent);
        if (fd >= 0 && flock(fd, LOCK_EX)) {
                close(fd);
                return -1;
        }
        return fd;
}

/* What is there but cannot be looked at is told by bm_open. One without a byte is what a power cut
 * leaves of a creation. */
static bool is_there(const char *path)
{
        struct stat st;
        char *file;
        bool there;

        if (asprintf(&file, "%s/superblock", path) < 0)
                return false;
        there = stat(file, &st) ? errno != ENOENT : !S_ISREG(st.st_mode) || st.st_size > 0;
        free(file);
        return there;
}

int create_store(const char *path, const struct bm_config *config, bool existing_ok, bool *created)
{
        int lock = lock_parent(path), r = 0;

        *created = !existing_ok || !is_there(path);
        if (*created)
                r = bm_create(path, config);
        if (lock >= 0)
                close(lock);
        return r;
}
