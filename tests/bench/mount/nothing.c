/* SPDX-License-Identifier: MIT */
/*
 * usage: nothing [-o OPTIONS] DIR
 * A filesystem in memory that does nothing beyond answering as bucketmap does:
 * the floor that a mount's times are held against. What is agreed at INIT is
 * bucketmap's own code, so both are asked the same. Stays in the foreground
 * and prints "ready" when it is mounted.
 *
 * Threads: two, as there. `lock` guards the nodes; answers are written without it.
 * Nobody writes a file while another reads it: contents are read without it, too.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "fs.h"
#include "ioctl.h"
#include "nodes.h"
#include "ops.h"
#include "reply.h"

#define N_THREADS 2u

struct nothing {
        struct fs fs; /* first: what bucketmap's own handlers see */
        atomic_uint_least64_t n_requests;
        atomic_uint_least64_t init_unique;
        pthread_mutex_t lock;
};

static struct nothing *of(fuse_req_t req)
{
        return fuse_req_userdata(req);
}

static void lock(fuse_req_t req)
{
        pthread_mutex_lock(&of(req)->lock);
}

static void unlock(fuse_req_t req)
{
        pthread_mutex_unlock(&of(req)->lock);
}

/* Call under the lock: the node gains a lookup. */
static struct fuse_entry_param entry_of(struct node *node)
{
        node->n_lookups++;
        return (struct fuse_entry_param){.ino = node->stat.st_ino,
                                         .attr = node->stat,
                                         .attr_timeout = FS_FOREVER,
                                         .entry_timeout = FS_FOREVER};
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        struct fuse_entry_param entry = {.entry_timeout = FS_FOREVER};
        struct node *node;

        lock(req);
        node = node_find(parent, name);
        if (node)
                entry = entry_of(node);
        unlock(req);
        fuse_reply_entry(req, &entry);
}

static void forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
        struct node *node = node_of(ino);

        lock(req);
        node->n_lookups -= n;
        node_drop(node);
        unlock(req);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
        forget(req, ino, n);
        fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        for (size_t i = 0; i < count; i++)
                forget(req, forgets[i].ino, forgets[i].nlookup);
        fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        fuse_reply_attr(req, &node_of(ino)->stat, FS_FOREVER);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *want, int to_set,
                       struct fuse_file_info *fi)
{
        struct node *node = node_of(ino);
        struct stat *st = &node->stat;
        struct stat answer;
        int result = 0;

