/* SPDX-License-Identifier: MIT */
/* Reading a value or its attributes: views. */
#include <errno.h>

#include "lookup.h"
#include "store.h"
#include "view.h"

/* Locked. */
static int show(const struct bm_found *found, struct bm_view *view)
{
        int r = bm_view_init(view, found);
        if (r == 0) {
                bm_segment_pin(found->segment);
                view->pin_ = found->segment;
        }
        return r;
}

static int read_ref(const struct bm_ref *ref, enum bm_trust trust, struct bm_view *view)
{
        struct bm_target target;
        struct bm_lookup found;
        *view = BM_VIEW_INIT;
        int r = bm_target_init(&target, ref->map, ref->key, ref->key_len);
        target.trust = trust;
        if (r == 0)
                r = bm_lookup(ref, &target, NULL, 0, &found);
        if (r != 0)
                return r;
        r = show(&found.found, view);
        bm_read_unlock(&found.lock);
        return r;
}

static int read_or_begin(const struct bm_ref *ref, enum bm_trust trust, struct bm_view *view)
{
        const struct bm_store *store = ref->map->store;
        int r = read_ref(ref, trust, view);
        /* who reads what is left of a damaged store has to begin somewhere */
        if (r != -EIO || ref->map != store->top || !store->read_only)
                return r;
        *view = (struct bm_view){.record_id = 1, .count = 1, .map_id = BM_MAP_ROOT};
        return 0;
}

int bm_read_ref(const struct bm_ref *ref, struct bm_view *view)
{
        return read_or_begin(ref, BM_TRUST_NOTHING, view);
}

int bm_read_attr(const struct bm_ref *ref, struct bm_view *view)
{
        return read_or_begin(ref, BM_TRUST_VALUE, view);
}

int bm_read_value(struct bm_map *map, const void *key, size_t key_len, struct bm_view *view)
{
        const struct bm_ref ref = {.map = map, .key = key, .key_len = key_len};
        return bm_read_ref(&ref, view);
}

/* Not an outcome for callers: the key is a name, which leads to another stripe. */
enum { IS_NAME = 1000 };

/* Locked. */
static int read_one(const struct bm_target *target, struct bm_view *view)
{
        const struct bm_ref ref = {.map = target->map};
        struct bm_found found;
        int r = bm_lookup_locked(&ref, target, &found);
        if (r != 0)
                return r;
        return found.record.type == BM_REC_NAME ? IS_NAME : show(&found, view);
}

/* At most BM_READ_KEYS. */
static void read_group(struct bm_map *map, const struct bm_key *keys, size_t n,
                       struct bm_view *views, int *results)
{
        struct bm_target targets[BM_READ_KEYS];
        struct bm_read_lock lock;
        size_t which[BM_READ_KEYS], n_targets = 0;
        for (size_t i = 0; i < n; i++) {
                struct bm_target *target = &targets[n_targets];
                views[i] = BM_VIEW_INIT;
                results[i] = bm_target_init(target, map, keys[i].key, keys[i].key_len);
                if (results[i] == 0)
                        which[n_targets++] = i;
        }
        if (n_targets == 0)
                return;
        bm_read_lock_all(&lock, targets, n_targets);
        for (size_t k = 0; k < n_targets; k++)
                bm_target_fetch_line(&targets[k]);
        for (size_t k = 0; k < n_targets; k++)
                bm_target_fetch_record(&targets[k]);
        for (size_t k = 0; k < n_targets; k++)
                results[which[k]] = read_one(&targets[k], &views[which[k]]);
        bm_read_unlock(&lock);
        for (size_t i = 0; i < n; i++) {
                if (results[i] == IS_NAME)
                        results[i] = bm_read_value(map, keys[i].key, keys[i].key_len, &views[i]);
        }
}

void bm_read_values(struct bm_map *map, const struct bm_key *keys, size_t n, struct bm_view *views,
                    int *results)
{
        for (size_t done = 0, group; done < n; done += group) {
                group = n - done < BM_READ_KEYS ? n - done : BM_READ_KEYS;
                read_group(map, keys + done, group, views + done, results + done);
        }
}

int bm_view_release(struct bm_view *view)
{
        int r = view->pin_ ? bm_view_intact(view) : 0;
        if (view->pin_)
                bm_segment_unpin(view->pin_);
        *view = BM_VIEW_INIT;
        return r;
}
