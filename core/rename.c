/* SPDX-License-Identifier: MIT */
/* Renaming and exchanging. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "links.h"
#include "names.h"
#include "store.h"
#include "view.h"

struct renaming {
        bool exclusive; /* the rename lock is held */
        const struct bm_ref *from;
        struct bm_rename_args *args;
        struct bm_map *victim_map;       /* locked; NULL: none was seen */
        struct bm_new_meta moved, other; /* of what is exchanged, or loses one of its names */
        struct bm_orphaning orphaning;
};

/* Locked. Whether map MAP_ID would come to lie within itself under TO. */
static bool is_within(struct bm_store *store, uint64_t map_id, const struct bm_map *to)
{
        uint64_t id = to->id, steps = bm_maps_n(&store->maps);
        while (steps-- > 0 && id != 0 && id != BM_MAP_ROOT && id != BM_MAP_TOP) {
                if (id == map_id)
                        return true;
                id = bm_maps_parent(&store->maps, id);
        }
        return false;
}

static int check_loop(struct bm_store *store, bool exclusive, const struct bm_found *moved,
                      const struct bm_map *to)
{
        struct bm_map_entry entry;
        if (moved->record.type != BM_REC_MAP)
                return 0;
        if (!exclusive)
                return BM_E_NEED_RENAME_LOCK;
        if (bm_map_entry_decode(&entry, moved->record.value, moved->record.value_len) != 0)
                return -EIO;
        return is_within(store, entry.map_id, to) ? BM_E_LOOP : 0;
}

/*
 * Locked. What the key of step FROM has is put under that of TO: its record, or
 * a name of it. *PUT becomes the step with the record, whose meta changes.
 */
static int put_under(struct bm_txn *txn, struct renaming *rn, size_t from, size_t to,
                     struct bm_new_meta *meta, size_t *put)
{
        int r = bm_txn_record(txn, from, put);
        if (r != 0)
                return r;
        const struct bm_found *found = &txn->steps[*put].found;
        struct bm_step *s = &txn->steps[to];
        s->action = BM_ACT_PUT;
        if (*put == from) {
                s->next = bm_same_record(found);
                *put = to;
        } else {
                s->next = bm_name_record(found->record.record_id);
                s = &txn->steps[*put];
                bm_put_again(s);
        }
        return bm_change_meta(rn->args->moved_fn, rn->args->meta_ctx, found, meta, &s->next);
}

static int fill_exchange(struct bm_txn *txn, struct renaming *rn)
{
        const struct bm_step *a = &txn->steps[0], *b = &txn->steps[1];
        size_t unused;
        if (!b->found.there)
                return BM_E_NOT_FOUND;
        int r = check_loop(txn->store, rn->exclusive, &a->found, b->target.map);
        if (r == 0)
                r = check_loop(txn->store, rn->exclusive, &b->found, a->target.map);
        if (r != 0)
                return r;
        rn->args->victim_id = b->found.record.record_id;
        r = put_under(txn, rn, 0, 1, &rn->moved, &unused);
        if (r == 0)
                r = put_under(txn, rn, 1, 0, &rn->other, &unused);
        txn->steps[0].moved = txn->steps[1].moved = true;
        return r;
}

/* Locked. What lies under the new name makes way; *COUNT gets its count. */
static int replace_victim(struct bm_txn *txn, struct renaming *rn, uint64_t *count)
{
        struct bm_rename_args *args = rn->args;
        const struct bm_found victim = txn->steps[1].found;
        const struct bm_found *from = &txn->steps[0].found;
        bool from_map = from->record.type == BM_REC_MAP;
        size_t record;
        int r;
        if (args->no_replace)
                return BM_E_EXISTS;
        if (victim.record.type == BM_REC_MAP) {
                if (!from_map)
                        return BM_E_IS_MAP;
                r = bm_map_check_empty(txn->store, &victim, rn->victim_map);
                if (r == 0)
                        txn->steps[0].replaced_map = rn->victim_map->id;
                return r;
        }
        if (from_map)
                return BM_E_NOT_MAP;
        args->victim_id = victim.record.record_id;
        r = bm_txn_record(txn, 1, &record);
        if (r != 0)
                return r;
        const struct bm_found was = txn->steps[record].found;
        *count = was.count;
        args->victim_links = was.links - 1;
        bm_drop_link(txn, 1, record);
        if (args->victim_links > 0)
                return bm_change_meta(args->moved_fn, args->meta_ctx, &was, &rn->other,
                                      &txn->steps[record].next);
        r = bm_large_drop_all(txn, &was.record, &rn->orphaning.drop);
        if (r == 0 && args->orphan_victim)
                r = bm_orphan_keep(txn, record, &rn->orphaning, args->victim_fn, args->meta_ctx);
        return r;
}

