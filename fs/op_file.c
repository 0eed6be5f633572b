/* SPDX-License-Identifier: MIT */
/* Contents of files and symbolic links. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"
#include "stamp.h"

/* Reading */

struct read {
        uint64_t offset;
        size_t size;
        size_t done;
        void *buf;
};

/* The value is copied out of the store's mapping: what the kernel would take
 * from there itself might have become zeros before it did. */
static int read_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct read *r = ctx;

        return fs->backend.read(fs->backend.ctx, &place->ref, r->offset, r->buf, r->size, &r->done,
                                NULL);
}

void fs_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct read r = {.offset = (uint64_t)offset, .size = size};
        int result = -ENOMEM;

        r.buf = fs_thread_buffer(fs, size);
        if (r.buf)
                result = fs_on_record(fs, ino, read_record, &r);
        if (result)
                fs_reply(req, result);
        else
                fuse_reply_buf(req, r.buf, r.done);
}

void fs_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        struct bm_view view;
        char *target = NULL;
        int result = inode ? fs_view_value(fs, inode, &view) : -ESTALE;

        if (!result) {
                if (!view.value)
                        result = -EIO;
                else if (!(target = strndup(view.value, view.size)))
                        result = -ENOMEM;
                if (bm_view_release(&view))
                        result = -EIO;
        }
        if (result)
                fs_reply(req, result);
        else
                fuse_reply_readlink(req, target);
        free(target);
        fs_inode_put(fs->inodes, inode);
}

/* Writing */

struct write {
        struct backend_write what;
        size_t done;
        struct fs_stamp stamp;
};

static int write_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct write *w = ctx;

        return fs->backend.write(fs->backend.ctx, &place->ref, &w->what, &w->done, NULL);
}

void fs_op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                 struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        struct write w = {.stamp = fs_stamp_now(fs, fs_write_kills(req))};
        int result = -ESTALE;

        if (offset < 0 || (uint64_t)offset >= BM_VALUE_MAX) {
                result = -EFBIG;
        } else if (inode) {
                /* a write across the limit ends there */
                if (size > BM_VALUE_MAX - (uint64_t)offset)
                        size = (size_t)(BM_VALUE_MAX - (uint64_t)offset);
                w.what = (struct backend_write){.offset = (uint64_t)offset,
                                                .bytes = bytes,
                                                .len = size,
                                                .meta_fn = fs_stamp,
                                                .meta_ctx = &w.stamp};
                result = fs_on_inode(fs, inode, write_record, &w);
                fs_inode_written(inode);
        }
        /* the kernel thinks it knows the mode; this takes none of its locks */
        if (w.stamp.killed)
                fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
        if (result && !w.done)
                fs_reply(req, result);
        else
                fuse_reply_write(req, w.done);
        fs_inode_put(fs->inodes, inode);
}

/* Making it durable: the request is kept, the thread goes on to the next. */

struct sync_call {
        struct backend_call call;
        struct fs *fs;
        fuse_req_t req;
};

static void synced(struct backend_call *call, int result)
{
        struct sync_call *sync = (struct sync_call *)call;
        struct fs *fs = sync->fs;

        fs_reply(sync->req, result);
        free(sync);
        fs_answer_given(fs);
}

void fs_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct sync_call *sync = malloc(sizeof(*sync));
        int result;

        if (!sync) {
                fs_reply(req, -ENOMEM);
                return;
        }
        *sync = (struct sync_call){.call.done = synced, .fs = fs, .req = req};
        fs_answer_due(fs);
        result = fs->backend.flush(fs->backend.ctx, &sync->call);
        if (result != BACKEND_LATER)
                synced(&sync->call, result);
}
