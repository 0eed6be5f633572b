/* SPDX-License-Identifier: MIT */
#include "users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mountinfo.h"
#include "path.h"

static bool leads_into(int process, const char *link, const char *dir)
{
        char path[PATH_MAX];
        ssize_t len = readlinkat(process, link, path, sizeof(path) - 1);

        if (len < 0)
                return false;
        path[len] = '\0';
        return path_is_within(path, dir);
}

static bool has_open_file(int process, const char *dir)
{
        int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *entry;
        bool found = false;
        DIR *files;

        if (fd < 0)
                return false;
        files = fdopendir(fd);
        if (!files) {
                close(fd);
                return false;
        }
        while (!found && (entry = readdir(files)))
                found = leads_into(fd, entry->d_name, dir);
        closedir(files);
        return found;
}

static bool uses(int process, const char *dir)
{
        return leads_into(process, "cwd", dir) || leads_into(process, "root", dir) ||
               leads_into(process, "exe", dir) || has_open_file(process, dir);
}

/* It has no program, and the first namespace's mounts, which it does not use. */
static bool is_kernel_thread(int process)
{
        char path[1];

        return readlinkat(process, "exe", path, sizeof(path)) < 0 && errno == ENOENT;
}

/* Whether what PROCESS sees has STORE mounted somewhere. */
static bool sees(int process, const char *store)
{
        struct mount_table table = MOUNT_TABLE_INIT;
        int fd =
                is_kernel_thread(process) ? -1 : openat(process, "mountinfo", O_RDONLY | O_CLOEXEC);
        FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
        bool found = false;

        if (!file) {
                if (fd >= 0)
                        close(fd);
                return false;
        }
        if (!mount_table_read(&table, file))
                for (size_t i = 0; i < table.n && !found; i++)
                        found = mount_is_ours(&table.mounts[i]) &&
                                !strcmp(table.mounts[i].source, store);
        mount_table_deinit(&table);
        fclose(file);
        return found;
}

static void append(char *text, size_t size, const char *pid, int process)
{
        char name[64] = "";
        size_t len = strlen(text);
        int fd;

        if (len >= 3 && !strcmp(text + len - 3, "..."))
                return;
        fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                ssize_t n = read(fd, name, sizeof(name) - 1);

                name[n < 0 ? 0 : n] = '\0';
                name[strcspn(name, "\n")] = '\0';
                close(fd);
        }
        /* room for the dots stays */
        if (size - len > strlen(pid) + strlen(name) + sizeof(", process  (), ..."))
                snprintf(text + len, size - len, "%sprocess %s (%s)", len ? ", " : "", pid, name);
        else if (size - len > sizeof(", ..."))
                snprintf(text + len, size - len, ", ...");
}

static size_t find(bool (*is_one)(int process, const char *what), const char *what, char *text,
                   size_t size)
{
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        size_t n = 0;

        *text = '\0';
        if (!proc)
                return 0;
        while ((entry = readdir(proc))) {
                int process;

                /* descriptors that the caller has from its shell are that one's */
                if (!isdigit((unsigned char)entry->d_name[0]) ||
                    strtol(entry->d_name, NULL, 10) == getpid())
                        continue;
                process = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (process < 0)
                        continue;
                if (is_one(process, what)) {
                        append(text, size, entry->d_name, process);
                        n++;
                }
                close(process);
        }
        closedir(proc);
        return n;
}

size_t mount_users(const char *dir, char *text, size_t size)
{
        return find(uses, dir, text, size);
}

size_t mount_viewers(const char *store, char *text, size_t size)
{
        return find(sees, store, text, size);
}
