/* SPDX-License-Identifier: MIT */
/* A store that is not mounted, through the library. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "transfer.h"
#include "tree_links.h"

/* A map on the way down. */
struct frame {
        struct bm_map *map;
        struct bm_cursor *cursor;
        size_t path_len;
        struct frame *above;
};

struct walk {
        const struct export *export;
        struct bm_store *store;
        struct fs_attr_defaults defaults;
        struct tree_path path;
        struct tree_links links;
        struct frame *frame;
};

static const char *path_of(const struct walk *walk)
{
        return walk->path.text ? walk->path.text : "";
}

static void failed(const struct walk *walk, int result)
{
        walk->export->failed(walk->export->ctx, path_of(walk), transfer_reason(result));
}

static int read_value(void *ctx, uint64_t offset, void *buf, size_t len, size_t *done)
{
        return bm_read_at(ctx, offset, buf, len, done);
}

static int find_data(void *ctx, uint64_t offset, uint64_t *from, uint64_t *to)
{
        int result = bm_seek_data(ctx, offset, from);

        return result ? result : bm_seek_hole(ctx, *from, to);
}

/* As stat shows it: what came and went in the map counts. */
static void apply_map_time(struct fs_attr *attr, struct bm_map *map)
{
        struct bm_map_info info;

        if (!bm_map_info(map, &info) && info.changed_ns > attr->ctime)
                attr->mtime = info.changed_ns;
}

static int fill(const struct walk *walk, const struct bm_view *view, struct tree_entry *entry)
{
        size_t used = 0;
        int result = fs_attr_of_view(view, &walk->defaults, &entry->attr);

        if (!result && view->meta_len)
                result = fs_attr_decode(view->meta, view->meta_len, &entry->attr, &used);
        if (!result && S_ISDIR(entry->attr.mode) != (view->map_id != 0))
                result = -EIO;
        if (result)
                return result;
        entry->path = path_of(walk);
        if (used < view->meta_len) {
                entry->xattrs = (const uint8_t *)view->meta + used;
                entry->xattrs_len = view->meta_len - used;
        }
        /* only a file can have one on an ordinary filesystem, where tar would complain */
        entry->has_count = !view->map_id && (S_ISREG(entry->attr.mode) || view->count != 1);
        entry->count = view->count;
        entry->size = view->size;
        entry->allocated = view->large ? view->allocated : view->size;
        return 0;
}

static int give_link(const struct walk *walk, const struct bm_view *view, struct tree_entry *entry)
{
        char *target;
        int result;

        if (!view->value) {
                failed(walk, -EIO);
                return 0;
        }
        target = strndup(view->value, view->size);
        if (!target)
                return -ENOMEM;
        if (bm_view_intact(view)) {
                free(target);
                failed(walk, -EIO);
                return 0;
        }
        entry->target = target;
        result = walk->export->entry(walk->export->ctx, entry, NULL);
        free(target);
        return result;
}

static int descend(struct walk *walk, struct bm_map *map)
{
        struct frame *frame = malloc(sizeof(*frame));
        int result = frame ? 0 : -ENOMEM;

        if (!result) {
                *frame = (struct frame){
                        .map = map, .path_len = walk->path.len, .above = walk->frame};
                result = bm_cursor_open(map, 0, &frame->cursor);
        }
        if (result) {
                free(frame);
                bm_map_close(map);
                return result;
        }
        walk->frame = frame;
        return 0;
}

static void ascend(struct walk *walk)
{
        struct frame *frame = walk->frame;

        bm_cursor_close(frame->cursor);
        bm_map_close(frame->map);
        walk->frame = frame->above;
        free(frame);
}

static int give_map(struct walk *walk, const struct bm_view *view, struct tree_entry *entry)
{
        struct bm_map *map;
        int result = bm_map_open(walk->store, view->map_id, &map);

        if (result) {
                failed(walk, result);
                return 0;
        }
        apply_map_time(&entry->attr, map);
        result = walk->export->entry(walk->export->ctx, entry, NULL);
        if (result)
                bm_map_close(map);
        else
                result = descend(walk, map);
        return result;
}

