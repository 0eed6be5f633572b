/* SPDX-License-Identifier: MIT */
/*
 * Verifying a store: every key's record through the index, map after map;
 * then the records that several of them name, and the chunks of large values,
 * by what was met on the way; then every record of every segment, needed or
 * not; then the copies of superblock and manifest. Writes nothing; may run beside readers and
 * writers, see watch.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_private.h"
#include "error.h"
#include "store.h"

/* Bytes between two calls of the caller's progress: a hundred small records, each of
 * which the disk may have to look for. */
enum { TELL_EVERY = 16 << 10 };

void bm_check_report(struct bm_checker *c, enum bm_check_kind kind, const struct bm_check_where *w,
                     const char *fmt, ...)
{
        static const struct bm_check_where nowhere = {.path = ""};
        char message[4600];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        w = w ? w : &nowhere;
        const struct bm_finding finding = {
                .kind = kind,
                .map_id = w->map_id,
                .key = w->key,
                .key_len = w->key_len,
                .path = bm_check_path(w->map_id, w->key, w->path),
                .message = message,
        };
        c->n_findings++;
        c->args->finding(c->args->ctx, &finding);
}

int bm_check_advance(struct bm_checker *c, uint64_t bytes)
{
        c->done += bytes;
        if (!c->args->progress || c->stopped || (bytes != 0 && c->done - c->told < TELL_EVERY))
                return c->stopped;
        c->told = c->done;
        c->stopped = c->args->progress(c->args->ctx, c->done, c->total);
        return c->stopped;
}

static int add_used(void *ctx, struct bm_segment *s)
{
        struct bm_checker *c = ctx;
        if (s->base && atomic_load(&s->state) != BM_SEGMENT_PREPARED)
                c->total += atomic_load(&s->used);
        return 0;
}

static void deinit(struct bm_checker *c)
{
        bm_id_set_deinit(&c->walked);
        bm_id_set_deinit(&c->dropped);
        bm_id_set_deinit(&c->strays);
        bm_check_names_free(c);
        free(c->chunks);
        free(c->places);
}

/* check_lock is held, and the watch is on. */
static int check_all(struct bm_checker *c)
{
        struct bm_store *store = c->store;
        c->last = &c->first;
        c->next_data = atomic_load(&store->next_data);
        c->next_map = atomic_load(&store->next_map);
        c->n_moves = atomic_load(&store->n_moves);
        c->began = store->read_only ? UINT64_MAX : bm_log_tail(&store->log);
        bm_drives_each(&store->drives, add_used, c);
        pthread_mutex_lock(&store->drives.lock);
        c->last_file_id = store->drives.highest_file_id;
        pthread_mutex_unlock(&store->drives.lock);
        c->total += bm_sum(store, BM_SUM_LIVE_BYTES);
        if (store->damage[0])
                bm_check_report(c, BM_CHECK_STRUCTURE, NULL, "%s", store->damage);
        int r = bm_check_keys(c);
        if (r == 0)
                r = bm_check_segments(c);
        if (r == 0)
                r = bm_check_superblocks(c);
        if (r == 0)
                r = bm_check_manifests(c);
        return r == 0 ? bm_check_advance(c, 0) : r;
}

int bm_check(struct bm_store *store, const struct bm_check_args *args)
{
        struct bm_checker c = {.store = store, .args = args};
        bm_problem_clear();
        pthread_mutex_lock(&store->check_lock);
        bm_watch_begin(&store->watch);
        int r = check_all(&c);
        bm_watch_end(&store->watch);
        pthread_mutex_unlock(&store->check_lock);
        deinit(&c);
        if (r != 0)
                return r;
        return c.n_findings ? BM_E_DAMAGED : 0;
}