        lock(req);
        if (to_set & FUSE_SET_ATTR_SIZE)
                result = node_resize(node, (size_t)want->st_size);
        if (to_set & FUSE_SET_ATTR_MODE)
                st->st_mode = (st->st_mode & S_IFMT) | (want->st_mode & ~(mode_t)S_IFMT);
        if (to_set & FUSE_SET_ATTR_UID)
                st->st_uid = want->st_uid;
        if (to_set & FUSE_SET_ATTR_GID)
                st->st_gid = want->st_gid;
        if (to_set & FUSE_SET_ATTR_ATIME)
                st->st_atim = want->st_atim;
        if (to_set & FUSE_SET_ATTR_MTIME)
                st->st_mtim = want->st_mtim;
        answer = *st;
        unlock(req);
        if (result)
                fuse_reply_err(req, -result);
        else
                fuse_reply_attr(req, &answer, FS_FOREVER);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                 const char *target)
{
        struct fuse_entry_param entry;
        struct node *node;

        lock(req);
        node = node_new(parent, name, mode, fuse_req_ctx(req)->uid, fuse_req_ctx(req)->gid);
        if (node && target && node_write(node, target, strlen(target), 0))
                node = NULL;
        if (node)
                entry = entry_of(node);
        unlock(req);
        if (node)
                fuse_reply_entry(req, &entry);
        else
                fuse_reply_err(req, ENOMEM);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
        make(req, parent, name, mode, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
        make(req, parent, name, S_IFDIR | (mode & ~(mode_t)S_IFMT), NULL);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
        make(req, parent, name, S_IFLNK | 0777, target);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
        char target[4096];
        size_t len = node_read(node_of(ino), target, sizeof(target) - 1, 0);

        target[len] = '\0';
        fuse_reply_readlink(req, target);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        struct node *node;

        lock(req);
        node = node_find(parent, name);
        if (node)
                node_unlink(node);
        unlock(req);
        fuse_reply_err(req, node ? 0 : ENOENT);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                      const char *new_name, unsigned flags)
{
        struct node *node;
        int result = -ENOENT;

        lock(req);
        node = node_find(parent, name);
        if (node)
                result = node_rename(node, new_parent, new_name);
        unlock(req);
        fuse_reply_err(req, -result);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
        const struct node *node = node_of(ino);
        size_t all = (size_t)node->stat.st_size, at = (size_t)offset;

        if (at >= all)
                size = 0;
        else if (size > all - at)
                size = all - at;
        fuse_reply_buf(req, node->bytes + at, size);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
        int result;

        lock(req);
        result = node_write(node_of(ino), bytes, size, (size_t)offset);
        unlock(req);
        if (result)
                fuse_reply_err(req, -result);
        else
                fuse_reply_write(req, size);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
        fuse_reply_err(req, 0);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
        char *buf = malloc(size);
        size_t used = 0, len;
        struct node *node;

        if (!buf) {
                fuse_reply_err(req, ENOMEM);
                return;
        }
        lock(req);
        while ((node = node_next(ino, &offset))) {
                struct fuse_entry_param entry = entry_of(node);

                if (plus)
                        len = fuse_add_direntry_plus(req, buf + used, size - used, node_name(node),
                                                     &entry, offset);
                else
                        len = fuse_add_direntry(req, buf + used, size - used, node_name(node),
                                                &node->stat, offset);
                if (!plus || len > size - used)
                        node->n_lookups--;
                if (len > size - used)
                        break;
                used += len;
        }
        unlock(req);
        fuse_reply_buf(req, buf, used);
        free(buf);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        fi->keep_cache = 1;
        lock(req);
        fi->cache_readdir = !node_of(ino)->is_caching;
        fi->fh = fi->cache_readdir;
        node_of(ino)->is_caching = true;
        unlock(req);
        fuse_reply_open(req, fi);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        lock(req);
        if (fi->fh && node_of(ino))
                node_of(ino)->is_caching = false;
        unlock(req);
        fuse_reply_err(req, 0);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
        list(req, ino, size, offset, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
        list(req, ino, size, offset, true);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
        fuse_reply_err(req, strncmp(name, "user.", 5) ? EOPNOTSUPP : ENODATA);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                        size_t size, int flags)
{
        fuse_reply_err(req, EOPNOTSUPP);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
        fs_reply_xattr(req, NULL, 0, size);
}

/* How many requests there were, as a mounted store tells it; of no kind. */
static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
                     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
                     size_t out_size)
{
        static struct fs_ioc_requests out = {.n_kinds = 1, .kinds = {{.name = "all"}}};

        if (cmd != FS_IOC_REQUESTS || out_size < sizeof(out)) {
                fuse_reply_err(req, ENOTTY);
                return;
        }
        lock(req);
        out.kinds[0].requests = atomic_load(&of(req)->n_requests);
        unlock(req);
        fuse_reply_ioctl(req, 0, &out, sizeof(out));
}

static const struct fuse_lowlevel_ops ops = {
        .init = fs_op_init,
        .open = fs_op_open,
        .opendir = op_opendir,
        .releasedir = op_releasedir,
        .lookup = op_lookup,
        .forget = op_forget,
        .forget_multi = op_forget_multi,
        .getattr = op_getattr,
        .setattr = op_setattr,
        .readlink = op_readlink,
        .mknod = op_mknod,
        .mkdir = op_mkdir,
        .unlink = op_remove,
        .rmdir = op_remove,
        .symlink = op_symlink,
        .rename = op_rename,
        .read = op_read,
        .write = op_write,
        .fsync = op_fsync,
        .fsyncdir = op_fsync,
        .readdir = op_readdir,
        .readdirplus = op_readdirplus,
        .getxattr = op_getxattr,
        .setxattr = op_setxattr,
        .listxattr = op_listxattr,
        .ioctl = op_ioctl,
};

/* Counting, and KILLPRIV_V2, which libfuse has no name for: see kernel_io.c */

static ssize_t hook_read(int fd, void *buf, size_t size, void *userdata)
{
        struct nothing *nothing = userdata;
        const struct fuse_in_header *header = buf;
        ssize_t n = read(fd, buf, size);

        if (n >= (ssize_t)sizeof(*header)) {
                /* nor are those counted of a store's: see load.c */
                if (header->opcode != FUSE_FORGET && header->opcode != FUSE_BATCH_FORGET &&
                    header->opcode != FUSE_IOCTL)
                        atomic_fetch_add_explicit(&nothing->n_requests, 1, memory_order_relaxed);
                if (header->opcode == FUSE_INIT)
                        atomic_store(&nothing->init_unique, header->unique);
        }
        return n;
}

static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
        struct nothing *nothing = userdata;
        const struct fuse_out_header *header = iov[0].iov_base;

        if (atomic_load_explicit(&nothing->init_unique, memory_order_relaxed) == header->unique &&
            count > 1 && !header->error) {
                ((struct fuse_init_out *)iov[1].iov_base)->flags |= FUSE_HANDLE_KILLPRIV_V2;
                atomic_store(&nothing->init_unique, 0);
        }
        return writev(fd, iov, count);
}

static int serve(struct fuse_session *session)
{
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        int result;

        fuse_loop_cfg_set_clone_fd(config, 1);
        fuse_loop_cfg_set_max_threads(config, N_THREADS);
        fuse_loop_cfg_set_idle_threads(config, N_THREADS);
        puts("ready");
        fflush(stdout);
        result = fuse_session_loop_mt(session, config);
        fuse_loop_cfg_destroy(config);
        return result < 0;
}

int main(int argc, char **argv)
{
        static const struct fuse_custom_io io = {.read = hook_read, .writev = hook_writev};
        static struct nothing nothing = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
        struct fuse_cmdline_opts options;
        struct fuse_session *session = NULL;
        int result = 2;

        nodes_init();
        if (fuse_parse_cmdline(&args, &options) == 0 && options.mountpoint)
                session = fuse_session_new(&args, &ops, sizeof(ops), &nothing);
        if (session && fuse_set_signal_handlers(session) == 0 &&
            fuse_session_mount(session, options.mountpoint) == 0) {
                if (fuse_session_custom_io(session, &io, fuse_session_fd(session)) == 0)
                        result = serve(session);
                fuse_session_unmount(session);
        }
        if (session)
                fuse_session_destroy(session);
        nodes_free();
        free(options.mountpoint);
        fuse_opt_free_args(&args);
        return result;
}
