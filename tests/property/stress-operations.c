/* SPDX-License-Identifier: MIT */
/* What an actor does: one operation at a time, carried out on the store and on the bytes that it
 * should then hold. */
#include "stress-actor.h"

struct picked {
        unsigned map, number;
        struct slot *slot;
        char key[32];
        struct bm_ref ref;
};

static void pick(struct actor *a, struct picked *p)
{
        p->map = (unsigned)actor_random(a, STRESS_MAPS);
        p->number = (unsigned)actor_random(a, STRESS_SLOTS);
        p->slot = &a->slots[p->map][p->number];
        p->ref = actor_ref(a, p->map, p->number, p->key);
}

/* Mostly small ones, some large, some at the limits. */
static size_t pick_size(struct actor *a)
{
        static const size_t limits[] = {16383, 16384, 16385, 32767, 32768, 32769, 65536, 65537};
        switch (actor_random(a, 8)) {
        case 0:
                return limits[actor_random(a, sizeof(limits) / sizeof(limits[0]))];
        case 1:
                return actor_random(a, STRESS_VALUE_MAX);
        default:
                return actor_random(a, 600);
        }
}

static void fill(struct actor *a, uint8_t *bytes, size_t len)
{
        uint64_t word = actor_random(a, UINT64_MAX);
        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)(word >> i % 8 * 8) + (uint8_t)(i / 8);
}

static uint64_t pick_count(struct actor *a)
{
        return actor_random(a, 6) == 0 ? (1 << 20) + actor_random(a, BM_COUNT_MAX / 2)
                                       : actor_random(a, 9);
}

static void do_insert(struct actor *a)
{
        struct picked p;
        pick(a, &p);
        p.slot->there = true;
        p.slot->size = pick_size(a);
        p.slot->count = pick_count(a);
        fill(a, p.slot->bytes, p.slot->size);
        gives(bm_insert(p.ref.map, p.key, p.ref.key_len, p.slot->bytes, p.slot->size,
                        p.slot->count),
              0);
}

struct updating {
        struct actor *a;
        struct slot *slot;
        enum bm_verdict verdict;
};

static enum bm_verdict update(void *ctx, const struct bm_view *now, struct bm_next *next)
{
        struct updating *u = ctx;
        wanted(!now == !u->slot->there);
        wanted(!now || now->size == u->slot->size);
        wanted(!now || now->large || memcmp(now->value, u->slot->bytes, now->size) == 0);
        next->value = u->a->buf;
        next->value_len = 100;
        next->count = 77;
        return u->verdict;
}

static void do_update(struct actor *a)
{
        struct picked p;
        pick(a, &p);
        struct updating u = {
                .a = a, .slot = p.slot, .verdict = (enum bm_verdict)actor_random(a, 3)};
        fill(a, a->buf, 100);
        gives(bm_update(p.ref.map, p.key, p.ref.key_len, update, &u), 0);
        if (u.verdict == BM_DELETE)
                p.slot->there = false;
        if (u.verdict != BM_PUT)
                return;
        p.slot->there = true;
        p.slot->size = 100;
        p.slot->count = 77;
        memcpy(p.slot->bytes, a->buf, 100);
}

static void do_delete(struct actor *a)
{
        struct picked p;
        pick(a, &p);
        gives(bm_delete_key(p.ref.map, p.key, p.ref.key_len), p.slot->there ? 0 : BM_E_NOT_FOUND);
        p.slot->there = false;
}

static void do_count(struct actor *a)
{
        struct picked p;
        uint64_t count = pick_count(a);
        pick(a, &p);
        if (!p.slot->there) {
                gives(bm_addref(p.ref.map, p.key, p.ref.key_len, NULL), BM_E_NOT_FOUND);
                return;
        }
        if (actor_random(a, 2)) {
                gives(bm_count_set(&p.ref, count), 0);
                p.slot->count = count;
        } else if (actor_random(a, 2)) {
                gives(bm_addref(p.ref.map, p.key, p.ref.key_len, &count), 0);
                wanted(count == ++p.slot->count);
        } else {
                gives(bm_unref(p.ref.map, p.key, p.ref.key_len, &count),
                      p.slot->count ? 0 : BM_E_COUNT);
                p.slot->count -= p.slot->count > 0;
        }
}

