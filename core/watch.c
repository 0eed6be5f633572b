/* SPDX-License-Identifier: MIT */
/* See watch.h. */
#include "watch.h"

#include <errno.h>

void bm_watch_init(struct bm_watch *watch)
{
        pthread_mutex_init(&watch->lock, NULL);
}

static void clear(struct bm_watch *watch)
{
        bm_id_set_deinit(&watch->heads);
        bm_id_set_deinit(&watch->maps);
        watch->failed = false;
}

void bm_watch_deinit(struct bm_watch *watch)
{
        clear(watch);
        pthread_mutex_destroy(&watch->lock);
}

void bm_watch_begin(struct bm_watch *watch)
{
        atomic_store(&watch->on, true);
}

void bm_watch_end(struct bm_watch *watch)
{
        pthread_mutex_lock(&watch->lock);
        atomic_store(&watch->on, false);
        clear(watch);
        pthread_mutex_unlock(&watch->lock);
}

void bm_watch_note(struct bm_watch *watch, const struct bm_record *record)
{
        struct bm_map_entry entry;
        struct bm_head head;
        bool is_head = record->type == BM_REC_HEAD &&
                       bm_head_decode(&head, record->value, record->value_len) == 0;
        bool is_map = record->type == BM_REC_MAP &&
                      bm_map_entry_decode(&entry, record->value, record->value_len) == 0;
        if (!is_head && !is_map)
                return;
        pthread_mutex_lock(&watch->lock);
        /* else the check ended in between */
        if (atomic_load(&watch->on) && (is_head ? bm_id_set_add(&watch->heads, head.data_id)
                                                : bm_id_set_add(&watch->maps, entry.map_id)) < 0)
                watch->failed = true;
        pthread_mutex_unlock(&watch->lock);
}

static int has(struct bm_watch *watch, const struct bm_id_set *set, uint64_t id)
{
        pthread_mutex_lock(&watch->lock);
        int r = watch->failed ? -ENOMEM : bm_id_set_has(set, id);
        pthread_mutex_unlock(&watch->lock);
        return r;
}

int bm_watch_has_head(struct bm_watch *watch, uint64_t data_id)
{
        return has(watch, &watch->heads, data_id);
}

int bm_watch_has_map(struct bm_watch *watch, uint64_t map_id)
{
        return has(watch, &watch->maps, map_id);
}