/* The record of REF, which VIEW shows, at the walk's path. */
static int give(struct walk *walk, const struct bm_ref *ref, const struct bm_view *view)
{
        struct tree_entry entry = {0};
        struct tree_value value;
        int result = fill(walk, view, &entry);

        if (result) {
                failed(walk, result);
                return 0;
        }
        if (view->map_id)
                return give_map(walk, view, &entry);
        result = tree_links_meet(&walk->links, view->record_id, view->links, entry.path,
                                 &entry.first);
        if (result)
                return result;
        if (S_ISLNK(entry.attr.mode))
                return give_link(walk, view, &entry);
        value = (struct tree_value){.read = read_value, .find = find_data, .ctx = (void *)ref};
        result = walk->export->entry(walk->export->ctx, &entry, &value);
        if (!result && bm_view_intact(view)) /* its attributes came from there until now */
                failed(walk, -EIO);
        return result;
}

/* The next record of the map that the walk is in. */
static int step(struct walk *walk)
{
        struct frame *frame = walk->frame;
        struct bm_item item;
        struct bm_ref ref;
        int result;

        tree_path_cut(&walk->path, frame->path_len);
        result = bm_cursor_next(frame->cursor, &item);
        if (result == BM_E_NOT_FOUND) {
                ascend(walk);
                return 0;
        }
        if (result == -EIO) {
                walk->export->failed(walk->export->ctx, path_of(walk),
                                     "a record in it is damaged: check tells more");
                return 0;
        }
        if (!result)
                result = tree_path_push(&walk->path, item.key, item.key_len);
        if (result)
                return result;
        ref = (struct bm_ref){frame->map, item.key, item.key_len, item.view.record_id};
        return give(walk, &ref, &item.view);
}

static int walk_below(struct walk *walk)
{
        int result = 0;

        while (!result && walk->frame)
                result = step(walk);
        while (walk->frame)
                ascend(walk);
        return result;
}

/* Finds KEY from the root down; REF.map is to be closed. */
static int find(struct walk *walk, const char *key, struct bm_ref *ref, struct bm_view *view)
{
        const char *name;
        size_t len;
        int result;

        bm_root_ref(walk->store, ref);
        result = bm_read_ref(ref, view);
        ref->map = NULL;
        while (!result && (name = tree_path_next(&key, &len))) {
                struct bm_map *map;
                uint64_t map_id = view->map_id;

                bm_view_release(view);
                result = map_id ? bm_map_open(walk->store, map_id, &map) : -ENOTDIR;
                bm_map_close(ref->map);
                ref->map = NULL;
                if (result)
                        return result;
                *ref = (struct bm_ref){map, name, len, 0};
                result = len > BM_KEY_MAX ? -ENAMETOOLONG : bm_read_ref(ref, view);
                if (!result)
                        result = tree_path_push(&walk->path, name, len);
        }
        return result;
}

static int walk_key(struct walk *walk, const char *key)
{
        struct bm_view view = BM_VIEW_INIT;
        struct bm_ref ref;
        int result;

        tree_path_cut(&walk->path, 0);
        result = find(walk, key, &ref, &view);
        if (result) {
                walk->export->failed(walk->export->ctx, key,
                                     result == BM_E_NOT_FOUND ? "no such key"
                                                              : transfer_reason(result));
                result = 0;
        } else {
                result = give(walk, &ref, &view);
                if (!result)
                        result = walk_below(walk);
        }
        bm_view_release(&view);
        bm_map_close(ref.map);
        return result;
}

/* What a record has that the library made: as a mount shows it. */
static int init_defaults(struct walk *walk)
{
        struct fs_attr attr;
        struct bm_stats stats;
        struct bm_view view;
        struct bm_ref ref;
        int result = bm_stats(walk->store, &stats);

        if (result)
                return result;
        walk->defaults = (struct fs_attr_defaults){geteuid(), getegid(), stats.created_ns};
        bm_root_ref(walk->store, &ref);
        result = bm_read_ref(&ref, &view);
        if (result)
                return result;
        result = fs_attr_of_view(&view, &walk->defaults, &attr);
        bm_view_release(&view);
        if (!result) {
                walk->defaults.uid = attr.uid;
                walk->defaults.gid = attr.gid;
        }
        return result;
}

int export_store(struct bm_store *store, const struct export *export)
{
        struct walk walk = {.export = export, .store = store};
        int result = init_defaults(&walk);

        if (!result && !export->keys[0])
                result = walk_key(&walk, "");
        for (size_t i = 0; !result && export->keys[i]; i++)
                result = walk_key(&walk, export->keys[i]);
        tree_links_deinit(&walk.links);
        tree_path_deinit(&walk.path);
        return result > 0 ? -EIO : result;
}