static void write_model(struct slot *s, size_t at, const uint8_t *bytes, size_t len)
{
        if (at > s->size)
                memset(s->bytes + s->size, 0, at - s->size);
        memcpy(s->bytes + at, bytes, len);
        if (at + len > s->size)
                s->size = at + len;
}

static void truncate_model(struct slot *s, size_t size)
{
        if (size > s->size)
                memset(s->bytes + s->size, 0, size - s->size);
        s->size = size;
}

/* A write or a truncation of what REF names. */
static void change_part(struct actor *a, const struct bm_ref *ref, struct slot *s)
{
        size_t at = pick_size(a), len = pick_size(a) + 1, done;
        if (actor_random(a, 2)) {
                gives(bm_truncate(ref, at, NULL, NULL), s->there ? 0 : BM_E_NOT_FOUND);
                if (s->there)
                        truncate_model(s, at);
                return;
        }
        if (at + len > STRESS_VALUE_MAX)
                len = STRESS_VALUE_MAX - at;
        fill(a, a->buf, len);
        gives(bm_write_at(ref, at, a->buf, len, NULL, NULL, &done), s->there ? 0 : BM_E_NOT_FOUND);
        if (s->there) {
                wanted(done == len);
                write_model(s, at, a->buf, len);
        }
}

static void do_change_part(struct actor *a)
{
        struct picked p;
        pick(a, &p);
        change_part(a, &p.ref, p.slot);
}

static void do_read_part(struct actor *a)
{
        struct picked p;
        size_t at = pick_size(a), len = pick_size(a) + 1, done;
        pick(a, &p);
        gives(bm_read_at(&p.ref, at, a->buf, len, &done), p.slot->there ? 0 : BM_E_NOT_FOUND);
        if (!p.slot->there)
                return;
        size_t left = at < p.slot->size ? p.slot->size - at : 0;
        wanted(done == (len < left ? len : left));
        wanted(memcmp(a->buf, p.slot->bytes + at, done) == 0);
}

/* A removed record: still to be read and written by its id. */
static void use_orphan(struct actor *a, uint64_t record_id, struct slot *s)
{
        struct bm_ref ref;
        uint8_t key[8];
        size_t done;
        bm_orphan_ref(a->store, record_id, key, &ref);
        for (uint64_t i = actor_random(a, 4); i-- > 0;)
                change_part(a, &ref, s);
        gives(bm_read_at(&ref, 0, a->buf, sizeof(a->buf), &done), 0);
        wanted(done == s->size && memcmp(a->buf, s->bytes, done) == 0);
        gives(bm_orphan_release(a->store, record_id), 0);
        gives(bm_read_at(&ref, 0, a->buf, sizeof(a->buf), &done), BM_E_NOT_FOUND);
        s->there = false;
}

static int keep_meta(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        memcpy(meta, "meta", 4);
        *meta_len = 4;
        return 0;
}

static void do_orphan(struct actor *a)
{
        struct bm_remove_args args = {.orphan = true};
        struct bm_view view;
        struct picked p;
        pick(a, &p);
        if (!p.slot->there)
                return;
        if (actor_random(a, 2))
                args.meta_fn = keep_meta;
        gives(bm_read_ref(&p.ref, &view), 0);
        p.ref.record_id = view.record_id;
        gives(bm_remove(&p.ref, &args), 0);
        wanted(!view.value || memcmp(view.value, p.slot->bytes, view.size) == 0);
        bm_view_release(&view);
        use_orphan(a, p.ref.record_id, p.slot);
}

static void swap_slots(struct slot *x, struct slot *y)
{
        struct slot was = *x;
        *x = *y;
        *y = was;
}

static void do_rename(struct actor *a)
{
        struct picked from, to;
        struct bm_rename_args args = {.moved_fn = keep_meta};
        pick(a, &from);
        pick(a, &to);
        if (from.slot == to.slot)
                return;
        args.exchange = actor_random(a, 3) == 0;
        args.orphan_victim = !args.exchange && actor_random(a, 2);
        int want = from.slot->there && (to.slot->there || !args.exchange) ? 0 : BM_E_NOT_FOUND;
        gives(bm_rename(&from.ref, to.ref.map, to.key, to.ref.key_len, &args), want);
        if (want != 0)
                return;
        wanted(!args.victim_id == !to.slot->there);
        swap_slots(from.slot, to.slot);
        if (args.exchange)
                return;
        if (from.slot->there && to.slot->count == 1)
                to.slot->count = from.slot->count;
        if (from.slot->there && args.orphan_victim)
                use_orphan(a, args.victim_id, from.slot);
        from.slot->there = false;
}

