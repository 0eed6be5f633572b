/* SPDX-License-Identifier: MIT */
/*
 * What is agreed with the kernel at INIT, and the requests that exist to be
 * refused. Each line was chosen for fewer requests, or against a corruption.
 */
#include <errno.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"

#define MAX_WRITE_BYTES (1u << 20)
/* reads ahead and fsyncs that the kernel keeps in flight; its default is 12 */
#define MAX_BACKGROUND 64

static void want(struct fuse_conn_info *conn, unsigned capability, bool on)
{
        if (!on)
                conn->want &= ~capability;
        else if (conn->capable & capability)
                conn->want |= capability;
}

void fs_op_init(void *userdata, struct fuse_conn_info *conn)
{
        struct fs *fs = userdata;

        /* without OPEN it would leave the old tail behind "echo hi > file" */
        want(conn, FUSE_CAP_ATOMIC_O_TRUNC, false);
        /* slower for small writes, and keeps sizes that have changed */
        want(conn, FUSE_CAP_WRITEBACK_CACHE, false);
        /* nothing changes but through the kernel: cached pages stay good */
        want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
        want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA, true);
        /* the first version would cost a GETXATTR a write */
        want(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
        want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2, true);
#endif
        want(conn, FUSE_CAP_PARALLEL_DIROPS, true);
        want(conn, FUSE_CAP_ASYNC_READ, true);
        want(conn, FUSE_CAP_ASYNC_DIO, true);
        want(conn, FUSE_CAP_IOCTL_DIR, true);
        want(conn, FUSE_CAP_READDIRPLUS, true);
        want(conn, FUSE_CAP_READDIRPLUS_AUTO, true);
        /* the target of a symbolic link never changes */
        want(conn, FUSE_CAP_CACHE_SYMLINKS, true);
        /* local locks do; a lock that waits would take a worker with it */
        want(conn, FUSE_CAP_POSIX_LOCKS, false);
        want(conn, FUSE_CAP_FLOCK_LOCKS, false);
        want(conn, FUSE_CAP_POSIX_ACL, false);
        /* values are copied once, from the store to the kernel or back */
        want(conn, FUSE_CAP_SPLICE_READ, false);
        want(conn, FUSE_CAP_SPLICE_WRITE, false);
        want(conn, FUSE_CAP_SPLICE_MOVE, false);

        if (conn->max_write > MAX_WRITE_BYTES)
                conn->max_write = MAX_WRITE_BYTES;
        if (fs->options.max_read_bytes)
                conn->max_read = fs->options.max_read_bytes;
        conn->max_background = MAX_BACKGROUND;
        conn->time_gran = 1;
        fs->no_open = conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
}

/* ENOSYS: no file needs opening, and none of this mount's will be. */
void fs_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        if (fs_of(req)->no_open) {
                fs_reply(req, -ENOSYS);
                return;
        }
        fi->keep_cache = 1;
        fuse_reply_open(req, fi);
}
