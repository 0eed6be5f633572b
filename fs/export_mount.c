/* SPDX-License-Identifier: MIT */
/*
 * A mounted store, through its files: the daemon's work and the kernel's
 * caches are those of any program that reads. Keys that come and go meanwhile
 * are in the archive or not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "export.h"
#include "transfer.h"
#include "tree_links.h"
#include "xattr.h"

#define BLOCK 512 /* of st_blocks */

/* A directory on the way down. */
struct frame {
        DIR *dir;
        size_t path_len;
        struct frame *above;
};

struct walk {
        const struct export *export;
        struct tree_path path;
        struct tree_links links;
        struct frame *frame;
        char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
        uint8_t xattrs[FS_XATTR_LIST_MAX];
};

static const char *path_of(const struct walk *walk)
{
        return walk->path.text ? walk->path.text : "";
}

static void failed(const struct walk *walk, int result)
{
        walk->export->failed(walk->export->ctx, path_of(walk), transfer_reason(result));
}

static int read_value(void *ctx, uint64_t offset, void *buf, size_t len, size_t *done)
{
        int fd = *(int *)ctx;

        *done = 0;
        while (*done < len) {
                ssize_t n = pread(fd, (char *)buf + *done, len - *done, (off_t)(offset + *done));

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                *done += (size_t)n;
        }
        return 0;
}

static int find_data(void *ctx, uint64_t offset, uint64_t *from, uint64_t *to)
{
        int fd = *(int *)ctx;
        off_t start = lseek(fd, (off_t)offset, SEEK_DATA), end;

        if (start < 0)
                return -errno;
        end = lseek(fd, start, SEEK_HOLE);
        if (end < 0)
                return -errno;
        *from = (uint64_t)start;
        *to = (uint64_t)end;
        return 0;
}

static int take_count(struct walk *walk, int fd, struct tree_entry *entry)
{
        struct fs_count_change count;
        ssize_t len = fgetxattr(fd, FS_XATTR_COUNT, walk->value, sizeof(walk->value));
        int result;

        if (len < 0)
                return errno == ENODATA ? 0 : -errno;
        result = fs_count_parse(walk->value, (size_t)len, &count);
        entry->has_count = !result;
        entry->count = count.count;
        return result;
}

static int take_xattrs(struct walk *walk, int fd, struct tree_entry *entry)
{
        ssize_t names_len = flistxattr(fd, walk->names, sizeof(walk->names));

        entry->xattrs = walk->xattrs;
        if (names_len < 0)
                return -errno;
        for (char *name = walk->names; name < walk->names + names_len; name += strlen(name) + 1) {
                enum fs_xattr_kind kind = fs_xattr_kind(name);
                ssize_t len;
                int result;

                if (kind != FS_XATTR_KIND_USER && kind != FS_XATTR_KIND_TRUSTED)
                        continue;
                len = fgetxattr(fd, name, walk->value, sizeof(walk->value));
                if (len < 0 && errno == ENODATA)
                        continue;
                if (len < 0)
                        return -errno;
                result = fs_xattr_set(walk->xattrs, &entry->xattrs_len, name, walk->value,
                                      (size_t)len, 0);
                if (result)
                        return result;
        }
        return S_ISDIR(entry->attr.mode) ? 0 : take_count(walk, fd, entry);
}

static void fill(const struct walk *walk, const struct stat *st, struct tree_entry *entry)
{
        *entry = (struct tree_entry){
                .path = path_of(walk),
                .attr = {.mode = st->st_mode,
                         .uid = st->st_uid,
                         .gid = st->st_gid,
                         .mtime = fs_time_from(st->st_mtim),
                         .atime = fs_time_from(st->st_atim),
                         .major = major(st->st_rdev),
                         .minor = minor(st->st_rdev)},
                .size = (uint64_t)st->st_size,
                .allocated = (uint64_t)st->st_blocks * BLOCK,
        };
}

static int give_link(struct walk *walk, int dir, const char *name, struct tree_entry *entry)
{
        char target[PATH_MAX];
        ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);

        if (len < 0) {
                failed(walk, -errno);
                return 0;
        }
        target[len] = '\0';
        entry->target = target;
        return walk->export->entry(walk->export->ctx, entry, NULL);
}

/* FD becomes the walk's. */
static int descend(struct walk *walk, int fd)
{
        struct frame *frame = malloc(sizeof(*frame));
        DIR *dir = frame ? fdopendir(fd) : NULL;

        if (!dir) {
                close(fd);
                free(frame);
                return frame ? -errno : -ENOMEM;
        }
        *frame = (struct frame){.dir = dir, .path_len = walk->path.len, .above = walk->frame};
        walk->frame = frame;
        return 0;
}

