/* SPDX-License-Identifier: MIT */
/* Names as a shell takes them back, safe for a terminal too. */
#ifndef FS_QUOTE_H
#define FS_QUOTE_H

#include <stddef.h>

/*
 * LEN bytes of any value as one word of sh: plain if nothing in it is
 * special, else in '...', or in bash's $'...' if a byte cannot be shown.
 * Freed by the caller; NULL: no memory.
 */
char *quote_shell(const void *bytes, size_t len);

#endif
