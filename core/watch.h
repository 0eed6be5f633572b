/* SPDX-License-Identifier: MIT */
/*
 * What moves while a check runs.
 *
 * A check walks the maps one after the other, so it misses a record that is
 * renamed from a map that it has before it to one that it has behind it. For
 * most this does not matter: the new record was written a moment ago, from one
 * that was read and verified. But it would take the chunks of a large value,
 * and the keys of a map, for nobody's. Hence whoever puts a head or a map's
 * entry notes it here, as long as a check is on.
 */
#ifndef BM_WATCH_H
#define BM_WATCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "format.h"
#include "id_set.h"

struct bm_watch {
        /* relaxed: both sides look under the stripe of the bucket that they are in */
        _Atomic bool on;
        pthread_mutex_t lock;
        /* guarded by lock */
        bool failed;            /* no memory: the sets are not whole */
        struct bm_id_set heads; /* data ids that have, or had since it is on, a head */
        struct bm_id_set maps;  /* maps whose entry was put since it is on */
};

void bm_watch_init(struct bm_watch *watch);
void bm_watch_deinit(struct bm_watch *watch);

/* One check at a time. */
void bm_watch_begin(struct bm_watch *watch);
void bm_watch_end(struct bm_watch *watch);

/* The bucket's stripe is held. */
void bm_watch_note(struct bm_watch *watch, const struct bm_record *record);
static inline void bm_watch_put(struct bm_watch *watch, const struct bm_record *record)
{
        if (atomic_load_explicit(&watch->on, memory_order_relaxed))
                bm_watch_note(watch, record);
}

/* 0 or 1; -ENOMEM: it cannot be said. */
int bm_watch_has_head(struct bm_watch *watch, uint64_t data_id);
int bm_watch_has_map(struct bm_watch *watch, uint64_t map_id);

#endif
