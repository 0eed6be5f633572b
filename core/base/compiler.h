/* SPDX-License-Identifier: MIT */
/* What the compiler can check or do for us: attributes, cleanup, lock contracts. */
#ifndef BM_BASE_COMPILER_H
#define BM_BASE_COMPILER_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define bm_likely(x)   __builtin_expect(!!(x), 1)
#define bm_unlikely(x) __builtin_expect(!!(x), 0)

#define bm_printf_like(fmt, first) __attribute__((format(printf, fmt, first)))
#define bm_unused                  __attribute__((unused))
#define bm_cold                    __attribute__((cold, noinline))

/* Loads before it are done before those behind it. (The fence of C11 is
 * nothing that the thread sanitizer understands.) */
#if defined(__x86_64__)
#define bm_load_barrier() __asm__ volatile("" ::: "memory")
#elif defined(__aarch64__)
#define bm_load_barrier() __asm__ volatile("dmb ishld" ::: "memory")
#else
#define bm_load_barrier() __sync_synchronize()
#endif

/* The struct of TYPE whose MEMBER is at PTR. */
#define bm_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* What several processors write is kept so far apart. */
enum { BM_CACHE_LINE = 64 };

/* Between two looks at what another processor is about to change. */
#if defined(__x86_64__)
#define bm_spin_pause() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define bm_spin_pause() __asm__ volatile("yield")
#else
#define bm_spin_pause() bm_load_barrier()
#endif

#define bm_array_size(a) (sizeof(a) / sizeof((a)[0]))

/* Cleanup when a variable goes out of scope; BM_DEFINE_CLEANUP(struct bm_x *, bm_x_free)
 * makes bm_x_free usable as bm_cleanup(bm_x_free). FN takes NULL. */
#define BM_DEFINE_CLEANUP(type, fn)                                                                \
        static inline bm_unused void fn##_cleanup(type *p)                                         \
        {                                                                                          \
                (void)fn(*p);                                                                      \
        }                                                                                          \
        struct bm_semicolon_
#define bm_cleanup(fn) __attribute__((cleanup(fn##_cleanup)))

static inline bm_unused void bm_free_cleanup(void *p)
{
        free(*(void **)p);
}
static inline bm_unused void bm_fd_cleanup(int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}
#define bm_autofree  bm_cleanup(bm_free)
#define bm_autoclose bm_cleanup(bm_fd)

/* Takes the value out of a cleanup variable: return bm_steal(&thing). */
#define bm_steal(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) steal_at_ = (p);                                                     \
                __typeof__(*steal_at_) stolen_ = *steal_at_;                                       \
                *steal_at_ = NULL;                                                                 \
                stolen_;                                                                           \
        })
static inline bm_unused int bm_steal_fd(int *fd)
{
        int stolen = *fd;

        *fd = -1;
        return stolen;
}

/*
 * Lock contracts for clang's -Wthread-safety; nothing to other compilers.
 * BM_CAPABILITY marks a lock's type, the rest functions. Fields cannot be
 * annotated in C with the clang we build with.
 */
#if defined(__clang__)
#define BM_ANNOTATE(x) __attribute__((x))
#else
#define BM_ANNOTATE(x)
#endif
#define BM_CAPABILITY(name)       BM_ANNOTATE(capability(name))
#define BM_ACQUIRES(...)          BM_ANNOTATE(acquire_capability(__VA_ARGS__))
#define BM_ACQUIRES_SHARED(...)   BM_ANNOTATE(acquire_shared_capability(__VA_ARGS__))
#define BM_RELEASES(...)          BM_ANNOTATE(release_capability(__VA_ARGS__))
#define BM_RELEASES_SHARED(...)   BM_ANNOTATE(release_shared_capability(__VA_ARGS__))
#define BM_REQUIRES(...)          BM_ANNOTATE(requires_capability(__VA_ARGS__))
#define BM_REQUIRES_SHARED(...)   BM_ANNOTATE(requires_shared_capability(__VA_ARGS__))
#define BM_EXCLUDES(...)          BM_ANNOTATE(locks_excluded(__VA_ARGS__))
#define BM_NO_THREAD_SAFETY_CHECK BM_ANNOTATE(no_thread_safety_analysis)

#endif
