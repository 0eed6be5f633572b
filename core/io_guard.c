/* SPDX-License-Identifier: MIT */
#include "io_guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "io_mapped.h"

struct guard {
        sigjmp_buf back;
        uintptr_t first, last;
};

/* What this thread is about to touch, for its own handler: volatile suffices. */
static _Thread_local struct guard *volatile guarded;

static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Whether it is a page that a load or store met: nothing that was sent, and
 * no news of a bad page that nobody touched. */
static bool is_fault(const siginfo_t *info)
{
        return info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR ||
               info->si_code == BUS_MCEERR_AR;
}

/* Whatever would have happened without this handler. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
        if (before.sa_flags & SA_SIGINFO) {
                before.sa_sigaction(signal, info, context);
                return;
        }
        if (before.sa_handler == SIG_IGN && info->si_code <= 0) /* sent by somebody */
                return;
        if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
                before.sa_handler(signal);
                return;
        }
        (void)sigaction(SIGBUS, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        /* a fault is repeated at the return, and ends the process; others are not */
        if (!is_fault(info))
                (void)raise(signal);
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
        struct guard *g = guarded;
        uintptr_t at = (uintptr_t)info->si_addr;
        int saved = errno;

        if (is_fault(info)) {
                if (g && at >= g->first && at <= g->last)
                        siglongjmp(g->back, 1);
                if (bm_mapped_replace(at)) {
                        errno = saved;
                        return; /* the load is repeated, and gets zeros */
                }
        }
        pass_on(signal, info, context);
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

int bm_guard_mapping(void *base, size_t len)
{
        (void)pthread_once(&once, install);
        return bm_mapped_add(base, len);
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
                /* a reader may have met the bad page first */
                return bm_mapped_intact(dst, len) ? 0 : -EIO;
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
