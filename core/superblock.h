/* SPDX-License-Identifier: MIT */
/* The files that make a directory a store: their names, and the superblock's
 * two copies on every drive. */
#ifndef BM_SUPERBLOCK_H
#define BM_SUPERBLOCK_H

#define BM_FILE_SUPERBLOCK "superblock"
#define BM_FILE_MANIFEST   "manifest"
#define BM_FILE_LOCK       "lock"
#define BM_FILE_RESERVE    "reserve"
#define BM_FILE_DRIVES     "drives" /* text: paths of the further drives, a line each */
#define BM_DIR_SEGMENTS    "segments"

#endif
