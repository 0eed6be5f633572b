/* SPDX-License-Identifier: MIT */
/*
 * Through the daemon: small files and links in batches (put_batch.h), the rest
 * (directories, long values and long lists of attributes) by ordinary means.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "export.h"
#include "ioctl.h"
#include "put_batch.h"
#include "sink.h"
#include "xattr.h"

struct sink_dir {
        int fd;
};

struct mount_sink {
        struct sink sink;
        int root;
        struct put_batches batches;
        int fd; /* of the file that is being written */
};

static struct mount_sink *of(struct sink *sink)
{
        return (struct mount_sink *)sink;
}

static int put_whole(struct mount_sink *s, struct sink_dir *dir, const char *name,
                     const struct tree_entry *entry, const void *value, size_t len)
{
        size_t meta_len;
        uint8_t *meta = sink_meta(entry, &meta_len);
        int result = -ENOMEM;

        if (meta && meta_len > PUT_BATCH_META_MAX)
                result = -E2BIG;
        else if (meta)
                result = put_batches_add(&s->batches, dir->fd, name, entry, meta, meta_len, value,
                                         len);
        free(meta);
        return result;
}

/* Files and directories that are open */

static bool is_listed(const struct tree_entry *entry, const char *name)
{
        struct fs_xattr xattr;

        return !fs_xattr_find(entry->xattrs, entry->xattrs_len, name, &xattr);
}

static int remove_others(int fd, const struct tree_entry *entry)
{
        static char names[FS_XATTR_LIST_MAX];
        ssize_t len = flistxattr(fd, names, sizeof(names));

        for (char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
                enum fs_xattr_kind kind = fs_xattr_kind(name);

                if ((kind == FS_XATTR_KIND_USER || kind == FS_XATTR_KIND_TRUSTED) &&
                    !is_listed(entry, name) && fremovexattr(fd, name))
                        return -errno;
        }
        return len < 0 ? -errno : 0;
}

static int set_xattrs(int fd, const struct tree_entry *entry)
{
        struct fs_xattr xattr;
        size_t offset = 0;
        int result = remove_others(fd, entry);

        while (!result && !fs_xattr_next(entry->xattrs, entry->xattrs_len, &offset, &xattr)) {
                char name[UINT8_MAX + 1] = "";

                memcpy(name, xattr.name, xattr.name_len);
                if (fsetxattr(fd, name, xattr.value, xattr.value_len, 0))
                        result = -errno;
        }
        return result;
}

static int set_attributes(int fd, const struct tree_entry *entry)
{
        const struct timespec times[2] = {fs_time_spec(entry->attr.atime),
                                          fs_time_spec(entry->attr.mtime)};
        int result = set_xattrs(fd, entry);

        if (result)
                return result;
        if (geteuid() == 0 && fchown(fd, entry->attr.uid, entry->attr.gid))
                return -errno;
        if (fchmod(fd, entry->attr.mode & 07777) || futimens(fd, times))
                return -errno;
        return 0;
}

/* Directories */

static int dir_new(int fd, struct sink_dir **dirp)
{
        if (fd < 0)
                return -errno;
        *dirp = malloc(sizeof(**dirp));
        if (!*dirp) {
                close(fd);
                return -ENOMEM;
        }
        (*dirp)->fd = fd;
        return 0;
}

static int root(struct sink *sink, struct sink_dir **dir, bool *empty)
{
        struct stat st;

        /* a directory's size is the number of its keys */
        if (fstat(of(sink)->root, &st))
                return -errno;
        *empty = st.st_size == 0;
        return dir_new(fcntl(of(sink)->root, F_DUPFD_CLOEXEC, 0), dir);
}

static int enter(struct sink *sink, struct sink_dir *parent, const char *name,
                 struct sink_dir **dir, bool *made)
{
        /* a batch may have it as a file */
        put_batches_flush(&of(sink)->batches);
        *made = !mkdirat(parent->fd, name, 0777);
        if (!*made && errno != EEXIST)
                return -errno;
        return dir_new(openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                       dir);
}

static int set(struct sink *sink, struct sink_dir *dir, const struct tree_entry *entry)
{
        put_batches_flush(&of(sink)->batches);
        return set_attributes(dir->fd, entry);
}

static void leave(struct sink *sink, struct sink_dir *dir)
{
        put_batches_flush(&of(sink)->batches);
        close(dir->fd);
        free(dir);
}

/* Long values */

/* An empty file first, in one step with its count; 0, SINK_KEPT, or 1 after a report. */
static int make(struct mount_sink *s, struct sink_dir *dir, const char *name,
                const struct tree_entry *entry)
{
        struct tree_entry empty = *entry;
        int result;

        empty.attr.mode |= S_IRUSR | S_IWUSR;
        empty.xattrs_len = 0;
        result = put_whole(s, dir, name, &empty, "", 0);
        if (result)
                return result;
        put_batches_flush(&s->batches);
        return s->batches.last_result == FS_IOC_PUT_KEPT ? SINK_KEPT : -s->batches.last_result;
}

