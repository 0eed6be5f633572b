/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <errno.h>

#include "bucketmap.h"

int fs_errno(int result)
{
        if (result <= 0)
                return -result;
        switch ((enum bm_error)result) {
        case BM_E_NOT_FOUND:
                return ENOENT;
        case BM_E_EXISTS:
                return EEXIST;
        case BM_E_STALE:
                return ESTALE;
        case BM_E_COUNT:
                return EBUSY;
        case BM_E_INDEX_NO_SPACE:
        case BM_E_DATA_NO_SPACE:
                return ENOSPC;
        case BM_E_NOT_EMPTY:
                return ENOTEMPTY;
        case BM_E_IS_MAP:
                return EISDIR;
        case BM_E_NOT_MAP:
                return ENOTDIR;
        case BM_E_LOOP:
                return EINVAL;
        case BM_E_NOT_A_STORE:
        case BM_E_NOT_EMPTY_DIR:
        case BM_E_IN_USE:
        case BM_E_NEWER_FORMAT:
        case BM_E_OLDER_FORMAT:
        case BM_E_DAMAGED:
        case BM_E_MISMATCH:
                break;
        }
        return EIO;
}

/* An answer that cannot be sent is an answer to nobody: the caller was
 * interrupted, or the filesystem is gone. Nothing is to be done about it. */
void fs_reply(fuse_req_t req, int result)
{
        fuse_reply_err(req, fs_errno(result));
}

void fs_reply_attr(fuse_req_t req, int result, const struct stat *st, double timeout)
{
        if (result)
                fs_reply(req, result);
        else
                fuse_reply_attr(req, st, timeout);
}

void fs_reply_no_entry(fuse_req_t req)
{
        struct fuse_entry_param none = {.entry_timeout = FS_FOREVER};

        fuse_reply_entry(req, &none);
}

void fs_reply_xattr(fuse_req_t req, const void *value, size_t len, size_t size)
{
        if (size == 0)
                fuse_reply_xattr(req, len);
        else if (size < len)
                fuse_reply_err(req, ERANGE);
        else
                fuse_reply_buf(req, value, len);
}
