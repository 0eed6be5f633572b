/* SPDX-License-Identifier: MIT */
/* What is mounted where, from /proc/self/mountinfo. */
#ifndef FS_MOUNTINFO_H
#define FS_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define MOUNT_TYPE "fuse.bucketmap"

struct mount {
        int id, parent; /* the mount that it lies in */
        int peers;      /* the group that takes part in what is mounted in it; 0: none */
        int master;     /* the group in whose mounts it takes part; 0: none */
        char *device;   /* "0:50": the same of all mounts of one daemon */
        char *root;     /* what of the device is seen: "/", or with a bind mount a part */
        char *dir;      /* mount point */
        char *type;     /* "fuse.bucketmap" */
        char *source;   /* of ours: the store's absolute path */
        bool read_only; /* all of its mounts */
};

struct mount_table {
        struct mount *mounts; /* in order of mounting: of two at one place the last is on top */
        size_t n;
};

#define MOUNT_TABLE_INIT ((struct mount_table){0})

/* Reads a table in mountinfo's format; lines that make no sense are left out. 0 or -ENOMEM, -EIO.
 */
int mount_table_read(struct mount_table *table, FILE *file);

/* The calling process's own table. 0 or a negative errno. */
int mount_table_load(struct mount_table *table);

void mount_table_deinit(struct mount_table *table);

/* What is seen at DIR (absolute, as realpath gives it); NULL if nothing is mounted just there. */
const struct mount *mount_at(const struct mount_table *table, const char *dir);

/* The mount that PATH lies in, itself a mount point or below one. NULL if there is none. */
const struct mount *mount_above(const struct mount_table *table, const char *path);

/* A mount of STORE (absolute) whose daemon is not known to be dead; NULL if there is none. */
const struct mount *mount_of_store(const struct mount_table *table, const char *store);

/* Whether what is seen at DIR now is STORE; both absolute. False if that cannot be told. */
bool mount_is_there(const char *dir, const char *store);

/*
 * The next mount of the same daemon as MOUNT, one of TABLE's, after PREVIOUS
 * (NULL: the first): made by mount --bind. One that the kernel unmounts together
 * with MOUNT is none. NULL if there is no other.
 */
const struct mount *mount_next_copy(const struct mount_table *table, const struct mount *mount,
                                    const struct mount *previous);

bool mount_is_ours(const struct mount *mount);

/* The daemon behind it is gone: every request is answered with ENOTCONN. */
bool mount_is_dead(const struct mount *mount);

#endif
