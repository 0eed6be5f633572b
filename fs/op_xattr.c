/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes. The reference count and the hash of the contents are
 * answered by name and not listed: listed, copies would claim counts that
 * nobody holds. All of system.*, and of security.* unless the mount asks for
 * it, is EOPNOTSUPP, which the ordinary tools remember for the whole mount.
 */
#include "xattr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <xxhash.h>

#include "content_hash.h"
#include "fs.h"
#include "ops.h"
#include "reply.h"

#define COUNT_TEXT 20 /* digits of the largest count, and the end */

/* The list of stored attributes in a meta. */
struct stored {
        const uint8_t *list;
        size_t len;
};

static int stored_of_view(const struct bm_view *view, struct stored *stored)
{
        struct fs_attr attr;
        size_t used;
        int result;

        *stored = (struct stored){0};
        if (!view->meta_len)
                return 0;
        result = fs_attr_decode(view->meta, view->meta_len, &attr, &used);
        if (!result) {
                stored->list = (const uint8_t *)view->meta + used;
                stored->len = view->meta_len - used;
        }
        return result;
}

/* Getting */

static void get_stored(fuse_req_t req, struct fs_inode *inode, const char *name, size_t size)
{
        struct fs *fs = fs_of(req);
        struct stored stored;
        struct fs_xattr xattr;
        struct bm_view view;
        void *value = NULL;
        int result = fs_view(fs, inode, &view, NULL);

        if (result) {
                fs_reply(req, result);
                return;
        }
        result = stored_of_view(&view, &stored);
        if (!result)
                result = fs_xattr_find(stored.list, stored.len, name, &xattr);
        if (!result) {
                value = fs_thread_buffer(fs, xattr.value_len + 1); /* it may be empty */
                result = value ? 0 : -ENOMEM;
        }
        if (!result)
                memcpy(value, xattr.value, xattr.value_len);
        if (bm_view_release(&view))
                result = -EIO;
        if (result)
                fs_reply(req, result);
        else
                fs_reply_xattr(req, value, xattr.value_len, size);
}

static void get_count(fuse_req_t req, struct fs_inode *inode, size_t size)
{
        char text[COUNT_TEXT];
        struct bm_view view;
        int result = fs_view(fs_of(req), inode, &view, NULL);
        int len;

        if (result) {
                fs_reply(req, result);
                return;
        }
        len = snprintf(text, sizeof(text), "%llu", (unsigned long long)view.count);
        bm_view_release(&view);
        fs_reply_xattr(req, text, (size_t)len, size);
}

static void get_hash(fuse_req_t req, struct fs_inode *inode, size_t size)
{
        struct fs *fs = fs_of(req);
        uint32_t n_writes = fs_inode_writes(inode);
        struct bm_view view;
        uint64_t hash;
        int result;

        if (fs_inode_hash(fs->inodes, inode, &hash)) {
                fs_reply_hash(req, hash, size);
                return;
        }
        result = fs_view_value(fs, inode, &view);
        if (result) {
                fs_reply(req, result);
                return;
        }
        if (view.large) {
                bm_view_release(&view);
                fs_hash_start(fs, req, inode, size);
                return;
        }
        hash = XXH3_64bits(view.size ? view.value : "", view.size);
        if (bm_view_release(&view)) {
                fs_reply(req, -EIO);
                return;
        }
        fs_inode_keep_hash(fs->inodes, inode, hash, n_writes);
        fs_reply_hash(req, hash, size);
}

void fs_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
        struct fs *fs = fs_of(req);
        enum fs_xattr_kind kind = fs_xattr_kind(name);
        struct fs_inode *inode;

        /* asked for with every "ls -l": answered without a look */
        if (kind == FS_XATTR_KIND_OTHER ||
            (kind == FS_XATTR_KIND_SECURITY && !fs->options.security_xattrs)) {
                fs_reply(req, -EOPNOTSUPP);
                return;
        }
        if (kind == FS_XATTR_KIND_NAMELESS) {
                fs_reply(req, -EINVAL);
                return;
        }
        inode = fs_inode_get(fs->inodes, ino);
        if (!inode)
                fs_reply(req, -ESTALE);
        else if (kind == FS_XATTR_KIND_TRUSTED && fuse_req_ctx(req)->uid != 0)
                fs_reply(req, -ENODATA);
        else if (kind != FS_XATTR_KIND_REFCOUNT && kind != FS_XATTR_KIND_HASH)
                get_stored(req, inode, name, size);
        else if (fs_inode_is_dir(inode))
                fs_reply(req, -ENODATA);
        else if (kind == FS_XATTR_KIND_REFCOUNT)
                get_count(req, inode, size);
        else
                get_hash(req, inode, size);
        fs_inode_put(fs->inodes, inode);
}

/* Setting and removing */

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

/* Listing */

static void put_name(char *out, size_t *len, const char *name, size_t name_len)
{
        memcpy(out + *len, name, name_len);
        out[*len + name_len] = '\0';
        *len += name_len + 1;
}

/* Writes the names to OUT, which has room for all of STORED and the count's. */
static int names_of(fuse_req_t req, const struct stored *stored, bool with_count, char *out,
                    size_t *len)
{
        bool is_root = fuse_req_ctx(req)->uid == 0;
        struct fs_xattr xattr;
        size_t offset = 0;
        int result;

        *len = 0;
        while ((result = fs_xattr_next(stored->list, stored->len, &offset, &xattr)) == 0) {
                char name[UINT8_MAX + 1] = "";
                enum fs_xattr_kind kind;

                memcpy(name, xattr.name, xattr.name_len);
                kind = fs_xattr_kind(name);
                /* one without a name could be set once, and cannot be asked for */
                if (kind != FS_XATTR_KIND_NAMELESS && (kind != FS_XATTR_KIND_TRUSTED || is_root) &&
                    (kind != FS_XATTR_KIND_SECURITY || fs_of(req)->options.security_xattrs))
                        put_name(out, len, xattr.name, xattr.name_len);
        }
        if (result > 0 && with_count)
                put_name(out, len, FS_XATTR_COUNT, strlen(FS_XATTR_COUNT));
        return result < 0 ? result : 0;
}

static int list(fuse_req_t req, struct fs_inode *inode, size_t size)
{
        struct fs *fs = fs_of(req);
        bool with_count = false;
        struct stored stored;
        struct fs_attr attr;
        struct bm_view view;
        size_t len;
        char *names;
        int result = fs_view(fs, inode, &view, NULL);

        if (result)
                return result;
        result = stored_of_view(&view, &stored);
        if (!result && fs->options.list_counts)
                result = fs_attr_of_view(&view, &fs->defaults, &attr);
        /* of links and devices the kernel would refuse to tell it */
        if (!result && fs->options.list_counts)
                with_count = S_ISREG(attr.mode);
        /* a name takes less here than in the list with its length and value */
        names = fs_thread_buffer(fs, stored.len + sizeof(FS_XATTR_COUNT));
        if (!result && !names)
                result = -ENOMEM;
        if (!result)
                result = names_of(req, &stored, with_count, names, &len);
        if (bm_view_release(&view))
                result = -EIO;
        if (!result)
                fs_reply_xattr(req, names, len, size);
        return result;
}

void fs_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        int result = inode ? list(req, inode, size) : -ESTALE;

        if (result)
                fs_reply(req, result);
        fs_inode_put(fs->inodes, inode);
}
