/* SPDX-License-Identifier: MIT */
/* What a change of a file's contents does to its attributes. */
#ifndef FS_STAMP_H
#define FS_STAMP_H

#include "fs.h"

struct fs_stamp {
        struct fs *fs;
        int64_t now;
        bool kill;   /* set-id bits, which whoever writes has no right to keep */
        bool killed; /* there were some */
};

/* A bm_meta_fn for a struct fs_stamp: mtime, ctime, the set-id bits if asked, and
 * file capabilities, which go with any change. */
int fs_stamp(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len);

/* A bm_meta_fn's context for a change by the caller of a request now. */
struct fs_stamp fs_stamp_now(struct fs *fs, bool kill);

#endif
