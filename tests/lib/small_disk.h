/* SPDX-License-Identifier: MIT */
/*
 * The system's files on disks that hold so many bytes and no more: a file
 * takes whole blocks, and what does not fit is -ENOSPC. For any number of
 * threads. Only regular files count; directories cost nothing.
 */
#ifndef SMALL_DISK_H
#define SMALL_DISK_H

#include <pthread.h>

#include "io.h"

enum { SMALL_DISKS = 2, SMALL_DISK_BLOCK = 4096 };

struct small_disk {
        struct bm_io io; /* first: the table finds its way back */
        pthread_mutex_t lock;
        /* guarded by lock */
        unsigned n_disks;
        struct {
                char path[256];       /* everything below it is on this disk */
                uint64_t limit, used; /* bytes */
        } disks[SMALL_DISKS];
};

void small_disk_init(struct small_disk *d);
void small_disk_deinit(struct small_disk *d);

/* A disk of LIMIT bytes, whose files are those that will be below PATH, an absolute one without
 * links. It must be empty. */
void small_disk_add(struct small_disk *d, const char *path, uint64_t limit);

/* Grows or shrinks one; it may then hold more than it has room for. */
void small_disk_limit(struct small_disk *d, unsigned disk, uint64_t limit);
uint64_t small_disk_used(struct small_disk *d, unsigned disk);

#endif
