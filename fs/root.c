/* SPDX-License-Identifier: MIT */
/* See root.h. */
#include "root.h"

#include <errno.h>
#include <unistd.h>

#include <bucketmap.h>

static int set_root_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct fs_attr *attr = ctx;

        return *meta_len ? 0 : fs_attr_replace(attr, meta, meta_len);
}

int fs_init_root(struct bm_store *store)
{
        struct fs_attr attr = fs_attr_new_dir();
        struct bm_view view;
        struct bm_ref ref;
        int result;

        bm_root_ref(store, &ref);
        result = bm_read_ref(&ref, &view);
        if (result)
                return result < 0 ? result : -EIO;
        if (!view.meta_len)
                result = bm_set_meta(&ref, set_root_meta, &attr);
        bm_view_release(&view);
        return result > 0 ? -EIO : result;
}

int fs_root_defaults(struct bm_store *store, struct fs_attr_defaults *defaults)
{
        struct bm_stats stats;
        struct fs_attr attr;
        struct bm_view view;
        struct bm_ref ref;
        int result = bm_stats(store, &stats);

        if (result)
                return result < 0 ? result : -EIO;
        *defaults = (struct fs_attr_defaults){
                .uid = geteuid(), .gid = getegid(), .time = stats.created_ns};
        bm_root_ref(store, &ref);
        result = bm_read_ref(&ref, &view);
        if (result)
                return result < 0 ? result : -EIO;
        result = fs_attr_of_view(&view, defaults, &attr);
        bm_view_release(&view);
        if (result)
                return result;
        defaults->uid = attr.uid;
        defaults->gid = attr.gid;
        return 0;
}
