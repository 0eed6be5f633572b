/* SPDX-License-Identifier: MIT */
/*
 * Where in the trace a thread's frames were logged: the moments from which on
 * an operation may be there after an accident. Frames that no user sees (of
 * chunks, drops and orphans) are left out. The linker puts this around
 * bm_log_append.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "trace.h"

struct frame {
        size_t at;    /* event */
        uint64_t end; /* of the last chunk that it puts something in, bytes of the value; 0: none */
};

struct frames {
        const struct trace *trace;
        struct frame *list;
        size_t n, cap;
};

/* What appends: bm_log_append, but for a mutant. */
extern __typeof__(bm_log_append) *frames_append;

/* From here on the calling thread's frames go to F; NULL: to nobody. */
void frames_note_in(struct frames *f);
void frames_deinit(struct frames *f);

#endif
