/* SPDX-License-Identifier: MIT */
/* See txn.h. */
#include "txn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/le.h"
#include "grow.h"
#include "keeper.h"
#include "space.h"
#include "store.h"
#include "unreadable.h"

void bm_txn_init(struct bm_txn *txn, struct bm_store *store)
{
        txn->store = store;
        txn->privileged = txn->no_grow = false;
        txn->steps = txn->few;
        txn->n_steps = txn->n_base = 0;
        txn->cap_steps = bm_array_size(txn->few);
        memset(txn->stripes, 0, sizeof(txn->stripes));
        txn->only_stripe = BM_STRIPES_NONE;
        txn->full = NULL;
        txn->capacity = 0;
}

void bm_txn_deinit(struct bm_txn *txn)
{
        if (txn->steps != txn->few)
                free(txn->steps);
}

static int more_steps(struct bm_txn *txn)
{
        size_t cap = txn->cap_steps * 2;
        struct bm_step *steps = calloc(cap, sizeof(*steps));
        if (!steps)
                return -ENOMEM;
        memcpy(steps, txn->steps, txn->n_steps * sizeof(*steps));
        if (txn->steps != txn->few)
                free(txn->steps);
        txn->steps = steps;
        txn->cap_steps = cap;
        return 0;
}

static void add_stripe(struct bm_txn *txn, unsigned stripe)
{
        txn->stripes[stripe / 64] |= UINT64_C(1) << stripe % 64;
        txn->only_stripe = txn->only_stripe == BM_STRIPES_NONE || txn->only_stripe == (int)stripe
                                   ? (int)stripe
                                   : BM_STRIPES_SEVERAL;
}

static int add_step(struct bm_txn *txn, const struct bm_target *target, size_t *step)
{
        int r = txn->n_steps == txn->cap_steps ? more_steps(txn) : 0;
        if (r < 0)
                return r;
        txn->steps[txn->n_steps].target = *target;
        add_stripe(txn, target->stripe);
        if (step)
                *step = txn->n_steps;
        txn->n_steps++;
        return 0;
}

int bm_txn_add(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
               size_t *step)
{
        struct bm_target target;
        int r = bm_target_init(&target, map, key, key_len);
        return r < 0 ? r : add_step(txn, &target, step);
}

void bm_txn_add_map(struct bm_txn *txn, struct bm_map *map)
{
        for (size_t i = 0; i < (size_t)1 << map->buckets_log2; i++)
                add_stripe(txn, bm_stripe_of(map->id, i));
}

/* Ascending, so that no two transactions wait for each other. */
static inline void each_stripe(struct bm_txn *txn, int (*fn)(pthread_rwlock_t *lock))
{
        if (txn->only_stripe >= 0) { /* as in nearly all of them */
                fn(&txn->store->stripes[txn->only_stripe].lock);
                return;
        }
        for (unsigned i = 0; i < bm_array_size(txn->stripes); i++) {
                for (uint64_t bits = txn->stripes[i]; bits; bits &= bits - 1)
                        fn(&txn->store->stripes[i * 64 + (unsigned)__builtin_ctzll(bits)].lock);
        }
}

static void lock_stripes(struct bm_txn *txn)
{
        each_stripe(txn, pthread_rwlock_wrlock);
}

static void unlock_stripes(struct bm_txn *txn)
{
        each_stripe(txn, pthread_rwlock_unlock);
}

/* Locked. Growth moves slots, so it is installed before anything is found;
 * once here nobody can park another until the lock is given up. */
static int ready_step(struct bm_step *s)
{
        s->action = BM_ACT_LOOK;
        s->moved = s->inserted = s->entered = false;
        s->replaced_map = 0;
        if (atomic_load_explicit(&s->target.map->dead, memory_order_relaxed))
                return BM_E_NOT_FOUND;
        handle_delayed_grows(&s->target.bucket->index);
        return 0;
}

