/* SPDX-License-Identifier: MIT */
/*
 * libarchive gives a name that stands in the header encoded (pax.h) as it is,
 * or without telling that it was decoded, and newer ones drop the long ones:
 * so the attributes are taken from the header itself. One reader decompresses,
 * and what it hands to the second, which reads the entries, is kept as long as
 * it may be the header of one.
 */
#include "archive_in.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pax.h"
#include "quote.h"
#include "xattr.h"

#define BLOCK_BYTES (128u << 10)
#define TARGET_MAX  4095u
#define KEPT_MAX    (32u << 20) /* of memory, whatever an archive claims as a header */

struct archive_in {
        struct archive *stream, *archive;
        tree_failed_fn failed;
        void *failed_ctx;
        bool in_entry;     /* the last header was read */
        bool in_header;    /* one is being read, which begins at HEADER_AT */
        int64_t header_at; /* in the stream that is not compressed */
        char *kept;        /* what was handed over, KEPT_AT bytes in, and may be a header */
        size_t kept_len, kept_size;
        int64_t kept_at;
        uint8_t xattrs[FS_XATTR_LIST_MAX];
};

/* The stream */

/* Forgets what lies before AT. */
static void drop_kept(struct archive_in *in, int64_t at)
{
        size_t n = at > in->kept_at ? (size_t)(at - in->kept_at) : 0;

        if (n > in->kept_len)
                n = in->kept_len;
        memmove(in->kept, in->kept + n, in->kept_len - n);
        in->kept_len -= n;
        in->kept_at += (int64_t)n;
}

static int keep(struct archive_in *in, const void *bytes, size_t len)
{
        drop_kept(in, in->in_header ? in->header_at : archive_filter_bytes(in->archive, 0));
        if (in->kept_len + len > KEPT_MAX)
                return -EFBIG;
        if (in->kept_len + len > in->kept_size) {
                size_t size = 2 * (in->kept_len + len);
                char *kept = realloc(in->kept, size);

                if (!kept)
                        return -ENOMEM;
                in->kept = kept;
                in->kept_size = size;
        }
        memcpy(in->kept + in->kept_len, bytes, len);
        in->kept_len += len;
        return 0;
}

static la_ssize_t give_bytes(struct archive *archive, void *ctx, const void **bytes)
{
        struct archive_in *in = ctx;
        la_int64_t offset;
        size_t len = 0;
        int status, result;

        do
                status = archive_read_data_block(in->stream, bytes, &len, &offset);
        while (status == ARCHIVE_OK && !len);
        if (status == ARCHIVE_EOF)
                return 0;
        if (status < ARCHIVE_WARN) {
                archive_copy_error(archive, in->stream);
                return -1;
        }
        result = keep(in, *bytes, len);
        if (result) {
                archive_set_error(archive, -result, "%s", strerror(-result));
                return -1;
        }
        return (la_ssize_t)len;
}

static la_ssize_t give_nothing(struct archive *archive, void *ctx, const void **bytes)
{
        (void)archive;
        (void)ctx;
        *bytes = NULL;
        return 0;
}

static int open_archives(struct archive_in *in, int fd)
{
        struct archive_entry *whole;
        int status;

        /* those that the library does itself; others would start programs */
        archive_read_support_filter_gzip(in->stream);
        archive_read_support_filter_bzip2(in->stream);
        archive_read_support_filter_xz(in->stream);
        archive_read_support_filter_zstd(in->stream);
        archive_read_support_filter_lz4(in->stream);
        archive_read_support_format_raw(in->stream);
        archive_read_support_format_empty(in->stream);
        archive_read_support_format_tar(in->archive);
        status = archive_read_open_fd(in->stream, fd, BLOCK_BYTES);
        if (status == ARCHIVE_OK)
                status = archive_read_next_header(in->stream, &whole);
        if (status != ARCHIVE_EOF && status < ARCHIVE_WARN) {
                archive_copy_error(in->archive, in->stream);
                return -EIO;
        }
        status = archive_read_open(in->archive, in, NULL,
                                   status == ARCHIVE_EOF ? give_nothing : give_bytes, NULL);
        return status == ARCHIVE_OK ? 0 : -EIO;
}

int archive_in_new(int fd, tree_failed_fn failed, void *failed_ctx, struct archive_in **inp)
{
        struct archive_in *in = calloc(1, sizeof(*in));

        if (!in)
                return -ENOMEM;
        in->failed = failed;
        in->failed_ctx = failed_ctx;
        in->stream = archive_read_new();
        in->archive = archive_read_new();
        in->kept_size = 2 * BLOCK_BYTES;
        in->kept = malloc(in->kept_size);
        if (!in->stream || !in->archive || !in->kept) {
                archive_in_free(in);
                return -ENOMEM;
        }
        *inp = in;
        return open_archives(in, fd);
}

