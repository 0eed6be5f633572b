/* SPDX-License-Identifier: MIT */
/*
 * What an inode consists of, for inode.c (the table), inode_place.c (where
 * records are) and inode_state.c (what is kept with them).
 *
 * Locks, in order of precedence: moves_lock, a stripe's. Never two stripes.
 */
#ifndef FS_INODE_PRIVATE_H
#define FS_INODE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "inode.h"

#define N_STRIPES 64u
#define NEAR_KEY  24u /* longer keys have memory of their own */

enum inode_flag {
        INODE_LISTED = 1, /* in the table */
        INODE_ORPHAN = 2,
        INODE_GONE = 4, /* a removed directory */
        INODE_HASHED = 8,
        INODE_SET_GID = 16,
        INODE_DAMAGED = 32,
        INODE_BY_ID = 64, /* the record is kept by its id: no key */
};

struct fs_inode {
        /* constant */
        uint64_t id;
        bool is_dir;
        atomic_bool moving; /* changed under moves_lock */
        /* guarded by the stripe's lock, but refs, map and n_writes */
        uint8_t flags;
        uint8_t key_len;
        uint16_t n_moves;
        atomic_bool has_told;   /* of a directory: see fs_inode_telling; synchronises itself */
        atomic_bool is_caching; /* likewise: see fs_inode_start_caching */
        uint64_t n_lookups;
        struct fs_inode *next;
        struct fs_inode *dir; /* referenced; NULL: root, by id, orphan, removed directory */
        union {
                struct {                            /* of a directory */
                        struct bm_map *_Atomic map; /* set once */
                        union {
                                uint64_t map_id;   /* until it is gone */
                                struct stat *last; /* then */
                        };
                };
                struct { /* of any other */
                        uint64_t hash;
                        uint32_t hash_writes; /* n_writes when it was computed */
                        atomic_uint n_writes;
                };
        };
        atomic_uint refs; /* the table's, those held, those of inodes in it */
        uint32_t gid;     /* see fs_inode_set_group */
        union {
                char near[NEAR_KEY];
                char *far;
                int64_t removed_ns; /* of an orphan, which has no key */
                int64_t unnamed_ns; /* of one kept by its id: see fs_inode_is_losing */
        } key;
};

_Static_assert(sizeof(struct fs_inode) <= 104, "the promise on memory in inode.h");

struct stripe {
        pthread_mutex_t lock;
        struct fs_inode **buckets;
        size_t n_buckets; /* a power of two */
        size_t n_inodes;
};

struct fs_inodes {
        const struct backend *backend;
        struct fs_inode *root;
        pthread_mutex_t moves_lock;
        pthread_cond_t moves_done;
        unsigned n_waiting; /* guarded by moves_lock */
        struct stripe stripes[N_STRIPES];
};

static inline struct stripe *fs_inode_stripe(struct fs_inodes *inodes, uint64_t id)
{
        return &inodes->stripes[id % N_STRIPES];
}

static inline struct stripe *fs_inode_lock(struct fs_inodes *inodes, uint64_t id)
{
        struct stripe *stripe = fs_inode_stripe(inodes, id);

        pthread_mutex_lock(&stripe->lock);
        return stripe;
}

static inline void fs_inode_unlock(struct stripe *stripe)
{
        pthread_mutex_unlock(&stripe->lock);
}

static inline const char *fs_inode_key(const struct fs_inode *inode)
{
        return inode->key_len > NEAR_KEY ? inode->key.far : inode->key.near;
}

/* For a reference beside one that exists, so nothing is to be ordered. */
static inline struct fs_inode *fs_inode_hold(struct fs_inode *inode)
{
        atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
        return inode;
}

/* inode.c; with the stripe's lock held, or of an inode that nobody sees yet.
 * FAR, for a key longer than NEAR_KEY, becomes the inode's. */
void fs_inode_set_key(struct fs_inode *inode, const void *key, size_t key_len, char *far);
void fs_inode_free_key(struct fs_inode *inode);

/* inode_place.c; locked. It has no key any more. Returns its directory, to be put. */
struct fs_inode *fs_inode_unname(struct fs_inode *inode, enum inode_flag flag);

#endif
