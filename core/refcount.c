/* SPDX-License-Identifier: MIT */
/* Reference counts: add, set. */
#include "links.h"
#include "lookup.h"
#include "store.h"
#include "txn.h"
#include "view.h"

struct count_change {
        const struct bm_ref *ref;
        bool set;
        int64_t delta;
        uint64_t count; /* in: what to set; out: the new one */
};

static int fill_count(struct bm_txn *txn, void *ctx)
{
        struct count_change *c = ctx;
        size_t record;
        int r = bm_ref_check(c->ref, &txn->steps[0].found);
        if (r == 0)
                r = bm_txn_record(txn, 0, &record);
        if (r != 0)
                return r;
        struct bm_step *s = &txn->steps[record];
        if (s->found.record.type == BM_REC_MAP)
                return BM_E_IS_MAP;
        uint64_t count = c->set ? c->count : s->found.count + (uint64_t)c->delta;
        /* counts have 62 bits: below zero wraps to above the limit */
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        c->count = count;
        if (count == s->found.count)
                return 0;
        s->action = BM_ACT_COUNT;
        s->next = (struct bm_record){
                .type = BM_REC_COUNT, .record_id = s->found.record.record_id, .count = count};
        return 0;
}

static int run_count(struct count_change *c)
{
        struct bm_txn txn;
        bm_txn_init(&txn, c->ref->map->store);
        int r = bm_txn_add_trusted(&txn, c->ref->map, c->ref->key, c->ref->key_len, BM_TRUST_VALUE,
                                   NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_count, c);
        bm_txn_deinit(&txn);
        return r;
}

int bm_count_add(const struct bm_ref *ref, int64_t delta, uint64_t *count)
{
        struct count_change c = {.ref = ref, .delta = delta};
        if (delta > (int64_t)BM_COUNT_MAX || delta < -(int64_t)BM_COUNT_MAX)
                return BM_E_COUNT;
        int r = run_count(&c);
        if (r == 0 && count)
                *count = c.count;
        return r;
}

int bm_count_set(const struct bm_ref *ref, uint64_t count)
{
        struct count_change c = {.ref = ref, .set = true, .count = count};
        if (count > BM_COUNT_MAX)
                return BM_E_COUNT;
        return run_count(&c);
}

int bm_addref(struct bm_map *map, const void *key, size_t key_len, uint64_t *count)
{
        const struct bm_ref ref = {.map = map, .key = key, .key_len = key_len};
        return bm_count_add(&ref, 1, count);
}

int bm_unref(struct bm_map *map, const void *key, size_t key_len, uint64_t *count)
{
        const struct bm_ref ref = {.map = map, .key = key, .key_len = key_len};
        return bm_count_add(&ref, -1, count);
}
