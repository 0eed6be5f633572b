/* SPDX-License-Identifier: MIT */
/* New names: files of every type, directories, symbolic and hard links. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"

/* The longest target of a symbolic link that the system takes, without its end. */
#define TARGET_MAX 4095u

/* The attributes of a new entry of DIR, made by the caller of REQ. */
static struct fs_attr new_attr(fuse_req_t req, struct fs_inode *dir, mode_t mode, dev_t device)
{
        const struct fuse_ctx *caller = fuse_req_ctx(req);
        int64_t now = fs_time_now();
        struct fs_attr attr = {.mode = mode,
                               .uid = caller->uid,
                               .gid = caller->gid,
                               .birth = now,
                               .ctime = now,
                               .mtime = now,
                               .atime = now,
                               .major = major(device),
                               .minor = minor(device)};
        uint32_t gid;

        if (fs_inode_group(fs_of(req)->inodes, dir, &gid)) {
                attr.gid = gid;
                if (S_ISDIR(mode))
                        attr.mode |= S_ISGID;
        }
        return attr;
}

/* What is to be made. */
struct new_file {
        mode_t mode;
        dev_t device;      /* of a device, else 0 */
        const char *value; /* a symbolic link's target, else NULL */
};

static int make(fuse_req_t req, const struct fs_name *name, const struct new_file *file,
                struct fuse_entry_param *entry)
{
        struct fs *fs = fs_of(req);
        const struct backend *b = &fs->backend;
        struct fs_attr attr = new_attr(req, name->dir, file->mode, file->device);
        uint8_t meta[FS_ATTR_MAX];
        struct backend_new new = {.map = name->map,
                                  .key = name->key,
                                  .key_len = name->key_len,
                                  .value = file->value,
                                  .value_len = file->value ? strlen(file->value) : 0,
                                  .meta = meta,
                                  .meta_len = fs_attr_encode(&attr, meta)};
        /* what a lookup would find */
        struct bm_view view = {.links = 1,
                               .meta = meta,
                               .meta_len = (uint32_t) new.meta_len,
                               .size = new.value_len,
                               .allocated = new.value_len};
        int result;

        if (S_ISDIR(file->mode))
                result = b->put_map(b->ctx, &new, &view.map_id, &view.record_id, NULL);
        else
                result = b->put(b->ctx, &new, &view.record_id, NULL);
        if (result)
                return result;
        return fs_entry_of_view(fs, name->dir, name->key, name->key_len, &view, entry);
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *text,
                           const struct new_file *file)
{
        struct fs *fs = fs_of(req);
        struct fuse_entry_param entry;
        struct fs_name name;
        int result = fs_name_of(fs, parent, text, &name);

        if (!result)
                result = make(req, &name, file, &entry);
        fs_reply_entry(req, result, &entry);
        fs_name_release(fs, &name);
}

void fs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
        struct new_file file = {.mode = mode};

        /* who may make a device, and open one, is the kernel's to say */
        if (S_ISCHR(mode) || S_ISBLK(mode))
                file.device = device;
        if (S_ISREG(mode) || S_ISFIFO(mode) || S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode))
                make_and_reply(req, parent, name, &file);
        else
                fs_reply(req, -EINVAL);
}

void fs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
        make_and_reply(req, parent, name,
                       &(struct new_file){.mode = S_IFDIR | (mode & ~(mode_t)S_IFMT)});
}

void fs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
        if (strlen(target) > TARGET_MAX)
                fs_reply(req, -ENAMETOOLONG);
        else
                make_and_reply(req, parent, name,
                               &(struct new_file){.mode = S_IFLNK | 0777, .value = target});
}

/* Hard links */

struct linking {
        struct fs *fs;
        const struct fs_name *name;
        int64_t now;
};

/* A new name is a change of the inode: its ctime. */
static int stamp(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct linking *l = ctx;
        struct fs *fs = l->fs;
        struct fs_attr attr;
        int result = fs_attr_of_view(now, &fs->defaults, &attr);

        if (result)
                return result;
        attr.ctime = l->now;
        return fs_attr_replace(&attr, meta, meta_len);
}

static int link_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct linking *l = ctx;
        const struct backend *b = &fs->backend;

        /* what has lost its last name gets no other */
        if (place->removed_ns)
                return -ENOENT;
        return b->link(b->ctx, &place->ref, l->name->map, l->name->key, l->name->key_len, stamp, l,
                       NULL);
}

static int link_name(struct fs *fs, struct fs_inode *inode, const struct fs_name *name,
                     struct fuse_entry_param *entry)
{
        struct linking l = {.fs = fs, .name = name, .now = fs_time_now()};
        struct bm_view view;
        int result;

        if (fs_inode_is_dir(inode))
                return -EPERM;
        result = fs_on_inode(fs, inode, link_record, &l);
        if (!result)
                result = fs_view(fs, inode, &view, NULL);
        if (result)
                return result;
        /* from here on the inode is found by its id */
        result = fs_entry_of_view(fs, name->dir, name->key, name->key_len, &view, entry);
        (void)!bm_view_release(&view);
        return result;
}

void fs_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *text)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        struct fuse_entry_param entry;
        struct fs_name name;
        int result = fs_name_of(fs, parent, text, &name);

        if (!result)
                result = inode ? link_name(fs, inode, &name, &entry) : -ESTALE;
        fs_reply_entry(req, result, &entry);
        fs_name_release(fs, &name);
        fs_inode_put(fs->inodes, inode);
}
