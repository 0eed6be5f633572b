/* SPDX-License-Identifier: MIT */
/* Giving names and taking them away: removal, orphans, renaming, making maps. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "keeper.h"
#include "large.h"
#include "store.h"
#include "view.h"

/* Between a transaction and its starter: start over, */
enum {
        LOOK_AGAIN = BM_E_AGAIN + 1,       /* with the map that is there now */
        NEED_RENAME_LOCK = BM_E_AGAIN + 2, /* with the rename lock: a map moves */
};

/* The new meta of a record that stays under another name. */
struct renamed_meta {
        size_t len;
        uint8_t bytes[BM_META_MAX];
};

static int change_meta(bm_meta_fn fn, void *ctx, const struct bm_found *found,
                       struct renamed_meta *meta, struct bm_record *next)
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

/* The same record, to be put under another key. */
static struct bm_record same_record(const struct bm_found *found)
{
        return (struct bm_record){
                .type = found->record.type,
                .record_id = found->record.record_id,
                .count = found->count,
                .value = found->record.value,
                .value_len = found->record.value_len,
        };
}

/* Orphans */

/* What keeping a removed record needs; lives until the transaction is done. */
struct orphaning {
        uint8_t key[8];
        uint64_t held; /* data id that this attempt holds; 0: none */
        struct bm_drop_step drop;
        struct renamed_meta meta;
};

/* What the attempt before held: the next may meet another record, or fail. */
static void let_go(struct bm_store *store, struct orphaning *o)
{
        if (o->held)
                bm_large_release(store, o->held);
        o->held = 0;
}

/*
 * Locked. The record of STEP, which is being removed, moves to the orphans.
 * Nothing is logged for that, unless its meta changes: an orphan dies with
 * the process. Its chunks get their drop at once, and are held.
 */
static int keep_orphan(struct bm_txn *txn, size_t step, struct orphaning *o, bm_meta_fn fn,
                       void *ctx)
{
        size_t i;
        struct bm_head head;
        bm_store_le64(o->key, txn->steps[step].found.record.record_id);
        int r = bm_txn_more(txn, txn->store->orphans, o->key, sizeof(o->key), &i);
        if (r != 0)
                return r;
        const struct bm_found *found = &txn->steps[step].found;
        if (found->record.type == BM_REC_HEAD) {
                if (bm_head_decode(&head, found->record.value, found->record.value_len) != 0)
                        return -EIO;
                r = bm_large_hold(txn->store, head.data_id);
                if (r < 0)
                        return r;
                o->held = head.data_id;
        }
        struct bm_step *s = &txn->steps[i];
        s->action = fn ? BM_ACT_PUT : BM_ACT_ADOPT;
        s->from = step;
        s->next = same_record(found);
        return change_meta(fn, ctx, found, &o->meta, &s->next);
}

void bm_orphan_ref(struct bm_store *store, uint64_t record_id, uint8_t key[8], struct bm_ref *ref)
{
        bm_store_le64(key, record_id);
        *ref = (struct bm_ref){
                .map = store->orphans, .key = key, .key_len = 8, .record_id = record_id};
}

/* Not logged: its records are dead at the next open, whatever they say. */
int bm_orphan_release(struct bm_store *store, uint64_t record_id)
{
        const struct bm_record gone = {.type = BM_REC_DEL};
        struct bm_target target;
        struct bm_found found;
        struct bm_head head;
        uint8_t key[8];
        bm_store_le64(key, record_id);
        int r = bm_target_init(&target, store->orphans, key, sizeof(key));
        if (r < 0)
                return r;
        pthread_rwlock_wrlock(&store->stripes[target.stripe].lock);
        handle_delayed_grows(&target.bucket->index);
        r = bm_target_find(&target, &found);
        if (r == 0 && !found.there)
                r = BM_E_NOT_FOUND;
        if (r == 0) {
                if (found.record.type == BM_REC_HEAD &&
                    bm_head_decode(&head, found.record.value, found.record.value_len) == 0) {
                        bm_large_release(store, head.data_id);
                        bm_keeper_wake(store); /* what it held can be swept now */
                }
                r = bm_apply(store, &target, &found, &gone, NULL);
        }
        pthread_rwlock_unlock(&store->stripes[target.stripe].lock);
        return r;
}

