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
                    "compaction on",
        .threads = true,
        .open = ours_open,
        .close = ours_close,
        .attach = ours_attach,
        .detach = ours_detach,
        .insert = ours_insert,
        .get = ours_get,
        .ref = ours_ref,
        .del = ours_del,
        .scan = ours_scan,
        .sync = ours_sync,
};
