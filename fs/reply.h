/* SPDX-License-Identifier: MIT */
/*
 * Answers to the kernel. Here, and nowhere else, results become error numbers.
 */
#ifndef FS_REPLY_H
#define FS_REPLY_H

#include <stddef.h>
#include <sys/stat.h>

#include "fuse_api.h"

/* How long the kernel may keep what it is told, seconds: it is told of all changes.
 * Of attributes: see fs_attr_timeout. */
#define FS_FOREVER (10.0 * 365 * 24 * 3600)

/* The error number, positive, of a core result: 0, a negative errno, an enum bm_error. */
int fs_errno(int result);

/* Answers with RESULT: success without content, or the failure. */
void fs_reply(fuse_req_t req, int result);

/* Answers with RESULT if that is a failure, else with ST, to be kept for TIMEOUT seconds. */
void fs_reply_attr(fuse_req_t req, int result, const struct stat *st, double timeout);

/* That there is no such name, in a way that the kernel remembers. */
void fs_reply_no_entry(fuse_req_t req);

/* An extended attribute's value or a list of names, for a caller with room
 * for SIZE bytes; 0 asks for the length. */
void fs_reply_xattr(fuse_req_t req, const void *value, size_t len, size_t size);

#endif
