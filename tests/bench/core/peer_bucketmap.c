/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "bucketmap.h"
#include "peer.h"

static void *ours_open(const struct setup *setup)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        char path[4096];

        snprintf(path, sizeof(path), "%s/store", setup->dir);
        /* as the others are told how many buckets to have */
        config.expected_keys = setup->fresh ? setup->n_keys : 0;
        if (setup->fresh && bm_create(path, &config) != 0)
                return NULL;
        return bm_open(path, &config, &store) == 0 ? store : NULL;
}

static int ours_close(void *db)
{
        return bm_close(db);
}

static void *ours_attach(void *db)
{
        return bm_root(db);
}

static int ours_detach(void *session)
{
        return 0;
}

static int ours_insert(void *session, const void *key, size_t key_len, const void *value,
                       size_t len, uint64_t count)
{
        return bm_insert(session, key, key_len, value, len, count);
}

/* A large value is read in pieces, as any user of the library has to. */
static int look_large(struct bm_map *map, const void *key, size_t key_len,
                      const struct bm_view *view, look_fn look, void *ctx)
{
        static _Thread_local char buf[PACKED_MAX];
        struct bm_ref ref = {.map = map, .key = key, .key_len = key_len};
        size_t done;

        if (bm_read_at(&ref, 0, buf, view->size, &done) != 0 || done != view->size)
                return -1;
        look(ctx, buf, done, view->count);
        return 0;
}

static int ours_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct bm_view view;
        int result = bm_read_value(session, key, key_len, &view);

        if (result != 0)
                return result == BM_E_NOT_FOUND ? 0 : -1;
        result = 0;
        if (view.large)
                result = look_large(session, key, key_len, &view, look, ctx);
        else
                look(ctx, view.value, view.size, view.count);
        bm_view_release(&view);
        return result == 0 ? 1 : result;
}

static int ours_ref(void *session, const void *key, size_t key_len)
{
        return bm_addref(session, key, key_len, NULL);
}

static int ours_get_many(void *session, const struct peer_key *keys, size_t n, look_fn look,
                         void *const *ctxs)
{
        struct bm_key ours[MANY] = {{0}};
        struct bm_view views[MANY];
        int results[MANY], result = 0;

        for (size_t i = 0; i < n; i++)
                ours[i] = (struct bm_key){keys[i].key, keys[i].len};
        bm_read_values(session, ours, n, views, results);
        for (size_t i = 0; i < n; i++) {
                if (results[i] == 0 && views[i].large)
                        results[i] = look_large(session, keys[i].key, keys[i].len, &views[i], look,
                                                ctxs[i]);
                else if (results[i] == 0)
                        look(ctxs[i], views[i].value, views[i].size, views[i].count);
                if (results[i] != 0)
                        result = -1;
                bm_view_release(&views[i]);
        }
        return result;
}

/* All or nothing. */
static int ours_ref_many(void *session, const struct peer_key *keys, size_t n)
{
        struct bm_write_batch *batch;
        int result = bm_write_batch_new(bm_map_store(session), &batch);

        if (result != 0)
                return result;
        for (size_t i = 0; i < n && result == 0; i++)
                result = bm_write_batch_addref(batch, session, keys[i].key, keys[i].len, 1);
        if (result == 0)
                result = bm_write_batch_commit(batch);
        bm_write_batch_free(batch);
        return result;
}

static int ours_del(void *session, const void *key, size_t key_len)
{
        int result = bm_delete_key(session, key, key_len);

        return result == 0 ? 1 : result == BM_E_NOT_FOUND ? 0 : -1;
}

static int ours_scan(void *session, look_fn look, void *ctx)
{
        struct bm_cursor *cursor;
        struct bm_item item;
        int result = bm_cursor_open(session, 0, &cursor);

        if (result != 0)
                return result;
        while (result == 0 && (result = bm_cursor_next(cursor, &item)) == 0) {
                if (item.view.large)
                        result = look_large(session, item.key, item.key_len, &item.view, look, ctx);
                else
                        look(ctx, item.view.value, item.view.size, item.view.count);
        }
        bm_cursor_close(cursor);
        return result == BM_E_NOT_FOUND ? 0 : result;
}

static int ours_sync(void *session)
{
        return bm_sync(bm_map_store(session));
}

const struct peer peer_bucketmap = {
        .name = "bucketmap",
        .settings = "told the number of keys; else defaults: commit interval 5 s, checkpoints and "
                    "compaction on; many at once by bm_read_values and atomic write batches",
        .threads = true,
        .open = ours_open,
        .close = ours_close,
        .attach = ours_attach,
        .detach = ours_detach,
        .insert = ours_insert,
        .get = ours_get,
        .ref = ours_ref,
        .get_many = ours_get_many,
        .ref_many = ours_ref_many,
        .del = ours_del,
        .scan = ours_scan,
        .sync = ours_sync,
};