static int begin(struct sink *sink, struct sink_dir *dir, const char *name,
                 const struct tree_entry *entry)
{
        struct mount_sink *s = of(sink);
        int result = make(s, dir, name, entry);

        s->fd = -1;
        /* it was reported */
        if (result)
                return result == SINK_KEPT || result == -ENOMEM ? result : SINK_KEPT;
        s->fd = openat(dir->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        return s->fd < 0 ? -errno : 0;
}

static int write_part(struct sink *sink, uint64_t offset, const void *bytes, size_t len)
{
        const char *from = bytes;

        while (len) {
                ssize_t n = pwrite(of(sink)->fd, from, len, (off_t)offset);

                if (n < 0)
                        return -errno;
                from += n;
                offset += (uint64_t)n;
                len -= (size_t)n;
        }
        return 0;
}

static int end(struct sink *sink, const struct tree_entry *entry, bool complete)
{
        struct mount_sink *s = of(sink);
        int result = 0;

        if (complete && ftruncate(s->fd, (off_t)entry->size))
                result = -errno;
        if (complete && !result)
                result = set_attributes(s->fd, entry);
        close(s->fd);
        s->fd = -1;
        return result;
}

static int put(struct sink *sink, struct sink_dir *dir, const char *name,
               const struct tree_entry *entry, const void *value, size_t len)
{
        int result = put_whole(of(sink), dir, name, entry, value, len), ended;

        if (result != -E2BIG || !S_ISREG(entry->attr.mode))
                return result;
        result = begin(sink, dir, name, entry);
        if (result)
                return result;
        result = write_part(sink, 0, value, len);
        ended = end(sink, entry, !result);
        return result ? result : ended;
}

/* The directory of PATH, and its last name; no symbolic link is followed. */
static int open_parent(int root, const char *path, char name[BM_KEY_MAX + 1])
{
        int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
        const char *part;
        size_t len;

        *name = '\0';
        while (dir >= 0 && (part = tree_path_next(&path, &len))) {
                if (*name) {
                        int next =
                                openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        int error = errno;

                        close(dir);
                        errno = error;
                        dir = next;
                }
                if (len > BM_KEY_MAX || (len == 2 && !memcmp(part, "..", 2))) {
                        if (dir >= 0)
                                close(dir);
                        return len > BM_KEY_MAX ? -ENAMETOOLONG : -EINVAL;
                }
                memcpy(name, part, len);
                name[len] = '\0';
        }
        return dir < 0 ? -errno : dir;
}

static int link_at(int from, const char *first, int to, const char *name)
{
        return linkat(from, first, to, name, 0) ? -errno : 0;
}

static bool is_same(int from, const char *first, int to, const char *name)
{
        struct stat a, b;

        return !fstatat(from, first, &a, AT_SYMLINK_NOFOLLOW) &&
               !fstatat(to, name, &b, AT_SYMLINK_NOFOLLOW) && a.st_ino == b.st_ino;
}

static int link_name(struct sink *sink, struct sink_dir *dir, const char *name, const char *path)
{
        char first[BM_KEY_MAX + 1];
        int result, from;

        put_batches_flush(&of(sink)->batches);
        from = open_parent(of(sink)->root, path, first);
        if (from < 0)
                return from;
        result = link_at(from, first, dir->fd, name);
        if (result == -EEXIST && sink->mode == FS_PUT_KEEP) {
                result = SINK_KEPT;
        } else if (result == -EEXIST && sink->mode == FS_PUT_REPLACE) {
                result = 0;
                if (!is_same(from, first, dir->fd, name)) {
                        result = unlinkat(dir->fd, name, 0) ? -errno : 0;
                        if (!result)
                                result = link_at(from, first, dir->fd, name);
                }
        }
        close(from);
        return result;
}

static int finish(struct sink *sink)
{
        put_batches_flush(&of(sink)->batches);
        return ioctl(of(sink)->root, FS_IOC_SYNC) ? -errno : 0;
}

static void free_sink(struct sink *sink)
{
        put_batches_deinit(&of(sink)->batches);
        free(sink);
}

int sink_mount_new(int fd, struct sink **sinkp)
{
        struct mount_sink *sink = calloc(1, sizeof(*sink));

        if (!sink)
                return -ENOMEM;
        sink->sink = (struct sink){.root = root,
                                   .enter = enter,
                                   .set = set,
                                   .leave = leave,
                                   .put = put,
                                   .begin = begin,
                                   .write = write_part,
                                   .end = end,
                                   .link = link_name,
                                   .finish = finish,
                                   .free = free_sink};
        sink->root = fd;
        sink->fd = -1;
        put_batches_init(&sink->batches, &sink->sink);
        *sinkp = &sink->sink;
        return 0;
}
