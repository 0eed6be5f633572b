/* SPDX-License-Identifier: MIT */
/* Reading the entries of a tar archive of any kind, compressed or not, in bounded memory. */
#ifndef FS_ARCHIVE_IN_H
#define FS_ARCHIVE_IN_H

#include "tree.h"

struct archive_in;

/*
 * From the descriptor FD, which stays the caller's. FAILED is told of what an entry
 * lacks that can be stored all the same. 0, or -ENOMEM; a negative errno.
 */
int archive_in_new(int fd, tree_failed_fn failed, void *failed_ctx, struct archive_in **inp);

/*
 * The next entry; what it points to is good until the next call. *PROBLEM gets
 * why it cannot be stored, else NULL. 1; 0 at the end; a negative errno if the
 * archive cannot be read on.
 */
int archive_in_next(struct archive_in *in, struct tree_entry *entry, const char **problem);

/*
 * The next piece of the entry's value; what lies between is a hole. 1; 0 at
 * its end; a negative errno as above.
 */
int archive_in_block(struct archive_in *in, const void **bytes, size_t *len, uint64_t *offset);

/* Why the last call failed. */
const char *archive_in_problem(struct archive_in *in);

/* NULL is allowed; returns NULL. */
struct archive_in *archive_in_free(struct archive_in *in);

#endif
