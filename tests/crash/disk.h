/* SPDX-License-Identifier: MIT */
/*
 * A simulated disk: what is durable of each file and directory, and what was
 * done since and is not. A power cut keeps some of the latter:
 *
 *  - of a file each 512-byte sector stands at a moment of its own between the
 *    last sync and the cut (so it has all, some or none of the writes), and
 *    the sector that was under the head may be torn;
 *  - the size stands at another such moment;
 *  - of a directory, names come and go in order up to some moment. That of
 *    the segments is a name among those of its drive, and an empty file here.
 *
 * A trace must outlive the disks it was played on.
 */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>

#include "trace.h"

enum { DISK_SECTOR = 512 };

struct disk_file {
        uint8_t *bytes; /* durable */
        uint64_t size;
        uint64_t held; /* bytes in memory; what is behind reads as zeros */
        const struct event **pending;
        size_t n_pending, cap_pending;
};

struct disk_name {
        char name[NAME_BYTES];
        unsigned file;
};

struct disk_dir {
        struct disk_name *names; /* durable */
        size_t n_names, cap_names;
        const struct event **pending;
        size_t n_pending, cap_pending;
};

struct disk {
        unsigned n_drives;
        struct disk_file *files;
        size_t n_files, cap_files;
        struct disk_dir dirs[DIRS];
};

/* How much a cut spares. */
enum cut_style { CUT_DROP, CUT_KEEP, CUT_MOMENT, CUT_PAGES, CUT_SECTORS, CUT_TORN, CUT_STYLES };

/* Reads the store whose drives are at PATHS: everything is durable. */
void disk_load(struct disk *disk, const char *const *paths, unsigned n_drives);
void disk_clone(struct disk *to, const struct disk *from);
void disk_deinit(struct disk *disk);

void disk_apply(struct disk *disk, const struct event *event);

/* The machine lost its power: what is left is durable. */
void disk_cut(struct disk *disk, enum cut_style style, uint64_t seed);
/* Writes what a reader would see now to directories PATHS, which must not
 * exist; nothing may be pending. */
void disk_store(const struct disk *disk, const char *const *paths);
/* A number for the durable content. */
uint64_t disk_hash(const struct disk *disk);

/* Removes the directories of a store. */
void remove_store(const char *const *paths, unsigned n_drives);

#endif
