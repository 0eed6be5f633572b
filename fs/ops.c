/* SPDX-License-Identifier: MIT */
/*
 * The table of operations. What is missing is missing on purpose: libfuse
 * answers ENOSYS, which the kernel remembers.
 *
 *  create   the kernel then sends MKNOD, and no RELEASE
 *  flush    nothing is kept back until a close
 *  getlk, setlk, flock   the kernel's local locks do, and cannot block a worker
 *  write_buf   a request is read in one piece
 *  release, releasedir   there is no open file, see fs_op_open
 */
#include "ops.h"

const struct fuse_lowlevel_ops fs_ops = {
        .init = fs_op_init,
        .lookup = fs_op_lookup,
        .forget = fs_op_forget,
        .forget_multi = fs_op_forget_multi,
        .getattr = fs_op_getattr,
        .setattr = fs_op_setattr,
        .readlink = fs_op_readlink,
        .mknod = fs_op_mknod,
        .mkdir = fs_op_mkdir,
        .unlink = fs_op_unlink,
        .rmdir = fs_op_rmdir,
        .symlink = fs_op_symlink,
        .rename = fs_op_rename,
        .link = fs_op_link,
        .open = fs_op_open,
        .read = fs_op_read,
        .write = fs_op_write,
        .fsync = fs_op_fsync,
        .opendir = fs_op_opendir,
        .readdir = fs_op_readdir,
        .releasedir = fs_op_releasedir,
        .fsyncdir = fs_op_fsync,
        .statfs = fs_op_statfs,
        .setxattr = fs_op_setxattr,
        .getxattr = fs_op_getxattr,
        .listxattr = fs_op_listxattr,
        .removexattr = fs_op_removexattr,
        .ioctl = fs_op_ioctl,
        .readdirplus = fs_op_readdirplus,
        .access = fs_op_access,
        .fallocate = fs_op_fallocate,
        .copy_file_range = fs_op_copy_file_range,
        .lseek = fs_op_lseek,
};
