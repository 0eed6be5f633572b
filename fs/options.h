/* SPDX-License-Identifier: MIT */
/* The -o options of a mount: ours, libfuse's, and the words of fstab. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "drive_list.h"
#include "fuse_api.h"
#include "session.h"

struct mount_options {
        struct fs_options fs;
        bool sloppy;              /* unknown words are no error */
        bool no_create;           /* the store must be there already */
        bool nomap;               /* write to segments by calls */
        unsigned n_buckets;       /* 0: not given */
        unsigned max_search;      /* 0: not given */
        unsigned commit_interval; /* seconds; 0: not given */
        struct drive_list drives; /* further ones, at creation; else checked */
        struct fuse_args fuse;    /* what libfuse gets */
};

/* Everything off, clone_fd on. 0 or -ENOMEM. */
int mount_options_init(struct mount_options *options);
void mount_options_deinit(struct mount_options *options);

/* Takes the words of one -o, to be understood by mount_options_finish. 0 or -ENOMEM. */
int mount_options_add(struct mount_options *options, const char *words);

/*
 * Understands what was added. -EINVAL: WHY says which option is wrong, in one
 * line; -ENOMEM.
 */
int mount_options_finish(struct mount_options *options, char *why, size_t why_size);

/*
 * Has the mount shown as type fuse.bucketmap with STORE, an absolute path of
 * any bytes, as its source. 0 or -ENOMEM.
 */
int mount_options_name(struct mount_options *options, const char *store);

#endif
