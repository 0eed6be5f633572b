/* SPDX-License-Identifier: MIT */
#include "kinds.h"

#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "superblock.h"

enum { AT_KIND = 24 };

unsigned highest_file(const struct trace *trace, const struct disk *before)
{
        unsigned highest = (unsigned)before->n_files;
        for (size_t i = 0; i < trace->n; i++) {
                if (trace->events[i].file > highest)
                        highest = trace->events[i].file;
        }
        return highest;
}

uint8_t *kinds_of(const struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = calloc(highest_file(trace, before) + 1, 1);
        if (!kinds)
                exit(99);
        for (unsigned d = 0; d < DIRS; d++) {
                for (size_t i = 0; i < before->dirs[d].n_names; i++) {
                        const struct disk_name *n = &before->dirs[d].names[i];
                        const struct disk_file *f = &before->files[n->file];
                        if (strcmp(n->name, BM_FILE_MANIFEST) == 0)
                                kinds[n->file] = KIND_MANIFEST;
                        else if (d % 2 == DIR_SEGMENTS && f->held > AT_KIND)
                                kinds[n->file] = f->bytes[AT_KIND];
                }
        }
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *e = &trace->events[i];
                if (e->kind == EV_WRITE && e->offset == 0 && e->len == BM_SEGMENT_HEADER &&
                    kinds[e->file] == KIND_OTHER)
                        kinds[e->file] = e->data[AT_KIND];
        }
        return kinds;
}
