/* SPDX-License-Identifier: MIT */
#include "archive_in.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xattr.h"

#define BLOCK_BYTES (128u << 10)
#define TARGET_MAX  4095u

struct archive_in {
        struct archive *archive;
        uint8_t xattrs[FS_XATTR_LIST_MAX];
};

int archive_in_new(int fd, struct archive_in **inp)
{
        struct archive_in *in = calloc(1, sizeof(*in));
        struct archive *archive = archive_read_new();

        if (!in || !archive) {
                archive_read_free(archive);
                free(in);
                return -ENOMEM;
        }
        in->archive = archive;
        /* those that the library does itself; others would start programs */
        archive_read_support_filter_gzip(archive);
        archive_read_support_filter_bzip2(archive);
        archive_read_support_filter_xz(archive);
        archive_read_support_filter_zstd(archive);
        archive_read_support_filter_lz4(archive);
        archive_read_support_format_tar(archive);
        *inp = in;
        if (archive_read_open_fd(archive, fd, BLOCK_BYTES) != ARCHIVE_OK)
                return -EIO;
        return 0;
}

struct archive_in *archive_in_free(struct archive_in *in)
{
        if (in)
                archive_read_free(in->archive);
        free(in);
        return NULL;
}

const char *archive_in_problem(struct archive_in *in)
{
        const char *problem = in ? archive_error_string(in->archive) : NULL;

        return problem ? problem : "cannot read";
}

static const char *take_count(struct tree_entry *entry, const void *value, size_t len)
{
        struct fs_count_change count;

        if (fs_count_parse(value, len, &count) || count.relative)
                return "its " FS_XATTR_COUNT " is no count";
        entry->has_count = true;
        entry->count = count.count;
        return NULL;
}

/* Attributes that have no place here, such as security.selinux, are left out, as tar does. */
static const char *take_xattrs(struct archive_in *in, struct archive_entry *from,
                               struct tree_entry *entry)
{
        const char *name, *problem = NULL;
        const void *value;
        size_t len;

        entry->xattrs = in->xattrs;
        archive_entry_xattr_reset(from);
        while (!problem && archive_entry_xattr_next(from, &name, &value, &len) == ARCHIVE_OK) {
                enum fs_xattr_kind kind = fs_xattr_kind(name);

                if (kind == FS_XATTR_KIND_REFCOUNT)
                        problem = take_count(entry, value, len);
                else if ((kind == FS_XATTR_KIND_USER ||
                          (kind == FS_XATTR_KIND_TRUSTED && geteuid() == 0)) &&
                         fs_xattr_set(in->xattrs, &entry->xattrs_len, name, value, len, 0))
                        problem = "its extended attributes are too large";
        }
        return problem;
}

static const char *take_type(struct archive_entry *from, struct tree_entry *entry)
{
        mode_t type = archive_entry_filetype(from);

        entry->attr.mode = type | archive_entry_perm(from);
        entry->first = archive_entry_hardlink(from);
        if (entry->first)
                return NULL;
        if (type == AE_IFREG) {
                if (archive_entry_size(from) < 0 ||
                    (uint64_t)archive_entry_size(from) > BM_VALUE_MAX)
                        return "too long";
                entry->size = (uint64_t)archive_entry_size(from);
        } else if (type == AE_IFLNK) {
                entry->target = archive_entry_symlink(from);
                if (!entry->target || !*entry->target || strlen(entry->target) > TARGET_MAX)
                        return "a link without a possible target";
        } else if (type == AE_IFCHR || type == AE_IFBLK) {
                entry->attr.major = (uint32_t)archive_entry_rdevmajor(from);
                entry->attr.minor = (uint32_t)archive_entry_rdevminor(from);
        } else if (type != AE_IFDIR && type != AE_IFIFO && type != AE_IFSOCK) {
                return "no file of a type that there is here";
        }
        return NULL;
}

static void take_times(struct archive_entry *from, struct fs_attr *attr)
{
        attr->mtime = fs_time_now();
        if (archive_entry_mtime_is_set(from))
                attr->mtime = fs_time_from((struct timespec){archive_entry_mtime(from),
                                                             archive_entry_mtime_nsec(from)});
        attr->atime = attr->mtime;
        if (archive_entry_atime_is_set(from))
                attr->atime = fs_time_from((struct timespec){archive_entry_atime(from),
                                                             archive_entry_atime_nsec(from)});
        attr->birth = attr->ctime = fs_time_now();
}

int archive_in_next(struct archive_in *in, struct tree_entry *entry, const char **problem)
{
        struct archive_entry *from;
        int status = archive_read_next_header(in->archive, &from);

        if (status == ARCHIVE_EOF)
                return 0;
        if (status == ARCHIVE_FATAL)
                return -EIO;
        *entry = (struct tree_entry){.path = archive_entry_pathname(from)};
        *problem = NULL;
        if (!entry->path) {
                entry->path = "(a name that cannot be read)";
                *problem = archive_in_problem(in);
                return 1;
        }
        take_times(from, &entry->attr);
        entry->attr.uid = (uint32_t)archive_entry_uid(from);
        entry->attr.gid = (uint32_t)archive_entry_gid(from);
        *problem = take_type(from, entry);
        if (!*problem)
                *problem = take_xattrs(in, from, entry);
        return 1;
}

int archive_in_block(struct archive_in *in, const void **bytes, size_t *len, uint64_t *offset)
{
        la_int64_t at;
        int status = archive_read_data_block(in->archive, bytes, len, &at);

        if (status == ARCHIVE_EOF)
                return 0;
        if (status < ARCHIVE_WARN || at < 0)
                return -EIO;
        *offset = (uint64_t)at;
        return 1;
}
