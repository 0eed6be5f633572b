/* SPDX-License-Identifier: MIT */
/* See lookup.h. */
#include "lookup.h"

#include <errno.h>
#include <inttypes.h>

#include "store.h"
#include "view.h"

static void add_stripe(struct bm_read_lock *lock, unsigned stripe)
{
        unsigned i = lock->n;
        for (unsigned k = 0; k < lock->n; k++) {
                if (lock->stripes[k] == stripe)
                        return;
        }
        for (; i > 0 && lock->stripes[i - 1] > stripe; i--)
                lock->stripes[i] = lock->stripes[i - 1];
        lock->stripes[i] = stripe;
        lock->n++;
}

static void lock_all(struct bm_read_lock *lock)
{
        for (unsigned i = 0; i < lock->n; i++)
                (void)bm_stripe_lock_shared(&lock->store->stripes[lock->stripes[i]].lock);
}

void bm_read_lock(struct bm_read_lock *lock, const struct bm_target *target)
{
        *lock = (struct bm_read_lock){
                .store = target->map->store, .stripes = {target->stripe}, .n = 1};
        lock_all(lock);
}

void bm_read_lock_all(struct bm_read_lock *lock, const struct bm_target *targets, size_t n)
{
        *lock = (struct bm_read_lock){.store = targets[0].map->store};
        for (size_t i = 0; i < n; i++)
                add_stripe(lock, targets[i].stripe);
        lock_all(lock);
}

void bm_read_unlock(struct bm_read_lock *lock)
{
        while (lock->n > 0)
                pthread_rwlock_unlock(&lock->store->stripes[lock->stripes[--lock->n]].lock);
}

/* Locks one more, if the order of stripes allows that. */
static bool lock_more(struct bm_read_lock *lock, unsigned stripe)
{
        for (unsigned i = 0; i < lock->n; i++) {
                if (lock->stripes[i] == stripe)
                        return true;
        }
        if (lock->stripes[lock->n - 1] > stripe)
                return false;
        (void)bm_stripe_lock_shared(&lock->store->stripes[stripe].lock);
        lock->stripes[lock->n++] = stripe;
        return true;
}

int bm_lookup_locked(const struct bm_ref *ref, const struct bm_target *target,
                     struct bm_found *found)
{
        if (atomic_load_explicit(&target->map->dead, memory_order_relaxed))
                return BM_E_NOT_FOUND;
        int r = bm_target_find(target, found);
        return r < 0 ? r : bm_ref_check(ref, found);
}

/* Locked. From a name to its record, which is there as long as the name is. */
static int follow(const struct bm_target *record, struct bm_found *found)
{
        int r = bm_target_find(record, found);
        if (r == 0 && !found->there) {
                bm_store_log(record->map->store, BM_LOG_ERROR,
                             "a name leads to record %" PRIu64 ", which is not there",
                             record->by_record);
                r = -EIO;
        }
        return r;
}

int bm_lookup(const struct bm_ref *ref, const struct bm_target *target,
              const struct bm_target *also, size_t n_also, struct bm_lookup *lookup)
{
        struct bm_store *store = target->map->store;
        struct bm_found *found = &lookup->found;
        struct bm_target record = {.by_record = 0};
        int r;
        for (;;) {
                lookup->lock = (struct bm_read_lock){.store = store};
                add_stripe(&lookup->lock, target->stripe);
                for (size_t i = 0; i < n_also; i++)
                        add_stripe(&lookup->lock, also[i].stripe);
                if (record.by_record)
                        add_stripe(&lookup->lock, record.stripe);
                lock_all(&lookup->lock);
                r = bm_lookup_locked(ref, target, found);
                if (r != 0 || found->record.type != BM_REC_NAME)
                        break;
                if (found->record.record_id != record.by_record) {
                        bm_target_init_id(&record, store->inodes, found->record.record_id);
                        record.trust = target->trust;
                }
                if (lock_more(&lookup->lock, record.stripe)) {
                        r = follow(&record, found);
                        break;
                }
                bm_read_unlock(&lookup->lock); /* once more, with its lock from the start */
        }
        if (r != 0)
                bm_read_unlock(&lookup->lock);
        return r;
}