static void ascend(struct walk *walk)
{
        struct frame *frame = walk->frame;

        closedir(frame->dir);
        walk->frame = frame->above;
        free(frame);
}

static int give_open(struct walk *walk, int fd, struct tree_entry *entry)
{
        int result = take_xattrs(walk, fd, entry);

        if (result) {
                failed(walk, result);
                close(fd);
                return 0;
        }
        result = walk->export->entry(
                walk->export->ctx, entry,
                &(struct tree_value){.read = read_value, .find = find_data, .ctx = &fd});
        if (!result && S_ISDIR(entry->attr.mode))
                return descend(walk, fd);
        close(fd);
        return result;
}

/* NAME in DIR, at the walk's path. */
static int give(struct walk *walk, int dir, const char *name)
{
        struct tree_entry entry;
        struct stat st;
        int fd;

        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) {
                failed(walk, -errno);
                return 0;
        }
        fill(walk, &st, &entry);
        if (!S_ISDIR(st.st_mode) &&
            tree_links_meet(&walk->links, st.st_ino, st.st_nlink, entry.path, &entry.first))
                return -ENOMEM;
        /* what is neither file nor directory is not opened: a fifo would wait for a writer */
        if (entry.first || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)))
                return walk->export->entry(walk->export->ctx, &entry, NULL);
        if (S_ISLNK(st.st_mode))
                return give_link(walk, dir, name, &entry);
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                failed(walk, -errno);
                return 0;
        }
        return give_open(walk, fd, &entry);
}

static int step(struct walk *walk)
{
        struct frame *frame = walk->frame;
        const struct dirent *found;
        int result;

        tree_path_cut(&walk->path, frame->path_len);
        errno = 0;
        found = readdir(frame->dir);
        if (!found) {
                if (errno)
                        failed(walk, -errno);
                ascend(walk);
                return 0;
        }
        if (!strcmp(found->d_name, ".") || !strcmp(found->d_name, ".."))
                return 0;
        result = tree_path_push(&walk->path, found->d_name, strlen(found->d_name));
        return result ? result : give(walk, dirfd(frame->dir), found->d_name);
}

static int walk_below(struct walk *walk)
{
        int result = 0;

        while (!result && walk->frame)
                result = step(walk);
        while (walk->frame)
                ascend(walk);
        return result;
}

/* The directory that KEY is in, and the last of its names. */
static int find_parent(struct walk *walk, int root, const char *key, char name[BM_KEY_MAX + 1])
{
        int dir = dup(root), next;
        const char *found;
        size_t len;

        strcpy(name, ".");
        while (dir >= 0 && (found = tree_path_next(&key, &len))) {
                next = len > BM_KEY_MAX ? -1
                                        : openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
                if (next < 0)
                        next = len > BM_KEY_MAX ? -ENAMETOOLONG : -errno;
                close(dir);
                dir = next;
                if (dir < 0)
                        break;
                memcpy(name, found, len);
                name[len] = '\0';
                if (!strcmp(name, "..") || tree_path_push(&walk->path, found, len)) {
                        close(dir);
                        dir = -EINVAL;
                }
        }
        return dir;
}

static int walk_key(struct walk *walk, int root, const char *key)
{
        char name[BM_KEY_MAX + 1];
        int result, dir;

        tree_path_cut(&walk->path, 0);
        dir = find_parent(walk, root, key, name);
        if (dir < 0) {
                walk->export->failed(walk->export->ctx, key, transfer_reason(dir));
                return 0;
        }
        if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT) {
                walk->export->failed(walk->export->ctx, key, "no such key");
                result = 0;
        } else {
                result = give(walk, dir, name);
        }
        close(dir);
        return result ? result : walk_below(walk);
}

/* A descriptor is open for each directory on the way down. */
static void raise_limit(void)
{
        struct rlimit limit;

        if (!getrlimit(RLIMIT_NOFILE, &limit)) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int export_mount(int root, const struct export *export)
{
        struct walk *walk = calloc(1, sizeof(*walk));
        int result = 0;

        if (!walk)
                return -ENOMEM;
        walk->export = export;
        raise_limit();
        if (!export->keys[0])
                result = walk_key(walk, root, "");
        for (size_t i = 0; !result && export->keys[i]; i++)
                result = walk_key(walk, root, export->keys[i]);
        tree_links_deinit(&walk->links);
        tree_path_deinit(&walk->path);
        free(walk);
        return result;
}
