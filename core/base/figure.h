/* SPDX-License-Identifier: MIT */
/* Figures that one thread at a time changes, under some lock, and any may read without. */
#ifndef BM_BASE_FIGURE_H
#define BM_BASE_FIGURE_H

#include <stdatomic.h>
#include <stdint.h>

/* Relaxed: nothing is ordered by them. And no locked addition: it costs more, above all where
 * several processors do it. N is modulo 2^64. */
static inline void bm_figure_add(_Atomic uint64_t *figure, uint64_t n)
{
        atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

static inline uint64_t bm_figure(const _Atomic uint64_t *figure)
{
        return atomic_load_explicit(figure, memory_order_relaxed);
}

#endif
