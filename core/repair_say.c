/* SPDX-License-Identifier: MIT */
/* What a repair says of a key, with the path to it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_private.h"
#include "repair_private.h"
#include "store.h"

enum { PATH_ROOM = 8192 };

struct name_of_map {
        uint64_t map_id;
        char *name;
        bool failed;
};

static int is_its_entry(void *ctx, const struct bm_item *item)
{
        struct name_of_map *n = ctx;
        if (item->view.map_id != n->map_id)
                return 0;
        n->name = strndup(item->key, item->key_len);
        return 1;
}

/* The names of the maps above, as far as they have one. */
static void path_of(struct bm_store *store, uint64_t map_id, char path[PATH_ROOM])
{
        size_t at = PATH_ROOM - 1;
        path[at] = 0;
        for (unsigned depth = 0; map_id >= BM_MAP_FIRST && depth < 1000; depth++) {
                struct name_of_map n = {.map_id = map_id};
                const uint64_t parent_id = bm_maps_parent(&store->maps, map_id);
                struct bm_map *parent = bm_maps_get(&store->maps, parent_id);
                char nameless[48];
                if (parent)
                        n.failed = bm_keys(parent, is_its_entry, &n) < 0;
                bm_maps_put(&store->maps, parent);
                snprintf(nameless, sizeof(nameless), "(map %llu)", (unsigned long long)map_id);
                const char *name = n.name ? n.name : nameless;
                const size_t len = strlen(name);
                const bool fits = len + 1 <= at;
                if (fits) {
                        path[--at] = '/';
                        at -= len;
                        memcpy(path + at, name, len);
                }
                free(n.name);
                if (!fits || name == nameless)
                        break;
                map_id = parent_id;
        }
        memmove(path, path + at, PATH_ROOM - at);
}

void bm_repair_say(struct bm_repair *rp, uint64_t map_id, const void *key, size_t key_len,
                   const char *fmt, ...)
{
        char message[600], path[PATH_ROOM];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        path_of(rp->store, map_id, path);
        const struct bm_finding finding = {
                .kind = BM_CHECK_RECORD,
                .map_id = map_id,
                .key = key_len ? key : NULL,
                .key_len = key_len,
                .path = bm_check_path(map_id, key_len ? key : NULL, path),
                .message = message,
        };
        rp->n_findings++;
        rp->args->finding(rp->args->ctx, &finding);
}
