/* SPDX-License-Identifier: MIT */
/*
 * What an interrupted creation left: files of ours, of a store that never was. No superblock of the
 * first drive can be read, no manifest was written, and there is no segment; a further drive's
 * superblock is that of the creation which the first drive tells of.
 */
#ifndef BM_LEFTOVER_H
#define BM_LEFTOVER_H

#include "bucketmap.h"
#include "io.h"

/* 0: the directories, the first drive's first, hold nothing, or no more than that.
 * BM_E_NOT_EMPTY_DIR: *WHICH holds something else. */
BM_CHECKED int bm_leftover_look(const struct bm_io *io, const int *dirs, unsigned n_dirs,
                                unsigned *which);
/* Removes the files of ours from one of them, durably: the superblock first, the lock last or, if
 * somebody holds it, not. */
BM_CHECKED int bm_leftover_clear(const struct bm_io *io, int dir, bool lock_too);

#endif
