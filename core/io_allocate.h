/* SPDX-License-Identifier: MIT */
/* Allocation where the filesystem offers none. */
#ifndef BM_IO_ALLOCATE_H
#define BM_IO_ALLOCATE_H

#include "io.h"

/*
 * Allocates [offset, offset+len) by writing it: what is there onto itself,
 * what is not as zeros. Nobody else may write the range meanwhile.
 */
int bm_io_allocate_by_writing(const struct bm_io *io, int fd, uint64_t offset, uint64_t len);

#endif
