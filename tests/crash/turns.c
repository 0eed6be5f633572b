/* SPDX-License-Identifier: MIT */
#include "turns.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "same_luck.h"
#include "trace.h"

enum { THREADS_MAX = 64, SPURIOUS = 32, NS_PER_SECOND = 1000000000 };

enum state { UNUSED, READY, WAITING, ENDED };

struct thread {
        enum state state;
        const void *waits_for; /* a lock, a condition, or a struct thread */
        bool timed, timed_out;
        uint64_t deadline; /* ns of same_luck's clock */
        sem_t turn;
        pthread_t real;
        void *(*start)(void *ctx);
        void *ctx;
};

static struct thread threads[THREADS_MAX];
static bool running;
static uint64_t luck;
static unsigned patience; /* one point in so many is a change of turn */
static _Thread_local struct thread *self;

#define declare(fn) __typeof__(fn) __real_##fn, __wrap_##fn
declare(pthread_create);
declare(pthread_join);
declare(pthread_mutex_lock);
declare(pthread_mutex_unlock);
declare(pthread_rwlock_rdlock);
declare(pthread_rwlock_wrlock);
declare(pthread_rwlock_unlock);
declare(pthread_cond_wait);
declare(pthread_cond_timedwait);
declare(pthread_cond_signal);
declare(pthread_cond_broadcast);
int __real_clock_gettime(clockid_t clock, struct timespec *t);

bool turns_running(void)
{
        return self != NULL;
}

unsigned turns_self(void)
{
        return self ? (unsigned)(self - threads) : 0;
}

static void report_deadlock(void)
{
        for (size_t i = 0; i < THREADS_MAX; i++) {
                if (threads[i].state == WAITING)
                        printf("# thread %zu waits for %p\n", i, threads[i].waits_for);
        }
        printf("# all threads wait for each other\n");
        fflush(stdout);
        abort();
}

/* One that can run; if there is none, after the time that it takes. */
static struct thread *choose(void)
{
        struct thread *ready[THREADS_MAX], *first = NULL;
        size_t n = 0;
        for (size_t i = 0; i < THREADS_MAX; i++) {
                struct thread *t = &threads[i];
                if (t->state == READY)
                        ready[n++] = t;
                else if (t->state == WAITING && t->timed &&
                         (!first || t->deadline < first->deadline))
                        first = t;
        }
        if (n > 0)
                return ready[rnd_below(&luck, n)];
        if (!first)
                report_deadlock();
        if (first->deadline > same_luck_now())
                same_luck_pass(first->deadline - same_luck_now());
        first->state = READY;
        first->timed_out = true;
        return first;
}

static void give_turn(struct thread *to)
{
        struct thread *me = self;
        if (to == me)
                return;
        sem_post(&to->turn);
        while (sem_wait(&me->turn) != 0)
                ;
}

static void wait_for(const void *what, const uint64_t *deadline)
{
        self->state = WAITING;
        self->waits_for = what;
        self->timed = deadline != NULL;
        self->timed_out = false;
        self->deadline = deadline ? *deadline : 0;
        give_turn(choose());
}

/* Whoever waits for it looks again. */
static void wake(const void *what, size_t n)
{
        size_t from = rnd_below(&luck, THREADS_MAX);
        for (size_t i = 0; i < THREADS_MAX && n > 0; i++) {
                struct thread *t = &threads[(from + i) % THREADS_MAX];
                if (t->state == WAITING && t->waits_for == what) {
                        t->state = READY;
                        n--;
                }
        }
}

void turns_point(void)
{
        if (self && rnd_below(&luck, patience) == 0)
                give_turn(choose());
}

void turns_sleep(uint64_t ns)
{
        uint64_t deadline = same_luck_now() + ns;
        if (self)
                wait_for(NULL, &deadline);
}

void turns_begin(uint64_t seed)
{
        luck = seed;
        patience = 1u << rnd_below(&luck, 6);
        running = true;
        self = &threads[0];
        *self = (struct thread){.state = READY};
        sem_init(&self->turn, 0, 0);
}

void turns_end(void)
{
        for (size_t i = 1; i < THREADS_MAX; i++) {
                if (threads[i].state != UNUSED) {
                        fprintf(stderr, "thread %zu was not joined\n", i);
                        abort();
                }
        }
        sem_destroy(&self->turn);
        self->state = UNUSED;
        self = NULL;
        running = false;
}

