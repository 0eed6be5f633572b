/* SPDX-License-Identifier: MIT */
/* The embedded map as a backend: all but flush finishes inline. */
#include "backend.h"

static void map_root(void *ctx, struct bm_map **map, struct bm_ref *ref)
{
        *map = bm_root(ctx);
        bm_root_ref(ctx, ref);
}

static int map_open(void *ctx, uint64_t map_id, struct bm_map **map)
{
        return bm_map_open(ctx, map_id, map);
}

static void map_close(void *ctx, struct bm_map *map)
{
        bm_map_close(map);
}

static int map_info(void *ctx, struct bm_map *map, struct bm_map_info *info)
{
        return bm_map_info(map, info);
}

static int map_get(void *ctx, const struct bm_ref *ref, struct bm_view *view,
                   struct backend_call *call)
{
        return bm_read_ref(ref, view);
}

static int map_get_attr(void *ctx, const struct bm_ref *ref, struct bm_view *view,
                        struct backend_call *call)
{
        return bm_read_attr(ref, view);
}

static int map_read(void *ctx, const struct bm_ref *ref, uint64_t offset, void *buf, size_t len,
                    size_t *done, struct backend_call *call)
{
        return bm_read_at(ref, offset, buf, len, done);
}

static int map_put(void *ctx, const struct backend_new *new, uint64_t *record_id,
                   struct backend_call *call)
{
        return bm_create_record(new->map, new->key, new->key_len, new->value, new->value_len,
                                new->meta, new->meta_len, record_id);
}

static int map_put_map(void *ctx, const struct backend_new *new, uint64_t *map_id,
                       uint64_t *record_id, struct backend_call *call)
{
        return bm_map_create(new->map, new->key, new->key_len, new->meta, new->meta_len, map_id,
                             record_id);
}

static int map_update(void *ctx, struct bm_map *map, const void *key, size_t key_len,
                      bm_update_fn fn, void *fn_ctx)
{
        return bm_update(map, key, key_len, fn, fn_ctx);
}

static int map_write(void *ctx, const struct bm_ref *ref, const struct backend_write *write,
                     size_t *done, struct backend_call *call)
{
        return bm_write_at(ref, write->offset, write->bytes, write->len, write->meta_fn,
                           write->meta_ctx, done);
}

static int map_truncate(void *ctx, const struct bm_ref *ref, uint64_t size, bm_meta_fn fn,
                        void *fn_ctx, struct backend_call *call)
{
        return bm_truncate(ref, size, fn, fn_ctx);
}

static int map_seek(void *ctx, const struct bm_ref *ref, uint64_t offset, bool data,
                    uint64_t *found, struct backend_call *call)
{
        return data ? bm_seek_data(ref, offset, found) : bm_seek_hole(ref, offset, found);
}

static int map_punch(void *ctx, const struct bm_ref *ref, uint64_t offset, uint64_t len,
                     bm_meta_fn fn, void *fn_ctx, struct backend_call *call)
{
        return bm_punch(ref, offset, len, fn, fn_ctx);
}

static int map_allocate(void *ctx, const struct bm_ref *ref, uint64_t offset, uint64_t len,
                        unsigned flags, bm_meta_fn fn, void *fn_ctx, uint64_t *done,
                        struct backend_call *call)
{
        return bm_allocate(ref, offset, len, flags, fn, fn_ctx, done);
}

static int map_set_meta(void *ctx, const struct bm_ref *ref, bm_meta_fn fn, void *fn_ctx,
                        struct backend_call *call)
{
        return bm_set_meta(ref, fn, fn_ctx);
}

static int map_addref(void *ctx, const struct bm_ref *ref, int64_t delta, struct backend_call *call)
{
        return bm_count_add(ref, delta, NULL);
}

static int map_set_count(void *ctx, const struct bm_ref *ref, uint64_t count,
                         struct backend_call *call)
{
        return bm_count_set(ref, count);
}

