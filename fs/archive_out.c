/* SPDX-License-Identifier: MIT */
/*
 * libarchive wants all of a sparse file, holes included, and leaves the holes
 * out itself: they are handed over as a mapping of zeros that takes no memory.
 * The parts between them are asked for beforehand, since they stand in the header.
 *
 * A header is kept until the names of attributes in it are right (archive_names.h).
 */
#include "archive_out.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive_names.h"
#include "transfer.h"

#define BUFFER_BYTES (1u << 20)
#define BLOCK_BYTES  (128u << 10) /* of the archive, at once */
#define ZEROS_BYTES  (UINT64_C(1) << 30)
/* The list of a file's parts is kept in memory: what is behind the last counts
 * as data. */
#define MAX_PARTS 16384u

/* A part of a value that is no hole. */
struct part {
        uint64_t offset, len;
};

struct archive_out {
        struct archive *archive;
        struct archive_entry *entry;
        int fd;
        char *block; /* what is not yet written, while IN_HEADER all of the header */
        size_t block_len, block_size;
        bool in_header;
        tree_failed_fn failed;
        void *failed_ctx;
        char *buffer;
        void *zeros;
        struct part *parts;
        size_t n_parts;
        bool finished;
};

/* Writing */

static int write_all(int fd, const char *bytes, size_t len)
{
        while (len) {
                ssize_t n = write(fd, bytes, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                bytes += n;
                len -= (size_t)n;
        }
        return 0;
}

static int flush(struct archive_out *out)
{
        size_t len = out->block_len;

        out->block_len = 0;
        return write_all(out->fd, out->block, len);
}

static int append(struct archive_out *out, const char *bytes, size_t len)
{
        if (out->block_len + len > out->block_size) {
                size_t size = 2 * (out->block_len + len);
                char *block = realloc(out->block, size);

                if (!block)
                        return -ENOMEM;
                out->block = block;
                out->block_size = size;
        }
        memcpy(out->block + out->block_len, bytes, len);
        out->block_len += len;
        return 0;
}

static la_ssize_t take_bytes(struct archive *archive, void *ctx, const void *bytes, size_t len)
{
        struct archive_out *out = ctx;
        int result = 0;

        if (!out->in_header && out->block_len + len > BLOCK_BYTES)
                result = flush(out);
        if (!result && !out->in_header && len >= BLOCK_BYTES)
                result = write_all(out->fd, bytes, len);
        else if (!result)
                result = append(out, bytes, len);
        if (result) {
                archive_set_error(archive, -result, "%s", strerror(-result));
                return -1;
        }
        return (la_ssize_t)len;
}

int archive_out_new(int fd, tree_failed_fn failed, void *failed_ctx, struct archive_out **outp)
{
        struct archive_out *out = calloc(1, sizeof(*out));

        if (!out)
                return -ENOMEM;
        out->fd = fd;
        out->failed = failed;
        out->failed_ctx = failed_ctx;
        out->archive = archive_write_new();
        out->entry = archive_entry_new();
        out->buffer = malloc(BUFFER_BYTES);
        out->parts = malloc(MAX_PARTS * sizeof(*out->parts));
        out->zeros = mmap(NULL, ZEROS_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                          -1, 0);
        if (!out->archive || !out->entry || !out->buffer || !out->parts ||
            out->zeros == MAP_FAILED || archive_write_set_format_pax(out->archive) != ARCHIVE_OK ||
            /* as GNU tar writes them; the other form doubles the size */
            archive_write_set_options(out->archive, "pax:xattrheader=SCHILY") != ARCHIVE_OK ||
            archive_write_set_bytes_per_block(out->archive, 0) != ARCHIVE_OK ||
            archive_write_open(out->archive, out, NULL, take_bytes, NULL) != ARCHIVE_OK) {
                archive_out_free(out);
                return -ENOMEM;
        }
        *outp = out;
        return 0;
}

struct archive_out *archive_out_free(struct archive_out *out)
{
        if (!out)
                return NULL;
        /* an archive that lacks something must not look whole: no end is written */
        if (!out->finished)
                archive_write_fail(out->archive);
        archive_write_free(out->archive);
        archive_entry_free(out->entry);
        free(out->block);
        free(out->buffer);
        free(out->parts);
        if (out->zeros != MAP_FAILED)
                munmap(out->zeros, ZEROS_BYTES);
        free(out);
        return NULL;
}

const char *archive_out_problem(struct archive_out *out)
{
        const char *problem = archive_error_string(out->archive);

        return problem ? problem : "cannot write";
}

static void add_part(struct archive_out *out, uint64_t offset, uint64_t len)
{
        struct part *last = out->n_parts ? &out->parts[out->n_parts - 1] : NULL;

        if (last && (last->offset + last->len == offset || out->n_parts == MAX_PARTS))
                last->len = offset + len - last->offset;
        else
                out->parts[out->n_parts++] = (struct part){offset, len};
}

static bool is_sparse(const struct tree_entry *entry)
{
        return entry->allocated < entry->size;
}

/* Finds the parts; what cannot be looked at is data, to fail when it is written. */
static void find_parts(struct archive_out *out, const struct tree_entry *entry,
                       const struct tree_value *value)
{
        uint64_t offset = 0, from, to;

        out->n_parts = 0;
        while (is_sparse(entry) && offset < entry->size) {
                int result = value->find(value->ctx, offset, &from, &to);

                if (result == -ENXIO || (!result && from >= entry->size))
                        return;
                if (result || from < offset || to <= from)
                        break;
                if (to > entry->size)
                        to = entry->size;
                add_part(out, from, to - from);
                offset = to;
        }
        if (offset < entry->size)
                add_part(out, offset, entry->size - offset);
}

static void set_times(struct archive_entry *to, const struct fs_attr *attr)
{
        struct timespec mtime = fs_time_spec(attr->mtime), atime = fs_time_spec(attr->atime);

        archive_entry_set_mtime(to, mtime.tv_sec, mtime.tv_nsec);
        archive_entry_set_atime(to, atime.tv_sec, atime.tv_nsec);
}

static int fill_entry(struct archive_out *out, const struct tree_entry *entry)
{
        struct archive_entry *to = out->entry;
        bool is_dir = S_ISDIR(entry->attr.mode);
        char *path;

        archive_entry_clear(to);
        if (asprintf(&path, "%s%s", *entry->path ? entry->path : ".", is_dir ? "/" : "") < 0)
                return -ENOMEM;
        archive_entry_copy_pathname(to, path);
        free(path);
        archive_entry_set_mode(to, entry->attr.mode);
        archive_entry_set_uid(to, entry->attr.uid);
        archive_entry_set_gid(to, entry->attr.gid);
        set_times(to, &entry->attr);
        if (entry->first) {
                archive_entry_copy_hardlink(to, entry->first);
                archive_entry_set_size(to, 0);
                return 0;
        }
        if (entry->target)
                archive_entry_copy_symlink(to, entry->target);
        if (S_ISCHR(entry->attr.mode) || S_ISBLK(entry->attr.mode)) {
                archive_entry_set_rdevmajor(to, entry->attr.major);
                archive_entry_set_rdevminor(to, entry->attr.minor);
        }
        archive_names_add(to, entry);
        archive_entry_set_size(to, S_ISREG(entry->attr.mode) ? (la_int64_t)entry->size : 0);
        if (!S_ISREG(entry->attr.mode) || !is_sparse(entry))
                return 0;
        for (size_t i = 0; i < out->n_parts; i++)
                archive_entry_sparse_add_entry(to, (la_int64_t)out->parts[i].offset,
                                               (la_int64_t)out->parts[i].len);
        /* a list that is empty would mean all of it */
        if (!out->n_parts)
                archive_entry_sparse_add_entry(to, (la_int64_t)entry->size, 0);
        return 0;
}

static int write_bytes(struct archive_out *out, const char *bytes, uint64_t len)
{
        while (len) {
                la_ssize_t n = archive_write_data(out->archive, bytes, len);

                if (n <= 0) {
                        int error = archive_errno(out->archive);

                        return error > 0 ? -error : -EIO;
                }
                bytes += n;
                len -= (uint64_t)n;
        }
        return 0;
}

static int write_zeros(struct archive_out *out, uint64_t len)
{
        int result = 0;

        while (len && !result) {
                uint64_t n = len < ZEROS_BYTES ? len : ZEROS_BYTES;

                result = write_bytes(out, out->zeros, n);
                len -= n;
        }
        return result;
}

static int write_part(struct archive_out *out, const struct tree_entry *entry,
                      const struct part *part, const struct tree_value *value)
{
        uint64_t offset = part->offset, end = part->offset + part->len;
        int result = 0;

        while (offset < end && !result) {
                size_t want = end - offset < BUFFER_BYTES ? (size_t)(end - offset) : BUFFER_BYTES;
                size_t done = 0;
                int failed = value->read(value->ctx, offset, out->buffer, want, &done);

                if (failed || done == 0) {
                        out->failed(out->failed_ctx, entry->path,
                                    failed ? transfer_reason(failed) : "it shrank meanwhile");
                        return write_zeros(out, end - offset);
                }
                result = write_bytes(out, out->buffer, done);
                offset += done;
        }
        return result;
}

static int write_value(struct archive_out *out, const struct tree_entry *entry,
                       const struct tree_value *value)
{
        uint64_t offset = 0;
        int result = 0;

        for (size_t i = 0; i < out->n_parts && !result; i++) {
                result = write_zeros(out, out->parts[i].offset - offset);
                if (!result)
                        result = write_part(out, entry, &out->parts[i], value);
                offset = out->parts[i].offset + out->parts[i].len;
        }
        return result ? result : write_zeros(out, entry->size - offset);
}

static int archive_result(struct archive_out *out, int status)
{
        int error = archive_errno(out->archive);

        /* a warning is of a name that is no UTF-8, which is written as it is */
        if (status == ARCHIVE_OK || status == ARCHIVE_WARN)
                return 0;
        return error > 0 ? -error : -EIO;
}

int archive_out_add(struct archive_out *out, const struct tree_entry *entry,
                    const struct tree_value *value, uint64_t *n_bytes)
{
        bool has_value = value && S_ISREG(entry->attr.mode) && !entry->first;
        size_t start;
        int status, result;

        *n_bytes = 0;
        out->n_parts = 0;
        if (has_value)
                find_parts(out, entry, value);
        result = fill_entry(out, entry);
        if (result)
                return result;
        start = out->block_len;
        out->in_header = true;
        status = archive_write_header(out->archive, out->entry);
        out->in_header = false;
        if (status == ARCHIVE_FAILED) {
                out->failed(out->failed_ctx, entry->path, archive_out_problem(out));
                return 0;
        }
        result = archive_result(out, status);
        if (!result && !entry->first)
                result = archive_names_put(out->block + start, out->block_len - start, entry);
        if (!result && has_value && entry->size)
                result = write_value(out, entry, value);
        if (!result)
                result = archive_result(out, archive_write_finish_entry(out->archive));
        for (size_t i = 0; i < out->n_parts; i++)
                *n_bytes += out->parts[i].len;
        return result;
}

int archive_out_finish(struct archive_out *out)
{
        int result;

        out->finished = true;
        result = archive_result(out, archive_write_close(out->archive));
        return result ? result : flush(out);
}
