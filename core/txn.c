/* SPDX-License-Identifier: MIT */
/* See txn.h. */
#include "txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "grow.h"
#include "keeper.h"
#include "pace.h"
#include "space.h"
#include "store.h"
#include "unreadable.h"

void bm_txn_init(struct bm_txn *txn, struct bm_store *store)
{
        txn->store = store;
        txn->claim = BM_CLAIM_NONE;
        txn->no_grow = false;
        txn->steps = txn->few;
        txn->n_steps = txn->n_base = 0;
        txn->cap_steps = bm_array_size(txn->few);
        memset(txn->stripes, 0, sizeof(txn->stripes));
        txn->only_stripe = BM_STRIPES_NONE;
        txn->full = NULL;
        txn->capacity = 0;
}

void bm_txn_deinit(struct bm_txn *txn)
{
        if (txn->steps != txn->few)
                free(txn->steps);
}

static int more_steps(struct bm_txn *txn)
{
        size_t cap = txn->cap_steps * 2;
        struct bm_step *steps = calloc(cap, sizeof(*steps));
        if (!steps)
                return -ENOMEM;
        memcpy(steps, txn->steps, txn->n_steps * sizeof(*steps));
        if (txn->steps != txn->few)
                free(txn->steps);
        txn->steps = steps;
        txn->cap_steps = cap;
        return 0;
}

static void add_stripe(struct bm_txn *txn, unsigned stripe)
{
        txn->stripes[stripe / 64] |= UINT64_C(1) << stripe % 64;
        txn->only_stripe = txn->only_stripe == BM_STRIPES_NONE || txn->only_stripe == (int)stripe
                                   ? (int)stripe
                                   : BM_STRIPES_SEVERAL;
}

static int add_step(struct bm_txn *txn, const struct bm_target *target, size_t *step)
{
        int r = txn->n_steps == txn->cap_steps ? more_steps(txn) : 0;
        if (r < 0)
                return r;
        txn->steps[txn->n_steps].target = *target;
        add_stripe(txn, target->stripe);
        if (step)
                *step = txn->n_steps;
        txn->n_steps++;
        return 0;
}

int bm_txn_add_trusted(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                       enum bm_trust trust, size_t *step)
{
        struct bm_target target;
        int r = bm_target_init(&target, map, key, key_len);
        target.trust = trust;
        return r < 0 ? r : add_step(txn, &target, step);
}

int bm_txn_add(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
               size_t *step)
{
        return bm_txn_add_trusted(txn, map, key, key_len, BM_TRUST_NOTHING, step);
}

void bm_txn_add_map(struct bm_txn *txn, struct bm_map *map)
{
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2; i++)
                add_stripe(txn, bm_stripe_of(map->id, i));
}

/* Ascending, so that no two transactions wait for each other. */
static inline void each_stripe(struct bm_txn *txn, int (*fn)(pthread_rwlock_t *lock))
{
        if (txn->only_stripe >= 0) { /* as in nearly all of them */
                fn(&txn->store->stripes[txn->only_stripe].lock);
                return;
        }
        for (unsigned i = 0; i < bm_array_size(txn->stripes); i++) {
                for (uint64_t bits = txn->stripes[i]; bits; bits &= bits - 1)
                        fn(&txn->store->stripes[i * 64 + (unsigned)__builtin_ctzll(bits)].lock);
        }
}

static void lock_stripes(struct bm_txn *txn)
{
        each_stripe(txn, bm_stripe_lock);
}

static void unlock_stripes(struct bm_txn *txn)
{
        each_stripe(txn, pthread_rwlock_unlock);
}

/* Locked. Growth moves slots, so it is installed before anything is found;
 * once here nobody can park another until the lock is given up. */
static int ready_step(struct bm_step *s)
{
        s->action = BM_ACT_LOOK;
        s->moved = s->inserted = s->entered = false;
        s->replaced_map = 0;
        if (atomic_load_explicit(&s->target.map->dead, memory_order_relaxed))
                return BM_E_NOT_FOUND;
        handle_delayed_grows(&s->target.bucket->index);
        return 0;
}

/* Steps that are fetched ahead of the one that is looked at; with few there is nothing to win. */
enum { FETCH_AHEAD = 8, FETCH_WORTH = 4 };

/* Called with I from -2 * FETCH_AHEAD on. */
static void fetch_ahead(const struct bm_txn *txn, ptrdiff_t i)
{
        const ptrdiff_t line = i + 2 * FETCH_AHEAD, record = i + FETCH_AHEAD;
        if (line < (ptrdiff_t)txn->n_steps)
                bm_target_fetch_line(&txn->steps[line].target);
        if (record >= 0 && record < (ptrdiff_t)txn->n_steps)
                bm_target_fetch_record(&txn->steps[record].target);
}

