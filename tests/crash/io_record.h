/* SPDX-License-Identifier: MIT */
/*
 * The system's files with every change written into a trace; a call that is
 * told to fail does so instead. For one thread, or for several in turns.
 */
#ifndef IO_RECORD_H
#define IO_RECORD_H

#include <stdbool.h>

#include "disk.h"
#include "io.h"

enum { FDS = 1024 };

struct record_io {
        struct bm_io io;     /* first: the table finds its way back */
        struct trace *trace; /* NULL: nothing is recorded */
        unsigned n_drives;
        const char *const *paths;

        /* failing: the call numbered fail_at (from 1; 0: none), and with sticky
         * every one of that sort behind it */
        uint64_t calls, fail_at;
        int fail_errno;
        bool sticky;
        uint64_t failed;         /* calls that did */
        const char *failed_call; /* name of the first */

        unsigned n_files; /* numbers given out */
        struct {
                bool used, dir;
                unsigned number; /* of the file or directory */
        } fds[FDS];
        struct disk_dir names[DIRS]; /* as a reader sees them */
};

/* The files in PATHS are those of DISK, of which nothing may be pending
 * (NULL: numbers mean nothing). */
void record_init(struct record_io *r, const struct disk *disk, const char *const *paths,
                 unsigned n_drives, struct trace *trace);
void record_deinit(struct record_io *r);

#endif
