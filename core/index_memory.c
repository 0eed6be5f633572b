/* SPDX-License-Identifier: MIT */
/*
 * Each region is cut into granules of 64 bytes, a run of which is a chunk, taken or free.
 * A table at the region's start has the length of each chunk at its first and at its last granule,
 * so that a freed one finds and joins its neighbours (boundary tags: Knuth, TAOCP volume 1, 2.5).
 * Free chunks stand in lists by length, one for each size that blocks have: whatever is in a
 * block's list, or in one of longer chunks, is long enough, and the first one is taken.
 *
 * Under the address sanitizer it is malloc, which finds what runs over an image's end.
 */
#include "index_memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/compiler.h"

#if defined(__SANITIZE_ADDRESS__)
#define USE_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USE_MALLOC 1
#endif
#endif
#ifndef USE_MALLOC
#define USE_MALLOC 0
#endif

enum {
        GRANULE = 64,
        REGION = 2 << 20, /* a huge page */
        N_GRANULES = REGION / GRANULE,
        N_LISTS = 10,
};

#define IS_FREE ((uint16_t)0x8000)

struct chunk { /* a free one */
        struct chunk *next, **at;
};

struct region {
        uint32_t n_taken;            /* granules, the head's not counted */
        uint16_t length[N_GRANULES]; /* of a chunk, at its two ends; IS_FREE with that of a free one
                                      */
};

enum { HEAD = (sizeof(struct region) + GRANULE - 1) / GRANULE };
static_assert(N_GRANULES - HEAD < 0x8000, "lengths and IS_FREE have 16 bits");

/* Shortest chunk of each list: the sizes of blocks (index_block.c), and all that is longer. */
static const uint16_t list_from[N_LISTS] = {9, 17, 33, 65, 129, 161, 193, 225, 257, 512};

static_assert((int)BM_IMAGE_BYTES_MAX <= 512 * GRANULE, "the last list has room for any image");

static struct {
        pthread_mutex_t lock;
        /* guarded by lock */
        struct chunk *lists[N_LISTS];
        unsigned n_regions;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct region *region_of(const void *p)
{
        return (struct region *)((uintptr_t)p & ~((uintptr_t)REGION - 1));
}

static uint32_t number_of(const void *p)
{
        return (uint32_t)(((uintptr_t)p & (REGION - 1)) / GRANULE);
}

static struct chunk *chunk_at(struct region *r, uint32_t granule)
{
        return (struct chunk *)((uint8_t *)r + (size_t)granule * GRANULE);
}

/* The last list all of whose chunks have N granules, or -1: too short for any block. */
static int list_for(uint32_t n)
{
        int i = N_LISTS - 1;
        while (i >= 0 && list_from[i] > n)
                i--;
        return i;
}

static void mark(struct region *r, uint32_t first, uint32_t n, uint16_t flag)
{
        r->length[first] = r->length[first + n - 1] = (uint16_t)n | flag;
}

static void enter(struct region *r, uint32_t first, uint32_t n)
{
        int i = list_for(n);
        mark(r, first, n, IS_FREE);
        if (i < 0)
                return;
        struct chunk *c = chunk_at(r, first);
        c->next = pool.lists[i];
        c->at = &pool.lists[i];
        if (c->next)
                c->next->at = &c->next;
        pool.lists[i] = c;
}

static void leave(struct region *r, uint32_t first, uint32_t n)
{
        struct chunk *c = chunk_at(r, first);
        if (list_for(n) < 0)
                return;
        *c->at = c->next;
        if (c->next)
                c->next->at = c->at;
}

/* The first one has no huge page: a small index shall stay small. */
static bool add_region(void)
{
        uint8_t *base = mmap(NULL, 2 * (size_t)REGION, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED)
                return false;
        uint8_t *start = (uint8_t *)region_of(base + REGION - 1);
        if (start > base)
                (void)munmap(base, (size_t)(start - base));
        (void)munmap(start + REGION, (size_t)(base + REGION - start));
        if (pool.n_regions++ > 0)
                (void)madvise(start, REGION, MADV_HUGEPAGE);
        enter((struct region *)start, HEAD, N_GRANULES - HEAD);
        return true;
}

static struct chunk *first_of(uint32_t n)
{
        for (int i = 0; i < N_LISTS; i++) {
                if (list_from[i] >= n && pool.lists[i])
                        return pool.lists[i];
        }
        return NULL;
}

static uint8_t *take(uint32_t n)
{
        struct chunk *c = first_of(n);
        if (!c && !(add_region() && (c = first_of(n))))
                return NULL;
        struct region *r = region_of(c);
        uint32_t first = number_of(c), has = r->length[first] & ~(uint32_t)IS_FREE;
        leave(r, first, has);
        mark(r, first, n, 0);
        if (has > n)
                enter(r, first + n, has - n);
        r->n_taken += n;
        return (uint8_t *)c;
}

static void give_back(struct region *r, uint32_t first)
{
        uint32_t n = r->length[first];
        assert(n != 0 && !(n & IS_FREE));
        r->n_taken -= n;
        if (first + n < N_GRANULES && r->length[first + n] & IS_FREE) {
                uint32_t more = r->length[first + n] & ~(uint32_t)IS_FREE;
                leave(r, first + n, more);
                n += more;
        }
        if (first > HEAD && r->length[first - 1] & IS_FREE) {
                uint32_t more = r->length[first - 1] & ~(uint32_t)IS_FREE;
                first -= more;
                leave(r, first, more);
                n += more;
        }
        if (r->n_taken == 0 && pool.n_regions > 1) {
                pool.n_regions--;
                (void)munmap(r, REGION);
        } else {
                enter(r, first, n);
        }
}

uint8_t *bm_image_new(size_t bytes)
{
        assert(bytes > 0 && bytes <= BM_IMAGE_BYTES_MAX);
        if (USE_MALLOC)
                return aligned_alloc(GRANULE, (bytes + GRANULE - 1) / GRANULE * GRANULE);
        pthread_mutex_lock(&pool.lock);
        uint8_t *image = take((uint32_t)((bytes + GRANULE - 1) / GRANULE));
        pthread_mutex_unlock(&pool.lock);
        return image;
}

void bm_image_free(uint8_t *image)
{
        if (USE_MALLOC) {
                free(image);
                return;
        }
        if (!image)
                return;
        pthread_mutex_lock(&pool.lock);
        give_back(region_of(image), number_of(image));
        pthread_mutex_unlock(&pool.lock);
}
