/* SPDX-License-Identifier: MIT */
/*
 * Attributes of an entry that is written to an archive. Their names libarchive writes in a way that
 * no other program reads: it gets them in a form as long as the right one, which is put in its
 * place in the header before that is written.
 */
#ifndef FS_ARCHIVE_NAMES_H
#define FS_ARCHIVE_NAMES_H

#include "tree.h"

struct archive_entry;

/* Adds ENTRY's attributes, and its count, to TO. */
void archive_names_add(struct archive_entry *to, const struct tree_entry *entry);

/* Puts the names into the HEADER of LEN bytes that was made of it; its lengths stay. -EIO: it does
 * not have them. */
BM_CHECKED int archive_names_put(char *header, size_t len, const struct tree_entry *entry);

#endif
