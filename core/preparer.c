/* SPDX-License-Identifier: MIT */
/* See preparer.h. */
#include "preparer.h"

#include <pthread.h>

#include "keeper.h"
#include "pace.h"
#include "space.h"
#include "store.h"

static void *preparer_thread(void *ctx)
{
        struct bm_store *store = ctx;
        pthread_setname_np(pthread_self(), "bm-preparer");
        pthread_mutex_lock(&store->preparer_lock);
        while (!store->preparer_stop) {
                if (!store->preparer_wanted) {
                        pthread_cond_wait(&store->preparer_changed, &store->preparer_lock);
                        continue;
                }
                store->preparer_wanted = false;
                pthread_mutex_unlock(&store->preparer_lock);
                /* without room this is the writer's to meet, and to report; and to wait for */
                uint64_t capacity = bm_pos_number(bm_log_tail(&store->log));
                bm_pace_set_for(store, capacity);
                if (!bm_pace_is_over(store))
                        (void)bm_space_prepare(store, capacity);
                bm_keeper_wake(store);
                pthread_mutex_lock(&store->preparer_lock);
        }
        pthread_mutex_unlock(&store->preparer_lock);
        return NULL;
}

int bm_preparer_start(struct bm_store *store)
{
        int r = pthread_create(&store->preparer, NULL, preparer_thread, store);
        store->preparer_running = r == 0;
        return -r;
}

void bm_preparer_wake(void *ctx)
{
        struct bm_store *store = ctx;
        pthread_mutex_lock(&store->preparer_lock);
        store->preparer_wanted = true;
        pthread_cond_signal(&store->preparer_changed);
        pthread_mutex_unlock(&store->preparer_lock);
}

void bm_preparer_stop(struct bm_store *store)
{
        if (!store->preparer_running)
                return;
        pthread_mutex_lock(&store->preparer_lock);
        store->preparer_stop = true;
        pthread_cond_signal(&store->preparer_changed);
        pthread_mutex_unlock(&store->preparer_lock);
        pthread_join(store->preparer, NULL);
        store->preparer_running = false;
}
