/* SPDX-License-Identifier: MIT */
/*
 * Every operation at once: actors that each change keys of their own in
 * shared maps and know exactly what these hold, while others sync, write
 * checkpoints, compact and look at the figures. Afterwards the counters are
 * compared with what there is; and all of it again after opening anew, after
 * a clean close and after a kill.
 *
 * BM_SEED repeats the choices (not their interleaving), BM_OPS sets the
 * number of an actor's operations.
 */
#include <time.h>

#include "recover.h"
#include "stress-actor.h"

enum { ACTORS = 4 };

struct stress {
        struct fixture *f;
        struct actor *actors[ACTORS];
        struct bm_map *maps[STRESS_MAPS];
        uint64_t map_ids[STRESS_MAPS];
        atomic_bool stop;
};

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
        const char *text = getenv(name);
        return text ? strtoull(text, NULL, 0) : otherwise;
}

static void *act(void *ctx)
{
        struct actor *a = ctx;
        for (uint64_t i = 0; i < a->n_operations; i++)
                actor_step(a);
        return NULL;
}

static int ignore_segment(void *ctx, const struct bm_segment_info *info)
{
        wanted(info->used <= info->size);
        return 0;
}

static void answered(void *ctx, int result)
{
        wanted(result == 0);
        atomic_fetch_add((_Atomic unsigned *)ctx, 1);
}

/* What else goes on in a store. */
static void *keep(void *ctx)
{
        struct stress *st = ctx;
        struct bm_store *store = st->f->store;
        _Atomic unsigned n_answered = 0;
        unsigned n_asked = 0;
        for (unsigned i = 0; !atomic_load(&st->stop); i++) {
                struct bm_stats stats;
                struct bm_space space;
                switch (i % 6) {
                case 0:
                        gives(bm_compact(store), 0);
                        break;
                case 1:
                        gives(bm_checkpoint(store), 0);
                        break;
                case 2:
                        gives(bm_sync(store), 0);
                        break;
                case 3:
                        bm_sync_start(store, answered, &n_answered);
                        n_asked++;
                        break;
                case 4:
                        gives(bm_stats(store, &stats), 0);
                        gives(bm_space(store, &space), 0);
                        break;
                default:
                        gives(bm_segments(store, ignore_segment, NULL), 0);
                        break;
                }
        }
        gives(bm_sync(store), 0);
        while (atomic_load(&n_answered) < n_asked)
                gives(bm_sync(store), 0);
        return NULL;
}

static void open_maps(struct stress *st)
{
        st->maps[0] = st->f->root;
        for (unsigned i = 1; i < STRESS_MAPS; i++)
                assert_int_equal(bm_map_open(st->f->store, st->map_ids[i], &st->maps[i]), 0);
        for (unsigned i = 0; i < ACTORS; i++)
                actor_attach(st->actors[i], st->f->store, st->maps);
}

static void close_maps(struct stress *st)
{
        for (unsigned i = 1; i < STRESS_MAPS; i++)
                bm_map_close(st->maps[i]);
}

/* What the counters said, by file id. */
struct figures {
        uint64_t n_live, live_bytes;
};

static int note_figures(void *ctx, struct bm_segment *s)
{
        struct figures *figures = ctx;
        if (s->base)
                figures[s->header.file_id] =
                        (struct figures){atomic_load(&s->n_live), atomic_load(&s->live_bytes)};
        return 0;
}

static int compare_figures(void *ctx, struct bm_segment *s)
{
        const struct figures *figures = ctx;
        if (s->base) {
                assert_int_equal(figures[s->header.file_id].n_live, atomic_load(&s->n_live));
                assert_int_equal(figures[s->header.file_id].live_bytes,
                                 atomic_load(&s->live_bytes));
        }
        return 0;
}

/* Counting anew gives what was counted on the way. */
static void verify_segments(struct bm_store *store)
{
        struct figures *figures =
                calloc((size_t)store->drives.highest_file_id + 1, sizeof(*figures));
        uint64_t live_bytes = bm_sum(store, BM_SUM_LIVE_BYTES);
        bm_drives_each(&store->drives, note_figures, figures);
        assert_int_equal(bm_recount(store), 0);
        bm_drives_each(&store->drives, compare_figures, figures);
        assert_int_equal(live_bytes, bm_sum(store, BM_SUM_LIVE_BYTES));
        free(figures);
}

