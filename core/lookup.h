/* SPDX-License-Identifier: MIT */
/*
 * Readers: shared locks on the stripes of a few keys, and the way from a key
 * to its record. A name of a record that is kept by its id leads to it by a
 * second look; a key with a record of its own costs nothing more.
 */
#ifndef BM_LOOKUP_H
#define BM_LOOKUP_H

#include "bucket.h"
#include "bucketmap.h"

/* A name, the record that it leads to, a chunk and its patches. */
enum { BM_READ_KEYS = 3 + BM_CHUNK_PIECES };

struct bm_read_lock {
        struct bm_store *store;
        unsigned stripes[BM_READ_KEYS]; /* ascending */
        unsigned n;
};
void bm_read_lock(struct bm_read_lock *lock, const struct bm_target *target);
/* At most BM_READ_KEYS. */
void bm_read_lock_all(struct bm_read_lock *lock, const struct bm_target *targets, size_t n);
void bm_read_unlock(struct bm_read_lock *lock);

/* Locked. What is there under REF's key, which TARGET is made of; a name is not followed. As
 * bm_target_find, and BM_E_NOT_FOUND, BM_E_STALE. */
int bm_lookup_locked(const struct bm_ref *ref, const struct bm_target *target,
                     struct bm_found *found);

/* A record that was looked up; FOUND is good as long as LOCK is held. */
struct bm_lookup {
        struct bm_read_lock lock;
        struct bm_found found; /* never a name */
};

/*
 * Finds the record that REF's key, which TARGET is made of, names, and locks
 * the stripes of the N_ALSO others in ALSO with it. After 0 the locks are held, until
 * bm_read_unlock; else none is. BM_E_NOT_FOUND, BM_E_STALE; -EIO: what may be
 * the record is damaged, or the name leads nowhere.
 */
int bm_lookup(const struct bm_ref *ref, const struct bm_target *target,
              const struct bm_target *also, size_t n_also, struct bm_lookup *lookup);

#endif
