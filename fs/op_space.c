/* SPDX-License-Identifier: MIT */
/*
 * Holes: finding them (lseek) and making and filling them (fallocate). What
 * may take long is a chore.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "chores.h"
#include "ops.h"
#include "reply.h"
#include "stamp.h"

#define STEP_BYTES (UINT64_C(1) << 20)
/* what a worker does itself: some milliseconds */
#define SHORT_ALLOCATION (UINT64_C(4) << 20)
#define SHORT_SEEK       (UINT64_C(8) << 30)

/* Seeking */

struct seek {
        struct fs_chore chore;
        struct fs_inode *inode; /* referenced */
        uint64_t offset, found;
        bool data;
};

static int seek_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct seek *s = ctx;

        return fs->backend.seek(fs->backend.ctx, &place->ref, s->offset, s->data, &s->found, NULL);
}

static bool seek_step(struct fs *fs, struct fs_chore *chore)
{
        struct seek *s = (struct seek *)chore;
        int result = fs_on_inode(fs, s->inode, seek_record, s);

        if (result)
                fs_reply(chore->req, result);
        else
                fuse_reply_lseek(chore->req, (off_t)s->found);
        return true;
}

static void seek_free(struct fs *fs, struct fs_chore *chore)
{
        struct seek *s = (struct seek *)chore;

        fs_inode_put(fs->inodes, s->inode);
        free(s);
}

void fs_op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
                 struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct seek *s;
        struct bm_view view;
        bool is_long;
        int result = 0;

        if (whence != SEEK_DATA && whence != SEEK_HOLE)
                result = -EINVAL;
        else if (offset < 0)
                result = -ENXIO;
        s = result ? NULL : calloc(1, sizeof(*s));
        if (!s) {
                fs_reply(req, result ? result : -ENOMEM);
                return;
        }
        s->chore = (struct fs_chore){.req = req, .step = seek_step, .free = seek_free};
        s->offset = (uint64_t)offset;
        s->data = whence == SEEK_DATA;
        s->inode = fs_inode_get(fs->inodes, ino);
        result = s->inode ? fs_view(fs, s->inode, &view, NULL) : -ESTALE;
        if (result) {
                fs_reply(req, result);
                seek_free(fs, &s->chore);
                return;
        }
        is_long = view.size > s->offset && view.size - s->offset > SHORT_SEEK;
        bm_view_release(&view);
        if (is_long) {
                fs_chores_start(fs->chores, &s->chore);
        } else {
                seek_step(fs, &s->chore);
                seek_free(fs, &s->chore);
        }
}

/* Allocating and punching */

struct space {
        struct fs_chore chore;
        struct fs_inode *inode; /* referenced */
        struct fs_stamp stamp;
        uint64_t offset, len; /* what is left to be done */
        uint64_t step, done;  /* of one step */
        unsigned flags;       /* BM_ALLOCATE_... */
};

static int punch_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct space *s = ctx;

        return fs->backend.punch(fs->backend.ctx, &place->ref, s->offset, s->len, fs_stamp,
                                 &s->stamp, NULL);
}

static int allocate_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct space *s = ctx;

        return fs->backend.allocate(fs->backend.ctx, &place->ref, s->offset, s->step, s->flags,
                                    fs_stamp, &s->stamp, &s->done, NULL);
}

/* A MiB more. */
static bool allocate_step(struct fs *fs, struct fs_chore *chore)
{
        struct space *s = (struct space *)chore;
        int result;

        s->step = s->len < STEP_BYTES ? s->len : STEP_BYTES;
        result = fs_on_inode(fs, s->inode, allocate_record, s);
        fs_inode_written(s->inode);
        s->offset += s->done;
        s->len -= s->done;
        if (!result && s->len && s->done == s->step)
                return false;
        fs_reply(chore->req, result);
        return true;
}

