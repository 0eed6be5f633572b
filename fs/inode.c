/* SPDX-License-Identifier: MIT */
/*
 * The table is striped by record id: a stripe has a lock, and buckets that
 * double when they are fuller than one inode each. Ids are handed out in
 * sequence, so their low bits spread evenly without hashing.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inode_private.h"

#define STRIPE_POW2   6u
#define FIRST_BUCKETS 16u

static struct fs_inode **bucket_of(struct stripe *stripe, uint64_t id)
{
        return &stripe->buckets[(id >> STRIPE_POW2) & (stripe->n_buckets - 1)];
}

static struct fs_inode *find_locked(struct stripe *stripe, uint64_t id)
{
        struct fs_inode *inode = *bucket_of(stripe, id);

        while (inode && inode->id != id)
                inode = inode->next;
        return inode;
}

/* Without memory the chains get longer, which is no failure. */
static void grow_locked(struct stripe *stripe)
{
        size_t n_old = stripe->n_buckets;
        struct fs_inode **old = stripe->buckets;
        struct fs_inode **grown = calloc(n_old * 2, sizeof(struct fs_inode *));

        if (!grown)
                return;
        stripe->buckets = grown;
        stripe->n_buckets = n_old * 2;
        for (size_t i = 0; i < n_old; i++) {
                for (struct fs_inode *inode = old[i], *next; inode; inode = next) {
                        struct fs_inode **bucket = bucket_of(stripe, inode->id);

                        next = inode->next;
                        inode->next = *bucket;
                        *bucket = inode;
                }
        }
        free(old);
}

static void insert_locked(struct stripe *stripe, struct fs_inode *inode)
{
        struct fs_inode **bucket;

        if (stripe->n_inodes >= stripe->n_buckets)
                grow_locked(stripe);
        bucket = bucket_of(stripe, inode->id);
        inode->next = *bucket;
        *bucket = inode;
        inode->flags |= INODE_LISTED;
        stripe->n_inodes++;
}

static void unlist_locked(struct stripe *stripe, struct fs_inode *inode)
{
        struct fs_inode **link = bucket_of(stripe, inode->id);

        while (*link != inode)
                link = &(*link)->next;
        *link = inode->next;
        inode->flags &= (uint8_t)~INODE_LISTED;
        stripe->n_inodes--;
}

void fs_inode_free_key(struct fs_inode *inode)
{
        if (inode->key_len > NEAR_KEY)
                free(inode->key.far);
        inode->key_len = 0;
}

/* FAR, for a long key, becomes the inode's. */
void fs_inode_set_key(struct fs_inode *inode, const void *key, size_t key_len, char *far)
{
        fs_inode_free_key(inode);
        memcpy(key_len > NEAR_KEY ? far : inode->key.near, key, key_len);
        if (key_len > NEAR_KEY)
                inode->key.far = far;
        inode->key_len = (uint8_t)key_len;
}

/* What the inode holds beside memory and its directory. */
static void let_go(struct fs_inodes *inodes, struct fs_inode *inode)
{
        const struct backend *b = inodes->backend;

        if (inode->flags & INODE_ORPHAN)
                /* a record that cannot be freed now is dead at the next open */
                (void)!b->orphan_release(b->ctx, inode->id);
        if (inode->is_dir && inode->id != FS_ROOT_ID) {
                if (inode->map)
                        b->close_map(b->ctx, inode->map);
                if (inode->flags & INODE_GONE)
                        free(inode->last);
        }
        fs_inode_free_key(inode);
        free(inode);
}

static void drop(struct fs_inodes *inodes, struct fs_inode *inode)
{
        /* release: what was done with the inode; acquire: before it is freed */
        while (inode && atomic_fetch_sub_explicit(&inode->refs, 1, memory_order_acq_rel) == 1) {
                struct fs_inode *dir = inode->dir;

                let_go(inodes, inode);
                inode = dir;
        }
}

int fs_inodes_new(const struct backend *backend, struct fs_inodes **inodesp)
{
        struct fs_inodes *inodes = calloc(1, sizeof(*inodes));
        struct bm_map *map;
        struct bm_ref ref;

        if (!inodes)
                return -ENOMEM;
        inodes->backend = backend;
        pthread_mutex_init(&inodes->moves_lock, NULL);
        pthread_cond_init(&inodes->moves_done, NULL);
        for (unsigned i = 0; i < N_STRIPES; i++) {
                struct stripe *stripe = &inodes->stripes[i];

                pthread_mutex_init(&stripe->lock, NULL);
                stripe->buckets = calloc(FIRST_BUCKETS, sizeof(struct fs_inode *));
                stripe->n_buckets = stripe->buckets ? FIRST_BUCKETS : 0;
        }
        inodes->root = calloc(1, sizeof(*inodes->root));
        for (unsigned i = 0; i < N_STRIPES; i++) {
                if (!inodes->root || !inodes->stripes[i].buckets) {
                        fs_inodes_free(inodes);
                        return -ENOMEM;
                }
        }
        backend->root(backend->ctx, &map, &ref);
        inodes->root->id = FS_ROOT_ID;
        inodes->root->is_dir = true;
        inodes->root->map = map;
        inodes->root->refs = 1;
        insert_locked(fs_inode_stripe(inodes, FS_ROOT_ID), inodes->root);
        *inodesp = inodes;
        return 0;
}

