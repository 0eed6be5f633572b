/* SPDX-License-Identifier: MIT */
/* See compact.h: which segment is worth emptying, and when. */
#include "compact.h"
#include "compact_private.h"
#include "space.h"
#include "store.h"

enum {
        DUE_SHARE = 7,         /* one in so many bytes dead: compact */
        TOMBSTONES_SHARE = 10, /* kept tombstones, one byte to so many that live: too many */
        DEAD_BUSY = 128 << 20, /* bytes that are worth two checkpoints beside others' work */
        DISK_BUSY = 64,        /* or one byte of so many of the disk */
        WAITING_ENOUGH = 8,    /* emptied segments after which to look what their end has won */
};

struct choice {
        uint64_t generation; /* of the newest manifest */
        uint64_t budget;     /* bytes that may be copied out of a victim */
        /* the lowest version of a segment with dead records, and the lowest of the others */
        struct bm_segment *oldest;
        uint64_t oldest_dead, next_dead;
        /* the first of them that is not emptied yet */
        struct bm_segment *to_empty;
        uint64_t to_empty_dead;
        struct bm_segment *best;
        double best_share;
        uint64_t used, dead, live, kept;
        unsigned waiting; /* emptied segments that the next checkpoint frees, or the one after */
        bool tombstones;  /* so many that to_empty is worth it, whatever that wins */
};

static bool is_candidate(const struct bm_segment *s)
{
        return s->header.kind != BM_SEGMENT_INDEX && !s->emptied && !s->unreadable &&
               atomic_load(&s->state) == BM_SEGMENT_SEALED;
}

static int find_oldest(void *ctx, struct bm_segment *s)
{
        struct choice *c = ctx;
        uint64_t lowest = atomic_load(&s->lowest_version);
        if (s->header.kind == BM_SEGMENT_INDEX ||
            atomic_load(&s->n_puts) <= atomic_load(&s->n_live))
                return 0;
        if (lowest < c->oldest_dead) {
                c->next_dead = c->oldest_dead;
                c->oldest_dead = lowest;
                c->oldest = s;
        } else if (lowest < c->next_dead) {
                c->next_dead = lowest;
        }
        if (lowest < c->to_empty_dead && is_candidate(s)) {
                c->to_empty_dead = lowest;
                c->to_empty = s;
        }
        return 0;
}

/* Emptied, and nearer to being freed with the next checkpoint. What a view
 * pins is not: it goes with whichever checkpoint comes after that. */
static bool waits(const struct bm_segment *s, uint64_t generation)
{
        uint8_t state = atomic_load(&s->state);
        if (state == BM_SEGMENT_GONE)
                return s->excluded_in == generation && atomic_load(&s->pins) == 0;
        return s->emptied && state == BM_SEGMENT_SEALED && atomic_load(&s->n_live) == 0;
}

static int weigh(void *ctx, struct bm_segment *s)
{
        struct choice *c = ctx;
        if (s->header.kind != BM_SEGMENT_INDEX && waits(s, c->generation))
                c->waiting++;
        if (!is_candidate(s))
                return 0;
        uint64_t output = bm_segment_output(s), kept = atomic_load(&s->kept_bytes);
        uint64_t dead = bm_segment_reclaimable(s);
        c->live += output;
        /* tombstones can go once nothing older is dead elsewhere */
        if (atomic_load(&s->kept_version) <= (s == c->oldest ? c->next_dead : c->oldest_dead)) {
                dead += kept;
                kept = 0;
        }
        c->kept += kept;
        c->used += s->size;
        c->dead += dead;
        double share = (double)dead / (double)s->size;
        if (output + kept <= c->budget && (!c->best || share > c->best_share)) {
                c->best = s;
                c->best_share = share;
        }
        return 0;
}

static bool too_many_tombstones(struct bm_store *store, const struct choice *c)
{
        if (c->kept <= 2 * bm_space_segment_size(store) || !c->to_empty ||
            c->waiting >= WAITING_ENOUGH)
                return false;
        return (c->kept * TOMBSTONES_SHARE > c->live || bm_space_is_short(store)) &&
               bm_segment_output(c->to_empty) <= c->budget;
}

/* checkpoint_lock is held. */
static struct choice choose(struct bm_store *store)
{
        struct choice c = {.oldest_dead = UINT64_MAX,
                           .next_dead = UINT64_MAX,
                           .to_empty_dead = UINT64_MAX,
                           .generation = store->manifests.newest.generation,
                           .budget = bm_space_for_cold(store)};
        if (store->cold)
                c.budget += store->cold->size - atomic_load(&store->cold->used);
        bm_drives_each(&store->drives, find_oldest, &c);
        bm_drives_each(&store->drives, weigh, &c);
        c.tombstones = too_many_tombstones(store, &c);
        return c;
}

int bm_compact_one(struct bm_store *store, unsigned least_share, bool *done)
{
        pthread_mutex_lock(&store->checkpoint_lock);
        struct choice c = choose(store);
        struct bm_segment *victim = NULL;
        int r = 0;
        if (c.best && c.best_share * least_share >= 1)
                victim = c.best;
        else if (c.tombstones)
                victim = c.to_empty;
        *done = victim != NULL;
        if (victim)
                r = bm_compact_segment(store, victim);
        pthread_mutex_unlock(&store->checkpoint_lock);
        return r;
}

static struct choice look(struct bm_store *store)
{
        pthread_mutex_lock(&store->checkpoint_lock);
        struct choice c = choose(store);
        pthread_mutex_unlock(&store->checkpoint_lock);
        return c;
}

bool bm_compact_due(struct bm_store *store, bool busy)
{
        struct choice c = look(store);
        if (c.tombstones)
                return true;
        if (busy && c.dead < DEAD_BUSY && c.dead < store->disk_bytes / DISK_BUSY)
                return false;
        return c.best && c.dead * DUE_SHARE > c.used &&
               (c.dead > 2 * bm_space_segment_size(store) || c.best_share > 0.9);
}

uint64_t bm_compact_left(struct bm_store *store)
{
        struct choice c = look(store);
        return c.dead + c.kept;
}

bool bm_compact_pending(struct bm_store *store)
{
        return look(store).waiting > 0;
}
