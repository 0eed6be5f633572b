/* SPDX-License-Identifier: MIT */
/* Writing entries to a pax archive, in bounded memory. */
#ifndef FS_ARCHIVE_OUT_H
#define FS_ARCHIVE_OUT_H

#include "tree.h"

struct archive_out;

/* To the descriptor FD, which stays the caller's. 0 or -ENOMEM. */
int archive_out_new(int fd, tree_failed_fn failed, void *failed_ctx, struct archive_out **outp);

/*
 * Writes ENTRY, with VALUE (NULL: it has none). A value that cannot be read to its end is
 * reported, and zeros stand for the rest. 0, or a negative errno after which
 * nothing more can be written; *N_BYTES gets how much of a value was written.
 */
int archive_out_add(struct archive_out *out, const struct tree_entry *entry,
                    const struct tree_value *value, uint64_t *n_bytes);

/* Ends the archive. 0 or a negative errno. */
int archive_out_finish(struct archive_out *out);

/* Why the last call failed. */
const char *archive_out_problem(struct archive_out *out);

/* NULL is allowed; returns NULL. */
struct archive_out *archive_out_free(struct archive_out *out);

#endif
