/* SPDX-License-Identifier: MIT */
/* Hashing the contents of large files, as a chore. */
#ifndef FS_CONTENT_HASH_H
#define FS_CONTENT_HASH_H

#include <stdint.h>

#include "fs.h"

/* XXH3-64 as text: 16 hexadecimal digits, as xxhsum -H3 prints it. */
#define FS_HASH_TEXT 16u

/* Answers a GETXATTR for a caller with room for SIZE bytes. */
void fs_reply_hash(fuse_req_t req, uint64_t hash, size_t size);

/*
 * Hashes INODE's contents and answers REQ with it. A result is kept with the
 * inode. The contents are those of one moment: if the file is written
 * meanwhile it is done again, a few times (then EAGAIN).
 */
void fs_hash_start(struct fs *fs, fuse_req_t req, struct fs_inode *inode, size_t size);

#endif
