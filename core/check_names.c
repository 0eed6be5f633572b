/* SPDX-License-Identifier: MIT */
/*
 * The names' part of a check: the names that the walk of the maps met are held
 * against what the records that are kept by their ids say of them.
 *
 * Beside writers the two are seen at different times. What was written since
 * the check began is not judged, nor anything once a name was moved: the walk
 * may have met it twice, or never.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "check_private.h"
#include "map.h"
#include "store.h"

/* A record with names that were met. */
struct bm_check_named {
        uint64_t record_id;
        uint32_t n_names;
        bool seen; /* the record, too */
        UT_hash_handle hh;
        struct bm_check_where where; /* the first name met */
        char key_and_path[];
};

static struct bm_check_named *find(struct bm_checker *c, uint64_t record_id)
{
        struct bm_check_named *n;
        HASH_FIND(hh, c->named, &record_id, sizeof(record_id), n);
        return n;
}

int bm_check_name(struct bm_checker *c, const struct bm_check_where *where, uint64_t record_id)
{
        struct bm_check_named *n = find(c, record_id);
        if (n) {
                n->n_names++;
                return 0;
        }
        n = calloc(1, sizeof(*n) + where->key_len + strlen(where->path) + 1);
        if (!n)
                return -ENOMEM;
        n->record_id = record_id;
        n->n_names = 1;
        n->where = *where;
        n->where.key = n->key_and_path;
        n->where.path = n->key_and_path + where->key_len;
        memcpy(n->key_and_path, where->key, where->key_len);
        strcpy(n->key_and_path + where->key_len, where->path);
        HASH_ADD(hh, c->named, record_id, sizeof(n->record_id), n);
        if (!n->hh.tbl) {
                free(n);
                return -ENOMEM;
        }
        return 0;
}

/* Whether something got another key since the check began. */
static bool moved(const struct bm_checker *c)
{
        return atomic_load(&c->store->n_moves) != c->n_moves;
}

void bm_check_name_of(struct bm_checker *c, const void *key, size_t key_len,
                      struct bm_check_where *where)
{
        struct bm_check_named *n = key_len == 8 ? find(c, bm_load_le64(key)) : NULL;
        if (!n)
                return;
        n->seen = true;
        *where = n->where;
}

void bm_check_links(struct bm_checker *c, const struct bm_record *r, uint64_t version)
{
        struct bm_check_where where = {.path = ""};
        if (r->key_len != 8 || bm_load_le64(r->key) != r->record_id) {
                bm_check_report(c, BM_CHECK_STRUCTURE, NULL,
                                "record %" PRIu64 " of several names is kept under another id",
                                r->record_id);
                return;
        }
        bm_check_name_of(c, r->key, r->key_len, &where);
        const struct bm_check_named *n = find(c, r->record_id);
        const uint32_t n_names = n ? n->n_names : 0;
        if (n_names == r->links || version >= c->began || moved(c))
                return;
        bm_check_report(c, BM_CHECK_STRUCTURE, &where,
                        "record %" PRIu64 " has %" PRIu32 " names, and says %" PRIu32, r->record_id,
                        n_names, r->links);
}

/* Whether the name still leads to that record, and nothing is there. */
static bool leads_nowhere(struct bm_checker *c, const struct bm_check_named *n)
{
        struct bm_map *map = bm_maps_get(&c->store->maps, n->where.map_id);
        if (!map)
                return false;
        const struct bm_ref ref = {.map = map,
                                   .key = n->where.key,
                                   .key_len = n->where.key_len,
                                   .record_id = n->record_id};
        struct bm_view view;
        bool nowhere = bm_read_ref(&ref, &view) == -EIO;
        (void)!bm_view_release(&view);
        bm_maps_put(&c->store->maps, map);
        return nowhere;
}

void bm_check_names_left(struct bm_checker *c)
{
        for (const struct bm_check_named *n = c->named; n; n = n->hh.next) {
                if (!n->seen && leads_nowhere(c, n))
                        bm_check_report(c, BM_CHECK_STRUCTURE, &n->where,
                                        "is a name of record %" PRIu64 ", which is not there",
                                        n->record_id);
        }
}

void bm_check_names_free(struct bm_checker *c)
{
        struct bm_check_named *n, *next;
        HASH_ITER(hh, c->named, n, next)
        {
                HASH_DEL(c->named, n);
                free(n);
        }
}
