/* SPDX-License-Identifier: MIT */
/* What is kept with an inode: a directory's map and group, the hash of a file. */
#include <errno.h>

#include "inode_private.h"

bool fs_inode_is_dir(const struct fs_inode *inode)
{
        return inode->is_dir;
}

/* Both in one order with all else: whoever finds a name missing has told before it came. */
void fs_inode_telling(struct fs_inode *dir)
{
        if (!atomic_load(&dir->has_told))
                atomic_store(&dir->has_told, true);
}

bool fs_inode_has_told(const struct fs_inode *dir)
{
        return atomic_load(&dir->has_told);
}

static bool has_flag(struct fs_inodes *inodes, struct fs_inode *inode, enum inode_flag flag)
{
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);
        bool set = inode->flags & flag;

        fs_inode_unlock(stripe);
        return set;
}

int fs_inode_map(struct fs_inodes *inodes, struct fs_inode *dir, struct bm_map **map)
{
        const struct backend *b = inodes->backend;
        struct bm_map *opened, *other = NULL;
        struct stripe *stripe;
        uint64_t map_id = 0;
        int result;

        if (!fs_inode_is_dir(dir))
                return -ENOTDIR;
        *map = dir->map;
        if (*map)
                return 0;
        stripe = fs_inode_lock(inodes, dir->id);
        if (!(dir->flags & INODE_GONE))
                map_id = dir->map_id;
        fs_inode_unlock(stripe);
        if (!map_id)
                return BM_E_NOT_FOUND;
        result = b->open_map(b->ctx, map_id, &opened);
        if (result)
                return result;
        if (!atomic_compare_exchange_strong(&dir->map, &other, opened)) {
                /* another thread was first */
                b->close_map(b->ctx, opened);
                opened = other;
        }
        *map = opened;
        return 0;
}

static void set_flag(struct fs_inodes *inodes, struct fs_inode *inode, enum inode_flag flag,
                     bool on)
{
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);

        if (on)
                inode->flags |= (uint8_t)flag;
        else
                inode->flags &= (uint8_t)~flag;
        fs_inode_unlock(stripe);
}

void fs_inode_set_group(struct fs_inodes *inodes, struct fs_inode *dir, bool set_gid, uint32_t gid)
{
        struct stripe *stripe = fs_inode_lock(inodes, dir->id);

        dir->gid = gid;
        if (set_gid)
                dir->flags |= INODE_SET_GID;
        else
                dir->flags &= (uint8_t)~INODE_SET_GID;
        fs_inode_unlock(stripe);
}

bool fs_inode_group(struct fs_inodes *inodes, struct fs_inode *dir, uint32_t *gid)
{
        struct stripe *stripe = fs_inode_lock(inodes, dir->id);
        bool set_gid = dir->flags & INODE_SET_GID;

        *gid = dir->gid;
        fs_inode_unlock(stripe);
        return set_gid;
}

void fs_inode_set_damaged(struct fs_inodes *inodes, struct fs_inode *dir, bool damaged)
{
        set_flag(inodes, dir, INODE_DAMAGED, damaged);
}

bool fs_inode_damaged(struct fs_inodes *inodes, struct fs_inode *dir)
{
        return has_flag(inodes, dir, INODE_DAMAGED);
}

void fs_inode_written(struct fs_inode *inode)
{
        if (inode->is_dir)
                return;
        /* release: whoever sees the number sees what was written */
        atomic_fetch_add_explicit(&inode->n_writes, 1, memory_order_release);
}

bool fs_inode_start_caching(struct fs_inode *dir)
{
        return !atomic_exchange(&dir->is_caching, true);
}

void fs_inode_stop_caching(struct fs_inode *dir)
{
        atomic_store(&dir->is_caching, false);
}

uint32_t fs_inode_writes(const struct fs_inode *inode)
{
        return atomic_load_explicit(&inode->n_writes, memory_order_acquire);
}

bool fs_inode_keep_hash(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t hash,
                        uint32_t n_writes)
{
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);
        bool still = fs_inode_writes(inode) == n_writes;

        if (still) {
                inode->hash = hash;
                inode->hash_writes = n_writes;
                inode->flags |= INODE_HASHED;
        }
        fs_inode_unlock(stripe);
        return still;
}

bool fs_inode_hash(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t *hash)
{
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);
        bool kept = inode->flags & INODE_HASHED && inode->hash_writes == fs_inode_writes(inode);

        *hash = inode->hash;
        fs_inode_unlock(stripe);
        return kept;
}