/* A second name comes, is used, and goes, or takes the first one's place. */
static void do_link(struct actor *a)
{
        struct bm_map *map = a->maps[actor_random(a, STRESS_MAPS)];
        struct bm_rename_args args = {.moved_fn = keep_meta};
        struct bm_view view;
        struct picked p;
        struct bm_ref by_id;
        uint8_t id_key[8];
        char name[32];
        const struct bm_ref link = {
                .map = map,
                .key = name,
                .key_len = (size_t)snprintf(name, sizeof(name), "link-%u", a->number)};
        pick(a, &p);
        gives(bm_link(&p.ref, map, name, link.key_len, keep_meta, NULL),
              p.slot->there ? 0 : BM_E_NOT_FOUND);
        if (!p.slot->there)
                return;
        gives(bm_link(&p.ref, map, name, link.key_len, NULL, NULL), BM_E_EXISTS);
        gives(bm_read_ref(&link, &view), 0);
        wanted(view.links == 2 && view.by_id && view.count == p.slot->count);
        bm_id_ref(a->store, view.record_id, id_key, &by_id);
        bm_view_release(&view);
        change_part(a, &link, p.slot);
        gives(bm_rename(&p.ref, map, name, link.key_len, &args), 0);
        if (actor_random(a, 2)) {
                gives(bm_delete_key(p.ref.map, p.key, p.ref.key_len), 0);
                change_part(a, &by_id, p.slot);
                gives(bm_rename(&link, p.ref.map, p.key, p.ref.key_len, &args), 0);
        } else {
                gives(bm_remove(&link, &(struct bm_remove_args){.linked_fn = keep_meta}), 0);
        }
        actor_verify(a, p.map, p.number);
}

/* A record that all actors give names, and take them away again. */
static void do_shared_link(struct actor *a)
{
        struct bm_map *map = a->maps[actor_random(a, STRESS_MAPS)];
        const struct bm_ref shared = {.map = a->maps[0], .key = "shared", .key_len = 6};
        char name[32];
        size_t len = (size_t)snprintf(name, sizeof(name), "share-%u", a->number), done;
        struct bm_view view;
        uint64_t count;
        int r = bm_create_record(a->maps[0], "shared", 6, "abc", 3, NULL, 0, NULL);
        wanted(r == 0 || r == BM_E_EXISTS);
        gives(bm_link(&shared, map, name, len, keep_meta, NULL), 0);
        const struct bm_ref mine = {.map = map, .key = name, .key_len = len};
        gives(bm_read_ref(&mine, &view), 0);
        wanted(view.links >= 2 && view.size >= 3 && memcmp(view.value, "abc", 3) == 0);
        bm_view_release(&view);
        gives(bm_addref(map, name, len, &count), 0);
        gives(bm_write_at(&mine, a->number, &"abcabcabc"[a->number % 3], 1, NULL, NULL, &done), 0);
        gives(bm_read_at(&shared, 0, a->buf, 100, &done), 0);
        gives(bm_unref(map, name, len, &count), 0);
        gives(bm_delete_key(map, name, len), 0);
}

/* Many of a map's keys at once, a name that others change among them. */
static void do_read_many(struct actor *a)
{
        enum { N = 20 };
        const unsigned map = (unsigned)actor_random(a, STRESS_MAPS);
        const struct slot *slots[N];
        char names[N][32];
        struct bm_key keys[N];
        struct bm_view views[N];
        int results[N];
        keys[0] = (struct bm_key){"shared", 6};
        for (unsigned i = 1; i < N; i++) {
                unsigned number = (unsigned)actor_random(a, STRESS_SLOTS);
                const struct bm_ref ref = actor_ref(a, map, number, names[i]);
                slots[i] = &a->slots[map][number];
                keys[i] = (struct bm_key){ref.key, ref.key_len};
        }
        bm_read_values(a->maps[map], keys, N, views, results);
        wanted(results[0] == 0 || results[0] == BM_E_NOT_FOUND);
        for (unsigned i = 1; i < N; i++) {
                const struct slot *s = slots[i];
                gives(results[i], s->there ? 0 : BM_E_NOT_FOUND);
                wanted(!s->there || (views[i].count == s->count && views[i].size == s->size));
                wanted(!views[i].value || memcmp(views[i].value, s->bytes, s->size) == 0);
        }
        for (unsigned i = 0; i < N; i++)
                bm_view_release(&views[i]);
}

