/* SPDX-License-Identifier: MIT */
#include "notifier.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

struct fs_notifier {
        struct fuse_session *session; /* constant */

        pthread_mutex_t lock;
        pthread_cond_t changed;
        /* guarded by lock */
        struct fs_notice *notices;
        pthread_t thread;
        bool running;
        bool telling; /* of one that is not among NOTICES any more */
        bool stopped;
};

/* Failures are of no interest: the kernel does not know the name, or is gone. */
static void tell(struct fuse_session *session, const struct fs_notice *notice)
{
        for (size_t i = 0; i < notice->n_stale; i++) {
                const struct fs_stale *stale = &notice->stale[i];
                bool last_of_dir = i + 1 == notice->n_stale || stale[1].dir != stale->dir;

                if (stale->name)
                        fuse_lowlevel_notify_inval_entry(session, stale->dir, stale->name,
                                                         strlen(stale->name));
                /* a negative offset: its attributes only, whoever has it open may read on */
                if (stale->ino)
                        fuse_lowlevel_notify_inval_inode(session, stale->ino,
                                                         stale->contents ? 0 : -1, 0);
                /* of a name that it does not know it may have a listing */
                if (last_of_dir)
                        fuse_lowlevel_notify_inval_inode(session, stale->dir, 0, 0);
        }
}

static void *run(void *ctx)
{
        struct fs_notifier *notifier = ctx;

        pthread_mutex_lock(&notifier->lock);
        for (;;) {
                struct fs_notice *notice = notifier->notices;

                if (!notice && notifier->stopped)
                        break;
                if (!notice) {
                        pthread_cond_wait(&notifier->changed, &notifier->lock);
                        continue;
                }
                LL_DELETE2(notifier->notices, notice, next_);
                notifier->telling = true;
                pthread_mutex_unlock(&notifier->lock);
                tell(notifier->session, notice);
                notice->done(notice);
                pthread_mutex_lock(&notifier->lock);
                notifier->telling = false;
                pthread_cond_broadcast(&notifier->changed);
        }
        pthread_mutex_unlock(&notifier->lock);
        return NULL;
}

int fs_notifier_new(struct fuse_session *session, struct fs_notifier **notifierp)
{
        struct fs_notifier *notifier = calloc(1, sizeof(*notifier));

        if (!notifier)
                return -ENOMEM;
        notifier->session = session;
        pthread_mutex_init(&notifier->lock, NULL);
        pthread_cond_init(&notifier->changed, NULL);
        *notifierp = notifier;
        return 0;
}

int fs_notifier_start(struct fs_notifier *notifier)
{
        int result = 0;

        pthread_mutex_lock(&notifier->lock);
        if (!notifier->running && !notifier->stopped) {
                result = -pthread_create(&notifier->thread, NULL, run, notifier);
                notifier->running = !result;
        }
        pthread_mutex_unlock(&notifier->lock);
        return result;
}

void fs_notifier_post(struct fs_notifier *notifier, struct fs_notice *notice)
{
        bool stopped;

        pthread_mutex_lock(&notifier->lock);
        stopped = notifier->stopped;
        if (!stopped) {
                LL_APPEND2(notifier->notices, notice, next_);
                pthread_cond_broadcast(&notifier->changed);
        }
        pthread_mutex_unlock(&notifier->lock);
        if (stopped)
                notice->done(notice);
}

void fs_notifier_stop(struct fs_notifier *notifier)
{
        pthread_mutex_lock(&notifier->lock);
        notifier->stopped = true;
        pthread_cond_broadcast(&notifier->changed);
        while (notifier->notices || notifier->telling)
                pthread_cond_wait(&notifier->changed, &notifier->lock);
        pthread_mutex_unlock(&notifier->lock);
}

struct fs_notifier *fs_notifier_free(struct fs_notifier *notifier)
{
        if (!notifier)
                return NULL;
        fs_notifier_stop(notifier);
        if (notifier->running)
                pthread_join(notifier->thread, NULL);
        pthread_cond_destroy(&notifier->changed);
        pthread_mutex_destroy(&notifier->lock);
        free(notifier);
        return NULL;
}
