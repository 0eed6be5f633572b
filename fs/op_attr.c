/* SPDX-License-Identifier: MIT */
/* Attributes: showing and setting them, and the figures of the whole. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"
#include "xattr.h"

#define PERMISSION_BITS 07777u
#define STATFS_BLOCK    4096u
/* What a small file takes on disk, which tells how many more there is room for. */
#define BYTES_PER_FILE 220u
#define MAX_GROUPS     256

void fs_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        struct stat st;
        int result = inode ? fs_stat(fs, inode, &st) : -ESTALE;

        fs_reply_attr(req, result, &st, inode ? fs_attr_timeout(fs, inode) : 0);
        fs_inode_put(fs->inodes, inode);
}

/* A SETATTR on its way through the backend. */
struct change {
        struct fs *fs;
        const struct stat *want;
        int to_set;
        int64_t now;
        int64_t map_changed_ns; /* of a directory */
        bool checked;           /* the kernel did not check; see allowed */
        uid_t caller;
        gid_t groups[MAX_GROUPS];
        int n_groups;
};

static bool in_group(const struct change *c, gid_t gid)
{
        for (int i = 0; i < c->n_groups; i++)
                if (c->groups[i] == gid)
                        return true;
        return false;
}

/* Whether POSIX lets the caller give the file away, or to another group. */
static bool allowed(const struct change *c, const struct fs_attr *attr)
{
        const struct stat *want = c->want;

        if (!c->checked)
                return true;
        if (c->to_set & FUSE_SET_ATTR_UID && (want->st_uid != attr->uid || c->caller != attr->uid))
                return false;
        if (c->to_set & FUSE_SET_ATTR_GID &&
            (c->caller != attr->uid || (want->st_gid != attr->gid && !in_group(c, want->st_gid))))
                return false;
        return true;
}

static void apply_mode(const struct change *c, struct fs_attr *attr)
{
        attr->mode = (attr->mode & S_IFMT) | (c->want->st_mode & PERMISSION_BITS);
        if (c->checked && !S_ISDIR(attr->mode) && !in_group(c, attr->gid))
                attr->mode &= ~(uint32_t)S_ISGID;
}

static void apply_times(const struct change *c, struct fs_attr *attr)
{
        if (c->to_set & FUSE_SET_ATTR_SIZE)
                attr->mtime = c->now;
        if (c->to_set & FUSE_SET_ATTR_ATIME_NOW)
                attr->atime = c->now;
        else if (c->to_set & FUSE_SET_ATTR_ATIME)
                attr->atime = fs_time_from(c->want->st_atim);
        if (c->to_set & FUSE_SET_ATTR_MTIME_NOW)
                attr->mtime = c->now;
        else if (c->to_set & FUSE_SET_ATTR_MTIME)
                attr->mtime = fs_time_from(c->want->st_mtim);
        attr->ctime = c->now;
}