static int find_all(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                int r = ready_step(&txn->steps[i]);
                if (r != 0)
                        return r;
        }
        const bool ahead = txn->n_steps >= FETCH_WORTH;
        for (ptrdiff_t i = -2 * FETCH_AHEAD; ahead && i < 0; i++)
                fetch_ahead(txn, i);
        for (size_t i = 0; i < txn->n_steps; i++) {
                if (ahead)
                        fetch_ahead(txn, (ptrdiff_t)i);
                int r = bm_target_find(&txn->steps[i].target, &txn->steps[i].found);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Locked. Adds a step whose stripe may not be locked yet. */
static int more(struct bm_txn *txn, const struct bm_target *target, size_t *step)
{
        uint64_t before[4];
        const int only_before = txn->only_stripe;
        memcpy(before, txn->stripes, sizeof(before));
        int r = add_step(txn, target, step);
        if (r < 0)
                return r;
        if (memcmp(before, txn->stripes, sizeof(before)) != 0) {
                for (unsigned i = 0; i < bm_array_size(txn->wanted); i++)
                        txn->wanted[i] |= txn->stripes[i];
                memcpy(txn->stripes, before, sizeof(before));
                txn->only_stripe = only_before;
                return BM_E_AGAIN;
        }
        struct bm_step *s = &txn->steps[*step];
        r = ready_step(s);
        return r != 0 ? r : bm_target_find(&s->target, &s->found);
}

int bm_txn_more_trusted(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                        enum bm_trust trust, size_t *step)
{
        struct bm_target target;
        int r = bm_target_init(&target, map, key, key_len);
        target.trust = trust;
        return r < 0 ? r : more(txn, &target, step);
}

int bm_txn_more(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                size_t *step)
{
        return bm_txn_more_trusted(txn, map, key, key_len, BM_TRUST_NOTHING, step);
}

int bm_txn_more_id(struct bm_txn *txn, struct bm_map *map, uint64_t record_id, size_t *step)
{
        struct bm_target target;
        for (size_t i = 0; i < txn->n_steps; i++) {
                const struct bm_target *t = &txn->steps[i].target;
                if (t->map == map && t->by_record == record_id) {
                        *step = i;
                        return 0;
                }
        }
        bm_target_init_id(&target, map, record_id);
        return more(txn, &target, step);
}

/* Locked. Whether what FILL saw is what the records said. */
static int seen_intact(const struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                const struct bm_found *f = &txn->steps[i].found;
                if (f->there && !bm_record_intact(&f->record)) {
                        bm_log_unreadable(txn->store, &f->slot, -EIO, &txn->steps[i].target);
                        return -EIO;
                }
        }
        return 0;
}

static int attempt(struct bm_txn *txn, bm_fill_fn fill, void *ctx)
{
        txn->n_steps = txn->n_base;
        memcpy(txn->wanted, txn->stripes, sizeof(txn->wanted));
        lock_stripes(txn);
        int r = find_all(txn);
        if (r == 0)
                r = fill(txn, ctx);
        if (r == 0)
                r = seen_intact(txn);
        if (r == 0)
                r = bm_txn_commit(txn);
        unlock_stripes(txn);
        return r;
}

/* Room for bytes of a segment that is there already: copy-on-write filesystems
 * want it for each change of a block. */
static int ease_disk(struct bm_txn *txn)
{
        const enum bm_space_use use = txn->claim == BM_CLAIM_REMOVE ? BM_SPACE_LOG : BM_SPACE_CUT;
        if ((txn->claim != BM_CLAIM_NONE && bm_space_draw(txn->store, BM_SPACE_PIECE, use)) ||
            bm_keeper_win_space(txn->store))
                return 0;
        return -ENOSPC;
}

/* By ordinary writes no further than the reserve allows; that it does not is for them to meet when
 * they log. */
static int grow_index(const struct bm_txn *txn)
{
        int r = bm_grow_part(txn->full, txn->capacity);
        if (txn->claim == BM_CLAIM_NONE)
                bm_space_look(txn->store);
        return r;
}

int bm_txn_run(struct bm_txn *txn, bm_fill_fn fill, void *ctx)
{
        int r = bm_store_writable(txn->store);
        txn->n_base = txn->n_steps;
        while (r == 0) {
                r = attempt(txn, fill, ctx);
                if (r == BM_E_AGAIN) {
                        memcpy(txn->stripes, txn->wanted, sizeof(txn->stripes));
                        txn->only_stripe = BM_STRIPES_SEVERAL;
                        r = 0;
                        continue;
                }
                if (r == BM_E_DISK_FULL) {
                        r = txn->no_grow ? -ENOSPC : ease_disk(txn);
                        continue;
                }
                /* the caller can grow its own index only: the library's grow by themselves */
                if (txn->no_grow &&
                    (r != BM_E_INDEX_NO_SPACE || txn->full->map == txn->steps[0].target.map))
                        return r;
                if (r == BM_E_INDEX_NO_SPACE)
                        r = grow_index(txn);
                else if (r == BM_E_DATA_NO_SPACE)
                        r = bm_space_grow(txn->store, txn->capacity, txn->claim);
                else
                        break;
        }
        if (bm_pace_is_set(txn->store))
                bm_pace_pay();
        return r;
}
