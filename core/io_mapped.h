/* SPDX-License-Identifier: MIT */
/*
 * The mappings of the process, and which of their pages are no longer the
 * file's. A page that cannot be read (a bad sector, a file cut behind our
 * back) gets zeros in its place, from the handler of SIGBUS (io_guard.h), and
 * is marked here *before* that: whoever reads first and looks afterwards never
 * takes those zeros for what the file says. So reading costs nothing more than
 * one look at a variable that never changes while all is well. Any thread.
 */
#ifndef BM_IO_MAPPED_H
#define BM_IO_MAPPED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Enters a mapping of LEN bytes; a fault in it is no longer the end of the
 * process. -ENOMEM. */
int bm_mapped_add(void *base, size_t len);
/* Before it is unmapped, when nobody uses it any more. One that was never
 * entered is allowed. */
void bm_mapped_remove(void *base);

/* From the handler of SIGBUS, hence async-signal-safe: puts zeros in place of
 * the page at AT. False: it is in no mapping of ours, or it cannot be done. */
bool bm_mapped_replace(uintptr_t at);

extern _Atomic uint32_t bm_mapped_replaced; /* pages, since the process began */

bool bm_mapped_look(const void *bytes, size_t len);

/*
 * Whether what was read of [bytes, bytes+len) until now is what the file said.
 * Bytes that are in no mapping are.
 */
static inline bool bm_mapped_intact(const void *bytes, size_t len)
{
        bm_load_barrier(); /* first the bytes, then this */
        return bm_likely(atomic_load_explicit(&bm_mapped_replaced, memory_order_relaxed) == 0) ||
               bm_mapped_look(bytes, len);
}

#endif
