/* SPDX-License-Identifier: MIT */
/*
 * Telling the kernel of names that changed behind its back: it keeps what it
 * knows for ever otherwise.
 *
 * A thread of its own does it, since the kernel takes the directory's lock
 * for it, which a process may hold whose request waits for one of the workers.
 */
#ifndef FS_NOTIFIER_H
#define FS_NOTIFIER_H

#include <stdbool.h>
#include <stddef.h>

#include "bucketmap.h"
#include "fuse_api.h"

struct fs_notifier;

/* One name to be forgotten by the kernel, with what it knows of the file. */
struct fs_stale {
        fuse_ino_t dir;
        const char *name; /* NULL: none, only what is kept of the directory itself */
        fuse_ino_t ino;   /* its attributes go too; 0: none */
        bool contents;    /* and what is cached of its value */
};

/* The caller's, until DONE. */
struct fs_notice {
        struct fs_notice *next_;
        const struct fs_stale *stale;
        size_t n_stale;
        /* Called once, from the notifier's thread (or the poster's, if it is
         * stopped), when the kernel will look up anew. */
        void (*done)(struct fs_notice *notice);
};

/* Starts no thread. 0 or -ENOMEM. */
BM_CHECKED int fs_notifier_new(struct fuse_session *session, struct fs_notifier **notifierp);

/* Starts the thread, if it has not been. Call it before the change is made. 0 or a negative errno.
 */
BM_CHECKED int fs_notifier_start(struct fs_notifier *notifier);

/*
 * Has the kernel forget NOTICE's names. Call it when the change has been made,
 * with no lock held, and acknowledge the change no earlier than DONE. Never
 * waits for the kernel. Any thread.
 */
void fs_notifier_post(struct fs_notifier *notifier, struct fs_notice *notice);

/*
 * Waits until everything posted is told, and tells nothing from now on. To be
 * called while requests are being served, or the connection has ended.
 */
void fs_notifier_stop(struct fs_notifier *notifier);

/* Stops it. NULL is allowed; returns NULL. */
struct fs_notifier *fs_notifier_free(struct fs_notifier *notifier);

#endif
