/* SPDX-License-Identifier: MIT */
/*
 * What stores: the interface between the filesystem and a store of any kind.
 * The embedded map (backend_map.c) is the first.
 *
 * It is a table of operations with a context. Results are those of
 * bucketmap.h, where the functions of the same sense have the details: 0, a
 * negative errno, or an enum bm_error.
 *
 * An operation that takes a struct backend_call may finish later: it then
 * returns BACKEND_LATER, its arguments (results apart) are the caller's again,
 * and it calls call->done exactly once, from any thread, perhaps before it
 * returns. With a NULL call it finishes before it returns. All operations may
 * be called from many threads at once.
 */
#ifndef FS_BACKEND_H
#define FS_BACKEND_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "bucketmap.h"

#define BACKEND_LATER INT_MAX

struct backend_call {
        /* Must not call the backend. */
        void (*done)(struct backend_call *call, int result);
};

/* A record that is to be made. */
struct backend_new {
        struct bm_map *map;
        const void *key;
        size_t key_len;
        const void *value; /* at most 16 KiB */
        size_t value_len;
        const void *meta;
        size_t meta_len;
};

/* A part of a value that is to be written. */
struct backend_write {
        uint64_t offset;
        const void *bytes;
        size_t len;
        bm_meta_fn meta_fn; /* may be NULL */
        void *meta_ctx;
};

struct backend {
        void *ctx;

        /* Maps. A map that was opened is closed; the root's is never. */
        void (*root)(void *ctx, struct bm_map **map, struct bm_ref *ref);
        int (*open_map)(void *ctx, uint64_t map_id, struct bm_map **map);
        void (*close_map)(void *ctx, struct bm_map *map);
        int (*map_info)(void *ctx, struct bm_map *map, struct bm_map_info *info);

        /* Reading. The view is ended with bm_view_release. */
        int (*get)(void *ctx, const struct bm_ref *ref, struct bm_view *view,
                   struct backend_call *call);
        int (*get_attr)(void *ctx, const struct bm_ref *ref, struct bm_view *view,
                        struct backend_call *call);
        int (*read)(void *ctx, const struct bm_ref *ref, uint64_t offset, void *buf, size_t len,
                    size_t *done, struct backend_call *call);

        /* Making and changing */
        int (*put)(void *ctx, const struct backend_new *new, uint64_t *record_id,
                   struct backend_call *call);
        int (*put_map)(void *ctx, const struct backend_new *new, uint64_t *map_id,
                       uint64_t *record_id, struct backend_call *call);
        int (*update)(void *ctx, struct bm_map *map, const void *key, size_t key_len,
                      bm_update_fn fn, void *fn_ctx);
        int (*write)(void *ctx, const struct bm_ref *ref, const struct backend_write *write,
                     size_t *done, struct backend_call *call);
        int (*truncate)(void *ctx, const struct bm_ref *ref, uint64_t size, bm_meta_fn fn,
                        void *fn_ctx, struct backend_call *call);
        /* Holes; SEEK finds data, or else a hole. FLAGS: BM_ALLOCATE_... */
        int (*seek)(void *ctx, const struct bm_ref *ref, uint64_t offset, bool data,
                    uint64_t *found, struct backend_call *call);
        int (*punch)(void *ctx, const struct bm_ref *ref, uint64_t offset, uint64_t len,
                     bm_meta_fn fn, void *fn_ctx, struct backend_call *call);
        int (*allocate)(void *ctx, const struct bm_ref *ref, uint64_t offset, uint64_t len,
                        unsigned flags, bm_meta_fn fn, void *fn_ctx, uint64_t *done,
                        struct backend_call *call);
        int (*set_meta)(void *ctx, const struct bm_ref *ref, bm_meta_fn fn, void *fn_ctx,
                        struct backend_call *call);
        int (*addref)(void *ctx, const struct bm_ref *ref, int64_t delta,
                      struct backend_call *call);
        int (*set_count)(void *ctx, const struct bm_ref *ref, uint64_t count,
                         struct backend_call *call);

        /* Names */
        int (*remove)(void *ctx, const struct bm_ref *ref, const struct bm_remove_args *args,
                      struct backend_call *call);
        int (*remove_map)(void *ctx, struct bm_map *parent, const void *key, size_t key_len,
                          struct backend_call *call);
        int (*link)(void *ctx, const struct bm_ref *from, struct bm_map *to_map, const void *to_key,
                    size_t to_key_len, bm_meta_fn fn, void *fn_ctx, struct backend_call *call);
        int (*rename)(void *ctx, const struct bm_ref *from, struct bm_map *to_map,
                      const void *to_key, size_t to_key_len, struct bm_rename_args *args,
                      struct backend_call *call);

        /* Records that have, or had, several names (bm_view.by_id), and those that were removed
         * and kept; KEY is where REF's key goes. */
        void (*id_ref)(void *ctx, uint64_t record_id, uint8_t key[8], struct bm_ref *ref);
        void (*orphan_ref)(void *ctx, uint64_t record_id, uint8_t key[8], struct bm_ref *ref);
        int (*orphan_release)(void *ctx, uint64_t record_id);

        /* Listing, without values: as bm_cursor_*. */
        int (*list_open)(void *ctx, struct bm_map *map, uint64_t from, struct bm_cursor **cursor);
        int (*list_next)(void *ctx, struct bm_cursor *cursor, struct bm_item *item);
        void (*list_close)(void *ctx, struct bm_cursor *cursor);

        /* The whole store */
        int (*flush)(void *ctx, struct backend_call *call);
        int (*statfs)(void *ctx, struct bm_space *space, struct backend_call *call);
        int (*stats)(void *ctx, struct bm_stats *stats);
        int (*segments)(void *ctx, int (*fn)(void *fn_ctx, const struct bm_segment_info *info),
                        void *fn_ctx);
        int (*check)(void *ctx, const struct bm_check_args *args);
};

/* The embedded map; STORE stays the caller's and must outlive BACKEND. */
void backend_map_init(struct backend *backend, struct bm_store *store);

#endif
