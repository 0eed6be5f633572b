/* SPDX-License-Identifier: MIT */
/*
 * One mounted filesystem as its requests see it, and what the families of
 * requests share.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "attr.h"
#include "backend.h"
#include "fuse_api.h"
#include "inode.h"
#include "kernel_io.h"
#include "session.h"

struct fs_chores;
struct fs_checker;
struct fs_requests;
struct fs_notifier;

struct fs {
        /* constant once the kernel's INIT is answered */
        struct fs_options options;
        struct backend backend;
        struct fs_inodes *inodes;
        struct fs_attr_defaults defaults;
        struct fs_chores *chores;
        struct fs_checker *checker;
        struct fs_requests *requests;
        struct fs_notifier *notifier;
        struct fuse_session *session;
        char *store_path;         /* NULL: unknown */
        uid_t owner;              /* who runs it */
        bool check_owner;         /* the kernel does not: SETATTR refuses what POSIX refuses */
        bool no_open;             /* the kernel takes ENOSYS to OPEN */
        pthread_key_t buffer_key; /* a buffer of each thread's */
        /* synchronises itself */
        struct fs_kernel_io kernel_io;
        /* guarded by answers_lock */
        pthread_mutex_t answers_lock;
        pthread_cond_t answers_done;
        unsigned n_answers_due; /* requests that a thread of the store's will answer */
};

static inline struct fs *fs_of(fuse_req_t req)
{
        return fuse_req_userdata(req);
}

/* Requests that are answered later: the session does not end before. */
void fs_answer_due(struct fs *fs);
void fs_answer_given(struct fs *fs);
void fs_answers_wait(struct fs *fs);

/* At least SIZE bytes that are the thread's until its next call; NULL: no memory. */
void *fs_thread_buffer(struct fs *fs, size_t size);

/* Records */

typedef int (*fs_record_fn)(struct fs *fs, const struct fs_place *place, void *ctx);

/*
 * Runs FN on the place of INODE's record, again if it had moved meanwhile
 * (FN gave BM_E_NOT_FOUND or BM_E_STALE). -ESTALE if it is not to be found.
 */
BM_CHECKED int fs_on_inode(struct fs *fs, struct fs_inode *inode, fs_record_fn fn, void *ctx);

/* The same for an inode number of the kernel's; -ESTALE if it is unknown. */
BM_CHECKED int fs_on_record(struct fs *fs, fuse_ino_t ino, fs_record_fn fn, void *ctx);

/* What a record holds beside its value; the view is to be released. *REMOVED_NS, of one that was
 * removed and is open, may be NULL. */
BM_CHECKED int fs_view(struct fs *fs, struct fs_inode *inode, struct bm_view *view,
                       int64_t *removed_ns);
/* The same with the value. */
BM_CHECKED int fs_view_value(struct fs *fs, struct fs_inode *inode, struct bm_view *view);

/* Fills ST for INODE, whose record VIEW shows. */
BM_CHECKED int fs_stat_of_view(struct fs *fs, struct fs_inode *inode, const struct bm_view *view,
                               int64_t removed_ns, struct stat *st);

BM_CHECKED int fs_stat(struct fs *fs, struct fs_inode *inode, struct stat *st);

/* For how long the kernel may keep attributes of INODE that were read before
 * this is called, seconds: for good, but while it loses one of its names. */
double fs_attr_timeout(struct fs *fs, struct fs_inode *inode);

/* Sets the times of ATTR, a directory's, that come from the map's last change. */
void fs_apply_map_time(struct fs_attr *attr, int64_t changed_ns);

/* Names */

/* A name in a directory, as a request has it. */
struct fs_name {
        struct fs_inode *dir; /* referenced */
        struct bm_map *map;
        const char *key;
        size_t key_len;
};

/* Fills NAME, to be released; errors as fs_name_check, -ESTALE, BM_E_NOT_FOUND. */
BM_CHECKED int fs_name_of(struct fs *fs, fuse_ino_t parent, const char *text, struct fs_name *name);
void fs_name_release(struct fs *fs, struct fs_name *name);

/* Whether INO is a directory that the kernel knows. */
bool fs_names_dir(struct fs *fs, fuse_ino_t ino);

/* The record of that name, whichever it is. */
struct bm_ref fs_name_ref(const struct fs_name *name);

/*
 * Removes a file if its count is COUNT, else BM_E_COUNT; nothing comes
 * between. The kernel has to be told of *RECORD_ID and the name. Errors:
 * BM_E_NOT_FOUND, BM_E_IS_MAP.
 */
BM_CHECKED int fs_remove_if_count(struct fs *fs, const struct fs_name *name, uint64_t count,
                                  uint64_t *record_id);

/*
 * Makes known to the kernel what VIEW shows under KEY of DIR: fills ENTRY and
 * counts a lookup, to be forgotten if the answer cannot be sent.
 */
BM_CHECKED int fs_entry_of_view(struct fs *fs, struct fs_inode *dir, const void *key,
                                size_t key_len, const struct bm_view *view,
                                struct fuse_entry_param *entry);

/* Answers with ENTRY, or with RESULT if that is a failure. */
void fs_reply_entry(fuse_req_t req, int result, const struct fuse_entry_param *entry);

#endif
