/* SPDX-License-Identifier: MIT */
/* New names: files, directories, symbolic links. */
#include <errno.h>
#include <string.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"

/* The longest target of a symbolic link that the system takes, without its end. */
#define TARGET_MAX 4095u

/* The attributes of a new entry of DIR, made by the caller of REQ. */
static struct fs_attr new_attr(fuse_req_t req, struct fs_inode *dir, mode_t mode)
{
        const struct fuse_ctx *caller = fuse_req_ctx(req);
        int64_t now = fs_time_now();
        struct fs_attr attr = {.mode = mode,
                               .uid = caller->uid,
                               .gid = caller->gid,
                               .birth = now,
                               .ctime = now,
                               .mtime = now,
                               .atime = now};
        uint32_t gid;

        if (fs_inode_group(fs_of(req)->inodes, dir, &gid)) {
                attr.gid = gid;
                if (S_ISDIR(mode))
                        attr.mode |= S_ISGID;
        }
        return attr;
}

/* Makes it and fills ENTRY; VALUE is a symbolic link's target, else NULL. */
static int make(fuse_req_t req, const struct fs_name *name, mode_t mode, const char *value,
                struct fuse_entry_param *entry)
{
        struct fs *fs = fs_of(req);
        const struct backend *b = &fs->backend;
        struct fs_attr attr = new_attr(req, name->dir, mode);
        uint8_t meta[FS_ATTR_MAX];
        struct backend_new new = {.map = name->map,
                                  .key = name->key,
                                  .key_len = name->key_len,
                                  .value = value,
                                  .value_len = value ? strlen(value) : 0,
                                  .meta = meta,
                                  .meta_len = fs_attr_encode(&attr, meta)};
        /* what a lookup would find */
        struct bm_view view = {.meta = meta,
                               .meta_len = (uint32_t) new.meta_len,
                               .size = new.value_len,
                               .allocated = new.value_len};
        int result;

        if (S_ISDIR(mode))
                result = b->put_map(b->ctx, &new, &view.map_id, &view.record_id, NULL);
        else
                result = b->put(b->ctx, &new, &view.record_id, NULL);
        if (result)
                return result;
        return fs_entry_of_view(fs, name->dir, name->key, name->key_len, &view, entry);
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode,
                           const char *value)
{
        struct fs *fs = fs_of(req);
        struct fuse_entry_param entry;
        struct fs_name name;
        int result = fs_name_of(fs, parent, text, &name);

        if (!result)
                result = make(req, &name, mode, value, &entry);
        fs_reply_entry(req, result, &entry);
        fs_name_release(fs, &name);
}

void fs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
        if (S_ISREG(mode))
                make_and_reply(req, parent, name, mode, NULL);
        else
                fs_reply(req, -EPERM);
}

void fs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
        make_and_reply(req, parent, name, S_IFDIR | (mode & ~(mode_t)S_IFMT), NULL);
}

void fs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
        if (strlen(target) > TARGET_MAX)
                fs_reply(req, -ENAMETOOLONG);
        else
                make_and_reply(req, parent, name, S_IFLNK | 0777, target);
}

void fs_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
        /* what Linux says of a filesystem without hard links */
        fs_reply(req, -EPERM);
}