/* By what the index knows: an orphan's record has the key that it had. */
int bm_orphans_clear(struct bm_store *store)
{
        struct bm_index *index = &store->orphans->buckets[0].index;
        struct bm_known_slot *slots;
        uint64_t hash = 0, last = 0;
        size_t n;
        int r;
        do {
                r = bm_index_collect(index, hash, &slots, &n, &last);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < n; i++) {
                        struct bm_segment *segment;
                        struct bm_record record;
                        if (bm_slot_record(store, &slots[i].slot, &segment, &record) == 0)
                                r = bm_orphan_release(store, record.record_id);
                }
                free(slots);
                hash = last + 1;
        } while (last < UINT64_MAX);
        return r < 0 ? r : 0;
}

/* Removing */

struct removal {
        const struct bm_ref *ref;
        const struct bm_remove_args *args;
        struct orphaning orphaning;
};

static int fill_remove(struct bm_txn *txn, void *ctx)
{
        struct removal *rm = ctx;
        const struct bm_found found = txn->steps[0].found;
        let_go(txn->store, &rm->orphaning);
        int r = bm_ref_check(rm->ref, &found);
        if (r != 0)
                return r;
        if (found.record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        if (rm->args->guard && found.count > 1)
                return BM_E_COUNT;
        if (rm->args->if_count && found.count != rm->args->count)
                return BM_E_COUNT;
        txn->steps[0].action = BM_ACT_DELETE;
        r = bm_large_drop_all(txn, &found.record, &rm->orphaning.drop);
        if (r == 0 && rm->args->orphan)
                r = keep_orphan(txn, 0, &rm->orphaning, rm->args->meta_fn, rm->args->meta_ctx);
        return r;
}

int bm_remove(const struct bm_ref *ref, const struct bm_remove_args *args)
{
        struct removal rm; /* large, and not worth clearing */
        struct bm_txn txn;
        rm.ref = ref;
        rm.args = args;
        rm.orphaning.held = 0;
        bm_txn_init(&txn, ref->map->store);
        txn.privileged = true;
        int r = bm_txn_add(&txn, ref->map, ref->key, ref->key_len, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_remove, &rm);
        bm_txn_deinit(&txn);
        if (r != 0)
                let_go(ref->map->store, &rm.orphaning);
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

/* Locked, the map's buckets too: whether what FOUND names may go. */
static int check_empty(struct bm_store *store, const struct bm_found *found,
                       const struct bm_map *locked)
{
        struct bm_map_entry entry;
        if (bm_map_entry_decode(&entry, found->record.value, found->record.value_len) != 0 ||
            bm_maps_parent(&store->maps, entry.map_id) == 0)
                return -EIO; /* damage: it names a map that is not there */
        if (!locked || locked->id != entry.map_id)
                return LOOK_AGAIN; /* another map came to have the name */
        return atomic_load(&locked->n_keys) == 0 ? 0 : BM_E_NOT_EMPTY;
}

/* The map under a key, if it is one, so that its buckets can be locked with the key. */
static int peek_map(struct bm_map *parent, const void *key, size_t key_len, struct bm_map **mapp)
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
        return check_empty(txn->store, found, ctx);
}

int bm_map_remove(struct bm_map *parent, const void *key, size_t key_len)
{
        struct bm_store *store = parent->store;
        struct bm_map *map;
        struct bm_txn txn;
        int r;
        do {
                r = peek_map(parent, key, key_len, &map);
                if (r != 0)
                        return r;
                bm_txn_init(&txn, store);
                txn.privileged = true;
                r = bm_txn_add(&txn, parent, key, key_len, NULL);
                if (map)
                        bm_txn_add_map(&txn, map);
                if (r == 0)
                        r = bm_txn_run(&txn, fill_map_remove, map);
                bm_txn_deinit(&txn);
                bm_maps_put(&store->maps, map);
        } while (r == LOOK_AGAIN);
        return r;
}

/* Renaming */

struct renaming {
        bool exclusive; /* the rename lock is held */
        const struct bm_ref *from;
        struct bm_rename_args *args;
        struct bm_map *victim_map; /* locked; NULL: none was seen */
        struct renamed_meta moved, exchanged;
        struct orphaning orphaning;
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
                return NEED_RENAME_LOCK;
        if (bm_map_entry_decode(&entry, moved->record.value, moved->record.value_len) != 0)
                return -EIO;
        return is_within(store, entry.map_id, to) ? BM_E_LOOP : 0;
}

static int fill_exchange(struct bm_txn *txn, struct renaming *rn)
{
        struct bm_step *a = &txn->steps[0], *b = &txn->steps[1];
        if (!b->found.there)
                return BM_E_NOT_FOUND;
        int r = check_loop(txn->store, rn->exclusive, &a->found, b->target.map);
        if (r == 0)
                r = check_loop(txn->store, rn->exclusive, &b->found, a->target.map);
        if (r != 0)
                return r;
        a->action = b->action = BM_ACT_PUT;
        a->moved = b->moved = true;
        a->next = same_record(&b->found);
        b->next = same_record(&a->found);
        rn->args->victim_id = b->found.record.record_id;
        r = change_meta(rn->args->moved_fn, rn->args->meta_ctx, &a->found, &rn->moved, &b->next);
        if (r == 0)
                r = change_meta(rn->args->moved_fn, rn->args->meta_ctx, &b->found, &rn->exchanged,
                                &a->next);
        return r;
}

/* Locked. What lies under the new name makes way. */
static int replace_victim(struct bm_txn *txn, struct renaming *rn)
{
        const struct bm_found victim = txn->steps[1].found;
        const struct bm_found *from = &txn->steps[0].found;
        bool from_map = from->record.type == BM_REC_MAP;
        int r;
        if (rn->args->no_replace)
                return BM_E_EXISTS;
        if (victim.record.type == BM_REC_MAP) {
                if (!from_map)
                        return BM_E_IS_MAP;
                r = check_empty(txn->store, &victim, rn->victim_map);
                if (r == 0)
                        txn->steps[0].replaced_map = rn->victim_map->id;
                return r;
        }
        if (from_map)
                return BM_E_NOT_MAP;
        rn->args->victim_id = victim.record.record_id;
        r = bm_large_drop_all(txn, &victim.record, &rn->orphaning.drop);
        if (r == 0 && rn->args->orphan_victim)
                r = keep_orphan(txn, 1, &rn->orphaning, rn->args->victim_fn, rn->args->meta_ctx);
        return r;
}

static int fill_rename(struct bm_txn *txn, void *ctx)
{
        struct renaming *rn = ctx;
        rn->args->victim_id = 0;
        let_go(txn->store, &rn->orphaning);
        int r = bm_ref_check(rn->from, &txn->steps[0].found);
        if (r != 0)
                return r;
        if (rn->args->exchange)
                return fill_exchange(txn, rn);
        r = check_loop(txn->store, rn->exclusive, &txn->steps[0].found, txn->steps[1].target.map);
        if (r == 0 && txn->steps[1].found.there)
                r = replace_victim(txn, rn);
        if (r != 0)
                return r;
        struct bm_step *from = &txn->steps[0], *to = &txn->steps[1];
        to->action = BM_ACT_PUT;
        to->next = same_record(&from->found);
        if (to->found.there && from->found.count == 1 && from->found.record.type != BM_REC_MAP)
                to->next.count = to->found.count;
        from->action = BM_ACT_DELETE;
        from->moved = true;
        return change_meta(rn->args->moved_fn, rn->args->meta_ctx, &from->found, &rn->moved,
                           &to->next);
}

/* Peeks for a map under the new name, whose buckets must be locked to know it empty. */
static int run_rename(struct renaming *rn, struct bm_map *to_map, const void *to_key,
                      size_t to_key_len)
{
        struct bm_store *store = to_map->store;
        struct bm_txn txn;
        rn->victim_map = NULL;
        int r = rn->args->exchange ? 0 : peek_map(to_map, to_key, to_key_len, &rn->victim_map);
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
        if (from->map == to_map && from->key_len == to_key_len &&
            memcmp(from->key, to_key, to_key_len) == 0) {
                args->victim_id = 0;
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
                if (r == NEED_RENAME_LOCK) {
                        pthread_mutex_lock(&store->rename_lock);
                        rn->exclusive = true;
                }
        } while (r == LOOK_AGAIN || r == NEED_RENAME_LOCK);
        if (rn->exclusive)
                pthread_mutex_unlock(&store->rename_lock);
        if (r != 0)
                let_go(store, &rn->orphaning);
        free(rn);
        return r;
}
