/* SPDX-License-Identifier: MIT */
/* Figures say what there is. */
#include "store-fixture.h"

static struct bm_stats stats_of(struct fixture *f)
{
        struct bm_stats stats;
        assert_int_equal(bm_stats(f->store, &stats), 0);
        return stats;
}

static void an_empty_store(void **state)
{
        struct fixture *f = *state;
        struct bm_stats s = stats_of(f);
        assert_int_equal(s.keys, 0);
        assert_int_equal(s.maps, 1);
        assert_int_equal(s.value_bytes, 0);
        assert_int_equal(s.n_drives, 1);
        assert_int_equal(s.n_buckets, BM_BUCKETS_DEFAULT);
        assert_int_equal(s.max_search, BM_MAX_SEARCH_DEFAULT);
        assert_int_equal(s.format_major, BM_FORMAT_MAJOR);
        assert_true(s.created_ns > 0);
        assert_true(s.clean_open);
        assert_false(s.read_only);
        assert_int_equal(s.replayed_records, 0);
        assert_int_equal(s.replay_bytes, s.log_bytes);
}

static void keys_and_bytes_follow_every_change(void **state)
{
        struct fixture *f = *state;
        static char large[100000];
        struct bm_ref ref = {.map = f->root, .key = "large", .key_len = 5};
        size_t done;
        for (int turn = 0; turn < 3; turn++) {
                ref.map = f->root;
                put(f, "small", "12345", 5);
                put(f, "large", large, sizeof(large));
                assert_int_equal(bm_map_create(f->root, "map", 3, NULL, 0, NULL, NULL), 0);
                assert_int_equal(stats_of(f).keys, 2);
                assert_int_equal(stats_of(f).maps, 2);
                assert_int_equal(stats_of(f).value_bytes, 100005);
                put(f, "small", "1234567", 7);
                assert_int_equal(stats_of(f).value_bytes, 100007);
                assert_int_equal(bm_truncate(&ref, 50000, NULL, NULL), 0);
                assert_int_equal(stats_of(f).value_bytes, 50007);
                assert_int_equal(bm_truncate(&ref, 10, NULL, NULL), 0);
                assert_int_equal(stats_of(f).value_bytes, 17);
                assert_int_equal(bm_write_at(&ref, 99999, "x", 1, NULL, NULL, &done), 0);
                assert_int_equal(stats_of(f).value_bytes, 100007);
                if (turn == 1)
                        fixture_kill(f);
                else
                        fixture_close(f);
                fixture_open(f);
                assert_int_equal(stats_of(f).keys, 2);
                assert_int_equal(stats_of(f).maps, 2);
                assert_int_equal(stats_of(f).value_bytes, 100007);
                assert_int_equal(stats_of(f).clean_open, turn != 1);
                assert_int_equal(stats_of(f).replayed_records > 0, turn == 1);
                remove_key(f, "small");
                remove_key(f, "large");
                assert_int_equal(bm_map_remove(f->root, "map", 3), 0);
                assert_int_equal(stats_of(f).keys, 0);
                assert_int_equal(stats_of(f).maps, 1);
                assert_int_equal(stats_of(f).value_bytes, 0);
        }
}

static int add_segment(void *ctx, const struct bm_segment_info *info)
{
        struct bm_stats *sum = ctx;
        assert_true(info->used <= info->size);
        assert_true(info->live <= info->used);
        if (strcmp(info->kind, "index") != 0) {
                sum->segments++;
                sum->segment_bytes += info->size;
                sum->live_bytes += info->live;
        }
        sum->disk_bytes += info->size;
        return 0;
}

static void segments_add_up(void **state)
{
        struct fixture *f = *state;
        static char value[3000];
        char key[16];
        struct bm_stats sum = {0};
        for (unsigned i = 0; i < 500; i++) {
                snprintf(key, sizeof(key), "%u", i % 300);
                put(f, key, value, sizeof(value));
        }
        assert_int_equal(bm_compact(f->store), 0);
        struct bm_stats s = stats_of(f);
        assert_int_equal(bm_segments(f->store, add_segment, &sum), 0);
        assert_int_equal(sum.segments, s.segments);
        assert_int_equal(sum.segment_bytes, s.segment_bytes);
        assert_int_equal(sum.live_bytes, s.live_bytes);
        assert_true(s.disk_bytes >= sum.disk_bytes + f->store->reserved);
        assert_true(s.live_bytes > 300 * sizeof(value));
        assert_true(s.reclaimable_bytes < s.live_bytes / 4);
        assert_true(s.compacted_bytes > 0);
        assert_true(s.checkpoints > 0);
        assert_true(s.index_slots >= s.index_used && s.index_used >= 300);
}

static void log_and_syncs_are_counted(void **state)
{
        struct fixture *f = *state;
        struct bm_stats before = stats_of(f);
        put_text(f, "a", "1");
        assert_int_equal(bm_sync(f->store), 0);
        struct bm_stats after = stats_of(f);
        assert_true(after.log_bytes > before.log_bytes);
        assert_int_equal(after.syncs, before.syncs + 1);
        assert_true(after.replay_bytes > before.replay_bytes);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_true(stats_of(f).replay_bytes < 100); /* a sync record */
        assert_int_equal(stats_of(f).checkpoints, after.checkpoints + 1);
}

static void space_is_the_disks(void **state)
{
        struct fixture *f = *state;
        struct bm_space space;
        put_text(f, "a", "1");
        assert_int_equal(bm_space(f->store, &space), 0);
        assert_int_equal(space.keys, 1);
        assert_true(space.total_bytes > 0);
        assert_true(space.free_bytes <= space.total_bytes);
        assert_true(space.available_bytes <= space.free_bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(an_empty_store),
                test_in_store(keys_and_bytes_follow_every_change),
                test_in_store(segments_add_up),
                test_in_store(log_and_syncs_are_counted),
                test_in_store(space_is_the_disks),
        };
        return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
