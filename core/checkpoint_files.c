/* SPDX-License-Identifier: MIT */
/* See checkpoint_private.h: which files a manifest leaves out, and when they go. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "checkpoint_private.h"
#include "space.h"

enum {
        INDEX_GARBAGE_MIN = 4 << 20,     /* dead bytes of index files that are not worth the work */
        INDEX_GARBAGE_SHORT = 256 << 10, /* nor on a full disk */
};

/* Segments of the log before its replay, and cold ones, that a compaction
 * emptied are left out from now on. */
static int exclude_emptied(void *ctx, struct bm_segment *s)
{
        struct bm_writer *w = ctx;
        if (s->header.kind == BM_SEGMENT_INDEX) {
                atomic_store(&s->live_bytes, 0); /* counted anew */
                return 0;
        }
        if (!s->emptied || atomic_load(&s->n_live) > 0 ||
            atomic_load(&s->state) != BM_SEGMENT_SEALED)
                return 0;
        if (s->header.kind == BM_SEGMENT_LOG &&
            s->header.number >= bm_pos_number(w->manifest.replay_from))
                return 0;
        atomic_store(&s->state, BM_SEGMENT_GONE);
        s->excluded_in = w->manifest.generation;
        return 0;
}

void bm_checkpoint_exclude_data(struct bm_writer *w)
{
        bm_drives_each(&w->store->drives, exclude_emptied, w);
}

static int exclude_index_file(void *ctx, struct bm_segment *s)
{
        struct bm_writer *w = ctx;
        if (s->header.kind == BM_SEGMENT_INDEX && s != w->file &&
            atomic_load(&s->live_bytes) == 0 && atomic_load(&s->state) == BM_SEGMENT_SEALED) {
                atomic_store(&s->state, BM_SEGMENT_GONE);
                s->excluded_in = w->manifest.generation;
        }
        return 0;
}

void bm_checkpoint_exclude_index(struct bm_writer *w)
{
        bm_drives_each(&w->store->drives, exclude_index_file, w);
}

static bool is_free(const struct bm_segment *s, uint64_t generation)
{
        return atomic_load(&s->state) == BM_SEGMENT_GONE && s->excluded_in < generation &&
               atomic_load_explicit(&s->pins, memory_order_acquire) == 0;
}

/* Whether the log says of itself, durably, that it was so up to S: only then would a rebuild know
 * what the gap is that S leaves (goes_on in rebuild.c). */
static bool is_told(struct bm_store *store, const struct bm_segment *s)
{
        return s->header.kind != BM_SEGMENT_LOG ||
               atomic_load(&store->syncer.told) >= bm_pos(s->header.number, BM_SEGMENT_HEADER);
}

void bm_checkpoint_free_unreferenced(struct bm_store *store, bool at_once)
{
        struct bm_segment **list;
        size_t n, n_free = 0;
        const bool keeps = !at_once && !bm_space_is_short(store) &&
                           atomic_load_explicit(&store->drives.spares.wanted, memory_order_relaxed);
        if (!keeps)
                atomic_fetch_add(&store->freed_bytes, bm_spares_drop(&store->drives));
        if (bm_drives_list(&store->drives, &list, &n) < 0)
                return; /* the next checkpoint does it */
        for (size_t i = 0; i < n; i++) {
                if (!is_free(list[i], store->manifests.newest.generation))
                        continue;
                /* Where that is in vain there is no room to say it, and there will be none
                 * before something is freed. */
                if (!is_told(store, list[i]) && at_once)
                        (void)!bm_syncer_sync_wholly(&store->syncer);
                else if (!is_told(store, list[i]))
                        continue;
                if (keeps && bm_spares_keep(&store->drives, list[i]))
                        continue;
                /* an index segment goes with each checkpoint for another that came */
                if (list[i]->header.kind == BM_SEGMENT_INDEX)
                        atomic_fetch_add(&store->manifests.index_freed, list[i]->size);
                else
                        atomic_fetch_add(&store->freed_bytes, list[i]->size);
                list[n_free++] = list[i];
        }
        int r = bm_drives_remove_all(&store->drives, list, n_free);
        if (r < 0)
                bm_store_log(store, BM_LOG_WARNING, "cannot remove a segment: %s", strerror(-r));
        free(list);
}

/* Index files that hold little that is current are written anew. */
struct garbage {
        uint64_t used, live;
        uint32_t worst;
        uint64_t worst_dead;
};

static int add_garbage(void *ctx, struct bm_segment *s)
{
        struct garbage *g = ctx;
        if (s->header.kind != BM_SEGMENT_INDEX || atomic_load(&s->state) != BM_SEGMENT_SEALED)
                return 0;
        uint64_t used = atomic_load(&s->used), live = atomic_load(&s->live_bytes);
        g->used += used;
        g->live += live;
        if (used - live > g->worst_dead) {
                g->worst_dead = used - live;
                g->worst = s->header.file_id;
        }
        return 0;
}

uint32_t bm_checkpoint_rewrite(struct bm_store *store, bool alone)
{
        struct garbage g = {0};
        bm_drives_each(&store->drives, add_garbage, &g);
        if (alone && bm_space_for_checkpoint(store) > atomic_load(&store->index_stats.bytes))
                return BM_REWRITE_ALL;
        return g.used > 2 * g.live + INDEX_GARBAGE_MIN && g.worst ? g.worst : BM_REWRITE_NONE;
}

bool bm_checkpoint_wasteful(struct bm_store *store)
{
        struct garbage g = {0};
        pthread_mutex_lock(&store->checkpoint_lock);
        bm_drives_each(&store->drives, add_garbage, &g);
        pthread_mutex_unlock(&store->checkpoint_lock);
        return g.used > g.live + g.live / 2 + INDEX_GARBAGE_SHORT;
}
