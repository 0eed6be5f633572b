/* SPDX-License-Identifier: MIT */
/* Making and taking away: removal of values, making and removal of maps. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "links.h"
#include "names.h"
#include "store.h"
#include "view.h"

int bm_change_meta(bm_meta_fn fn, void *ctx, const struct bm_found *found, struct bm_new_meta *meta,
                   struct bm_record *next)
{
        const struct bm_record *was = &found->record;
        struct bm_view view;
        next->meta = was->meta;
        next->meta_len = was->meta_len;
        if (!fn)
                return 0;
        int r = bm_view_init(&view, found);
        if (r < 0)
                return r;
        if (was->meta_len)
                memcpy(meta->bytes, was->meta, was->meta_len);
        meta->len = was->meta_len;
        r = fn(ctx, &view, meta->bytes, &meta->len);
        if (r < 0)
                return r;
        assert(meta->len <= BM_META_MAX);
        next->meta = meta->bytes;
        next->meta_len = (uint32_t)meta->len;
        return 0;
}

struct bm_record bm_same_record(const struct bm_found *found)
{
        return (struct bm_record){
                .type = found->record.type,
                .record_id = found->record.record_id,
                .count = found->count,
                .value = found->record.value,
                .value_len = found->record.value_len,
        };
}

/* Removing */

struct removal {
        const struct bm_ref *ref;
        const struct bm_remove_args *args;
        struct bm_orphaning orphaning;
};

/* What stays, as an orphan or with other names, may get a meta that is a little longer: times. More
 * is no removal. */
static enum bm_claim claim_of(const struct removal *rm, bm_meta_fn fn, const struct bm_found *found)
{
        enum { LONGER_MOST = 64 };
        return fn && rm->orphaning.meta.len > found->record.meta_len + LONGER_MOST
                       ? BM_CLAIM_NONE
                       : BM_CLAIM_REMOVE;
}

static int fill_remove(struct bm_txn *txn, void *ctx)
{
        struct removal *rm = ctx;
        const struct bm_remove_args *args = rm->args;
        size_t record;
        bm_orphan_let_go(txn->store, &rm->orphaning);
        int r = bm_ref_check(rm->ref, &txn->steps[0].found);
        if (r == 0)
                r = bm_txn_record(txn, 0, &record);
        if (r != 0)
                return r;
        const struct bm_found found = txn->steps[record].found;
        if (found.record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        const uint32_t left = found.links - 1;
        if (args->links)
                *args->links = left;
        if (args->guard && left == 0 && found.count > 1)
                return BM_E_COUNT;
        if (args->if_count && found.count != args->count)
                return BM_E_COUNT;
        bm_meta_fn fn = NULL;
        r = bm_delete_step(txn, 0, record, &rm->orphaning.drop);
        if (r == 0 && left > 0) {
                fn = args->linked_fn;
                r = bm_change_meta(fn, args->meta_ctx, &found, &rm->orphaning.meta,
                                   &txn->steps[record].next);
        } else if (r == 0 && args->orphan) {
                fn = args->meta_fn;
                r = bm_orphan_keep(txn, record, &rm->orphaning, fn, args->meta_ctx);
        }
        if (r == 0)
                txn->claim = claim_of(rm, fn, &found);
        return r;
}

int bm_remove(const struct bm_ref *ref, const struct bm_remove_args *args)
{
        struct removal rm; /* large, and not worth clearing */
        struct bm_txn txn;
        if (!bm_map_is_user(ref->map)) /* it is no name that could go */
                return -EINVAL;
        rm.ref = ref;
        rm.args = args;
        rm.orphaning.held = 0;
        bm_txn_init(&txn, ref->map->store);
        txn.claim = BM_CLAIM_REMOVE;
        int r = bm_txn_add_trusted(&txn, ref->map, ref->key, ref->key_len, BM_TRUST_VALUE, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_remove, &rm);
        bm_txn_deinit(&txn);
        if (r != 0)
                bm_orphan_let_go(ref->map->store, &rm.orphaning);
        return r;
}

/* Maps */

struct mkmap {
        const void *meta;
        size_t meta_len;
        uint64_t record_id;
        struct bm_map_entry entry;
        uint8_t entry_bytes[BM_MAP_ENTRY_BYTES];
};

static int fill_map_create(struct bm_txn *txn, void *ctx)
{
        struct mkmap *m = ctx;
        struct bm_step *s = &txn->steps[0];
        if (s->found.there)
                return BM_E_EXISTS;
        bm_map_entry_encode(&m->entry, m->entry_bytes);
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = BM_REC_MAP,
                .record_id = m->record_id,
                .count = 1,
                .meta = m->meta,
                .meta_len = (uint32_t)m->meta_len,
                .value = m->entry_bytes,
                .value_len = sizeof(m->entry_bytes),
        };
        return 0;
}

