/* SPDX-License-Identifier: MIT */
#include "chores.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "reply.h"

struct fs_chores {
        /* constant */
        struct fs *fs;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        /* guarded by lock */
        struct fs_chore *waiting;
        bool stop;
        bool running;
        pthread_t thread;
};

static void interrupt(struct fs *fs, struct fs_chore *chore)
{
        if (chore->interrupted)
                chore->interrupted(fs, chore);
        else
                fs_reply(chore->req, -EINTR);
}

/* True when it is over. */
static bool take_turn(struct fs *fs, struct fs_chore *chore)
{
        bool over = fuse_req_interrupted(chore->req);

        if (over)
                interrupt(fs, chore);
        else
                over = chore->step(fs, chore);
        if (over)
                chore->free(fs, chore);
        return over;
}

static void *run(void *ctx)
{
        struct fs_chores *chores = ctx;

        pthread_mutex_lock(&chores->lock);
        while (!chores->stop) {
                struct fs_chore *chore = chores->waiting;
                bool over;

                if (!chore) {
                        pthread_cond_wait(&chores->wake, &chores->lock);
                        continue;
                }
                DL_DELETE(chores->waiting, chore);
                pthread_mutex_unlock(&chores->lock);
                over = take_turn(chores->fs, chore);
                pthread_mutex_lock(&chores->lock);
                if (!over)
                        DL_APPEND(chores->waiting, chore);
        }
        pthread_mutex_unlock(&chores->lock);
        return NULL;
}

int fs_chores_new(struct fs *fs, struct fs_chores **choresp)
{
        struct fs_chores *chores = calloc(1, sizeof(*chores));

        if (!chores)
                return -ENOMEM;
        chores->fs = fs;
        pthread_mutex_init(&chores->lock, NULL);
        pthread_cond_init(&chores->wake, NULL);
        *choresp = chores;
        return 0;
}

void fs_chores_start(struct fs_chores *chores, struct fs_chore *chore)
{
        int result = 0;

        pthread_mutex_lock(&chores->lock);
        if (!chores->running) {
                result = -pthread_create(&chores->thread, NULL, run, chores);
                chores->running = !result;
        }
        if (!result) {
                DL_APPEND(chores->waiting, chore);
                pthread_cond_signal(&chores->wake);
        }
        pthread_mutex_unlock(&chores->lock);
        if (result) {
                fs_reply(chore->req, result);
                chore->free(chores->fs, chore);
        }
}

struct fs_chores *fs_chores_free(struct fs_chores *chores)
{
        struct fs_chore *chore, *next;

        if (!chores)
                return NULL;
        pthread_mutex_lock(&chores->lock);
        chores->stop = true;
        pthread_cond_signal(&chores->wake);
        pthread_mutex_unlock(&chores->lock);
        if (chores->running)
                pthread_join(chores->thread, NULL);
        DL_FOREACH_SAFE(chores->waiting, chore, next)
        {
                interrupt(chores->fs, chore);
                chore->free(chores->fs, chore);
        }
        pthread_cond_destroy(&chores->wake);
        pthread_mutex_destroy(&chores->lock);
        free(chores);
        return NULL;
}