/* Threads */

static void *run(void *ctx)
{
        struct thread *me = ctx;
        self = me;
        while (sem_wait(&me->turn) != 0)
                ;
        void *result = me->start(me->ctx);
        me->state = ENDED;
        wake(me, THREADS_MAX);
        sem_post(&choose()->turn);
        return result;
}

int __wrap_pthread_create(pthread_t *real, const pthread_attr_t *attr, void *(*start)(void *),
                          void *ctx)
{
        size_t i = 1;
        if (!self)
                return __real_pthread_create(real, attr, start, ctx);
        while (i < THREADS_MAX && threads[i].state != UNUSED)
                i++;
        if (i == THREADS_MAX)
                return EAGAIN;
        struct thread *t = &threads[i];
        *t = (struct thread){.state = READY, .start = start, .ctx = ctx};
        sem_init(&t->turn, 0, 0);
        int r = __real_pthread_create(&t->real, attr, run, t);
        if (r != 0)
                t->state = UNUSED;
        *real = t->real;
        return r;
}

int __wrap_pthread_join(pthread_t real, void **result)
{
        struct thread *t = &threads[1];
        if (!self)
                return __real_pthread_join(real, result);
        while (t->state == UNUSED || !pthread_equal(t->real, real))
                t++;
        while (t->state != ENDED)
                wait_for(t, NULL);
        int r = __real_pthread_join(real, result);
        sem_destroy(&t->turn);
        t->state = UNUSED;
        return r;
}

/* Locks: only who has the turn looks at one, so nobody ever blocks in it */

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
        if (!self)
                return __real_pthread_mutex_lock(lock);
        turns_point();
        while (pthread_mutex_trylock(lock) != 0)
                wait_for(lock, NULL);
        return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
        int r = __real_pthread_mutex_unlock(lock);
        if (self) {
                wake(lock, THREADS_MAX);
                turns_point();
        }
        return r;
}

int __wrap_pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
        if (!self)
                return __real_pthread_rwlock_rdlock(lock);
        turns_point();
        while (pthread_rwlock_tryrdlock(lock) != 0)
                wait_for(lock, NULL);
        return 0;
}

int __wrap_pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
        if (!self)
                return __real_pthread_rwlock_wrlock(lock);
        turns_point();
        while (pthread_rwlock_trywrlock(lock) != 0)
                wait_for(lock, NULL);
        return 0;
}

int __wrap_pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
        int r = __real_pthread_rwlock_unlock(lock);
        if (self) {
                wake(lock, THREADS_MAX);
                turns_point();
        }
        return r;
}

/* Conditions */

static int wait_on(pthread_cond_t *cond, pthread_mutex_t *lock, const uint64_t *deadline)
{
        /* waiters must bear to be woken for nothing */
        bool for_nothing = rnd_below(&luck, SPURIOUS) == 0, timed_out = false;
        __real_pthread_mutex_unlock(lock);
        wake(lock, THREADS_MAX);
        if (for_nothing) {
                give_turn(choose());
        } else {
                wait_for(cond, deadline);
                timed_out = self->timed_out;
        }
        while (pthread_mutex_trylock(lock) != 0)
                wait_for(lock, NULL);
        return timed_out ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
        return self ? wait_on(cond, lock, NULL) : __real_pthread_cond_wait(cond, lock);
}

/* Threads without turns wait for real, and by same_luck's clock that would be for decades. */
static struct timespec real_moment(uint64_t deadline)
{
        const uint64_t now = same_luck_now();
        struct timespec t;
        __real_clock_gettime(CLOCK_MONOTONIC, &t);
        const uint64_t ns = (uint64_t)t.tv_nsec + (deadline > now ? deadline - now : 0);
        return (struct timespec){.tv_sec = t.tv_sec + (time_t)(ns / NS_PER_SECOND),
                                 .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
                                  const struct timespec *until)
{
        uint64_t deadline = same_luck_moment(until);
        if (self)
                return wait_on(cond, lock, &deadline);
        const struct timespec really = real_moment(deadline);
        return __real_pthread_cond_timedwait(cond, lock, &really);
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
        if (!self)
                return __real_pthread_cond_signal(cond);
        wake(cond, 1);
        return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
        if (!self)
                return __real_pthread_cond_broadcast(cond);
        wake(cond, THREADS_MAX);
        return 0;
}
