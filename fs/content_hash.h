/* SPDX-License-Identifier: MIT */
/* Hashing the contents of large files on a thread of its own. */
#ifndef FS_CONTENT_HASH_H
#define FS_CONTENT_HASH_H

#include <stdint.h>

#include "fs.h"

/* XXH3-64 as text: 16 hexadecimal digits, as xxhsum -H3 prints it. */
#define FS_HASH_TEXT 16u

/* Answers a GETXATTR for a caller with room for SIZE bytes. */
void fs_reply_hash(fuse_req_t req, uint64_t hash, size_t size);

/* 0 or -ENOMEM. Starts no thread: the first file does. */
BM_CHECKED int fs_hasher_new(struct fs *fs, struct fs_hasher **hasherp);

/*
 * Hashes INODE's contents and answers REQ with it. Several files take turns;
 * each ends early when its caller is interrupted (EINTR). A result is kept
 * with the inode. The contents are those of one moment: if the file is
 * written meanwhile it is done again, a few times (then EAGAIN).
 */
void fs_hasher_start(struct fs_hasher *hasher, fuse_req_t req, struct fs_inode *inode, size_t size);

/* Answers what is waiting with EINTR. NULL is allowed; returns NULL. */
struct fs_hasher *fs_hasher_free(struct fs_hasher *hasher);

#endif
