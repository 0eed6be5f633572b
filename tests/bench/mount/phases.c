/* SPDX-License-Identifier: MIT */
/*
 * The phases stand in the order in which they are meant to be run: each works
 * on what the one before left; unlink-half leaves nothing to do for unlink.
 */
#include "phases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPEND_BYTES 100u
#define BLOCK_LARGE  (128u << 10) /* what cp reads and writes at once */
#define BLOCK_SMALL  4096u
#define LARGE_BYTES  (64u << 20)
#define NAME_BYTES   32u

static const char *name_of(char name[NAME_BYTES], char kind, size_t i)
{
        snprintf(name, NAME_BYTES, "%c%07zu", kind, i);
        return name;
}

int client_init(struct client *client, const char *dir)
{
        char path[4096];
        size_t room = client->size > BLOCK_LARGE ? client->size : BLOCK_LARGE;

        client->random = client->number + 1;
        client->file = -1;
        client->bytes = malloc(room + APPEND_BYTES);
        if (!client->bytes)
                return -1;
        for (size_t i = 0; i < room; i++)
                client->bytes[i] = (char)rand_r(&client->random);
        snprintf(path, sizeof(path), "%s/%u", dir, client->number);
        if (mkdir(path, 0755) && errno != EEXIST)
                return -1;
        client->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return client->dir < 0 ? -1 : 0;
}

void client_deinit(struct client *client)
{
        if (client->file >= 0)
                close(client->file);
        close(client->dir);
        free(client->bytes);
}

/* How often */

static size_t each_file(const struct client *client)
{
        return client->n_files;
}

/* a device is asked each time */
static size_t some_files(const struct client *client)
{
        return client->n_files / 10 + 16;
}

static size_t large_blocks(const struct client *client)
{
        return LARGE_BYTES / BLOCK_LARGE;
}

static size_t small_blocks(const struct client *client)
{
        return 4 * client->n_files;
}

/* Small files */

static int write_and_close(int fd, const char *bytes, size_t len)
{
        ssize_t n = fd < 0 ? -1 : write(fd, bytes, len);

        if (fd >= 0 && close(fd))
                n = -1;
        return n == (ssize_t)len ? 0 : -1;
}

static int create_as(struct client *client, char kind, size_t i)
{
        char name[NAME_BYTES];

        return write_and_close(
                openat(client->dir, name_of(name, kind, i), O_CREAT | O_EXCL | O_WRONLY, 0644),
                client->bytes, client->size);
}

static int create_file(struct client *client, size_t i)
{
        return create_as(client, 'f', i);
}

static int stat_file(struct client *client, size_t i)
{
        char name[NAME_BYTES];
        struct stat st;

        return fstatat(client->dir, name_of(name, 'f', i), &st, 0);
}

/* Takes the pages of all files from the cache, where the kernel lets go of them. */
static int drop_pages(struct client *client)
{
        char name[NAME_BYTES];
        int result = syncfs(client->dir);

        for (size_t i = 0; !result && i < client->n_files; i++) {
                int fd = openat(client->dir, name_of(name, 'f', i), O_RDONLY);

                if (fd < 0)
                        return -1;
                posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
                result = close(fd);
        }
        return result;
}

static int read_file(struct client *client, size_t i)
{
        char name[NAME_BYTES];
        int fd = openat(client->dir, name_of(name, 'f', i), O_RDONLY);
        ssize_t n;

        if (fd < 0)
                return -1;
        n = read(fd, client->bytes, client->size);
        if (close(fd))
                return -1;
        return n == (ssize_t)client->size ? 0 : -1;
}

static int overwrite_file(struct client *client, size_t i)
{
        char name[NAME_BYTES];

        return write_and_close(openat(client->dir, name_of(name, 'f', i), O_WRONLY | O_TRUNC),
                               client->bytes, client->size);
}

static int append_to_file(struct client *client, size_t i)
{
        char name[NAME_BYTES];

        return write_and_close(openat(client->dir, name_of(name, 'f', i), O_WRONLY | O_APPEND),
                               client->bytes, APPEND_BYTES);
}

static int replace_file(struct client *client, size_t i)
{
        char temporary[NAME_BYTES], name[NAME_BYTES];

        if (create_as(client, 't', i))
                return -1;
        return renameat(client->dir, name_of(temporary, 't', i), client->dir,
                        name_of(name, 'f', i));
}

static int miss_file(struct client *client, size_t i)
{
        char name[NAME_BYTES];
        struct stat st;

        if (!fstatat(client->dir, name_of(name, 'x', i), &st, 0))
                errno = EEXIST;
        return errno == ENOENT ? 0 : -1;
}