static void space_free(struct fs *fs, struct fs_chore *chore)
{
        struct space *s = (struct space *)chore;

        fs_inode_put(fs->inodes, s->inode);
        free(s);
}

/* The bytes of the range that are in holes, or behind the end. */
static int count_missing(struct fs *fs, struct space *s, uint64_t size, uint64_t *missing)
{
        uint64_t end = s->offset + s->len, at = s->offset;
        int result = 0;

        *missing = 0;
        while (at < end && at < size) {
                struct seek seek = {.offset = at, .data = true};

                result = fs_on_inode(fs, s->inode, seek_record, &seek);
                if (result == -ENXIO)
                        break;
                if (result)
                        return result;
                *missing += (seek.found < end ? seek.found : end) - at;
                seek = (struct seek){.offset = seek.found};
                result = fs_on_inode(fs, s->inode, seek_record, &seek);
                if (result)
                        return result == -ENXIO ? 0 : result;
                at = seek.found;
        }
        if (at < end)
                *missing += end - at;
        return 0;
}

/* What can be known before anything is written. */
static int check_allocation(struct fs *fs, struct space *s)
{
        struct bm_space space;
        struct bm_view view;
        uint64_t size, missing;
        int result = fs_view(fs, s->inode, &view, NULL);

        if (result)
                return result;
        size = view.size;
        bm_view_release(&view);
        result = fs->backend.statfs(fs->backend.ctx, &space, NULL);
        if (result || s->len <= space.available_bytes)
                return result;
        result = count_missing(fs, s, size, &missing);
        return !result && missing > space.available_bytes ? -ENOSPC : result;
}

/* Answers S's request, now or later, and frees it. */
static void allocate(struct fs *fs, struct space *s)
{
        int result = check_allocation(fs, s);

        if (!result && s->len > SHORT_ALLOCATION) {
                fs_chores_start(fs->chores, &s->chore);
                return;
        }
        if (result)
                fs_reply(s->chore.req, result);
        else
                while (!allocate_step(fs, &s->chore))
                        ;
        space_free(fs, &s->chore);
}

static void punch(struct fs *fs, struct space *s)
{
        int result = fs_on_inode(fs, s->inode, punch_record, s);

        fs_inode_written(s->inode);
        fs_reply(s->chore.req, result);
        space_free(fs, &s->chore);
}

/* Why the kernel's arguments cannot be carried out; 0: they can. */
static int refusal(int mode, off_t offset, off_t len)
{
        int what = mode & ~FALLOC_FL_KEEP_SIZE;

        if (what != 0 && what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE)
                return -EOPNOTSUPP;
        if (what == FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
                return -EOPNOTSUPP;
        if (offset < 0 || len <= 0)
                return -EINVAL;
        if ((uint64_t)offset > BM_VALUE_MAX || (uint64_t)len > BM_VALUE_MAX - (uint64_t)offset)
                return -EFBIG;
        return 0;
}

void fs_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
                     struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        int result = refusal(mode, offset, len);
        struct space *s = result ? NULL : calloc(1, sizeof(*s));

        if (s) {
                *s = (struct space){
                        .chore = {.req = req, .step = allocate_step, .free = space_free},
                        .inode = fs_inode_get(fs->inodes, ino),
                        .stamp = fs_stamp_now(fs, false),
                        .offset = (uint64_t)offset,
                        .len = (uint64_t)len,
                        .flags = (mode & FALLOC_FL_ZERO_RANGE ? BM_ALLOCATE_ZERO : 0u) |
                                 (mode & FALLOC_FL_KEEP_SIZE ? BM_ALLOCATE_KEEP_SIZE : 0u)};
                if (!s->inode)
                        result = -ESTALE;
        } else if (!result) {
                result = -ENOMEM;
        }
        if (result) {
                fs_reply(req, result);
                free(s);
        } else if (mode & FALLOC_FL_PUNCH_HOLE) {
                punch(fs, s);
        } else {
                allocate(fs, s);
        }
}