static int find_all(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                int r = ready_step(&txn->steps[i]);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < txn->n_steps; i++) {
                int r = bm_target_find(&txn->steps[i].target, &txn->steps[i].found);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Locked. Adds a step whose stripe may not be locked yet. */
static int more(struct bm_txn *txn, const struct bm_target *target, size_t *step)
{
        uint64_t before[4];
        const int only_before = txn->only_stripe;
        memcpy(before, txn->stripes, sizeof(before));
        int r = add_step(txn, target, step);
        if (r < 0)
                return r;
        if (memcmp(before, txn->stripes, sizeof(before)) != 0) {
                memcpy(txn->wanted, txn->stripes, sizeof(before));
                memcpy(txn->stripes, before, sizeof(before));
                txn->only_stripe = only_before;
                return BM_E_AGAIN;
        }
        struct bm_step *s = &txn->steps[*step];
        r = ready_step(s);
        return r != 0 ? r : bm_target_find(&s->target, &s->found);
}

int bm_txn_more(struct bm_txn *txn, struct bm_map *map, const void *key, size_t key_len,
                size_t *step)
{
        struct bm_target target;
        int r = bm_target_init(&target, map, key, key_len);
        return r < 0 ? r : more(txn, &target, step);
}

int bm_txn_more_id(struct bm_txn *txn, struct bm_map *map, uint64_t record_id, size_t *step)
{
        struct bm_target target;
        for (size_t i = 0; i < txn->n_steps; i++) {
                const struct bm_target *t = &txn->steps[i].target;
                if (t->map == map && t->by_record == record_id) {
                        *step = i;
                        return 0;
                }
        }
        bm_target_init_id(&target, map, record_id);
        return more(txn, &target, step);
}

/* What is logged as the key of a step, whose address no longer changes. */
static const uint8_t *key_of(struct bm_step *s)
{
        if (s->target.key)
                return s->target.key;
        bm_store_le64(s->key_bytes, s->target.by_record);
        return s->key_bytes;
}

/* Completes what a put record says of itself. */
static int complete_put(struct bm_txn *txn, struct bm_step *s)
{
        struct bm_record *n = &s->next;
        n->map_id = s->target.map->id;
        n->key = key_of(s);
        n->key_len = (uint8_t)s->target.key_len;
        if (s->target.map->id == BM_MAP_INODES) {
                n->flags |= BM_RECF_LINKS;
                if (n->links == 0) /* nothing was said of its names */
                        n->links = s->found.record.links;
        }
        if (n->meta_len)
                n->flags |= BM_RECF_META;
        if (s->moved)
                n->flags |= BM_RECF_MOVED;
        if (s->found.there) {
                n->disc = s->found.record.disc;
        } else {
                int disc = bm_found_free_disc(&s->target, &s->found);
                if (disc < 0)
                        return disc;
                n->disc = (uint8_t)disc;
                if (txn->store->stamp_times && bm_map_is_user(s->target.map)) {
                        n->flags |= BM_RECF_TIME;
                        n->time_ns = bm_now_ns();
                }
        }
        if (n->disc)
                n->flags |= BM_RECF_DISC;
        return 0;
}

static void complete_delete(struct bm_txn *txn, struct bm_step *s)
{
        const struct bm_record *was = &s->found.record;
        struct bm_map_entry entry;
        s->next = (struct bm_record){
                .type = BM_REC_DEL,
                .map_id = s->target.map->id,
                .record_id = was->record_id,
                .key = key_of(s),
                .key_len = (uint8_t)s->target.key_len,
        };
        /* a tombstone's count says what became of the record: FORMAT.md */
        if (s->moved)
                s->next.count = s->replaced_map ? s->replaced_map : 1;
        else if (was->type == BM_REC_MAP &&
                 bm_map_entry_decode(&entry, was->value, was->value_len) == 0)
                s->next.count = entry.map_id;
        if (txn->store->stamp_times && bm_map_is_user(s->target.map)) {
                s->next.flags |= BM_RECF_TIME;
                s->next.time_ns = bm_now_ns();
        }
}

static void complete_count(struct bm_step *s)
{
        bm_store_le64(s->key_bytes, s->target.hash);
        s->next = (struct bm_record){
                .type = BM_REC_COUNT,
                .map_id = s->target.map->id,
                .record_id = s->found.record.record_id,
                .count = s->next.count,
                .key = s->key_bytes,
                .key_len = sizeof(s->key_bytes),
        };
}

/* Takes a slot for each new key, so that nothing can fail once the frame is
 * logged. The slots mean nothing until they are set; nobody sees them before. */
static int reserve_slots(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if ((s->action != BM_ACT_PUT && s->action != BM_ACT_ADOPT) || s->found.there)
                        continue;
                struct bm_slot slot = {.kind = BM_SLOT_VALUE};
                struct bm_index *index = &s->target.bucket->index;
                int r = bm_index_insert(index, s->target.hash, &slot, &s->found.place,
                                        &txn->capacity);
                if (r == BM_E_INDEX_NO_SPACE)
                        txn->full = &s->target;
                if (r != 0)
                        return r;
                s->inserted = true;
        }
        return 0;
}

