/* SPDX-License-Identifier: MIT */
/*
 * The table is striped by record id: a stripe has a lock, and buckets that
 * double when they are fuller than one inode each. Ids are handed out in
 * sequence, so their low bits spread evenly without hashing.
 *
 * Locks, in order of precedence: moves_lock, a stripe's. Never two stripes.
 */
#include "inode.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define N_STRIPES     64u
#define STRIPE_POW2   6u
#define FIRST_BUCKETS 16u
#define NEAR_KEY      24u /* longer keys have memory of their own */

enum inode_flag {
        INODE_LISTED = 1, /* in the table */
        INODE_ORPHAN = 2,
        INODE_GONE = 4, /* a removed directory */
        INODE_HASHED = 8,
        INODE_SET_GID = 16,
        INODE_DAMAGED = 32,
};

struct fs_inode {
        /* constant */
        uint64_t id;
        bool is_dir;
        /* guarded by moves_lock */
        bool moving;
        /* guarded by the stripe's lock, but refs, map and n_writes */
        uint8_t flags;
        uint8_t key_len;
        uint16_t n_moves;
        uint64_t n_lookups;
        struct fs_inode *next;
        struct fs_inode *dir; /* referenced; NULL: root, orphan, removed directory */
        union {
                struct {
                        struct bm_map *_Atomic map; /* set once */
                        union {
                                uint64_t map_id;   /* until it is gone */
                                struct stat *last; /* then */
                        };
                };
                struct {
                        uint64_t hash;
                        uint32_t hash_writes; /* n_writes when it was computed */
                        atomic_uint n_writes;
                };
        };
        atomic_uint refs; /* the table's, those held, those of inodes in it */
        uint32_t gid;
        union {
                char near[NEAR_KEY];
                char *far;
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

static struct stripe *stripe_of(struct fs_inodes *inodes, uint64_t id)
{
        return &inodes->stripes[id % N_STRIPES];
}

static struct stripe *lock_stripe(struct fs_inodes *inodes, uint64_t id)
{
        struct stripe *stripe = stripe_of(inodes, id);

        pthread_mutex_lock(&stripe->lock);
        return stripe;
}

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

static const char *key_of(const struct fs_inode *inode)
{
        return inode->key_len > NEAR_KEY ? inode->key.far : inode->key.near;
}

static void free_key(struct fs_inode *inode)
{
        if (inode->key_len > NEAR_KEY)
                free(inode->key.far);
        inode->key_len = 0;
}

/* FAR, for a long key, becomes the inode's. */
static void set_key(struct fs_inode *inode, const void *key, size_t key_len, char *far)
{
        free_key(inode);
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
        free_key(inode);
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

/* For a reference beside one that exists, so nothing is to be ordered. */
static struct fs_inode *hold(struct fs_inode *inode)
{
        atomic_fetch_add_explicit(&inode->refs, 1, memory_order_relaxed);
        return inode;
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
        insert_locked(stripe_of(inodes, FS_ROOT_ID), inodes->root);
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
                struct stripe *stripe = lock_stripe(inodes, i);

                n += stripe->n_inodes;
                pthread_mutex_unlock(&stripe->lock);
        }
        return n;
}

struct fs_inode *fs_inode_get(struct fs_inodes *inodes, uint64_t id)
{
        struct stripe *stripe = lock_stripe(inodes, id);
        struct fs_inode *inode = find_locked(stripe, id);

        if (inode)
                hold(inode);
        pthread_mutex_unlock(&stripe->lock);
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
        set_key(inode, found->key, found->key_len, far);
        inode->dir = hold(found->dir);
        inode->refs = 1;
        return inode;
}

struct fs_inode *fs_inode_remember(struct fs_inodes *inodes, const struct fs_found *found)
{
        struct stripe *stripe = lock_stripe(inodes, found->record_id);
        struct fs_inode *inode = find_locked(stripe, found->record_id);

