/* SPDX-License-Identifier: MIT */
/* From a name to an inode, and the end of what the kernel knows. */
#include "fs.h"
#include "ops.h"
#include "reply.h"

static int look_up(struct fs *fs, const struct fs_name *name, struct fuse_entry_param *entry)
{
        struct bm_ref ref = fs_name_ref(name);
        struct bm_view view;
        int result;

        fs_inode_telling(name->dir);
        result = fs->backend.get_attr(fs->backend.ctx, &ref, &view, NULL);
        if (result)
                return result;
        result = fs_entry_of_view(fs, name->dir, name->key, name->key_len, &view, entry);
        bm_view_release(&view);
        return result;
}

void fs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *text)
{
        struct fs *fs = fs_of(req);
        struct fuse_entry_param entry;
        struct fs_name name;
        int result = fs_name_of(fs, parent, text, &name);

        if (!result)
                result = look_up(fs, &name, &entry);
        if (result == BM_E_NOT_FOUND)
                fs_reply_no_entry(req);
        else
                fs_reply_entry(req, result, &entry);
        fs_name_release(fs, &name);
}

void fs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n_lookups)
{
        fs_inode_forget(fs_of(req)->inodes, ino, n_lookups);
        fuse_reply_none(req);
}

void fs_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        struct fs *fs = fs_of(req);

        for (size_t i = 0; i < count; i++)
                fs_inode_forget(fs->inodes, forgets[i].ino, forgets[i].nlookup);
        fuse_reply_none(req);
}
