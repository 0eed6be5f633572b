/* SPDX-License-Identifier: MIT */
#include "online_check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LEASE_SECONDS = 60, PATH_KEPT = 8000, MESSAGE_KEPT = 4000 };

struct fs_checker {
        const struct backend *backend;
        pthread_mutex_t lock;
        pthread_cond_t changed; /* the page was fetched, or the check given up */
        /* guarded by lock */
        pthread_t thread;
        bool started; /* there is a thread to join */
        bool running, cancel;
        uint64_t id;              /* of the last check */
        struct timespec asked_at; /* when somebody last wanted to know */
        struct fs_ioc_check page; /* what was not fetched yet */
};

/* Locked. */
static bool is_over(struct fs_checker *c)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - c->asked_at.tv_sec > LEASE_SECONDS)
                c->cancel = true;
        return c->cancel;
}

/* Locked. Until LEN more bytes fit into the page; false: nobody wants them any more. */
static bool await_room(struct fs_checker *c, size_t len)
{
        while (!is_over(c)) {
                struct timespec until = c->asked_at;

                if (sizeof(c->page.findings) - c->page.len >= len)
                        return true;
                until.tv_sec += LEASE_SECONDS + 1;
                pthread_cond_timedwait(&c->changed, &c->lock, &until);
        }
        return false;
}

/* A path's end says more than its beginning. */
static const char *tail_of(const char *path, size_t *len)
{
        *len = strlen(path);
        if (*len <= PATH_KEPT)
                return path;
        path += *len - PATH_KEPT;
        *len = PATH_KEPT;
        return path;
}

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct fs_checker *c = ctx;
        struct fs_ioc_finding f = {.map_id = finding->map_id, .kind = (uint8_t)finding->kind};
        size_t path_len, message_len = strnlen(finding->message, MESSAGE_KEPT);
        const char *path = tail_of(finding->path ? finding->path : "", &path_len);
        uint8_t *at;

        f.key_len = finding->key ? (uint8_t)finding->key_len : 0;
        f.path_len = (uint16_t)path_len;
        f.message_len = (uint16_t)message_len;
        f.size = (uint32_t)((sizeof(f) + f.key_len + path_len + message_len + 7) / 8 * 8);
        pthread_mutex_lock(&c->lock);
        if (await_room(c, f.size)) {
                at = c->page.findings + c->page.len;
                memset(at, 0, f.size);
                memcpy(at, &f, sizeof(f));
                at += sizeof(f);
                if (f.key_len)
                        memcpy(at, finding->key, f.key_len);
                memcpy(at + f.key_len, path, path_len);
                memcpy(at + f.key_len + path_len, finding->message, message_len);
                c->page.len += f.size;
                c->page.n_findings++;
        }
        pthread_mutex_unlock(&c->lock);
}

static int on_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes)
{
        struct fs_checker *c = ctx;
        int result;

        pthread_mutex_lock(&c->lock);
        c->page.done_bytes = done_bytes;
        c->page.total_bytes = total_bytes;
        result = is_over(c) ? -ECANCELED : 0;
        pthread_mutex_unlock(&c->lock);
        return result;
}

static void *run(void *ctx)
{
        struct fs_checker *c = ctx;
        const struct bm_check_args args = {
                .finding = on_finding, .progress = on_progress, .ctx = c};
        int result = c->backend->check(c->backend->ctx, &args);

        pthread_mutex_lock(&c->lock);
        c->page.result = result;
        c->page.finished = 1;
        c->running = false;
        pthread_mutex_unlock(&c->lock);
        return NULL;
}

int fs_checker_new(const struct backend *backend, struct fs_checker **checkerp)
{
        struct fs_checker *c = calloc(1, sizeof(*c));
        pthread_condattr_t attr;

        if (!c)
                return -ENOMEM;
        c->backend = backend;
        pthread_mutex_init(&c->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_cond_init(&c->changed, &attr);
        pthread_condattr_destroy(&attr);
        *checkerp = c;
        return 0;
}

int fs_checker_start(struct fs_checker *c, uint64_t *id)
{
        int error;

        pthread_mutex_lock(&c->lock);
        if (c->running) {
                error = c->cancel ? EAGAIN : EBUSY;
        } else {
                if (c->started) /* it has nothing left to do that needs the lock */
                        pthread_join(c->thread, NULL);
                memset(&c->page, 0, sizeof(c->page));
                c->cancel = false;
                clock_gettime(CLOCK_MONOTONIC, &c->asked_at);
                error = pthread_create(&c->thread, NULL, run, c);
                c->started = c->running = !error;
        }
        if (!error)
                *id = ++c->id;
        pthread_mutex_unlock(&c->lock);
        return -error;
}

int fs_checker_poll(struct fs_checker *c, struct fs_ioc_check *page)
{
        int result = -ESRCH;

        pthread_mutex_lock(&c->lock);
        if (page->id == c->id && c->started && !c->cancel) {
                clock_gettime(CLOCK_MONOTONIC, &c->asked_at);
                c->page.id = c->id;
                *page = c->page;
                c->page.len = c->page.n_findings = 0;
                pthread_cond_broadcast(&c->changed);
                result = 0;
        }
        pthread_mutex_unlock(&c->lock);
        return result;
}

/* Locked. */
static void cancel(struct fs_checker *c)
{
        c->cancel = true;
        pthread_cond_broadcast(&c->changed);
}

int fs_checker_cancel(struct fs_checker *c, uint64_t id)
{
        int result = -ESRCH;

        pthread_mutex_lock(&c->lock);
        if (id == c->id && c->started) {
                cancel(c);
                result = 0;
        }
        pthread_mutex_unlock(&c->lock);
        return result;
}

struct fs_checker *fs_checker_free(struct fs_checker *c)
{
        if (!c)
                return NULL;
        pthread_mutex_lock(&c->lock);
        cancel(c);
        pthread_mutex_unlock(&c->lock);
        if (c->started)
                pthread_join(c->thread, NULL);
        pthread_cond_destroy(&c->changed);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return NULL;
}