static void verify_totals(struct stress *st)
{
        /* what had several names at some time is in no map of the user's */
        uint64_t keys = 0, bytes = 0, found_bytes = bm_map_sums(st->f->store->inodes).value_bytes;
        struct bm_stats stats;
        for (unsigned m = 0; m < STRESS_MAPS; m++) {
                struct bm_map_info info;
                uint64_t map_keys = 0, map_bytes = 0;
                for (unsigned i = 0; i < ACTORS * STRESS_SLOTS; i++) {
                        const struct slot *s = &st->actors[i % ACTORS]->slots[m][i / ACTORS];
                        map_keys += s->there;
                        map_bytes += s->there ? s->size : 0;
                }
                keys += map_keys;
                bytes += map_bytes;
                assert_int_equal(bm_map_info(st->maps[m], &info), 0);
                assert_int_equal(info.n_keys - info.n_maps, map_keys);
                assert_int_equal(info.n_maps, m == 0 ? STRESS_MAPS - 1 : 0);
                found_bytes += info.value_bytes;
        }
        assert_int_equal(found_bytes, bytes);
        assert_int_equal(bm_stats(st->f->store, &stats), 0);
        assert_int_equal(stats.keys, keys);
        assert_int_equal(stats.value_bytes, bytes);
        assert_int_equal(stats.maps, STRESS_MAPS);
}

/* What all actors linked and unlinked has one name again. */
static void verify_shared(struct stress *st)
{
        struct bm_view view;
        if (bm_read_value(st->f->root, "shared", 6, &view) == BM_E_NOT_FOUND)
                return;
        assert_int_equal(view.links, 1);
        assert_int_equal(view.count, 1);
        bm_view_release(&view);
        assert_int_equal(bm_delete_key(st->f->root, "shared", 6), 0);
}

static void verify(struct stress *st)
{
        verify_shared(st);
        for (unsigned i = 0; i < ACTORS; i++)
                actor_verify_all(st->actors[i]);
        verify_totals(st);
        verify_segments(st->f->store);
        assert_sound(st->f);
        /* everything that was dropped can be swept */
        assert_int_equal(bm_compact(st->f->store), 0);
        assert_int_equal(bm_map_sums(st->f->store->drops).n_keys, 0);
        assert_int_equal(bm_map_sums(st->f->store->orphans).n_keys, 0);
        verify_segments(st->f->store);
        assert_sound(st->f);
}

static void run(struct stress *st)
{
        pthread_t keeper;
        atomic_store(&st->stop, false);
        assert_int_equal(pthread_create(&keeper, NULL, keep, st), 0);
        for (unsigned i = 0; i < ACTORS; i++)
                assert_int_equal(pthread_create(&st->actors[i]->thread, NULL, act, st->actors[i]),
                                 0);
        for (unsigned i = 0; i < ACTORS; i++)
                pthread_join(st->actors[i]->thread, NULL);
        atomic_store(&st->stop, true);
        pthread_join(keeper, NULL);
}

static void everything_at_once(void **state)
{
        struct fixture *f = *state;
        struct stress st = {.f = f};
        uint64_t seed = from_environment("BM_SEED", (uint64_t)time(NULL));
        uint64_t n = from_environment("BM_OPS", 12000);
        print_message("# BM_SEED=%llu BM_OPS=%llu\n", (unsigned long long)seed,
                      (unsigned long long)n);
        fixture_close(f);
        f->config.no_background = false;
        fixture_open(f);
        for (unsigned i = 0; i < ACTORS; i++)
                st.actors[i] = actor_new(i, seed, n);
        for (unsigned i = 1; i < STRESS_MAPS; i++) {
                char name[16];
                size_t len = (size_t)snprintf(name, sizeof(name), "m%u", i);
                assert_int_equal(bm_map_create(f->root, name, len, NULL, 0, &st.map_ids[i], NULL),
                                 0);
        }
        open_maps(&st);
        run(&st);
        verify(&st);
        close_maps(&st);

        /* with nothing in the background, so that the files stand still */
        fixture_close(f);
        f->config.no_background = true;
        fixture_open(f);
        open_maps(&st);
        verify(&st);
        run(&st);
        close_maps(&st);

        fixture_kill(f);
        fixture_open(f);
        open_maps(&st);
        verify(&st);
        close_maps(&st);
        for (unsigned i = 0; i < ACTORS; i++)
                actor_free(st.actors[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {test_in_store(everything_at_once)};
        return cmocka_run_group_tests_name("stress", tests, NULL, NULL);
}
