/* SPDX-License-Identifier: MIT */
#include "put.h"

#include <errno.h>
#include <string.h>

#include "xattr.h"

static int check_xattrs(const struct fs_put_who *who, const uint8_t *list, size_t len)
{
        struct fs_xattr xattr;
        size_t offset = 0;
        int result;

        if (len > FS_XATTR_LIST_MAX)
                return -ENOSPC;
        while ((result = fs_xattr_next(list, len, &offset, &xattr)) == 0) {
                char name[UINT8_MAX + 1] = "";

                memcpy(name, xattr.name, xattr.name_len);
                if (strlen(name) != xattr.name_len)
                        return -EINVAL;
                switch (fs_xattr_kind(name)) {
                case FS_XATTR_KIND_USER:
                        break;
                case FS_XATTR_KIND_TRUSTED:
                        if (who->uid == 0)
                                break;
                        return -EPERM;
                case FS_XATTR_KIND_REFCOUNT:
                case FS_XATTR_KIND_HASH:
                case FS_XATTR_KIND_RESERVED:
                case FS_XATTR_KIND_NAMELESS:
                case FS_XATTR_KIND_SECURITY:
                case FS_XATTR_KIND_OTHER:
                default:
                        return -EINVAL;
                }
        }
        return result < 0 ? -EINVAL : 0;
}

/* As the kernel has it, a device takes root. */
static bool may_put(const struct fs_put_who *who, uint32_t mode)
{
        if (S_ISCHR(mode) || S_ISBLK(mode))
                return who->uid == 0;
        return S_ISREG(mode) || S_ISLNK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

int fs_put_meta(const struct fs_put_who *who, const void *meta, size_t meta_len, uint8_t *out,
                size_t *out_len)
{
        struct fs_attr attr;
        size_t used;
        int result = fs_attr_decode(meta, meta_len, &attr, &used);

        if (result || !may_put(who, attr.mode))
                return -EINVAL;
        result = check_xattrs(who, (const uint8_t *)meta + used, meta_len - used);
        if (result)
                return result;
        if (who->uid != 0) {
                attr.uid = who->uid;
                attr.gid = who->gid;
        }
        attr.birth = attr.ctime = fs_time_now();
        *out_len = fs_attr_encode(&attr, out);
        memcpy(out + *out_len, (const uint8_t *)meta + used, meta_len - used);
        *out_len += meta_len - used;
        return 0;
}

struct update {
        const struct fs_attr_defaults *defaults;
        struct fs_put *put;
        int result; /* why nothing was stored */
};

static int check_type(const struct update *u, const struct bm_view *now)
{
        struct fs_attr old, new;
        size_t used;
        int result = fs_attr_of_view(now, u->defaults, &old);

        if (!result)
                result = fs_attr_decode(u->put->meta, u->put->meta_len, &new, &used);
        if (result)
                return result;
        /* the kernel knows the inode as what it is */
        return (old.mode & S_IFMT) == (new.mode &S_IFMT) ? 0 : BM_E_EXISTS;
}

static enum bm_verdict decide(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        struct update *u = ctx;
        struct fs_put *put = u->put;

        put->kept = now && put->mode == FS_PUT_KEEP;
        put->replaced_id = 0;
        u->result = 0;
        if (put->kept)
                return BM_KEEP;
        if (now) {
                u->result = put->mode == FS_PUT_REPLACE ? check_type(u, now) : BM_E_EXISTS;
                if (u->result)
                        return BM_KEEP;
                put->replaced_id = now->record_id;
        }
        next->value = put->value;
        next->value_len = put->value_len;
        next->meta = put->meta;
        next->meta_len = put->meta_len;
        if (put->has_count)
                next->count = put->count;
        else if (!now)
                next->count = 1;
        return BM_PUT;
}

int fs_put(const struct backend *backend, const struct fs_attr_defaults *defaults,
           struct fs_put *put)
{
        struct update update = {.defaults = defaults, .put = put};
        struct fs_attr attr;
        size_t used;
        int result = fs_attr_decode(put->meta, put->meta_len, &attr, &used);

        /* the others have none */
        if (!result && put->value_len && !S_ISREG(attr.mode) && !S_ISLNK(attr.mode))
                result = -EINVAL;
        if (!result)
                result = backend->update(backend->ctx, put->map, put->key, put->key_len, decide,
                                         &update);

        return result ? result : update.result;
}
