/* SPDX-License-Identifier: MIT */
/*
 * Access to a mapping that may fault: a bad sector, a file that was cut behind
 * our back, or a copy-on-write filesystem that finds no space, raises SIGBUS at
 * the load or store that meets it. A guarded store gets -EIO; a load, by
 * whomever, gets zeros, and io_mapped.h says so to who asks. Any other SIGBUS
 * goes where it went before the first of these calls in the process: a handler
 * that is installed later has to pass on what is not its own likewise. SIGBUS
 * must not be blocked in a thread that reads: the kernel then ends the process.
 * Any thread.
 */
#ifndef BM_IO_GUARD_H
#define BM_IO_GUARD_H

#include <stddef.h>

/* A mapping of LEN bytes that others read without further ado, until
 * bm_mapped_remove. -ENOMEM. */
int bm_guard_mapping(void *base, size_t len);

/* memcpy into a mapping. After -EIO a part may have been copied. */
int bm_guarded_copy(void *dst, const void *src, size_t len);
/* Makes each page of [dst, dst+len) present and writable, changing nothing;
 * PAGE is the page size. */
int bm_guarded_touch(void *dst, size_t len, size_t page);

#endif