static void give_slots_back(struct bm_txn *txn)
{
        for (size_t i = txn->n_steps; i-- > 0;) {
                struct bm_step *s = &txn->steps[i];
                if (s->inserted)
                        bm_index_erase(&s->target.bucket->index, &s->found.place);
                s->inserted = false;
        }
}

/* Decodes what a step's map record names. False: the step puts no map. */
static bool puts_map(const struct bm_step *s, struct bm_map_entry *entry)
{
        return s->action == BM_ACT_PUT && s->next.type == BM_REC_MAP &&
               bm_map_entry_decode(entry, s->next.value, s->next.value_len) == 0;
}

/* Maps that the frame makes enter the table before it is logged: that may
 * fail. Those that it moves follow behind it: that cannot. */
static int enter_maps(struct bm_txn *txn, bool logged)
{
        struct bm_maps *maps = &txn->store->maps;
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                struct bm_map_entry entry;
                if (!puts_map(s, &entry) || (!logged && bm_maps_parent(maps, entry.map_id) != 0))
                        continue;
                int r = bm_maps_ensure(maps, entry.map_id, s->target.map->id, s->next.record_id,
                                       entry.buckets_log2, &s->entered);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void take_maps_back(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_map_entry entry;
                if (txn->steps[i].entered && puts_map(&txn->steps[i], &entry))
                        bm_maps_remove(&txn->store->maps, entry.map_id);
        }
}

/* Large counts get their place before the frame is logged, likewise. */
static int reserve_counts(struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if ((s->action != BM_ACT_PUT && s->action != BM_ACT_COUNT) ||
                    s->next.count <= BM_SLOT_COUNT_MAX || s->next.type == BM_REC_CHUNK)
                        continue;
                int r = bm_counts_reserve(&txn->store->counts, s->next.record_id);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_step(struct bm_txn *txn, struct bm_step *s, const struct bm_location *w)
{
        uint64_t position = bm_pos(w->segment->header.number, w->offset);
        int r = bm_apply(txn->store, &s->target, &s->found, &s->next, w);
        if (s->action == BM_ACT_PUT)
                bm_segment_count_put(w->segment, position);
        if (s->action == BM_ACT_DELETE && s->target.map->id != BM_MAP_ORPHANS)
                bm_segment_count_tombstone(w->segment, w->length, position);
        if (s->action == BM_ACT_DELETE && s->next.count >= BM_MAP_FIRST)
                bm_maps_remove(&txn->store->maps, s->next.count);
        return r;
}

/* What a transaction comes to, apart from its records. */
struct commit {
        struct bm_record *records; /* to log, in the order of the steps */
        struct bm_location *where;
        size_t n;
        bool maps, moves, adopts; /* is there such a step? There rarely is. */
};

static int apply_all(struct bm_txn *txn, const struct commit *c)
{
        const struct bm_location *w = c->where;
        int r = 0;
        if (c->moves) /* before it shows: a walk of all keys that may have missed one wants to know
                       */
                atomic_fetch_add(&txn->store->n_moves, 1);
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if (s->action == BM_ACT_LOOK || s->action == BM_ACT_ADOPT)
                        continue;
                int one = apply_step(txn, s, w++);
                if (one < 0)
                        r = one;
        }
        /* after the deletions, which give up what is adopted here */
        for (size_t i = 0; c->adopts && i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                if (s->action == BM_ACT_ADOPT && bm_apply_adopt(txn->store, &s->target, &s->found,
                                                                &txn->steps[s->from].found) < 0)
                        r = -ENOMEM;
        }
        return r;
}

/* 1: what the step does is logged, as s->next. */
static int complete(struct bm_txn *txn, struct bm_step *s)
{
        int r = 0;
        switch (s->action) {
        case BM_ACT_PUT:
                r = complete_put(txn, s);
                break;
        case BM_ACT_DELETE:
                complete_delete(txn, s);
                break;
        case BM_ACT_COUNT:
                complete_count(s);
                break;
        case BM_ACT_LOOK:
        case BM_ACT_ADOPT:
                return 0;
        }
        return r < 0 ? r : 1;
}

