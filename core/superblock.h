/* SPDX-License-Identifier: MIT */
/* The files that make a directory a store: their names, and the superblock's
 * two copies on every drive. */
#ifndef BM_SUPERBLOCK_H
#define BM_SUPERBLOCK_H

#include "format.h"
#include "io.h"

#define BM_FILE_SUPERBLOCK "superblock"
#define BM_FILE_MANIFEST   "manifest"
#define BM_FILE_LOCK       "lock"
#define BM_FILE_RESERVE    "reserve"
#define BM_FILE_DRIVES     "drives"         /* text: paths of the further drives, a line each */
#define BM_FILE_BEGUN      "superblock.new" /* while a store of several drives is being made */
#define BM_DIR_SEGMENTS    "segments"

/* From the file NAME, whichever copy is good. BM_E_NOT_A_STORE: there is none. */
int bm_superblock_read(const struct bm_io *io, int dir, const char *name, struct bm_superblock *sb);
/* Writes the copy that is bad from the one that is good, if there is one such. */
int bm_superblock_mend(const struct bm_io *io, int dir);

#endif
