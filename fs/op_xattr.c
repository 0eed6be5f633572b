/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, read. The reference count and the hash of the contents are
 * answered by name and not listed: listed, copies would claim counts that
 * nobody holds. All of system.*, and of security.* unless the mount asks for
 * it, is EOPNOTSUPP, which the ordinary tools remember for the whole mount.
 */
#include "xattr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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
