/* SPDX-License-Identifier: MIT */
/*
 * Delayed growth: a larger part is built aside under the shared lock, parked
 * by one compare-and-swap, and installed by the next writer.
 */
#include <stdlib.h>
#include <time.h>

#include "bucketmap.h"
#include "index_private.h"

void bm_reallocated_free(struct Reallocated *grown)
{
        if (!grown)
                return;
        for (size_t i = 0; i < grown->n_parts; i++)
                bm_block_free(grown->parts[i]);
        free(grown->parts);
        free(grown->dir);
        free(grown);
}

bool add_reallocation(struct bm_index *ix, struct Reallocated *grown)
{
        struct Reallocated *none = NULL;

        /* release: whoever takes it sees what was built */
        return atomic_compare_exchange_strong_explicit(&ix->reallocated, &none, grown,
                                                       memory_order_release, memory_order_relaxed);
}

struct Reallocated *get_reallocated(struct bm_index *ix)
{
        /* every writer comes by: do not own the line for nothing */
        if (bm_likely(!atomic_load_explicit(&ix->reallocated, memory_order_relaxed)))
                return NULL;
        return atomic_exchange_explicit(&ix->reallocated, NULL, memory_order_acquire);
}

/* Installing */

static void deepen(struct bm_index *ix, struct Reallocated *grown)
{
        unsigned by = grown->depth - ix->depth;

        if (ix->dir)
                for (size_t at = 0; at < (size_t)1 << grown->depth; at++)
                        grown->dir[at] = ix->dir[at >> by];
        if (ix->dir != &ix->dir0)
                free(ix->dir);
        ix->dir0 = NULL;
        ix->dir = grown->dir;
        ix->depth = grown->depth;
        grown->dir = NULL;
}

static void install(struct bm_index *ix, struct Reallocated *grown)
{
        struct bm_block *source = grown->source;
        unsigned depth = source ? source->depth : 0;
        size_t at;

        if (grown->depth > ix->depth)
                deepen(ix, grown);
        else if (!ix->dir)
                ix->dir = &ix->dir0;
        at = bm_tag_prefix(grown->tag, depth) >> (BM_TAG_BITS - ix->depth);
        for (size_t i = 0; i < grown->n_parts; i++) {
                struct bm_block *part = grown->parts[i];
                size_t end = at + ((size_t)1 << (ix->depth - part->depth));

                while (at < end)
                        ix->dir[at++] = part;
                bm_index_account(ix, part, +1);
        }
        bm_index_account(ix, source, -1);
        bm_stat_add(grown->n_parts > 1 ? &ix->stats->splits : &ix->stats->grows, 1);
        bm_block_free(source);
        grown->n_parts = 0;
        bm_reallocated_free(grown);
}

void handle_delayed_grows(struct bm_index *ix)
{
        struct Reallocated *grown = get_reallocated(ix);
        uint64_t tag, capacity;
        struct bm_block *part;

        if (bm_likely(!grown))
                return;
        tag = grown->tag;
        part = bm_index_part(ix, tag);
        if (part == grown->source && bm_part_version(part) == grown->version) {
                install(ix, grown);
                return;
        }
        /* Somebody wrote in between. Once more, now that nobody can: else a
         * busy bucket could lose every growth. */
        bm_reallocated_free(grown);
        bm_stat_add(&ix->stats->failed_grows, 1);
        if (bm_index_room(ix, bm_index_hash(ix, tag), &capacity) == BM_E_INDEX_NO_SPACE &&
            !bm_index_build(ix, tag, &grown))
                install(ix, grown);
        /* where that failed the writer finds no room, and its own growth says why */
}

static uint64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int bm_index_grow(struct bm_index *ix, uint64_t hash, uint64_t capacity)
{
        uint64_t tag = bm_index_tag(ix, hash);
        struct Reallocated *grown;
        uint64_t start, us;
        int r;

        /* acquire is not needed: it is not looked into */
        if (atomic_load_explicit(&ix->reallocated, memory_order_relaxed) ||
            bm_part_slots(bm_index_part(ix, tag)) != capacity)
                return 0;
        start = now_ns();
        r = bm_index_build(ix, tag, &grown);
        us = (now_ns() - start + 999) / 1000;
        bm_stat_add(&ix->stats->grow_us, us);
        bm_stat_max(&ix->stats->longest_us, us);
        if (r || !add_reallocation(ix, grown)) {
                bm_stat_add(&ix->stats->failed_grows, 1);
                if (!r)
                        bm_reallocated_free(grown);
        }
        return r;
}
