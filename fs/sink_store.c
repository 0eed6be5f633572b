/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "sink.h"
#include "xattr.h"

struct sink_dir {
        struct bm_map *map;
        struct bm_ref ref; /* its entry in PARENT's map */
        char name[BM_KEY_MAX + 1];
};

struct store_sink {
        struct sink sink;
        struct bm_store *store;
        struct backend backend;
        struct fs_attr_defaults defaults;
        struct fs_put_who who;
        struct bm_ref ref; /* of the long value that is being written */
};

static struct store_sink *of(struct sink *sink)
{
        return (struct store_sink *)sink;
}

static int root(struct sink *sink, struct sink_dir **dirp, bool *empty)
{
        struct sink_dir *dir = calloc(1, sizeof(*dir));
        struct bm_map_info info;
        int result;

        if (!dir)
                return -ENOMEM;
        dir->map = bm_root(of(sink)->store);
        bm_root_ref(of(sink)->store, &dir->ref);
        result = bm_map_info(dir->map, &info);
        if (result) {
                free(dir);
                return result;
        }
        *empty = info.n_keys == 0;
        *dirp = dir;
        return 0;
}

/* The map under REF, which may have to be made. */
static int open_map(struct store_sink *sink, const struct bm_ref *ref, struct bm_map **map,
                    bool *made)
{
        struct fs_attr attr = fs_attr_new_dir();
        uint8_t meta[FS_ATTR_MAX];
        struct bm_view view;
        uint64_t map_id;
        int result = bm_read_ref(ref, &view);

        *made = result == BM_E_NOT_FOUND;
        if (*made) {
                result = bm_map_create(ref->map, ref->key, ref->key_len, meta,
                                       fs_attr_encode(&attr, meta), &map_id, NULL);
        } else if (!result) {
                map_id = view.map_id;
                bm_view_release(&view);
                if (!map_id)
                        return -ENOTDIR;
        }
        return result ? result : bm_map_open(sink->store, map_id, map);
}

static int enter(struct sink *sink, struct sink_dir *parent, const char *name,
                 struct sink_dir **dirp, bool *made)
{
        struct sink_dir *dir = calloc(1, sizeof(*dir));
        int result;

        if (!dir)
                return -ENOMEM;
        strcpy(dir->name, name);
        dir->ref = (struct bm_ref){parent->map, dir->name, strlen(name), 0};
        result = open_map(of(sink), &dir->ref, &dir->map, made);
        if (result)
                free(dir);
        else
                *dirp = dir;
        return result;
}

static void leave(struct sink *sink, struct sink_dir *dir)
{
        bm_map_close(dir->map);
        free(dir);
}

struct set {
        const struct store_sink *sink;
        const struct tree_entry *entry;
        int64_t changed_ns;
};

static int set_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct set *set = ctx;
        struct fs_attr attr;
        int result = fs_attr_of_view(now, &set->sink->defaults, &attr);

        if (result)
                return result;
        attr.mode = set->entry->attr.mode;
        attr.mtime = set->entry->attr.mtime;
        attr.atime = set->entry->attr.atime;
        if (set->sink->who.uid == 0) {
                attr.uid = set->entry->attr.uid;
                attr.gid = set->entry->attr.gid;
        }
        /* not before the last entry came: the map's time would count */
        attr.ctime = fs_time_now();
        if (attr.ctime < set->changed_ns)
                attr.ctime = set->changed_ns;
        *meta_len = fs_attr_encode(&attr, meta);
        memcpy((uint8_t *)meta + *meta_len, set->entry->xattrs, set->entry->xattrs_len);
        *meta_len += set->entry->xattrs_len;
        return 0;
}

static int set(struct sink *sink, struct sink_dir *dir, const struct tree_entry *entry)
{
        struct set set = {.sink = of(sink), .entry = entry};
        struct bm_map_info info;
        int result = bm_map_info(dir->map, &info);

        if (result)
                return result;
        set.changed_ns = info.changed_ns;
        return bm_set_meta(&dir->ref, set_meta, &set);
}

static int put(struct sink *sink, struct sink_dir *dir, const char *name,
               const struct tree_entry *entry, const void *value, size_t len)
{
        struct store_sink *s = of(sink);
        struct fs_put put = {.map = dir->map,
                             .key = name,
                             .key_len = strlen(name),
                             .value = value,
                             .value_len = len,
                             .has_count = entry->has_count,
                             .count = entry->count,
                             .mode = sink->mode};
        size_t meta_len;
        uint8_t *meta = sink_meta(entry, &meta_len), *checked = NULL;
        int result = -ENOMEM;

        if (meta)
                checked = malloc(FS_ATTR_MAX + meta_len);
        if (checked) {
                put.meta = checked;
                result = fs_put_meta(&s->who, meta, meta_len, checked, &put.meta_len);
        }
        if (!result)
                result = fs_put(&s->backend, &s->defaults, &put);
        free(checked);
        free(meta);
        if (result)
                return result;
        return put.kept ? SINK_KEPT : 0;
}

