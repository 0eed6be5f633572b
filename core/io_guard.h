/* SPDX-License-Identifier: MIT */
/*
 * Access to a mapping that may fault: a bad sector, or a copy-on-write
 * filesystem that finds no space, raises SIGBUS at the store that meets it.
 * While one of these functions runs that becomes -EIO; any other SIGBUS goes
 * where it went before the first of their calls in the process. Any thread.
 */
#ifndef BM_IO_GUARD_H
#define BM_IO_GUARD_H

#include <stddef.h>

/* memcpy into a mapping. After -EIO a part may have been copied. */
int bm_guarded_copy(void *dst, const void *src, size_t len);
/* Makes each page of [dst, dst+len) present and writable, changing nothing;
 * PAGE is the page size. */
int bm_guarded_touch(void *dst, size_t len, size_t page);

#endif