static int apply(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct change *c = ctx;
        struct fs_attr attr;
        uint32_t mode;
        int result = fs_attr_of_view(now, &c->fs->defaults, &attr);

        if (result)
                return result;
        if (!allowed(c, &attr))
                return -EPERM;
        fs_apply_map_time(&attr, c->map_changed_ns);
        mode = attr.mode;
        if (c->to_set & FUSE_SET_ATTR_MODE)
                apply_mode(c, &attr);
        /* before a write the kernel sends a SETATTR of nothing at all */
        if ((c->to_set == 0 || c->to_set & FUSE_SET_ATTR_KILL_SUID) && !S_ISDIR(attr.mode))
                attr.mode = fs_attr_killed_mode(attr.mode);
        if (c->to_set & FUSE_SET_ATTR_UID)
                attr.uid = c->want->st_uid;
        if (c->to_set & FUSE_SET_ATTR_GID)
                attr.gid = c->want->st_gid;
        if (c->to_set & ~FUSE_SET_ATTR_KILL_SUID || attr.mode != mode)
                apply_times(c, &attr);
        result = fs_attr_replace(&attr, meta, meta_len);
        /* capabilities were given to these contents, of this owner */
        if (!result && c->to_set & (FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
                result = fs_xattr_drop(meta, meta_len, FS_XATTR_CAPS);
        return result;
}

static int change_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct change *c = ctx;
        const struct backend *b = &fs->backend;

        if (c->to_set & FUSE_SET_ATTR_SIZE)
                return b->truncate(b->ctx, &place->ref, (uint64_t)c->want->st_size, apply, c, NULL);
        return b->set_meta(b->ctx, &place->ref, apply, c, NULL);
}

static int change(struct fs *fs, struct fs_inode *inode, struct change *c, struct stat *st)
{
        struct bm_map_info info;
        struct bm_map *map;
        int result = 0;

        if (c->to_set & FUSE_SET_ATTR_SIZE &&
            (c->want->st_size < 0 || (uint64_t)c->want->st_size > BM_VALUE_MAX))
                return -EFBIG;
        if (fs_inode_is_dir(inode) && c->to_set & FUSE_SET_ATTR_SIZE)
                return -EISDIR;
        if (fs_inode_is_dir(inode)) {
                /* the kernel holds the directory: no entry comes or goes until the answer */
                result = fs_inode_map(fs->inodes, inode, &map);
                if (!result)
                        result = fs->backend.map_info(fs->backend.ctx, map, &info);
                if (!result)
                        c->map_changed_ns = info.changed_ns;
        }
        if (!result)
                result = fs_on_inode(fs, inode, change_record, c);
        if (c->to_set & FUSE_SET_ATTR_SIZE)
                fs_inode_written(inode);
        return result ? result : fs_stat(fs, inode, st);
}

void fs_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *want, int to_set,
                   struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        struct change c = {.fs = fs,
                           .want = want,
                           .to_set = to_set,
                           .now = fs_time_now(),
                           .caller = fuse_req_ctx(req)->uid};
        struct stat st;

        c.checked = fs->check_owner && c.caller != 0;
        if (c.checked && to_set & (FUSE_SET_ATTR_GID | FUSE_SET_ATTR_MODE)) {
                c.groups[0] = fuse_req_ctx(req)->gid;
                c.n_groups = 1;
                int n = fuse_req_getgroups(req, MAX_GROUPS - 1, c.groups + 1);
                if (n > 0)
                        c.n_groups += n < MAX_GROUPS - 1 ? n : MAX_GROUPS - 1;
        }
        int result = inode ? change(fs, inode, &c, &st) : -ESTALE;
        fs_reply_attr(req, result, &st, inode ? fs_attr_timeout(fs, inode) : 0);
        fs_inode_put(fs->inodes, inode);
}

/*
 * access(2) and chdir(2) where the kernel does not check modes, and who gets
 * in may do all: but nobody executes what has no x, and "test -x" asks here.
 */
void fs_op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        struct stat st;
        int result = inode ? 0 : -ESTALE;

        if (inode && mask & X_OK && !fs_inode_is_dir(inode)) {
                result = fs_stat(fs, inode, &st);
                if (!result && !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
                        result = -EACCES;
        }
        fs_reply(req, result);
        fs_inode_put(fs->inodes, inode);
}

void fs_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
        struct fs *fs = fs_of(req);
        struct bm_space space;
        struct statvfs st;
        int result = fs->backend.statfs(fs->backend.ctx, &space, NULL);

        if (result) {
                fs_reply(req, result);
                return;
        }
        st = (struct statvfs){
                .f_bsize = STATFS_BLOCK,
                .f_frsize = STATFS_BLOCK,
                .f_blocks = space.total_bytes / STATFS_BLOCK,
                .f_bfree = space.free_bytes / STATFS_BLOCK,
                .f_bavail = space.available_bytes / STATFS_BLOCK,
                .f_files = space.keys + space.available_bytes / BYTES_PER_FILE,
                .f_ffree = space.available_bytes / BYTES_PER_FILE,
                .f_favail = space.available_bytes / BYTES_PER_FILE,
                .f_namemax = BM_KEY_MAX,
        };
        fuse_reply_statfs(req, &st);
}