        if (!inode) {
                inode = inode_new(found);
                if (inode)
                        insert_locked(stripe, inode);
        }
        if (inode) {
                inode->n_lookups++;
                hold(inode);
        }
        pthread_mutex_unlock(&stripe->lock);
        return inode;
}

void fs_inode_forget(struct fs_inodes *inodes, uint64_t id, uint64_t n_lookups)
{
        struct stripe *stripe = lock_stripe(inodes, id);
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
        pthread_mutex_unlock(&stripe->lock);
        drop(inodes, inode);
}

uint64_t fs_inode_id(const struct fs_inode *inode)
{
        return inode->id;
}

bool fs_inode_is_dir(const struct fs_inode *inode)
{
        return inode->is_dir;
}

static bool has_flag(struct fs_inodes *inodes, struct fs_inode *inode, enum inode_flag flag)
{
        struct stripe *stripe = lock_stripe(inodes, inode->id);
        bool set = inode->flags & flag;

        pthread_mutex_unlock(&stripe->lock);
        return set;
}

bool fs_inode_known(struct fs_inodes *inodes, struct fs_inode *inode)
{
        return has_flag(inodes, inode, INODE_LISTED);
}

uint64_t fs_inode_parent_id(struct fs_inodes *inodes, struct fs_inode *inode)
{
        struct stripe *stripe = lock_stripe(inodes, inode->id);
        uint64_t id = inode->dir ? inode->dir->id : FS_ROOT_ID;

        pthread_mutex_unlock(&stripe->lock);
        return id;
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
        stripe = lock_stripe(inodes, dir->id);
        if (!(dir->flags & INODE_GONE))
                map_id = dir->map_id;
        pthread_mutex_unlock(&stripe->lock);
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
        struct stripe *stripe = lock_stripe(inodes, inode->id);

        if (on)
                inode->flags |= (uint8_t)flag;
        else
                inode->flags &= (uint8_t)~flag;
        pthread_mutex_unlock(&stripe->lock);
}

void fs_inode_set_group(struct fs_inodes *inodes, struct fs_inode *dir, bool set_gid, uint32_t gid)
{
        struct stripe *stripe = lock_stripe(inodes, dir->id);

        dir->gid = gid;
        if (set_gid)
                dir->flags |= INODE_SET_GID;
        else
                dir->flags &= (uint8_t)~INODE_SET_GID;
        pthread_mutex_unlock(&stripe->lock);
}

bool fs_inode_group(struct fs_inodes *inodes, struct fs_inode *dir, uint32_t *gid)
{
        struct stripe *stripe = lock_stripe(inodes, dir->id);
        bool set_gid = dir->flags & INODE_SET_GID;

        *gid = dir->gid;
        pthread_mutex_unlock(&stripe->lock);
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

int fs_inode_place(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_place *place)
{
        const struct backend *b = inodes->backend;
        struct stripe *stripe = lock_stripe(inodes, inode->id);
        struct bm_map *map;

        place->orphan = inode->flags & INODE_ORPHAN;
        place->n_moves = inode->n_moves;
        place->dir_ = inode->dir ? hold(inode->dir) : NULL;
        place->ref = (struct bm_ref){
                .key = place->key_, .key_len = inode->key_len, .record_id = inode->id};
        memcpy(place->key_, key_of(inode), inode->key_len);
        pthread_mutex_unlock(&stripe->lock);

        if (place->dir_) {
                /* open: the inode was found through it */
                place->ref.map = place->dir_->map;
                assert(place->ref.map);
        } else if (place->orphan) {
                b->orphan_ref(b->ctx, inode->id, place->key_, &place->ref);
        } else if (inode == inodes->root) {
                b->root(b->ctx, &map, &place->ref);
        } else {
                return BM_E_NOT_FOUND;
        }
        return 0;
}

void fs_place_release(struct fs_inodes *inodes, struct fs_place *place)
{
        drop(inodes, place->dir_);
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
        stripe = lock_stripe(inodes, inode->id);
        moved = inode->n_moves != (uint16_t)place->n_moves;
        pthread_mutex_unlock(&stripe->lock);
        pthread_mutex_unlock(&inodes->moves_lock);
        return moved;
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
        stripe = lock_stripe(inodes, inode->id);
        set_key(inode, key, key_len, move->spare_);
        if (key_len > NEAR_KEY)
                move->spare_ = NULL;
        old_dir = inode->dir;
        inode->dir = hold(dir);
        inode->n_moves++;
        pthread_mutex_unlock(&stripe->lock);
        drop(inodes, old_dir);
}

/* It has no name any more. Returns the directory that it was in. */
static struct fs_inode *unname_locked(struct fs_inode *inode, enum inode_flag flag)
{
        struct fs_inode *dir = inode->dir;

        inode->flags |= (uint8_t)flag;
        inode->dir = NULL;
        inode->n_moves++;
        free_key(inode);
        return dir;
}

void fs_moved_to_orphans(struct fs_inodes *inodes, struct fs_move *move)
{
        struct stripe *stripe = lock_stripe(inodes, move->inode->id);
        struct fs_inode *old_dir = unname_locked(move->inode, INODE_ORPHAN);

        pthread_mutex_unlock(&stripe->lock);
        drop(inodes, old_dir);
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
        stripe = lock_stripe(inodes, inode->id);
        inode->last = copy;
        old_dir = unname_locked(inode, INODE_GONE);
        pthread_mutex_unlock(&stripe->lock);
        drop(inodes, old_dir);
}

bool fs_inode_is_gone(struct fs_inodes *inodes, struct fs_inode *dir, struct stat *last)
{
        struct stripe *stripe = lock_stripe(inodes, dir->id);
        bool gone = dir->flags & INODE_GONE && dir->last;

        if (gone)
                *last = *dir->last;
        pthread_mutex_unlock(&stripe->lock);
        return gone;
}

void fs_inode_written(struct fs_inode *inode)
{
        if (inode->is_dir)
                return;
        /* release: whoever sees the number sees what was written */
        atomic_fetch_add_explicit(&inode->n_writes, 1, memory_order_release);
}

uint32_t fs_inode_writes(const struct fs_inode *inode)
{
        return atomic_load_explicit(&inode->n_writes, memory_order_acquire);
}

bool fs_inode_keep_hash(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t hash,
                        uint32_t n_writes)
{
        struct stripe *stripe = lock_stripe(inodes, inode->id);
        bool still = fs_inode_writes(inode) == n_writes;

        if (still) {
                inode->hash = hash;
                inode->hash_writes = n_writes;
                inode->flags |= INODE_HASHED;
        }
        pthread_mutex_unlock(&stripe->lock);
        return still;
}

bool fs_inode_hash(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t *hash)
{
        struct stripe *stripe = lock_stripe(inodes, inode->id);
        bool kept = inode->flags & INODE_HASHED && inode->hash_writes == fs_inode_writes(inode);

        *hash = inode->hash;
        pthread_mutex_unlock(&stripe->lock);
        return kept;
}