struct archive_in *archive_in_free(struct archive_in *in)
{
        if (!in)
                return NULL;
        archive_read_free(in->archive);
        archive_read_free(in->stream);
        free(in->kept);
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

/* The entry is stored without it. */
static void leave_out(struct archive_in *in, const struct tree_entry *entry, const char *name,
                      size_t len)
{
        char *quoted = quote_shell(name, len), *reason = NULL;

        if (quoted &&
            asprintf(&reason, "%s is no name of an attribute, which is left out", quoted) < 0)
                reason = NULL;
        in->failed(in->failed_ctx, entry->path,
                   reason ? reason : "an attribute without a possible name is left out");
        free(reason);
        free(quoted);
}

/* Attributes that have no place here, such as security.selinux, are left out, as tar does. */
static const char *take_xattr(struct archive_in *in, struct tree_entry *entry, const char *encoded,
                              size_t encoded_len, const char *value, size_t len)
{
        char name[UINT8_MAX + 1];
        enum fs_xattr_kind kind = FS_XATTR_KIND_NAMELESS;

        if (!pax_decode_name(encoded, encoded_len, name, sizeof(name)) && *name)
                kind = fs_xattr_kind(name);
        if (kind == FS_XATTR_KIND_NAMELESS) {
                leave_out(in, entry, encoded, encoded_len);
                return NULL;
        }
        if (kind == FS_XATTR_KIND_REFCOUNT)
                return take_count(entry, value, len);
        if ((kind == FS_XATTR_KIND_USER || (kind == FS_XATTR_KIND_TRUSTED && geteuid() == 0)) &&
            fs_xattr_set(in->xattrs, &entry->xattrs_len, name, value, len, 0))
                return "its extended attributes are too large";
        return NULL;
}

static bool has_prefix(const struct pax_record *record, const char *prefix)
{
        return record->key_len >= strlen(prefix) && !memcmp(record->key, prefix, strlen(prefix));
}

/* What the library could make something of. */
static void tell_of_header(struct archive_in *in, const struct tree_entry *entry)
{
        in->failed(in->failed_ctx, entry->path,
                   "its extended header is damaged: attributes may be missing");
}

/* Of the records of one header, those of attributes; one that stands there twice is set once. */
static const char *take_records(struct archive_in *in, struct tree_entry *entry, char *body,
                                size_t len)
{
        const char *problem = NULL;
        struct pax_record record;
        size_t offset = 0;
        int end = 0;

        while (!problem && !(end = pax_next(body, len, &offset, &record))) {
                size_t skip = strlen(PAX_XATTR);

                if (has_prefix(&record, PAX_XATTR_ALSO)) {
                        skip = strlen(PAX_XATTR_ALSO);
                        record.value_len = pax_decode_value(record.value, record.value_len);
                } else if (!has_prefix(&record, PAX_XATTR)) {
                        continue;
                }
                problem = take_xattr(in, entry, record.key + skip, record.key_len - skip,
                                     record.value, record.value_len);
        }
        if (end < 0)
                tell_of_header(in, entry);
        return problem;
}

/* The headers that stand before an entry's own. */
static const char *take_xattrs(struct archive_in *in, struct tree_entry *entry)
{
        const char *problem = NULL;
        size_t at = (size_t)(in->header_at - in->kept_at);

        entry->xattrs = in->xattrs;
        while (!problem && at <= in->kept_len && in->kept_len - at >= PAX_BLOCK) {
                char *block = in->kept + at, type = pax_type(block);
                size_t left = in->kept_len - at - PAX_BLOCK;
                uint64_t len;

                if (!type || !strchr("xXgLKVA", type))
                        break;
                if (pax_size(block, &len) || len > left) {
                        tell_of_header(in, entry);
                        break;
                }
                if (type == 'x' || type == 'X')
                        problem = take_records(in, entry, block + PAX_BLOCK, len);
                len = (len + PAX_BLOCK - 1) / PAX_BLOCK * PAX_BLOCK;
                at += PAX_BLOCK + (len < left ? len : left);
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

static int next_header(struct archive_in *in, struct archive_entry **from)
{
        int status = ARCHIVE_OK;

        /* first to its end, for the next header to begin there */
        if (in->in_entry)
                status = archive_read_data_skip(in->archive);
        in->in_entry = false;
        if (status == ARCHIVE_FATAL)
                return status;
        in->header_at = archive_filter_bytes(in->archive, 0);
        in->in_header = true;
        status = archive_read_next_header(in->archive, from);
        in->in_header = false;
        in->in_entry = status == ARCHIVE_OK || status == ARCHIVE_WARN;
        return status;
}

int archive_in_next(struct archive_in *in, struct tree_entry *entry, const char **problem)
{
        struct archive_entry *from;
        int status = next_header(in, &from);

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
                *problem = take_xattrs(in, entry);
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
