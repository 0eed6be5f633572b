/* SPDX-License-Identifier: MIT */
/* Reading a value or its attributes: views. */
#include <errno.h>

#include "lookup.h"
#include "store.h"
#include "view.h"

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
        r = bm_view_init(view, &found.found);
        if (r == 0) {
                bm_segment_pin(found.found.segment);
                view->pin_ = found.found.segment;
        }
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

int bm_view_release(struct bm_view *view)
{
        int r = view->pin_ ? bm_view_intact(view) : 0;
        if (view->pin_)
                bm_segment_unpin(view->pin_);
        *view = BM_VIEW_INIT;
        return r;
}
