/* SPDX-License-Identifier: MIT */
/*
 * Copying from one file to another within the daemon: the bytes cross into
 * no other process. Holes stay holes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "reply.h"
#include "stamp.h"

/* The most data of one request, so that a worker is not away for long; callers go on. */
#define COPY_BYTES  (UINT64_C(8) << 20)
#define BLOCK_BYTES (UINT64_C(256) << 10)
/* The answer has 32 bits for what was done; a hole may be longer. */
#define LEN_MAX (UINT64_C(1) << 30)

struct copy {
        struct fs_inode *from, *to; /* referenced */
        uint64_t from_offset, to_offset, len, done;
        struct fs_stamp stamp;
        char *block;
        uint64_t n; /* bytes of the present step */
        bool want_data;
        uint64_t found; /* by a seek */
};

static int seek_from(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct copy *c = ctx;

        return fs->backend.seek(fs->backend.ctx, &place->ref, c->from_offset + c->done,
                                c->want_data, &c->found, NULL);
}

static int read_from(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct copy *c = ctx;
        size_t n;
        int result = fs->backend.read(fs->backend.ctx, &place->ref, c->from_offset + c->done,
                                      c->block, c->n, &n, NULL);

        c->n = n;
        return result;
}

static int write_to(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct copy *c = ctx;
        const struct backend_write what = {.offset = c->to_offset + c->done,
                                           .bytes = c->block,
                                           .len = c->n,
                                           .meta_fn = fs_stamp,
                                           .meta_ctx = &c->stamp};
        size_t n;
        int result = fs->backend.write(fs->backend.ctx, &place->ref, &what, &n, NULL);

        c->n = n;
        return result;
}

/* The hole, too, is written: as a hole. */
static int write_hole(struct fs *fs, const struct fs_place *place, void *ctx)
{
        const struct backend *b = &fs->backend;
        struct copy *c = ctx;
        uint64_t end = c->to_offset + c->done + c->n;
        struct bm_view view;
        bool grows;
        int result = b->get_attr(b->ctx, &place->ref, &view, NULL);

        if (result)
                return result;
        grows = view.size < end;
        bm_view_release(&view);
        result = b->punch(b->ctx, &place->ref, c->to_offset + c->done, c->n, fs_stamp, &c->stamp,
                          NULL);
        if (!result && grows)
                result = b->truncate(b->ctx, &place->ref, end, fs_stamp, &c->stamp, NULL);
        return result;
}

static int find(struct fs *fs, struct copy *c, bool data, uint64_t *found)
{
        int result;

        c->want_data = data;
        result = fs_on_inode(fs, c->from, seek_from, c);
        *found = c->found;
        return result;
}

/* One block, up to a place where the target's chunks meet; or a hole. */
static int copy_some(struct fs *fs, struct copy *c)
{
        uint64_t at = c->from_offset + c->done, data, hole;
        int result = find(fs, c, true, &data);

        if (result == -ENXIO)
                data = UINT64_MAX; /* a hole up to the end */
        else if (result)
                return result;
        if (data > at) {
                c->n = data - at < c->len - c->done ? data - at : c->len - c->done;
                return fs_on_inode(fs, c->to, write_hole, c);
        }
        result = find(fs, c, false, &hole);
        if (result)
                return result;
        c->n = BLOCK_BYTES - (c->to_offset + c->done) % BLOCK_BYTES;
        if (c->n > c->len - c->done)
                c->n = c->len - c->done;
        if (c->n > hole - at)
                c->n = hole - at;
        result = fs_on_inode(fs, c->from, read_from, c);
        return result || !c->n ? result : fs_on_inode(fs, c->to, write_to, c);
}

static int copy(struct fs *fs, struct copy *c)
{
        uint64_t n_data = 0;
        struct bm_view view;
        int result = fs_view(fs, c->from, &view, NULL);

        if (result)
                return result;
        if (c->from_offset >= view.size)
                c->len = 0;
        else if (c->len > view.size - c->from_offset)
                c->len = view.size - c->from_offset;
        bm_view_release(&view);
        while (!result && c->done < c->len && n_data < COPY_BYTES) {
                result = copy_some(fs, c);
                /* a source that shrank meanwhile */
                if (result == -ENXIO || (!result && !c->n))
                        return 0;
                if (!result) {
                        c->done += c->n;
                        n_data += c->n;
                }
        }
        return result;
}

void fs_op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset,
                           struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_offset,
                           struct fuse_file_info *to_fi, size_t len, int flags)
{
        struct fs *fs = fs_of(req);
        struct copy c = {.from = fs_inode_get(fs->inodes, from),
                         .to = fs_inode_get(fs->inodes, to),
                         .from_offset = (uint64_t)from_offset,
                         .to_offset = (uint64_t)to_offset,
                         .len = len < LEN_MAX ? len : LEN_MAX,
                         .stamp = fs_stamp_now(fs, false),
                         .block = fs_thread_buffer(fs, BLOCK_BYTES)};
        int result = 0;

        if (flags || from_offset < 0 || to_offset < 0)
                result = -EINVAL;
        else if (!c.from || !c.to)
                result = -ESTALE;
        else if (!c.block)
                result = -ENOMEM;
        else if (c.to_offset > BM_VALUE_MAX || c.len > BM_VALUE_MAX - c.to_offset)
                result = -EFBIG;
        else
                result = copy(fs, &c);
        if (c.to)
                fs_inode_written(c.to);
        if (result && !c.done)
                fs_reply(req, result);
        else
                fuse_reply_write(req, c.done);
        fs_inode_put(fs->inodes, c.from);
        fs_inode_put(fs->inodes, c.to);
}