/* One more entry is read and looked at, as by "ls -l". */
static int list_file(struct client *client, size_t i)
{
        static _Thread_local DIR *dir;
        struct dirent *entry;
        struct stat st;

        if (i == 0) {
                dir = fdopendir(openat(client->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                if (!dir)
                        return -1;
        }
        errno = ENOENT;
        entry = readdir(dir);
        if (!entry || fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
                return -1;
        return i == client->n_files - 1 ? closedir(dir) : 0;
}

static int unlink_file(struct client *client, size_t i)
{
        char name[NAME_BYTES];

        return unlinkat(client->dir, name_of(name, 'f', i), 0);
}

static size_t every_other(const struct client *client)
{
        return client->n_files / 2;
}

static int unlink_every_other(struct client *client, size_t i)
{
        return unlink_file(client, 2 * i);
}

static int create_durable(struct client *client, size_t i)
{
        char name[NAME_BYTES];
        int fd = openat(client->dir, name_of(name, 's', i), O_CREAT | O_EXCL | O_WRONLY, 0644);
        ssize_t n = fd < 0 ? -1 : write(fd, client->bytes, client->size);

        if (n != (ssize_t)client->size || fsync(fd))
                return -1;
        return close(fd);
}

static int unlink_durable(struct client *client, size_t i)
{
        char name[NAME_BYTES];

        return unlinkat(client->dir, name_of(name, 's', i), 0);
}

/* The large file */

static int open_large(struct client *client)
{
        client->file = openat(client->dir, "large", O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0644);
        return client->file < 0 ? -1 : 0;
}

static int write_block(struct client *client, size_t len, off_t at)
{
        return pwrite(client->file, client->bytes, len, at) == (ssize_t)len ? 0 : -1;
}

static int write_on(struct client *client, size_t i)
{
        return write_block(client, BLOCK_LARGE, (off_t)(i * BLOCK_LARGE));
}

static int drop_large(struct client *client)
{
        if (syncfs(client->dir))
                return -1;
        errno = posix_fadvise(client->file, 0, 0, POSIX_FADV_DONTNEED);
        return errno ? -1 : 0;
}

static int read_on(struct client *client, size_t i)
{
        ssize_t n = pread(client->file, client->bytes, BLOCK_LARGE, (off_t)(i * BLOCK_LARGE));

        return n == BLOCK_LARGE ? 0 : -1;
}

static int drop_large_for_random(struct client *client)
{
        if (drop_large(client))
                return -1;
        errno = posix_fadvise(client->file, 0, 0, POSIX_FADV_RANDOM);
        return errno ? -1 : 0;
}

static off_t somewhere(struct client *client)
{
        return (off_t)((unsigned)rand_r(&client->random) % (LARGE_BYTES / BLOCK_SMALL)) *
               BLOCK_SMALL;
}

static int read_anywhere(struct client *client, size_t i)
{
        ssize_t n = pread(client->file, client->bytes, BLOCK_SMALL, somewhere(client));

        return n == BLOCK_SMALL ? 0 : -1;
}

static int write_anywhere(struct client *client, size_t i)
{
        return write_block(client, BLOCK_SMALL, somewhere(client));
}

static int empty_large(struct client *client)
{
        return ftruncate(client->file, 0);
}

static int write_little(struct client *client, size_t i)
{
        return write_block(client, BLOCK_SMALL, (off_t)(i * BLOCK_SMALL));
}

static const struct phase phases[] = {
        {"create", each_file, NULL, create_file},
        {"stat", each_file, NULL, stat_file},
        {"first-read", each_file, drop_pages, read_file},
        {"cached-read", each_file, NULL, read_file},
        {"overwrite", each_file, NULL, overwrite_file},
        {"append", each_file, NULL, append_to_file},
        {"replace", each_file, NULL, replace_file},
        {"miss", each_file, NULL, miss_file},
        {"list", each_file, NULL, list_file},
        {"unlink-half", every_other, NULL, unlink_every_other},
        {"unlink", each_file, NULL, unlink_file},
        {"create-fsync", some_files, NULL, create_durable},
        {"unlink-fsync", some_files, NULL, unlink_durable},
        {"large-write", large_blocks, open_large, write_on},
        {"large-read", large_blocks, drop_large, read_on},
        {"random-read", small_blocks, drop_large_for_random, read_anywhere},
        {"random-write", small_blocks, NULL, write_anywhere},
        {"grow", small_blocks, empty_large, write_little},
};

const struct phase *phase_find(const char *name)
{
        for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
                if (!strcmp(phases[i].name, name))
                        return &phases[i];
        return NULL;
}
