/* SPDX-License-Identifier: MIT */
/*
 * Repairing a store. It is opened in memory, past all damage (salvage.h); what
 * is lost is said; what does not fit any more is found. Then, and only now,
 * something is written, and none of it where the old store has anything: a log
 * segment far behind all others, in which what has lost its place gets one;
 * copies of all that lives; an index; and a manifest in
 * the place that the old store's does not use. With that the repaired store is
 * there, and before it the old one: nothing reaches the new files, and they
 * claim nothing (BM_SALVAGE_EPOCHS). The old files go after it, with a clean
 * close. Why all is copied, and not the damaged segments only: what destroyed
 * a tombstone or a newer value would let older ones, elsewhere, come back
 * should the index ever be made anew.
 */
#include <errno.h>
#include <stdlib.h>

#include "error.h"
#include "repair_private.h"
#include "store.h"

int bm_repair_add(struct bm_repair *rp, const struct bm_misfit *misfit)
{
        if (rp->n == rp->cap) {
                size_t cap = rp->cap ? rp->cap * 2 : 64;
                struct bm_misfit *grown = realloc(rp->misfits, cap * sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                rp->misfits = grown;
                rp->cap = cap;
        }
        rp->misfits[rp->n++] = *misfit;
        return 0;
}

int bm_repair_each(struct bm_repair *rp, struct bm_map *map, bm_repair_fn fn)
{
        const unsigned skip = map->buckets_log2;
        int r = 0;
        for (size_t i = 0; i < (size_t)1 << skip && r == 0; i++) {
                uint64_t hash = skip ? (uint64_t)i << (64 - skip) : 0;
                uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last;
                do {
                        struct bm_known_slot *slots;
                        size_t n;
                        r = bm_index_collect(&map->buckets[i].index, hash, &slots, &n, &last);
                        if (r < 0)
                                return r;
                        for (size_t k = 0; k < n && r == 0; k++) {
                                struct bm_segment *s;
                                struct bm_record record;
                                r = bm_slot_record(rp->store, &slots[k].slot, NULL,
                                                   BM_TRUST_NOTHING, &s, &record);
                                if (r == 0)
                                        r = fn(rp, map, &record);
                        }
                        free(slots);
                        hash = last + 1;
                } while (r == 0 && last < end);
        }
        return r;
}

int bm_repair_each_map(struct bm_repair *rp, bm_repair_fn fn)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&rp->store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                if (maps[i]->id != BM_MAP_ORPHANS)
                        r = bm_repair_each(rp, maps[i], fn);
        }
        bm_maps_list_free(&rp->store->maps, maps, n);
        return r;
}

/* What a map holds, without what is lost. */

static int count_record(struct bm_repair *rp, struct bm_map *map, const struct bm_record *r)
{
        const uint64_t bytes = bm_record_value_size(r), is_map = r->type == BM_REC_MAP;
        struct bm_target t;
        int result = bm_target_init(&t, map, r->key, r->key_len);
        if (result < 0)
                return BM_E_DAMAGED;
        bm_figure_add(&t.bucket->value_bytes, bytes);
        bm_figure_add(&t.bucket->n_maps, is_map);
        if (bm_map_has_values(map))
                bm_sum_add(rp->store, t.stripe, BM_SUM_VALUE_BYTES, bytes);
        if (bm_map_is_user(map))
                bm_sum_add(rp->store, t.stripe, BM_SUM_KEYS, 1 - is_map);
        return 0;
}

static int count_anew(struct bm_repair *rp)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&rp->store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                for (size_t k = 0; k < (size_t)1 << maps[i]->buckets_log2; k++)
                        maps[i]->buckets[k].value_bytes = maps[i]->buckets[k].n_maps = 0;
        }
        bm_maps_list_free(&rp->store->maps, maps, n);
        bm_sum_clear(rp->store, BM_SUM_KEYS);
        bm_sum_clear(rp->store, BM_SUM_VALUE_BYTES);
        return r == 0 ? bm_repair_each_map(rp, count_record) : r;
}

/* Looking */

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct bm_repair *rp = ctx;
        rp->n_findings++;
        if (finding->kind == BM_CHECK_DEAD || finding->kind == BM_CHECK_RECORD)
                rp->salvage->data_damaged = true;
        /* what it says of the structure is said again, with what becomes of it */
        if (finding->kind != BM_CHECK_STRUCTURE)
                rp->args->finding(rp->args->ctx, finding);
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
        struct bm_repair *rp = ctx;
        return rp->args->progress ? rp->args->progress(rp->args->ctx, done, total) : 0;
}

static int look(struct bm_repair *rp)
{
        const struct bm_check_args args = {
                .finding = on_finding, .progress = on_progress, .ctx = rp};
        int r = bm_check(rp->store, &args);
        if (r != 0 && r != BM_E_DAMAGED)
                return r;
        r = bm_repair_losses(rp);
        if (r == 0)
                r = count_anew(rp);
        if (r == 0)
                r = bm_repair_find_misfits(rp);
        if (r == 0 && (rp->salvage->skipped || (rp->salvage->rebuilt && rp->salvage->data_damaged)))
                bm_repair_say(
                        rp, 0, NULL, 0,
                        "changes are lost with what is damaged: keys may have an older value, "
                        "and removed ones may be back");
        return r;
}

/* Whether an ordinary open goes past nothing. Before the lock is taken, which is ours alone. */
static int is_refused(const char *path, const struct bm_config *looking, bool *refused)
{
        struct bm_store *store;
        int r = bm_open(path, looking, &store);
        *refused = r == BM_E_DAMAGED || r == -EIO || (r == 0 && store->damage[0]);
        if (r == 0)
                return bm_close(store);
        return *refused ? 0 : r;
}

/* Damage that is in the way of the repair itself is another thing than damage that was found. */
static int beyond_repair(int r)
{
        if (r != BM_E_DAMAGED)
                return r;
        if (!bm_last_problem()[0])
                bm_problem_set("what every store needs is lost");
        return -EIO;
}

int bm_repair(const char *path, const struct bm_config *config, const struct bm_repair_args *args)
{
        struct bm_salvage salvage = {.writable = !args->dry_run};
        struct bm_repair rp = {.salvage = &salvage, .args = args};
        struct bm_config looking = *config;
        looking.read_only = true;
        looking.no_background = true;
        bool refused;
        int r = is_refused(path, &looking, &refused);
        if (r == 0)
                r = bm_open_salvage(path, &looking, &salvage, &rp.store);
        if (r != 0)
                return beyond_repair(r);
        r = look(&rp);
        const bool damaged = rp.n_findings > 0 || salvage.rebuilt || salvage.skipped || rp.n > 0 ||
                             rp.store->lost_segment || refused;
        if (r == 0 && damaged && args->dry_run)
                r = bm_repair_place(&rp, true);
        if (r == 0 && damaged && !args->dry_run) {
                r = bm_repair_write(&rp);
                if (r == 0)
                        r = bm_repair_finish(&rp);
        }
        /* after a failure nothing may be closed in order: the old store stays */
        if (r != 0)
                rp.store->read_only = true;
        int closed = bm_close(rp.store);
        bm_salvage_free(&salvage);
        free(rp.misfits);
        r = r != 0 ? r : closed;
        return r != 0 ? beyond_repair(r) : damaged ? BM_E_DAMAGED : 0;
}
