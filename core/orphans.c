/* SPDX-License-Identifier: MIT */
/* Removed records that are still open: they go on in the hidden map of orphans. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "keeper.h"
#include "names.h"
#include "store.h"

void bm_orphan_let_go(struct bm_store *store, struct bm_orphaning *o)
{
        if (o->held)
                bm_large_release(store, o->held);
        o->held = 0;
}

int bm_orphan_keep(struct bm_txn *txn, size_t step, struct bm_orphaning *o, bm_meta_fn fn,
                   void *ctx)
{
        size_t i;
        struct bm_head head;
        int r = bm_txn_more_id(txn, txn->store->orphans, txn->steps[step].found.record.record_id,
                               &i);
        if (r != 0)
                return r;
        struct bm_found *found = &txn->steps[step].found;
        if (fn) { /* the value is put again */
                r = bm_found_verify(&txn->steps[step].target, found);
                if (r < 0)
                        return r;
        }
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
        s->next = bm_same_record(found);
        return bm_change_meta(fn, ctx, found, &o->meta, &s->next);
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
                /* what it held can be swept in the keeper's next round: one for each file costs
                 * more than the sweeping */
                if (found.record.type == BM_REC_HEAD &&
                    bm_head_decode(&head, found.record.value, found.record.value_len) == 0)
                        bm_large_release(store, head.data_id);
                r = bm_apply(store, &target, &found, &gone, NULL);
        }
        pthread_rwlock_unlock(&store->stripes[target.stripe].lock);
        if (r == 0)
                bm_keeper_note_release(store);
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
                        if (bm_slot_record(store, &slots[i].slot, NULL, BM_TRUST_VALUE, &segment,
                                           &record) == 0)
                                r = bm_orphan_release(store, record.record_id);
                }
                free(slots);
                hash = last + 1;
        } while (last < UINT64_MAX);
        return r < 0 ? r : 0;
}