int bm_map_create(struct bm_map *parent, const void *key, size_t key_len, const void *meta,
                  size_t meta_len, uint64_t *map_id, uint64_t *record_id)
{
        struct bm_store *store = parent->store;
        struct bm_txn txn;
        if (meta_len > BM_META_MAX)
                return -EFBIG;
        struct mkmap m = {
                .meta = meta,
                .meta_len = meta_len,
                .record_id = atomic_fetch_add(&store->next_record, 1),
                .entry.map_id = atomic_fetch_add(&store->next_map, 1),
        };
        bm_txn_init(&txn, store);
        int r = bm_txn_add(&txn, parent, key, key_len, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_map_create, &m);
        bm_txn_deinit(&txn);
        if (r == 0 && map_id)
                *map_id = m.entry.map_id;
        if (r == 0 && record_id)
                *record_id = m.record_id;
        return r;
}

int bm_map_check_empty(struct bm_store *store, const struct bm_found *found,
                       const struct bm_map *locked)
{
        struct bm_map_entry entry;
        if (bm_map_entry_decode(&entry, found->record.value, found->record.value_len) != 0 ||
            bm_maps_parent(&store->maps, entry.map_id) == 0)
                return -EIO; /* damage: it names a map that is not there */
        if (!locked || locked->id != entry.map_id)
                return BM_E_LOOK_AGAIN; /* another map came to have the name */
        return bm_map_is_empty(locked) ? 0 : BM_E_NOT_EMPTY;
}

int bm_map_peek(struct bm_map *parent, const void *key, size_t key_len, struct bm_map **mapp)
{
        struct bm_view view;
        *mapp = NULL;
        int r = bm_read_value(parent, key, key_len, &view);
        if (r == 0 && view.map_id)
                *mapp = bm_maps_get(&parent->store->maps, view.map_id);
        if (r == 0)
                bm_view_release(&view);
        return r;
}

static int fill_map_remove(struct bm_txn *txn, void *ctx)
{
        const struct bm_found *found = &txn->steps[0].found;
        if (!found->there)
                return BM_E_NOT_FOUND;
        if (found->record.type != BM_REC_MAP)
                return BM_E_NOT_MAP;
        txn->steps[0].action = BM_ACT_DELETE;
        return bm_map_check_empty(txn->store, found, ctx);
}

int bm_map_remove(struct bm_map *parent, const void *key, size_t key_len)
{
        struct bm_store *store = parent->store;
        struct bm_map *map;
        struct bm_txn txn;
        int r;
        do {
                r = bm_map_peek(parent, key, key_len, &map);
                if (r != 0)
                        return r;
                bm_txn_init(&txn, store);
                txn.claim = BM_CLAIM_REMOVE;
                r = bm_txn_add(&txn, parent, key, key_len, NULL);
                if (map)
                        bm_txn_add_map(&txn, map);
                if (r == 0)
                        r = bm_txn_run(&txn, fill_map_remove, map);
                bm_txn_deinit(&txn);
                bm_maps_put(&store->maps, map);
        } while (r == BM_E_LOOK_AGAIN);
        return r;
}