struct fs_inodes *fs_inodes_free(struct fs_inodes *inodes)
{
        if (!inodes)
                return NULL;
        for (unsigned i = 0; i < N_STRIPES; i++) {
                struct stripe *stripe = &inodes->stripes[i];

                for (size_t j = 0; j < stripe->n_buckets; j++) {
                        for (struct fs_inode *inode = stripe->buckets[j], *next; inode;
                             inode = next) {
                                /* one that is in the table has a reference of its own */
                                next = inode->next;
                                if (inode != inodes->root)
                                        drop(inodes, inode);
                        }
                }
                free(stripe->buckets);
                pthread_mutex_destroy(&stripe->lock);
        }
        free(inodes->root);
        pthread_cond_destroy(&inodes->moves_done);
        pthread_mutex_destroy(&inodes->moves_lock);
        free(inodes);
        return NULL;
}

uint64_t fs_inodes_count(struct fs_inodes *inodes)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < N_STRIPES; i++) {
                struct stripe *stripe = fs_inode_lock(inodes, i);

                n += stripe->n_inodes;
                fs_inode_unlock(stripe);
        }
        return n;
}

struct fs_inode *fs_inode_get(struct fs_inodes *inodes, uint64_t id)
{
        struct stripe *stripe = fs_inode_lock(inodes, id);
        struct fs_inode *inode = find_locked(stripe, id);

        if (inode)
                fs_inode_hold(inode);
        fs_inode_unlock(stripe);
        return inode;
}

void fs_inode_put(struct fs_inodes *inodes, struct fs_inode *inode)
{
        drop(inodes, inode);
}

static struct fs_inode *inode_new(const struct fs_found *found)
{
        struct fs_inode *inode = calloc(1, sizeof(*inode));
        char *far = NULL;

        if (inode && found->by_id) {
                inode->id = found->record_id;
                inode->flags = INODE_BY_ID;
                inode->refs = 1;
                return inode;
        }
        assert(found->key_len > 0 && found->key_len <= BM_KEY_MAX);
        if (found->key_len > NEAR_KEY)
                far = malloc(found->key_len);
        if (!inode || (found->key_len > NEAR_KEY && !far)) {
                free(inode);
                free(far);
                return NULL;
        }
        inode->id = found->record_id;
        if (found->map_id) {
                inode->is_dir = true;
                inode->map_id = found->map_id;
        }
        fs_inode_set_key(inode, found->key, found->key_len, far);
        inode->dir = fs_inode_hold(found->dir);
        inode->refs = 1;
        return inode;
}

struct fs_inode *fs_inode_remember(struct fs_inodes *inodes, const struct fs_found *found)
{
        struct stripe *stripe = fs_inode_lock(inodes, found->record_id);
        struct fs_inode *inode = find_locked(stripe, found->record_id), *old_dir = NULL;

        if (!inode) {
                inode = inode_new(found);
                if (inode)
                        insert_locked(stripe, inode);
        }
        if (inode) {
                /* the first time that this is seen of it */
                if (found->by_id && !(inode->flags & (INODE_BY_ID | INODE_ORPHAN)))
                        old_dir = fs_inode_unname(inode, INODE_BY_ID);
                inode->n_lookups++;
                fs_inode_hold(inode);
        }
        fs_inode_unlock(stripe);
        fs_inode_put(inodes, old_dir);
        return inode;
}

void fs_inode_forget(struct fs_inodes *inodes, uint64_t id, uint64_t n_lookups)
{
        struct stripe *stripe = fs_inode_lock(inodes, id);
        struct fs_inode *inode = find_locked(stripe, id);

        if (inode && inode != inodes->root) {
                inode->n_lookups -= n_lookups < inode->n_lookups ? n_lookups : inode->n_lookups;
                if (inode->n_lookups == 0)
                        unlist_locked(stripe, inode);
                else
                        inode = NULL;
        } else {
                inode = NULL;
        }
        fs_inode_unlock(stripe);
        drop(inodes, inode);
}

uint64_t fs_inode_id(const struct fs_inode *inode)
{
        return inode->id;
}

uint64_t fs_inode_parent_id(struct fs_inodes *inodes, struct fs_inode *inode)
{
        struct stripe *stripe = fs_inode_lock(inodes, inode->id);
        uint64_t id = inode->dir ? inode->dir->id : FS_ROOT_ID;

        fs_inode_unlock(stripe);
        return id;
}