static int fill_rename(struct bm_txn *txn, void *ctx)
{
        struct renaming *rn = ctx;
        const struct bm_step *from = &txn->steps[0], *to = &txn->steps[1];
        uint64_t victims_count = 1;
        size_t put;
        rn->args->victim_id = 0;
        rn->args->victim_links = 0;
        bm_orphan_let_go(txn->store, &rn->orphaning);
        int r = bm_ref_check(rn->from, &from->found);
        if (r != 0)
                return r;
        if (to->found.there && to->found.record.record_id == from->found.record.record_id)
                return rn->args->no_replace ? BM_E_EXISTS : 0; /* two names of one record */
        if (rn->args->exchange)
                return fill_exchange(txn, rn);
        r = check_loop(txn->store, rn->exclusive, &from->found, to->target.map);
        if (r == 0 && to->found.there)
                r = replace_victim(txn, rn, &victims_count);
        if (r == 0)
                r = put_under(txn, rn, 0, 1, &rn->moved, &put);
        if (r != 0)
                return r;
        if (txn->steps[put].next.count == 1)
                txn->steps[put].next.count = victims_count;
        txn->steps[0].action = BM_ACT_DELETE;
        txn->steps[0].moved = true;
        return 0;
}

/* Peeks for a map under the new name, whose buckets must be locked to know it empty. */
static int run_rename(struct renaming *rn, struct bm_map *to_map, const void *to_key,
                      size_t to_key_len)
{
        struct bm_store *store = to_map->store;
        struct bm_txn txn;
        rn->victim_map = NULL;
        int r = rn->args->exchange ? 0 : bm_map_peek(to_map, to_key, to_key_len, &rn->victim_map);
        if (r < 0 || (r > 0 && r != BM_E_NOT_FOUND))
                return r;
        bm_txn_init(&txn, store);
        r = bm_txn_add(&txn, rn->from->map, rn->from->key, rn->from->key_len, NULL);
        if (r == 0)
                r = bm_txn_add(&txn, to_map, to_key, to_key_len, NULL);
        if (rn->victim_map)
                bm_txn_add_map(&txn, rn->victim_map);
        if (r == 0)
                r = bm_txn_run(&txn, fill_rename, rn);
        bm_txn_deinit(&txn);
        bm_maps_put(&store->maps, rn->victim_map);
        return r;
}

int bm_rename(const struct bm_ref *from, struct bm_map *to_map, const void *to_key,
              size_t to_key_len, struct bm_rename_args *args)
{
        struct bm_store *store = to_map->store;
        struct bm_view view;
        int r;
        if (!bm_map_is_user(from->map)) /* it is no name that could change */
                return -EINVAL;
        if (from->map == to_map && from->key_len == to_key_len &&
            memcmp(from->key, to_key, to_key_len) == 0) {
                args->victim_id = 0;
                args->victim_links = 0;
                r = bm_read_ref(from, &view);
                bm_view_release(&view);
                return r == 0 && args->no_replace ? BM_E_EXISTS : r;
        }
        struct renaming *rn = malloc(sizeof(*rn)); /* 200 KiB of room for metas */
        if (!rn)
                return -ENOMEM;
        rn->exclusive = false;
        rn->from = from;
        rn->args = args;
        rn->orphaning.held = 0;
        do {
                r = run_rename(rn, to_map, to_key, to_key_len);
                if (r == BM_E_NEED_RENAME_LOCK) {
                        pthread_mutex_lock(&store->rename_lock);
                        rn->exclusive = true;
                }
        } while (r == BM_E_LOOK_AGAIN || r == BM_E_NEED_RENAME_LOCK);
        if (rn->exclusive)
                pthread_mutex_unlock(&store->rename_lock);
        if (r != 0)
                bm_orphan_let_go(store, &rn->orphaning);
        free(rn);
        return r;
}