static int complete_all(struct bm_txn *txn, struct commit *c)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                struct bm_step *s = &txn->steps[i];
                int r = complete(txn, s);
                if (r < 0)
                        return r;
                c->moves |= s->moved;
                c->adopts |= s->action == BM_ACT_ADOPT;
                c->maps |= r && s->next.type == BM_REC_MAP;
                /* the one of a single step is logged from where it is */
                if (r && txn->n_steps > 1)
                        c->records[c->n] = s->next;
                c->n += (size_t)r;
        }
        if (txn->n_steps == 1)
                c->records = &txn->steps[0].next;
        return 0;
}

/* Locked. Everything that can fail comes before the frame. */
static int log_and_apply(struct bm_txn *txn, const struct commit *c)
{
        int r = reserve_slots(txn);
        if (r == 0)
                r = reserve_counts(txn);
        if (r == 0 && c->maps)
                r = enter_maps(txn, false);
        if (r == 0)
                r = bm_log_append(&txn->store->log, c->records, c->n, txn->privileged, c->where,
                                  &txn->capacity);
        if (r != 0) {
                if (c->maps)
                        take_maps_back(txn);
                give_slots_back(txn);
                return r;
        }
        r = c->maps ? enter_maps(txn, true) : 0;
        return r < 0 ? r : apply_all(txn, c);
}

/* Locked. */
static int commit(struct bm_txn *txn)
{
        struct bm_record few[bm_array_size(txn->few)];
        struct bm_location few_places[bm_array_size(txn->few)];
        struct commit c = {.records = few, .where = few_places};
        int r = 0;
        if (txn->n_steps > bm_array_size(few)) {
                c.records = calloc(txn->n_steps, sizeof(*c.records));
                c.where = calloc(txn->n_steps, sizeof(*c.where));
                if (!c.records || !c.where)
                        r = -ENOMEM;
        }
        if (r == 0)
                r = complete_all(txn, &c);
        if (r == 0 && c.n > 0)
                r = log_and_apply(txn, &c);
        if (txn->n_steps > bm_array_size(few)) {
                free(c.records);
                free(c.where);
        }
        return r;
}

/* Locked. Whether what FILL saw is what the records said. */
static int seen_intact(const struct bm_txn *txn)
{
        for (size_t i = 0; i < txn->n_steps; i++) {
                const struct bm_found *f = &txn->steps[i].found;
                if (f->there && !bm_record_intact(&f->record)) {
                        bm_log_unreadable(txn->store, &f->slot, -EIO, &txn->steps[i].target);
                        return -EIO;
                }
        }
        return 0;
}

static int attempt(struct bm_txn *txn, bm_fill_fn fill, void *ctx)
{
        txn->n_steps = txn->n_base;
        lock_stripes(txn);
        int r = find_all(txn);
        if (r == 0)
                r = fill(txn, ctx);
        if (r == 0)
                r = seen_intact(txn);
        if (r == 0)
                r = commit(txn);
        unlock_stripes(txn);
        return r;
}

/* Room for bytes of a segment that is there already: copy-on-write filesystems
 * want it for each change of a block. */
static int ease_disk(struct bm_txn *txn)
{
        if ((txn->privileged && bm_space_draw(txn->store, BM_SPACE_PIECE, BM_SPACE_LOG)) ||
            bm_keeper_win_space(txn->store))
                return 0;
        return -ENOSPC;
}

int bm_txn_run(struct bm_txn *txn, bm_fill_fn fill, void *ctx)
{
        int r = bm_store_writable(txn->store);
        txn->n_base = txn->n_steps;
        while (r == 0) {
                r = attempt(txn, fill, ctx);
                if (r == BM_E_AGAIN) {
                        memcpy(txn->stripes, txn->wanted, sizeof(txn->stripes));
                        txn->only_stripe = BM_STRIPES_SEVERAL;
                        r = 0;
                        continue;
                }
                if (r == BM_E_DISK_FULL) {
                        r = txn->no_grow ? -ENOSPC : ease_disk(txn);
                        continue;
                }
                /* the caller can grow its own index only: the library's grow by themselves */
                if (txn->no_grow &&
                    (r != BM_E_INDEX_NO_SPACE || txn->full->map == txn->steps[0].target.map))
                        return r;
                if (r == BM_E_INDEX_NO_SPACE)
                        r = bm_grow_part(txn->full, txn->capacity);
                else if (r == BM_E_DATA_NO_SPACE)
                        r = bm_space_grow(txn->store, txn->capacity, txn->privileged);
                else
                        return r;
        }
        return r;
}
