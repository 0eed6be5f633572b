/* SPDX-License-Identifier: MIT */
/*
 * Files and directories in memory, as little as a mount can be made of. Only
 * for a caller that knows what it does: nothing is checked, and one lock of the
 * caller's is held over each call.
 */
#ifndef BENCH_NODES_H
#define BENCH_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <uthash.h>

struct node_key {
        uint64_t parent;
        char name[];
};

struct node {
        struct stat stat; /* st_ino is the number that the kernel knows it by */
        uint64_t n_lookups;
        struct node_key *key; /* NULL: it has no name any more */
        size_t place;         /* in its directory */
        char *bytes;          /* of a file or link */
        size_t room;
        struct node **entries; /* of a directory; NULL where one was removed */
        size_t n_entries, entries_room;
        bool is_caching; /* a listing of it that the kernel may cache is open */
        UT_hash_handle hh;
};

/* Makes the root, number 1. */
void nodes_init(void);
void nodes_free(void);

struct node *node_of(uint64_t ino);
const char *node_name(const struct node *node);
struct node *node_find(uint64_t parent, const char *name);

/* NULL: no memory. */
struct node *node_new(uint64_t parent, const char *name, mode_t mode, uid_t uid, gid_t gid);

/* Takes its name; it lives until it is dropped without lookups. */
void node_unlink(struct node *node);
void node_drop(struct node *node);

/* What has the new name loses it. 0 or -ENOMEM. */
int node_rename(struct node *node, uint64_t parent, const char *name);

/* 0 or -ENOMEM. */
int node_resize(struct node *node, size_t size);
int node_write(struct node *node, const char *bytes, size_t len, size_t offset);
size_t node_read(const struct node *node, char *out, size_t len, size_t offset);

/* The entry of the directory at *OFFSET or behind, which moves behind it; NULL: no more. */
struct node *node_next(uint64_t ino, off_t *offset);

#endif