static void do_batch(struct actor *a)
{
        struct picked in, out, counted;
        struct bm_write_batch *batch;
        pick(a, &in);
        pick(a, &out);
        pick(a, &counted);
        if (in.slot == out.slot || in.slot == counted.slot || out.slot == counted.slot)
                return;
        size_t size = actor_random(a, 3000);
        fill(a, a->buf, size);
        gives(bm_write_batch_new(a->store, &batch), 0);
        gives(bm_write_batch_insert(batch, in.ref.map, in.key, in.ref.key_len, a->buf, size, 5), 0);
        gives(bm_write_batch_delete(batch, out.ref.map, out.key, out.ref.key_len), 0);
        gives(bm_write_batch_count(batch, counted.ref.map, counted.key, counted.ref.key_len, 8), 0);
        gives(bm_write_batch_addref(batch, counted.ref.map, counted.key, counted.ref.key_len, 1),
              0);
        gives(bm_write_batch_commit(batch), counted.slot->there ? 0 : BM_E_NOT_FOUND);
        bm_write_batch_free(batch);
        if (!counted.slot->there)
                return;
        counted.slot->count = 9;
        out.slot->there = false;
        in.slot->there = true;
        in.slot->count = 5;
        in.slot->size = size;
        memcpy(in.slot->bytes, a->buf, size);
}

/* A map of the actor's own comes, moves, and goes. */
static void do_map(struct actor *a)
{
        struct bm_map *parent = a->maps[actor_random(a, STRESS_MAPS)], *map;
        struct bm_map *target = a->maps[actor_random(a, STRESS_MAPS)];
        char name[32], other[32];
        struct bm_rename_args args = {0};
        struct bm_map_info info;
        uint64_t id;
        size_t len = (size_t)snprintf(name, sizeof(name), "map-%u", a->number);
        size_t other_len = (size_t)snprintf(other, sizeof(other), "moved-%u", a->number);
        struct bm_ref ref = {.map = parent, .key = name, .key_len = len};
        gives(bm_map_create(parent, name, len, "m", 1, &id, NULL), 0);
        gives(bm_map_create(parent, name, len, "m", 1, NULL, NULL), BM_E_EXISTS);
        gives(bm_map_open(a->store, id, &map), 0);
        for (unsigned i = 0; i < 70; i++)
                gives(bm_insert(map, &"abcdefghi"[i % 8], 1 + i % 2, "x", 1, 1), 0);
        gives(bm_map_remove(parent, name, len), BM_E_NOT_EMPTY);
        gives(bm_rename(&ref, map, "z", 1, &args), BM_E_LOOP);
        if (actor_random(a, 2)) /* onto an empty one */
                gives(bm_map_create(target, other, other_len, NULL, 0, NULL, NULL), 0);
        gives(bm_rename(&ref, target, other, other_len, &args), 0);
        gives(bm_map_info(map, &info), 0);
        wanted(info.n_keys == 8);
        for (unsigned i = 0; i < 8; i++)
                gives(bm_delete_key(map, &"abcdefghi"[i], 1 + i % 2), 0);
        gives(bm_map_remove(target, other, other_len), 0);
        gives(bm_insert(map, "x", 1, "x", 1, 1), BM_E_NOT_FOUND);
        bm_map_close(map);
        gives(bm_map_open(a->store, id, &map), BM_E_NOT_FOUND);
}

void actor_step(struct actor *a)
{
        static void (*const operations[])(struct actor * a) = {
                do_insert,    do_insert, do_insert,      do_update,      do_delete,
                do_count,     do_count,  do_change_part, do_change_part, do_change_part,
                do_read_part, do_orphan, do_rename,      do_rename,      do_batch,
                do_read_many, do_link,   do_link,        do_shared_link,
        };
        uint64_t choice = actor_random(a, 400);
        if (choice == 0)
                do_map(a);
        else if (choice == 1)
                actor_list(a, (unsigned)actor_random(a, STRESS_MAPS));
        else if (choice < 20)
                actor_verify(a, (unsigned)actor_random(a, STRESS_MAPS),
                             (unsigned)actor_random(a, STRESS_SLOTS));
        else
                operations[choice % (sizeof(operations) / sizeof(operations[0]))](a);
}
