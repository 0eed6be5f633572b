/* SPDX-License-Identifier: MIT */
/* See io_mapped.h. Entries are never freed, only used again, so that the
 * handler and those who look need no lock. */
#include "io_mapped.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
        PAGE_SHIFT = 12, /* what a place is counted in: the smallest page there is */
        N_PAGES_BITS = 28,
        BLOCK = 256,
        BLOCKS = 1024, /* times BLOCK: more than the kernel gives a process */
        WORD_BITS = 64,
};

/*
 * RANGE is first page << N_PAGES_BITS | number of pages, 0 if free: one word,
 * so that it is never seen by halves. An address within it can only be asked
 * for by who uses the mapping, which is why the entry stays until then.
 */
struct mapped {
        _Atomic uint64_t range;
        _Atomic uint64_t *bad; /* a bit a page; set before RANGE is */
};

_Atomic uint32_t bm_mapped_replaced;

static struct mapped *_Atomic blocks[BLOCKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t first_free; /* no free entry is before it; guarded by lock */

static uint64_t first_page(uint64_t range)
{
        return range >> N_PAGES_BITS;
}

static uint64_t n_pages(uint64_t range)
{
        return range & ((UINT64_C(1) << N_PAGES_BITS) - 1);
}

static struct mapped *entry(size_t i)
{
        struct mapped *block = atomic_load_explicit(&blocks[i / BLOCK], memory_order_acquire);
        return block ? &block[i % BLOCK] : NULL;
}

/* The mapping in which PAGE lies, or NULL. */
static struct mapped *find(uint64_t page, size_t *at)
{
        struct mapped *m;
        for (size_t i = 0; i < BLOCKS * BLOCK && (m = entry(i)); i++) {
                /* acquire: pairs with the release that entered it, behind BAD */
                uint64_t range = atomic_load_explicit(&m->range, memory_order_acquire);
                if (page >= first_page(range) && page - first_page(range) < n_pages(range)) {
                        *at = i;
                        return m;
                }
        }
        return NULL;
}

/* Locked. */
static struct mapped *take_free(void)
{
        for (; first_free < BLOCKS * BLOCK; first_free++) {
                struct mapped *m = entry(first_free);
                if (!m) {
                        m = calloc(BLOCK, sizeof(*m));
                        atomic_store_explicit(&blocks[first_free / BLOCK], m, memory_order_release);
                }
                if (!m || atomic_load_explicit(&m->range, memory_order_relaxed) == 0)
                        return m;
        }
        return NULL;
}

int bm_mapped_add(void *base, size_t len)
{
        uint64_t page = (uintptr_t)base >> PAGE_SHIFT;
        uint64_t pages = (len + (1 << PAGE_SHIFT) - 1) >> PAGE_SHIFT;
        if (page >> (WORD_BITS - N_PAGES_BITS) != 0 || pages >> N_PAGES_BITS != 0)
                return -ENOMEM;
        _Atomic uint64_t *bad = calloc(pages / WORD_BITS + 1, sizeof(*bad));
        if (!bad)
                return -ENOMEM;
        pthread_mutex_lock(&lock);
        struct mapped *m = take_free();
        if (m) {
                m->bad = bad;
                atomic_store_explicit(&m->range, page << N_PAGES_BITS | pages,
                                      memory_order_release);
        }
        pthread_mutex_unlock(&lock);
        if (!m)
                free(bad);
        return m ? 0 : -ENOMEM;
}

void bm_mapped_remove(void *base)
{
        size_t at;
        pthread_mutex_lock(&lock);
        struct mapped *m = find((uintptr_t)base >> PAGE_SHIFT, &at);
        if (m) {
                atomic_store_explicit(&m->range, 0, memory_order_relaxed);
                free(m->bad);
                if (at < first_free)
                        first_free = at;
        }
        pthread_mutex_unlock(&lock);
}

bool bm_mapped_replace(uintptr_t at)
{
        size_t i;
        struct mapped *m = find(at >> PAGE_SHIFT, &i);
        if (!m)
                return false;
        /* a page of the system's may be several of ours */
        const uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
        const uintptr_t page = at & ~(uintptr_t)(size - 1);
        uint64_t range = atomic_load_explicit(&m->range, memory_order_relaxed);
        for (uint64_t k = 0; k < size >> PAGE_SHIFT; k++) {
                uint64_t bit = (page >> PAGE_SHIFT) - first_page(range) + k;
                if (bit < n_pages(range))
                        atomic_fetch_or(&m->bad[bit / WORD_BITS], UINT64_C(1) << bit % WORD_BITS);
        }
        atomic_fetch_add(&bm_mapped_replaced, 1);
        /* writable, for a store may be on its way there; it finds out afterwards */
        return mmap((void *)page, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool bm_mapped_look(const void *bytes, size_t len)
{
        if (len == 0)
                return true;
        uint64_t page = (uintptr_t)bytes >> PAGE_SHIFT;
        size_t at;
        const struct mapped *m = find(page, &at);
        if (!m)
                return true;
        uint64_t range = atomic_load_explicit(&m->range, memory_order_relaxed);
        uint64_t bit = page - first_page(range);
        uint64_t last = (((uintptr_t)bytes + (len - 1)) >> PAGE_SHIFT) - first_page(range);
        for (; bit <= last && bit < n_pages(range); bit++) {
                if (atomic_load_explicit(&m->bad[bit / WORD_BITS], memory_order_acquire) >>
                            bit % WORD_BITS &
                    1)
                        return false;
        }
        return true;
}
