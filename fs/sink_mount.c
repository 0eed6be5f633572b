/* SPDX-License-Identifier: MIT */
/*
 * Through the daemon: small files and links in batches by FS_IOC_PUT, the rest
 * (directories, long values and long lists of attributes) by ordinary means.
 *
 * Threads: while one batch is sent by a thread of its own, the caller gathers
 * the next. Only the caller looks at what came of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "export.h"
#include "ioctl.h"
#include "sink.h"
#include "xattr.h"

#define META_MAX 2048u /* of a record in a batch: one that is put whole fits in */
#define ALIGN    8u

_Static_assert(sizeof(struct fs_ioc_put_record) + BM_KEY_MAX + 1 + META_MAX + SINK_VALUE_MAX +
                               ALIGN <=
                       FS_IOC_PUT_BYTES,
               "a record fits");

struct sink_dir {
        int fd;
};

struct batch {
        int fd; /* of the directory that it is for */
        struct fs_ioc_put put;
        char **paths; /* of the records */
        size_t paths_size;
        int result; /* of the whole */
};

struct mount_sink {
        struct sink sink;
        int root;
        struct batch batches[2];
        unsigned gathering; /* which of them; the other may be on its way */
        bool sending;
        pthread_t sender;
        uint8_t last_result; /* of the last record that was sent */
        int fd;              /* of the file that is being written */
};

static struct mount_sink *of(struct sink *sink)
{
        return (struct mount_sink *)sink;
}

/* Batches */

static struct batch *gathered(struct mount_sink *s)
{
        return &s->batches[s->gathering];
}

static void *send_batch(void *ctx)
{
        struct batch *batch = ctx;

        batch->result = ioctl(batch->fd, FS_IOC_PUT, &batch->put) ? -errno : 0;
        return NULL;
}

/* Reports what came of a batch, and empties it. A failure of the whole is one of each record. */
static void settle(struct mount_sink *s, struct batch *batch)
{
        /* the answer has a byte for each in their place */
        for (uint32_t i = 0; i < batch->put.n_records; i++) {
                uint8_t one = batch->result ? (uint8_t)-batch->result : batch->put.records[i];

                s->last_result = one;
                if (one && one != FS_IOC_PUT_KEPT)
                        s->sink.failed(s->sink.failed_ctx, batch->paths[i],
                                       sink_reason(&s->sink, -one));
                free(batch->paths[i]);
        }
        batch->put.n_records = batch->put.len = 0;
}

/* Waits for the batch that is on its way. */
static void collect(struct mount_sink *s)
{
        if (!s->sending)
                return;
        pthread_join(s->sender, NULL);
        s->sending = false;
        settle(s, &s->batches[!s->gathering]);
}

/* Sends what has gathered, one batch at a time. */
static void send_gathered(struct mount_sink *s)
{
        struct batch *batch = gathered(s);

        if (!batch->put.n_records)
                return;
        collect(s);
        batch->put.mode = s->sink.mode;
        if (pthread_create(&s->sender, NULL, send_batch, batch)) {
                send_batch(batch);
                settle(s, batch);
                return;
        }
        s->sending = true;
        s->gathering = !s->gathering;
}

static void flush(struct mount_sink *s)
{
        send_gathered(s);
        collect(s);
}

static int note_path(struct batch *batch, const char *path)
{
        if (batch->put.n_records == batch->paths_size) {
                size_t size = batch->paths_size ? 2 * batch->paths_size : 64;
                char **paths = realloc(batch->paths, size * sizeof(*paths));

                if (!paths)
                        return -ENOMEM;
                batch->paths = paths;
                batch->paths_size = size;
        }
        batch->paths[batch->put.n_records] = strdup(path);
        return batch->paths[batch->put.n_records] ? 0 : -ENOMEM;
}

static int add_record(struct mount_sink *s, struct sink_dir *dir, const char *name,
                      const struct tree_entry *entry, const uint8_t *meta, size_t meta_len,
                      const void *value, size_t len)
{
        struct fs_ioc_put_record head = {.value_len = (uint32_t)len,
                                         .meta_len = (uint16_t)meta_len,
                                         .name_len = (uint8_t)strlen(name),
                                         .has_count = entry->has_count,
                                         .count = entry->count};
        size_t size = sizeof(head) + head.name_len + 1 + meta_len + len;
        struct batch *batch = gathered(s);
        uint8_t *out;

        size = (size + ALIGN - 1) / ALIGN * ALIGN;
        head.size = (uint32_t)size;
        if (batch->fd != dir->fd || batch->put.len + size > sizeof(batch->put.records)) {
                send_gathered(s);
                batch = gathered(s);
        }
        if (note_path(batch, entry->path))
                return -ENOMEM;
        batch->fd = dir->fd;
        out = batch->put.records + batch->put.len;
        memcpy(out, &head, sizeof(head));
        memcpy(out + sizeof(head), name, head.name_len + 1u);
        memcpy(out + sizeof(head) + head.name_len + 1, meta, meta_len);
        memcpy(out + sizeof(head) + head.name_len + 1 + meta_len, value, len);
        batch->put.len += (uint32_t)size;
        batch->put.n_records++;
        return 0;
}

static int put_whole(struct mount_sink *s, struct sink_dir *dir, const char *name,
                     const struct tree_entry *entry, const void *value, size_t len)
{
        size_t meta_len;
        uint8_t *meta = sink_meta(entry, &meta_len);
        int result = -ENOMEM;

        if (meta && meta_len > META_MAX)
                result = -E2BIG;
        else if (meta)
                result = add_record(s, dir, name, entry, meta, meta_len, value, len);
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
        flush(of(sink));
        *made = !mkdirat(parent->fd, name, 0777);
        if (!*made && errno != EEXIST)
                return -errno;
        return dir_new(openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                       dir);
}

static int set(struct sink *sink, struct sink_dir *dir, const struct tree_entry *entry)
{
        flush(of(sink));
        return set_attributes(dir->fd, entry);
}

static void leave(struct sink *sink, struct sink_dir *dir)
{
        flush(of(sink));
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
        flush(s);
        return s->last_result == FS_IOC_PUT_KEPT ? SINK_KEPT : -s->last_result;
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

        flush(of(sink));
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
        flush(of(sink));
        return ioctl(of(sink)->root, FS_IOC_SYNC) ? -errno : 0;
}

static void free_sink(struct sink *sink)
{
        flush(of(sink));
        free(of(sink)->batches[0].paths);
        free(of(sink)->batches[1].paths);
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
        sink->fd = sink->batches[0].fd = sink->batches[1].fd = -1;
        *sinkp = &sink->sink;
        return 0;
}
