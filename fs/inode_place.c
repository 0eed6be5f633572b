/* SPDX-License-Identifier: MIT */
/* Where an inode's record is, and how that changes. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inode_private.h"

int fs_inode_place(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_place *place)
{
        const struct backend *b = inodes->backend;
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);
        struct bm_map *map;
        bool by_id = inode->flags & INODE_BY_ID;

        place->removed_ns = inode->flags & INODE_ORPHAN ? inode->key.removed_ns : 0;
        place->n_moves = inode->n_moves;
        place->dir_ = inode->dir ? fs_inode_hold(inode->dir) : NULL;
        place->ref = (struct bm_ref){
                .key = place->key_, .key_len = inode->key_len, .record_id = inode->id};
        memcpy(place->key_, fs_inode_key(inode), inode->key_len);
        fs_inode_unlock(stripe);

        if (place->dir_) {
                /* open: the inode was found through it */
                place->ref.map = place->dir_->map;
                assert(place->ref.map);
        } else if (place->removed_ns) {
                b->orphan_ref(b->ctx, inode->id, place->key_, &place->ref);
        } else if (by_id) {
                b->id_ref(b->ctx, inode->id, place->key_, &place->ref);
        } else if (inode == inodes->root) {
                b->root(b->ctx, &map, &place->ref);
        } else {
                return BM_E_NOT_FOUND;
        }
        return 0;
}

void fs_place_release(struct fs_inodes *inodes, struct fs_place *place)
{
        fs_inode_put(inodes, place->dir_);
        place->dir_ = NULL;
}

static void wait_still_locked(struct fs_inodes *inodes, struct fs_inode *inode)
{
        while (inode->moving) {
                inodes->n_waiting++;
                pthread_cond_wait(&inodes->moves_done, &inodes->moves_lock);
                inodes->n_waiting--;
        }
}

bool fs_inode_settle(struct fs_inodes *inodes, struct fs_inode *inode, const struct fs_place *place)
{
        struct stripe *stripe;
        bool moved;

        pthread_mutex_lock(&inodes->moves_lock);
        wait_still_locked(inodes, inode);
        stripe = fs_inode_lock(inodes, inode->id);
        moved = inode->n_moves != (uint16_t)place->n_moves;
        fs_inode_unlock(stripe);
        pthread_mutex_unlock(&inodes->moves_lock);
        return moved;
}

/* By then whoever removed a name has heard of it: ns. */
#define ANSWER_TAKES INT64_C(1000000000)

bool fs_inode_is_losing(struct fs_inodes *inodes, struct fs_inode *inode, int64_t now)
{
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);
        bool losing = false;

        /* One that moves may be losing a name; it is stamped, with this lock, before it has moved.
         */
        if (inode->flags & INODE_BY_ID)
                losing =
                        atomic_load(&inode->moving) || (inode->key.unnamed_ns <= now &&
                                                        now - inode->key.unnamed_ns < ANSWER_TAKES);
        fs_inode_unlock(stripe);
        return losing;
}

int fs_move_begin(struct fs_inodes *inodes, struct fs_move *move, struct fs_inode *inode,
                  size_t key_len)
{
        *move = (struct fs_move){0};
        if (!inode)
                return 0;
        assert(key_len <= BM_KEY_MAX);
        if (key_len > NEAR_KEY) {
                /* now: the backend's change cannot be taken back */
                move->spare_ = malloc(key_len);
                if (!move->spare_)
                        return -ENOMEM;
        }
        move->inode = inode;
        pthread_mutex_lock(&inodes->moves_lock);
        wait_still_locked(inodes, inode);
        inode->moving = true;
        pthread_mutex_unlock(&inodes->moves_lock);
        return 0;
}

void fs_move_end(struct fs_inodes *inodes, struct fs_move *move)
{
        free(move->spare_);
        if (!move->inode)
                return;
        pthread_mutex_lock(&inodes->moves_lock);
        move->inode->moving = false;
        if (inodes->n_waiting)
                pthread_cond_broadcast(&inodes->moves_done);
        pthread_mutex_unlock(&inodes->moves_lock);
}

void fs_moved(struct fs_inodes *inodes, struct fs_move *move, struct fs_inode *dir, const void *key,
              size_t key_len)
{
        struct fs_inode *inode = move->inode, *old_dir;
        struct stripe *stripe;

        if (!inode)
                return;
        stripe = fs_inode_lock(inodes, inode->id);
        if (inode->flags & INODE_BY_ID) {
                fs_inode_unlock(stripe);
                return;
        }
        fs_inode_set_key(inode, key, key_len, move->spare_);
        if (key_len > NEAR_KEY)
                move->spare_ = NULL;
        old_dir = inode->dir;
        inode->dir = fs_inode_hold(dir);
        inode->n_moves++;
        fs_inode_unlock(stripe);
        fs_inode_put(inodes, old_dir);
}

struct fs_inode *fs_inode_unname(struct fs_inode *inode, enum inode_flag flag)
{
        struct fs_inode *dir = inode->dir;

        inode->flags &= (uint8_t)~INODE_BY_ID;
        inode->flags |= (uint8_t)flag;
        inode->dir = NULL;
        inode->n_moves++;
        fs_inode_free_key(inode);
        memset(&inode->key, 0, sizeof(inode->key));
        return dir;
}

void fs_moved_to_id(struct fs_inodes *inodes, struct fs_move *move, int64_t now)
{
        struct fs_inode *inode = move->inode, *old_dir = NULL;
        struct stripe *stripe;

        if (!inode)
                return;
        stripe = fs_inode_lock(inodes, inode->id);
        if (!(inode->flags & INODE_BY_ID))
                old_dir = fs_inode_unname(inode, INODE_BY_ID);
        inode->key.unnamed_ns = now;
        fs_inode_unlock(stripe);
        fs_inode_put(inodes, old_dir);
}

void fs_moved_to_orphans(struct fs_inodes *inodes, struct fs_move *move, int64_t now)
{
        struct stripe *stripe = fs_inode_lock(inodes, move->inode->id);
        struct fs_inode *old_dir = fs_inode_unname(move->inode, INODE_ORPHAN);

        move->inode->key.removed_ns = now;
        fs_inode_unlock(stripe);
        fs_inode_put(inodes, old_dir);
}

void fs_moved_away(struct fs_inodes *inodes, struct fs_move *move, const struct stat *last)
{
        struct fs_inode *inode = move->inode, *old_dir;
        struct stripe *stripe;
        struct stat *copy;

        if (!inode)
                return;
        copy = malloc(sizeof(*copy));
        if (copy)
                *copy = *last;
        stripe = fs_inode_lock(inodes, inode->id);
        inode->last = copy;
        old_dir = fs_inode_unname(inode, INODE_GONE);
        fs_inode_unlock(stripe);
        fs_inode_put(inodes, old_dir);
}

bool fs_inode_is_gone(struct fs_inodes *inodes, struct fs_inode *dir, struct stat *last)
{
        struct stripe *stripe = fs_inode_lock(inodes, dir->id);
        bool gone = dir->flags & INODE_GONE && dir->last;

        if (gone)
                *last = *dir->last;
        fs_inode_unlock(stripe);
        return gone;
}
