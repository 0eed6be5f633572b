/* SPDX-License-Identifier: MIT */
#include "io_guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct guard {
        sigjmp_buf back;
        uintptr_t first, last;
};

/* What this thread is about to touch, for its own handler: volatile suffices. */
static _Thread_local struct guard *volatile guarded;

static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
        struct guard *g = guarded;
        uintptr_t at = (uintptr_t)info->si_addr;

        if (g && at >= g->first && at <= g->last)
                siglongjmp(g->back, 1);
        if (before.sa_flags & SA_SIGINFO) {
                before.sa_sigaction(signal, info, context);
        } else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN) {
                /* the access is repeated and ends the process, as it would have */
                (void)sigaction(SIGBUS, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        } else {
                before.sa_handler(signal);
        }
}

static void install(void)
{
        struct sigaction action = {
                .sa_sigaction = on_sigbus,
                /* not blocked within itself, for it is left by a jump that restores no mask */
                .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
        };

        /* can only fail for a bad signal number */
        (void)sigaction(SIGBUS, &action, &before);
}

/* The jump comes back here; nothing that changes in between is used after it. */
#define guard_begin(g, dst, len)                                                                   \
        ({                                                                                         \
                (void)pthread_once(&once, install);                                                \
                (g)->first = (uintptr_t)(dst);                                                     \
                (g)->last = (uintptr_t)(dst) + ((len)-1);                                          \
                guarded = (g);                                                                     \
                sigsetjmp((g)->back, 0) == 0;                                                      \
        })

int bm_guarded_copy(void *dst, const void *src, size_t len)
{
        struct guard g;

        if (len == 0)
                return 0;
        if (bm_likely(guard_begin(&g, dst, len))) {
                memcpy(dst, src, len);
                guarded = NULL;
                return 0;
        }
        guarded = NULL;
        return -EIO;
}

/* Of its own, so that no variable lives across the jump. */
static __attribute__((noinline)) void touch(uint8_t *first, size_t len, size_t page)
{
        uint8_t *last = first + len - 1;

        /* atomic, for somebody may be writing there; relaxed, for it changes nothing */
        for (uint8_t *at = first; at < last; at += page)
                __atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
        __atomic_fetch_or(last, 0, __ATOMIC_RELAXED);
}

int bm_guarded_touch(void *dst, size_t len, size_t page)
{
        struct guard g;

        if (len == 0)
                return 0;
        if (guard_begin(&g, dst, len)) {
                touch(dst, len, page);
                guarded = NULL;
                return 0;
        }
        guarded = NULL;
        return -EIO;
}
