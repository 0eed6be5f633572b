/* SPDX-License-Identifier: MIT */
/* One mounted filesystem: from the FUSE session's making to its end. */
#ifndef FS_SESSION_H
#define FS_SESSION_H

#include <stdbool.h>

struct bm_store;
struct fuse_args;
struct fs_session;

struct fs_options {
        bool allow_other; /* others than the mounting user get in; the kernel checks modes */
        bool nopermcheck; /* no default_permissions on a private mount */
        bool read_only;
        bool unlink_guard;       /* the last name of a record with a count above 1 stays: EBUSY */
        bool list_counts;        /* listxattr shows the count */
        bool security_xattrs;    /* security.* is kept, else refused */
        unsigned max_read_bytes; /* largest read; 0: the kernel's */
        bool single_threaded;
        bool clone_fd;          /* tried unless false; silently without where it cannot be */
        const char *store_path; /* absolute, for the info ioctl; NULL: not told */
};

/*
 * Makes a session that serves STORE, which stays the caller's and must
 * outlive it and be opened with stamp_times. ARGS are libfuse's own options
 * (fsname, subtype, -d ...); what OPTIONS implies (allow_other,
 * default_permissions, ro) is added to them here. Starts no thread. 0 or a
 * negative errno.
 */
int fs_session_new(const struct fs_options *options, struct bm_store *store, struct fuse_args *args,
                   struct fs_session **sessionp);

/* Mounts it at DIR (absolute). Call after any fork. */
int fs_session_mount(struct fs_session *session, const char *dir);

/*
 * Serves until the filesystem is unmounted or fs_session_exit. READY is
 * called once, from another thread, when the kernel has finished INIT.
 */
int fs_session_run(struct fs_session *session, void (*ready)(void *ctx), void *ctx);

/* Makes run return as soon as its threads notice; may be called from any thread. */
void fs_session_exit(struct fs_session *session);

/* Detaches it from the directory, if it still is seen there, and ends the connection. */
void fs_session_unmount(struct fs_session *session);

/* NULL is allowed; returns NULL. */
struct fs_session *fs_session_free(struct fs_session *session);

#endif
