/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, set and removed. What is stored is in the record's meta,
 * behind the inode's own; the reference count is the record's.
 */
#include <errno.h>
#include <sys/xattr.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"
#include "xattr.h"

struct edit {
        struct fs *fs;
        const char *name;
        const void *value; /* NULL: remove it */
        size_t size;
        int flags;
        int64_t now;
        int64_t map_changed_ns; /* of a directory */
};

static int edit_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct edit *e = ctx;
        struct fs_attr attr;
        size_t used, list_len;
        int result = fs_attr_of_view(now, &e->fs->defaults, &attr);

        if (result)
                return result;
        fs_apply_map_time(&attr, e->map_changed_ns);
        attr.ctime = e->now;
        result = fs_attr_replace(&attr, meta, meta_len);
        if (!result)
                result = fs_attr_decode(meta, *meta_len, &attr, &used);
        if (result)
                return result;
        list_len = *meta_len - used;
        if (e->value)
                result = fs_xattr_set((uint8_t *)meta + used, &list_len, e->name, e->value, e->size,
                                      e->flags);
        else
                result = fs_xattr_remove((uint8_t *)meta + used, &list_len, e->name);
        *meta_len = used + list_len;
        return result;
}

static int edit_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        return fs->backend.set_meta(fs->backend.ctx, &place->ref, edit_meta, ctx, NULL);
}

static int edit_stored(struct fs *fs, struct fs_inode *inode, struct edit *edit)
{
        struct bm_map_info info;
        struct bm_map *map;

        edit->fs = fs;
        edit->now = fs_time_now();
        if (fs_inode_is_dir(inode)) {
                int result = fs_inode_map(fs->inodes, inode, &map);

                if (!result)
                        result = fs->backend.map_info(fs->backend.ctx, map, &info);
                if (result)
                        return result;
                edit->map_changed_ns = info.changed_ns;
        }
        return fs_on_inode(fs, inode, edit_record, edit);
}

static int change_count(struct fs *fs, const struct fs_place *place, void *ctx)
{
        const struct fs_count_change *change = ctx;
        const struct backend *b = &fs->backend;

        /* A reference to what is gone holds nothing: whoever has the file open
         * is told, for a path the kernel looks the name up again. */
        if (place->removed_ns)
                return -ESTALE;
        if (change->relative)
                return b->addref(b->ctx, &place->ref, change->delta, NULL);
        return b->set_count(b->ctx, &place->ref, change->count, NULL);
}

static int set_count(struct fs *fs, struct fs_inode *inode, const char *text, size_t len, int flags)
{
        struct fs_count_change change;
        int result = fs_count_parse(text, len, &change);

        /* every file has one */
        if (flags & XATTR_CREATE)
                return -EEXIST;
        if (!result)
                result = fs_on_inode(fs, inode, change_count, &change);
        return result == BM_E_COUNT ? -EINVAL : result;
}

/* Why an attribute of that kind cannot be changed by the caller; 0: it can. */
static int refusal(fuse_req_t req, enum fs_xattr_kind kind, bool is_dir, bool remove)
{
        switch (kind) {
        case FS_XATTR_KIND_USER:
                return 0;
        case FS_XATTR_KIND_RESERVED:
                /* a misspelt refcount must not look as if it had been set */
                return remove ? 0 : -EOPNOTSUPP;
        case FS_XATTR_KIND_NAMELESS:
                return -EINVAL;
        case FS_XATTR_KIND_SECURITY:
                /* who may is the kernel's to say */
                return fs_of(req)->options.security_xattrs ? 0 : -EOPNOTSUPP;
        case FS_XATTR_KIND_TRUSTED:
                return fuse_req_ctx(req)->uid == 0 ? 0 : -EPERM;
        case FS_XATTR_KIND_REFCOUNT:
                return is_dir || remove ? -EPERM : 0;
        case FS_XATTR_KIND_HASH:
                return -EPERM;
        case FS_XATTR_KIND_OTHER:
                break;
        }
        return -EOPNOTSUPP;
}

static int change(fuse_req_t req, fuse_ino_t ino, struct edit *edit)
{
        struct fs *fs = fs_of(req);
        enum fs_xattr_kind kind = fs_xattr_kind(edit->name);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        int result;

        if (!inode)
                return -ESTALE;
        result = refusal(req, kind, fs_inode_is_dir(inode), !edit->value);
        if (result)
                ;
        else if (kind == FS_XATTR_KIND_REFCOUNT)
                result = set_count(fs, inode, edit->value, edit->size, edit->flags);
        else
                result = edit_stored(fs, inode, edit);
        fs_inode_put(fs->inodes, inode);
        return result;
}

void fs_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags)
{
        struct edit edit = {.name = name, .value = value, .size = size, .flags = flags};

        fs_reply(req, change(req, ino, &edit));
}

void fs_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
        struct edit edit = {.name = name};

        fs_reply(req, change(req, ino, &edit));
}
