/* SPDX-License-Identifier: MIT */
/* The text beside an error: what bm_last_problem shows, one per thread. */
#ifndef BM_ERROR_H
#define BM_ERROR_H

#include "base/compiler.h"

/* Replaces the calling thread's text; cut at 1023 bytes. Keeps errno. */
void bm_problem_set(const char *fmt, ...) bm_printf_like(1, 2);
/* Every public call that may set one begins with this. */
void bm_problem_clear(void);

#endif