static int map_remove(void *ctx, const struct bm_ref *ref, const struct bm_remove_args *args,
                      struct backend_call *call)
{
        return bm_remove(ref, args);
}

static int map_remove_map(void *ctx, struct bm_map *parent, const void *key, size_t key_len,
                          struct backend_call *call)
{
        return bm_map_remove(parent, key, key_len);
}

static int map_link(void *ctx, const struct bm_ref *from, struct bm_map *to_map, const void *to_key,
                    size_t to_key_len, bm_meta_fn fn, void *fn_ctx, struct backend_call *call)
{
        return bm_link(from, to_map, to_key, to_key_len, fn, fn_ctx);
}

static int map_rename(void *ctx, const struct bm_ref *from, struct bm_map *to_map,
                      const void *to_key, size_t to_key_len, struct bm_rename_args *args,
                      struct backend_call *call)
{
        return bm_rename(from, to_map, to_key, to_key_len, args);
}

static void map_id_ref(void *ctx, uint64_t record_id, uint8_t key[8], struct bm_ref *ref)
{
        bm_id_ref(ctx, record_id, key, ref);
}

static void map_orphan_ref(void *ctx, uint64_t record_id, uint8_t key[8], struct bm_ref *ref)
{
        bm_orphan_ref(ctx, record_id, key, ref);
}

static int map_orphan_release(void *ctx, uint64_t record_id)
{
        return bm_orphan_release(ctx, record_id);
}

static int map_list_open(void *ctx, struct bm_map *map, uint64_t from, struct bm_cursor **cursor)
{
        return bm_cursor_open_attr(map, from, cursor);
}

static int map_list_next(void *ctx, struct bm_cursor *cursor, struct bm_item *item)
{
        return bm_cursor_next(cursor, item);
}

static void map_list_close(void *ctx, struct bm_cursor *cursor)
{
        bm_cursor_close(cursor);
}

static void flushed(void *ctx, int result)
{
        struct backend_call *call = ctx;

        call->done(call, result);
}

static int map_flush(void *ctx, struct backend_call *call)
{
        if (!call)
                return bm_sync(ctx);
        bm_sync_start(ctx, flushed, call);
        return BACKEND_LATER;
}

static int map_statfs(void *ctx, struct bm_space *space, struct backend_call *call)
{
        return bm_space(ctx, space);
}

static int map_stats(void *ctx, struct bm_stats *stats)
{
        return bm_stats(ctx, stats);
}

static int map_segments(void *ctx, int (*fn)(void *fn_ctx, const struct bm_segment_info *info),
                        void *fn_ctx)
{
        return bm_segments(ctx, fn, fn_ctx);
}

static int map_check(void *ctx, const struct bm_check_args *args)
{
        return bm_check(ctx, args);
}

void backend_map_init(struct backend *backend, struct bm_store *store)
{
        *backend = (struct backend){
                .ctx = store,
                .root = map_root,
                .open_map = map_open,
                .close_map = map_close,
                .map_info = map_info,
                .get = map_get,
                .get_attr = map_get_attr,
                .read = map_read,
                .put = map_put,
                .put_map = map_put_map,
                .update = map_update,
                .write = map_write,
                .truncate = map_truncate,
                .seek = map_seek,
                .punch = map_punch,
                .allocate = map_allocate,
                .set_meta = map_set_meta,
                .addref = map_addref,
                .set_count = map_set_count,
                .remove = map_remove,
                .remove_map = map_remove_map,
                .link = map_link,
                .rename = map_rename,
                .id_ref = map_id_ref,
                .orphan_ref = map_orphan_ref,
                .orphan_release = map_orphan_release,
                .list_open = map_list_open,
                .list_next = map_list_next,
                .list_close = map_list_close,
                .flush = map_flush,
                .statfs = map_statfs,
                .stats = map_stats,
                .segments = map_segments,
                .check = map_check,
        };
}
