/* SPDX-License-Identifier: MIT */
/*
 * The inodes that the kernel knows: record id -> where the record is.
 *
 * An inode is in the table for as long as the kernel has looked it up more
 * often than it forgot it; the root is there always. Whoever works with one
 * holds a reference (get, remember; put). An inode holds one on its
 * directory, so that the map that its key is in stays open.
 *
 * One of several names is no place: such a record is found by its id, from
 * when this is first seen (remember, moved_to_id) until it is removed.
 *
 * Where a record is changes with rename and unlink. Those say so before
 * (fs_move_begin) and after (fs_move_end), so that an operation that looked in
 * vain can wait (settle) and look again.
 *
 * Memory: about 110 bytes an inode with its part of the table, more by the
 * length of the key above 24 bytes.
 *
 * Everything here may be called from many threads at once. Locks are held for
 * a few instructions, never while the backend is called.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "backend.h"
#include "bucketmap.h"

#define FS_ROOT_ID UINT64_C(1)

struct fs_inodes;
struct fs_inode;

/* 0 or -ENOMEM. BACKEND stays the caller's and must outlive the table. */
BM_CHECKED int fs_inodes_new(const struct backend *backend, struct fs_inodes **inodesp);

/* Forgets all; nobody may hold a reference. NULL is allowed; returns NULL. */
struct fs_inodes *fs_inodes_free(struct fs_inodes *inodes);

uint64_t fs_inodes_count(struct fs_inodes *inodes);

/* References */

/* The inode, or NULL if the kernel does not know it. */
struct fs_inode *fs_inode_get(struct fs_inodes *inodes, uint64_t id);

/* Gives the reference back. NULL is allowed. */
void fs_inode_put(struct fs_inodes *inodes, struct fs_inode *inode);

/* What a lookup found. */
struct fs_found {
        struct fs_inode *dir;
        const void *key;
        size_t key_len;
        uint64_t record_id;
        uint64_t map_id; /* 0: not a directory */
        bool by_id;      /* its key is one of several names: bm_view.by_id */
};

/*
 * The kernel is about to learn of a record: counts one lookup and returns the
 * inode with a reference. NULL: no memory.
 */
struct fs_inode *fs_inode_remember(struct fs_inodes *inodes, const struct fs_found *found);

/* Takes N_LOOKUPS back; what nobody needs any more goes. */
void fs_inode_forget(struct fs_inodes *inodes, uint64_t id, uint64_t n_lookups);

uint64_t fs_inode_id(const struct fs_inode *inode);
bool fs_inode_is_dir(const struct fs_inode *inode);
/* Record id of the directory that it is in; the root's own for the root. */
uint64_t fs_inode_parent_id(struct fs_inodes *inodes, struct fs_inode *inode);

/* Directories */

/* Its map, opened at the first use and open while the inode is there.
 * BM_E_NOT_FOUND if the directory was removed. */
BM_CHECKED int fs_inode_map(struct fs_inodes *inodes, struct fs_inode *dir, struct bm_map **map);

/* The group that new entries of a set-group-id directory get, kept from when
 * its attributes were last seen. */
void fs_inode_set_group(struct fs_inodes *inodes, struct fs_inode *dir, bool set_gid, uint32_t gid);
bool fs_inode_group(struct fs_inodes *inodes, struct fs_inode *dir, uint32_t *gid);

/*
 * The kernel is about to be told of names in it, or that one is not there; to
 * be called before the map is asked. Whether that ever was: if not, the kernel
 * caches no name of the directory, and who enters one finds that out behind it.
 */
void fs_inode_telling(struct fs_inode *dir);
bool fs_inode_has_told(const struct fs_inode *dir);

/*
 * Whether the kernel may cache the listing that is about to be opened: only while no other does,
 * until it is closed. The kernel goes on with a listing from the cache as soon as another has
 * filled that, with names, behind the last one it had, that were removed before the first began.
 */
bool fs_inode_start_caching(struct fs_inode *dir);
void fs_inode_stop_caching(struct fs_inode *dir);

/* A listing of it met a record that could not be read. */
void fs_inode_set_damaged(struct fs_inodes *inodes, struct fs_inode *dir, bool damaged);
bool fs_inode_damaged(struct fs_inodes *inodes, struct fs_inode *dir);

/* Where the record is */

struct fs_place {
        struct bm_ref ref;
        int64_t removed_ns;    /* when it lost its name; 0: it has one */
        unsigned n_moves;      /* tells one place from the next */
        struct fs_inode *dir_; /* keeps ref.map open */
        uint8_t key_[BM_KEY_MAX];
};

/* Fills PLACE, which is to be released. BM_E_NOT_FOUND: a removed directory. */
BM_CHECKED int fs_inode_place(struct fs_inodes *inodes, struct fs_inode *inode,
                              struct fs_place *place);
void fs_place_release(struct fs_inodes *inodes, struct fs_place *place);

/* Waits until nobody moves INODE. Whether it moved since PLACE was filled. */
bool fs_inode_settle(struct fs_inodes *inodes, struct fs_inode *inode,
                     const struct fs_place *place);

/* A change of place, from before the backend is asked until it has answered. */
struct fs_move {
        struct fs_inode *inode; /* NULL: nothing to be done */
        char *spare_;
};

/*
 * Begins to move INODE (may be NULL), perhaps to a key of KEY_LEN bytes; waits
 * for another who does. Two inodes are begun in the order of their ids.
 * -ENOMEM; END is to be called in any case.
 */
BM_CHECKED int fs_move_begin(struct fs_inodes *inodes, struct fs_move *move, struct fs_inode *inode,
                             size_t key_len);
void fs_move_end(struct fs_inodes *inodes, struct fs_move *move);

/* Between begin and end, what became of it: it has another name, of at most
 * the length that was announced. Nothing, if it is found by its id. */
void fs_moved(struct fs_inodes *inodes, struct fs_move *move, struct fs_inode *dir, const void *key,
              size_t key_len);
/* It lost a name at NOW and has others. */
void fs_moved_to_id(struct fs_inodes *inodes, struct fs_move *move, int64_t now);
/* The record was removed and kept; it is freed when the last reference goes. */
void fs_moved_to_orphans(struct fs_inodes *inodes, struct fs_move *move, int64_t now);
/* A directory was removed; LAST is what stat shows from now on. */
void fs_moved_away(struct fs_inodes *inodes, struct fs_move *move, const struct stat *last);

/*
 * Whether it loses one of several names, or did within the second before NOW.
 * The kernel takes one off its own number of names when it hears that a name is
 * gone. If it is told the new number before that, by an answer that overtook
 * the other, it is one short: so it must not keep what it is told meanwhile.
 */
bool fs_inode_is_losing(struct fs_inodes *inodes, struct fs_inode *inode, int64_t now);

/* Whether it was removed, and then what stat shows. */
bool fs_inode_is_gone(struct fs_inodes *inodes, struct fs_inode *dir, struct stat *last);

/* The hash of a file's contents, kept until the next write */

/* To be called when a write has been carried out. */
void fs_inode_written(struct fs_inode *inode);
uint32_t fs_inode_writes(const struct fs_inode *inode);
/* Keeps HASH if nothing was written since N_WRITES was asked for; says whether. */
bool fs_inode_keep_hash(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t hash,
                        uint32_t n_writes);
bool fs_inode_hash(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t *hash);

#endif
