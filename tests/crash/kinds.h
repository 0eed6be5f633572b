/* SPDX-License-Identifier: MIT */
/* What the files of a trace are. */
#ifndef KINDS_H
#define KINDS_H

#include "disk.h"

/* Else the segment's kind. */
enum { KIND_OTHER = 0, KIND_MANIFEST = 100 };

/* By the file's number; to be freed. */
uint8_t *kinds_of(const struct trace *trace, const struct disk *before);
unsigned highest_file(const struct trace *trace, const struct disk *before);

#endif
