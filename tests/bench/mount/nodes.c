/* SPDX-License-Identifier: MIT */
/*
 * A node's number is its address, the root's is 1. Names are found in one
 * table for all directories; a directory is an array with gaps, so that a
 * position in it stays good.
 */
#include "nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROOT       1u
#define BLOCK      512u
#define FIRST_ROOM 64u

static struct node *names; /* by key */
static struct node root;

static size_t key_len(const char *name)
{
        return sizeof(struct node_key) + strlen(name);
}

static struct node_key *key_new(uint64_t parent, const char *name)
{
        struct node_key *key = malloc(key_len(name) + 1);

        if (key) {
                key->parent = parent;
                strcpy(key->name, name);
        }
        return key;
}

static void init_stat(struct node *node, uint64_t ino, mode_t mode, uid_t uid, gid_t gid)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        node->stat = (struct stat){.st_ino = ino,
                                   .st_mode = mode,
                                   .st_nlink = S_ISDIR(mode) ? 2 : 1,
                                   .st_uid = uid,
                                   .st_gid = gid,
                                   .st_blksize = 4096,
                                   .st_atim = now,
                                   .st_mtim = now,
                                   .st_ctim = now};
}

void nodes_init(void)
{
        root.n_lookups = 1;
        init_stat(&root, ROOT, S_IFDIR | 0755, geteuid(), getegid());
}

static void release(struct node *node)
{
        free(node->bytes);
        free(node->entries);
        free(node->key);
        if (node != &root)
                free(node);
}

void nodes_free(void)
{
        struct node *node, *next;

        HASH_ITER(hh, names, node, next)
        {
                HASH_DEL(names, node);
                release(node);
        }
        release(&root);
}

struct node *node_of(uint64_t ino)
{
        return ino == ROOT ? &root : (struct node *)(uintptr_t)ino;
}

const char *node_name(const struct node *node)
{
        return node->key->name;
}

struct node *node_find(uint64_t parent, const char *name)
{
        struct node *node = NULL;
        union {
                struct node_key key;
                char bytes[sizeof(struct node_key) + 256];
        } key = {.key.parent = parent};
        size_t len = strlen(name);

        if (len <= 255) {
                memcpy(key.bytes + offsetof(struct node_key, name), name, len);
                HASH_FIND(hh, names, key.bytes, key_len(name), node);
        }
        return node;
}

/* Enters it under a key that it takes; 0 or -ENOMEM. */
static int enter(struct node *node, struct node_key *key)
{
        struct node *dir = node_of(key->parent);

        if (dir->n_entries == dir->entries_room) {
                size_t room = dir->entries_room ? 2 * dir->entries_room : FIRST_ROOM;
                struct node **entries = realloc(dir->entries, room * sizeof(struct node *));

                if (!entries)
                        return -ENOMEM;
                dir->entries = entries;
                dir->entries_room = room;
        }
        node->place = dir->n_entries;
        dir->entries[dir->n_entries++] = node;
        node->key = key;
        HASH_ADD_KEYPTR(hh, names, key, key_len(key->name), node);
        return 0;
}

static void leave(struct node *node)
{
        node_of(node->key->parent)->entries[node->place] = NULL;
        HASH_DEL(names, node);
        free(node->key);
        node->key = NULL;
}

struct node *node_new(uint64_t parent, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
        struct node *node = calloc(1, sizeof(*node));
        struct node_key *key = key_new(parent, name);

        if (node && key && enter(node, key) == 0) {
                init_stat(node, (uintptr_t)node, mode, uid, gid);
                return node;
        }
        free(key);
        free(node);
        return NULL;
}

void node_drop(struct node *node)
{
        if (!node->key && !node->n_lookups && node != &root)
                release(node);
}

void node_unlink(struct node *node)
{
        leave(node);
        node_drop(node);
}

int node_rename(struct node *node, uint64_t parent, const char *name)
{
        struct node *victim = node_find(parent, name);
        struct node_key *key = key_new(parent, name);

        if (!key)
                return -ENOMEM;
        if (victim)
                node_unlink(victim);
        leave(node);
        return enter(node, key);
}

/* 0 or -ENOMEM; what grows once grows on. */
static int make_room(struct node *node, size_t size)
{
        size_t room = node->room ? size + size / 2 : size;
        char *bytes;

        if (size <= node->room)
                return 0;
        bytes = realloc(node->bytes, room);
        if (!bytes)
                return -ENOMEM;
        node->bytes = bytes;
        node->room = room;
        return 0;
}

static void set_size(struct node *node, size_t size)
{
        node->stat.st_size = (off_t)size;
        node->stat.st_blocks = (blkcnt_t)((size + BLOCK - 1) / BLOCK);
}

int node_resize(struct node *node, size_t size)
{
        size_t old = (size_t)node->stat.st_size;
        int result = make_room(node, size);

        if (result)
                return result;
        if (size > old)
                memset(node->bytes + old, 0, size - old);
        set_size(node, size);
        return 0;
}

int node_write(struct node *node, const char *bytes, size_t len, size_t offset)
{
        size_t old = (size_t)node->stat.st_size;
        int result = make_room(node, offset + len);

        if (result)
                return result;
        if (offset > old)
                memset(node->bytes + old, 0, offset - old);
        memcpy(node->bytes + offset, bytes, len);
        if (offset + len > old)
                set_size(node, offset + len);
        return 0;
}

size_t node_read(const struct node *node, char *out, size_t len, size_t offset)
{
        size_t size = (size_t)node->stat.st_size;

        if (offset >= size)
                return 0;
        if (len > size - offset)
                len = size - offset;
        memcpy(out, node->bytes + offset, len);
        return len;
}

struct node *node_next(uint64_t ino, off_t *offset)
{
        const struct node *dir = node_of(ino);
        size_t at = (size_t)*offset;

        while (at < dir->n_entries && !dir->entries[at])
                at++;
        *offset = (off_t)at + 1;
        return at < dir->n_entries ? dir->entries[at] : NULL;
}
