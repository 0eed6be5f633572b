/* SPDX-License-Identifier: MIT */
#include "stamp.h"

#include "xattr.h"

int fs_stamp(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        struct fs_stamp *s = ctx;
        struct fs_attr attr;
        int result = fs_attr_of_view(now, &s->fs->defaults, &attr);

        if (result)
                return result;
        attr.mtime = attr.ctime = s->now;
        if (s->kill && fs_attr_killed_mode(attr.mode) != attr.mode) {
                attr.mode = fs_attr_killed_mode(attr.mode);
                s->killed = true;
        }
        result = fs_attr_replace(&attr, meta, meta_len);
        /* also where the mount shows none: the next one may */
        return result ? result : fs_xattr_drop(meta, meta_len, FS_XATTR_CAPS);
}

struct fs_stamp fs_stamp_now(struct fs *fs, bool kill)
{
        return (struct fs_stamp){.fs = fs, .now = fs_time_now(), .kill = kill};
}