static int begin(struct sink *sink, struct sink_dir *dir, const char *name,
                 const struct tree_entry *entry)
{
        of(sink)->ref = (struct bm_ref){dir->map, name, strlen(name), 0};
        return put(sink, dir, name, entry, "", 0);
}

static int write_part(struct sink *sink, uint64_t offset, const void *bytes, size_t len)
{
        size_t done;

        return bm_write_at(&of(sink)->ref, offset, bytes, len, NULL, NULL, &done);
}

static int end(struct sink *sink, const struct tree_entry *entry, bool complete)
{
        return complete ? bm_truncate(&of(sink)->ref, entry->size, NULL, NULL) : 0;
}

/* Names what stands at PATH, by NAME in a map that is to be closed in any case. */
static int find(struct store_sink *s, const char *path, char name[BM_KEY_MAX + 1],
                struct bm_ref *ref)
{
        struct bm_map *map = bm_root(s->store);
        const char *part;
        int result = 0;
        size_t len;

        *ref = (struct bm_ref){.map = map, .key = name};
        while (!result && (part = tree_path_next(&path, &len))) {
                struct bm_view view;

                if (len > BM_KEY_MAX)
                        return -ENAMETOOLONG;
                if (ref->key_len) {
                        result = bm_read_ref(ref, &view);
                        if (result)
                                return result;
                        result = view.map_id ? bm_map_open(s->store, view.map_id, &map) : -ENOTDIR;
                        (void)!bm_view_release(&view);
                        if (result)
                                return result;
                        bm_map_close(ref->map);
                        ref->map = map;
                }
                memcpy(name, part, len);
                ref->key_len = len;
        }
        return ref->key_len ? 0 : BM_E_IS_MAP;
}

/* Whether both are names of one record. */
static bool is_same(const struct bm_ref *a, const struct bm_ref *b)
{
        struct bm_view x, y;
        bool same;

        if (bm_read_ref(a, &x))
                return false;
        same = !bm_read_ref(b, &y) && x.record_id == y.record_id;
        if (same)
                (void)!bm_view_release(&y);
        (void)!bm_view_release(&x);
        return same;
}

static int link_name(struct sink *sink, struct sink_dir *dir, const char *name, const char *path)
{
        struct bm_ref first, to = {dir->map, name, strlen(name), 0};
        char first_name[BM_KEY_MAX + 1];
        int result = find(of(sink), path, first_name, &first);

        if (!result)
                result = bm_link(&first, to.map, to.key, to.key_len, NULL, NULL);
        if (result == BM_E_EXISTS && sink->mode == FS_PUT_KEEP) {
                result = SINK_KEPT;
        } else if (result == BM_E_EXISTS && sink->mode == FS_PUT_REPLACE) {
                result = 0;
                if (!is_same(&first, &to)) {
                        result = bm_delete_key(to.map, to.key, to.key_len);
                        if (!result)
                                result = bm_link(&first, to.map, to.key, to.key_len, NULL, NULL);
                }
        }
        bm_map_close(first.map);
        return result;
}

static int finish(struct sink *sink)
{
        return bm_sync(of(sink)->store);
}

static void free_sink(struct sink *sink)
{
        free(sink);
}

/* What a record has that the library made: the root's owner. */
static void init_defaults(struct store_sink *sink)
{
        struct fs_attr attr;
        struct bm_view view;
        struct bm_ref ref;

        sink->defaults = (struct fs_attr_defaults){geteuid(), getegid(), fs_time_now()};
        bm_root_ref(sink->store, &ref);
        if (bm_read_ref(&ref, &view))
                return;
        if (!fs_attr_of_view(&view, &sink->defaults, &attr)) {
                sink->defaults.uid = attr.uid;
                sink->defaults.gid = attr.gid;
        }
        bm_view_release(&view);
}

int sink_store_new(struct bm_store *store, struct sink **sinkp)
{
        struct store_sink *sink = calloc(1, sizeof(*sink));

        if (!sink)
                return -ENOMEM;
        sink->sink = (struct sink){.root = root,
                                   .enter = enter,
                                   .set = set,
                                   .leave = leave,
                                   .put = put,
                                   .begin = begin,
                                   .write = write_part,
                                   .end = end,
                                   .link = link_name,
                                   .finish = finish,
                                   .free = free_sink};
        sink->store = store;
        sink->who = (struct fs_put_who){geteuid(), getegid()};
        backend_map_init(&sink->backend, store);
        init_defaults(sink);
        *sinkp = &sink->sink;
        return 0;
}
