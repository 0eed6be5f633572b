/* SPDX-License-Identifier: MIT */
/* Finding, inserting, erasing and listing, over one index. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index-fixture.h"

static struct bm_index_stats stats;
static struct bm_index ix;

static void set_up_with(uint32_t bucket, uint8_t skip, uint16_t max_search)
{
        stats = (struct bm_index_stats){0};
        bm_index_init(&ix, bucket, skip, max_search, NULL, &stats);
}

static int set_up(void **state)
{
        set_up_with(0, 0, 32);
        return 0;
}

static int tear_down(void **state)
{
        bm_index_deinit(&ix);
        assert_int_equal(stats.slots, 0);
        assert_int_equal(stats.bytes, 0);
        return 0;
}

static void empty_index_has_no_block(void **state)
{
        struct bm_place place;
        uint64_t capacity = 99, applied = 99, last;
        struct bm_known_slot *slots;
        size_t n;

        assert_int_equal(find_id(&ix, 1, 1, &place), BM_E_NOT_FOUND);
        assert_int_equal(bm_index_room(&ix, 1, &capacity), BM_E_INDEX_NO_SPACE);
        assert_int_equal(capacity, 0);
        assert_int_equal(ix.n_blocks, 0);
        assert_int_equal(bm_index_applied(&ix, 1, &applied), 0);
        assert_int_equal(applied, 0);
        assert_int_equal(bm_index_collect(&ix, 1, &slots, &n, &last), 0);
        assert_null(slots);
        assert_int_equal(n, 0);
        assert_true(last == UINT64_MAX);
        assert_int_equal(stats.bytes, 0);
}

static void first_block_has_32_slots(void **state)
{
        struct bm_slot slot = slot_of(1);
        uint64_t capacity;

        assert_int_equal(bm_index_grow(&ix, 5, 0), 0);
        assert_int_equal(bm_index_insert(&ix, 5, &slot, NULL, &capacity), BM_E_INDEX_NO_SPACE);
        handle_delayed_grows(&ix);
        assert_int_equal(bm_index_insert(&ix, 5, &slot, NULL, &capacity), 0);
        assert_int_equal(stats.slots, 32);
        assert_int_equal(stats.bytes, 64 + 512);
        check_index(&ix);
}

/* Where keys stand is part of the format: these positions may never change. */
static void bucket_index_ix_is_stable(void **state)
{
        static const struct {
                uint64_t hash;
                uint32_t depth, slot;
        } golden[] = {
                {UINT64_C(0x3000000000000000), 0, 0},  {UINT64_C(0x3fffffffffffffff), 0, 31 - 3},
                {UINT64_C(0x3800000000000000), 0, 16}, {UINT64_C(0x3123456789abcdef), 0, 0},
                {UINT64_C(0x3876543210fedcba), 0, 16}, {UINT64_C(0x3a5a5a5a5a5a5a5a), 0, 20},
                {UINT64_C(0x37ffffffffffffff), 0, 12}, {UINT64_C(0x3deadbeefcafe123), 0, 24},
        };

        bm_index_deinit(&ix);
        for (size_t i = 0; i < bm_array_size(golden); i++) {
                struct bm_place place;

                set_up_with(3, 4, 32);
                insert_id(&ix, golden[i].hash, 7);
                assert_int_equal(find_id(&ix, golden[i].hash, 7, &place), 0);
                assert_int_equal(place.block->depth, golden[i].depth);
                assert_int_equal(place.slot, golden[i].slot);
                assert_int_equal(place.probes, 1);
                bm_index_deinit(&ix);
        }

        /* and in blocks of any size and depth */
        static const struct {
                uint64_t tag;
                unsigned depth;
                uint32_t lines, home;
        } homes[] = {{UINT64_C(0x123456789a), 0, 8, 0},      {UINT64_C(0x123456789a), 3, 160, 91},
                     {UINT64_C(0xfedcba9876), 10, 256, 114}, {UINT64_C(0xfedcba9876), 24, 256, 152},
                     {UINT64_C(0x8000000001), 1, 224, 0},    {UINT64_C(0xdeadbeef11), 7, 192, 65},
                     {UINT64_C(0x0f0f0f0f0f), 5, 128, 112}};

        for (size_t i = 0; i < bm_array_size(homes); i++) {
                struct bm_block *block = bm_block_new(homes[i].lines, homes[i].depth);

                assert_int_equal(bm_block_home(block, homes[i].tag), homes[i].home);
                bm_block_free(block);
        }
}

static void find_tells_equal_hashes_apart(void **state)
{
        struct bm_place place;

        for (uint64_t id = 1; id <= 20; id++)
                insert_id(&ix, 42, id);
        for (uint64_t id = 1; id <= 20; id++)
                assert_int_equal(find_id(&ix, 42, id, &place), 0);
        assert_int_equal(find_id(&ix, 42, 21, &place), BM_E_NOT_FOUND);
        assert_int_equal(find_id(&ix, UINT64_C(43) << 24, 1, &place), BM_E_NOT_FOUND);
}

static int give_up(void *ctx, const struct bm_slot *slot)
{
        return -EILSEQ;
}

static void find_passes_errors_on(void **state)
{
        struct bm_place place;
        struct bm_slot slot;

        insert_id(&ix, 42, 1);
        assert_int_equal(bm_index_find(&ix, 42, give_up, NULL, &place, &slot), -EILSEQ);
}

static void set_replaces_all_but_the_hash(void **state)
{
        struct bm_place place;
        struct bm_slot slot = {77, 88 * BM_UNIT, 16, BM_SLOT_COUNT_OVERFLOW, BM_SLOT_LARGE};
        struct bm_slot back;
        uint64_t id = id_of(&slot);

        /* in a line whose share bits are in use */
        for (uint64_t i = 1; i <= 20; i++)
                insert_id(&ix, 42, i);
        assert_int_equal(find_id(&ix, 42, 2, &place), 0);
        bm_index_set(&ix, &place, &slot);
        assert_int_equal(find_id(&ix, 42, 2, &place), BM_E_NOT_FOUND);
        assert_int_equal(bm_index_find(&ix, 42, match_id, &id, &place, &back), 0);
        assert_int_equal(back.length, 16);
        assert_int_equal(back.count, BM_SLOT_COUNT_OVERFLOW);
        assert_int_equal(back.kind, BM_SLOT_LARGE);
        check_index(&ix);
}

static void insert_refuses_what_does_not_fit(void **state)
{
        struct bm_slot slot = slot_of(1);
        uint64_t capacity;

        insert_id(&ix, 42, 9);
        slot.offset = 1u << 27;
        assert_int_equal(bm_index_insert(&ix, 42, &slot, NULL, &capacity), -EINVAL);
        assert_int_equal(ix.n_used, 1);
        check_index(&ix);
}

/* The original's insert2, one level down: refused twice, no trace, growth helps. */
static void no_space_leaves_no_trace(void **state)
{
        struct bm_slot slot = slot_of(1000);
        uint64_t capacity = 0;
        uint64_t id = 0;
        struct bm_place place;
        uint8_t before[64 + 512];

        do
                insert_id(&ix, 42, ++id);
        while (bm_index_room(&ix, 42, &capacity) == 0);
        assert_int_equal(id, 32);
        memcpy(before, bm_block_image(ix.dir[0]), sizeof(before));
        for (int i = 0; i < 2; i++) {
                capacity = 0;
                assert_int_equal(bm_index_insert(&ix, 42, &slot, NULL, &capacity),
                                 BM_E_INDEX_NO_SPACE);
                assert_int_equal(capacity, 32);
                assert_memory_equal(before, bm_block_image(ix.dir[0]), sizeof(before));
                assert_int_equal(find_id(&ix, 42, 1000, &place), BM_E_NOT_FOUND);
        }
        insert_id(&ix, 42, 1000);
        assert_int_equal(find_id(&ix, 42, 1000, &place), 0);
        check_index(&ix);
}

/* Inserting, erasing and inserting again must not fill the counters up. */
static void erase_makes_misses_short_again(void **state)
{
        struct bm_place place;

        for (int round = 0; round < 3; round++) {
                for (uint64_t id = 1; id <= 30; id++)
                        insert_id(&ix, 42, id);
                assert_int_equal(find_id(&ix, 42, 99, &place), BM_E_NOT_FOUND);
                assert_int_equal(place.probes, 8);
                check_index(&ix);
                for (uint64_t id = 30; id >= 1; id--)
                        erase_id(&ix, 42, id);
                assert_int_equal(find_id(&ix, 42, 99, &place), BM_E_NOT_FOUND);
                assert_int_equal(place.probes, 1);
                check_index(&ix);
        }
        assert_int_equal(stats.slots, 32);
}

static void probe_wraps_at_the_end(void **state)
{
        struct bm_place place;

        for (uint64_t id = 1; id <= 6; id++)
                insert_id(&ix, UINT64_MAX, id);
        assert_int_equal(find_id(&ix, UINT64_MAX, 6, &place), 0);
        assert_int_equal(place.slot, 1);
        assert_int_equal(place.probes, 2);
        check_index(&ix);
}

/* A place survives what an insertion moves about. */
static void place_follows_its_slot(void **state)
{
        enum { N = 700 };
        static struct bm_place places[N];
        uint64_t capacity = 0, n = 0, moved = 0;
        struct bm_slot slot;

        ix.anticipated = N;
        for (; n < N / 2; n++)
                insert_id(&ix, hash_of(n), n);
        for (uint64_t id = 0; id < n; id++)
                assert_int_equal(find_id(&ix, hash_of(id), id, &places[id]), 0);
        for (;; n++) {
                slot = slot_of(n);
                if (bm_index_insert(&ix, hash_of(n), &slot, NULL, &capacity))
                        break;
        }
        assert_true(n > N);
        for (uint64_t id = 0; id < N / 2; id++) {
                uint32_t old = places[id].slot;

                slot = slot_of(id + 100000);
                bm_index_set(&ix, &places[id], &slot);
                moved += places[id].slot != old;
                if (id % 2)
                        bm_index_erase(&ix, &places[id]);
        }
        assert_true(moved > 0);
        for (uint64_t id = 0; id < n; id++) {
                struct bm_place place;
                bool set = id < N / 2;

                assert_int_equal(find_id(&ix, hash_of(id), set ? id + 100000 : id, &place),
                                 set && id % 2 ? BM_E_NOT_FOUND : 0);
        }
        check_index(&ix);
}

static void fill_and_check(uint16_t max_search, uint64_t n, uint64_t (*hash)(uint64_t id))
{
        struct bm_place place;

        bm_index_deinit(&ix);
        set_up_with(0, 0, max_search);
        for (uint64_t id = 1; id <= n; id++)
                insert_id(&ix, hash(id), id);
        check_index(&ix);
        for (uint64_t id = 1; id <= n; id++)
                assert_int_equal(find_id(&ix, hash(id), id, &place), 0);
        for (uint64_t id = n + 1; id <= n + 100; id++)
                assert_int_equal(find_id(&ix, hash(id), id, &place), BM_E_NOT_FOUND);
        for (uint64_t id = 1; id <= n; id += 2)
                erase_id(&ix, hash(id), id);
        check_index(&ix);
        for (uint64_t id = 1; id <= n; id++)
                assert_int_equal(find_id(&ix, hash(id), id, &place), id % 2 ? BM_E_NOT_FOUND : 0);
        for (uint64_t id = 1; id <= n; id += 2)
                insert_id(&ix, hash(id), id);
        check_index(&ix);
        assert_int_equal(ix.n_used, n);
}

static uint64_t one_hash(uint64_t id)
{
        return UINT64_C(0x0123456789abcdef);
}

static uint64_t equal_top_40(uint64_t id)
{
        return UINT64_C(0xfedcba9876000000) | (hash_of(id) & 0xffffff);
}

static uint64_t equal_top_12(uint64_t id)
{
        return UINT64_C(0x777) << 52 | hash_of(id) >> 12;
}

static uint64_t one_of_two(uint64_t id)
{
        return id % 2 ? 0 : UINT64_MAX;
}

static uint64_t ascending(uint64_t id)
{
        return id << 30;
}

static void equal_hashes_never_fail(void **state)
{
        fill_and_check(32, 5000, one_hash);
        /* the directory stays small */
        assert_true(ix.depth <= 12);
        fill_and_check(4, 5000, one_hash);
        fill_and_check(1024, 5000, one_hash);
}

static void equal_tags_never_fail(void **state)
{
        fill_and_check(32, 5000, equal_top_40);
        fill_and_check(4, 5000, equal_top_40);
}

static void skewed_hashes_never_fail(void **state)
{
        fill_and_check(32, 20000, equal_top_12);
        fill_and_check(4, 5000, equal_top_12);
        fill_and_check(32, 3000, one_of_two);
        fill_and_check(32, 5000, ascending);
}

static void any_max_search(void **state)
{
        static const uint16_t max_search[] = {4, 8, 64, 256, 1024};

        for (size_t i = 0; i < bm_array_size(max_search); i++)
                fill_and_check(max_search[i], 5000, hash_of);
}

/* Bytes a key, over a doubling of the number of keys. */
static void size_per_key(void **state)
{
        double sum = 0;
        unsigned n = 0;

        for (uint64_t id = 1; id <= 200000; id++) {
                insert_id(&ix, hash_of(id), id);
                if (id >= 100000 && id % 1000 == 0) {
                        sum += (double)stats.bytes / (double)id;
                        n++;
                }
        }
        assert_true(sum / n < 21);
        assert_true(stats.longest_probe <= 8);
}

static void count_seen(void *ctx, const struct bm_known_slot *slot)
{
        uint8_t *seen = ctx;
        uint64_t id = id_of(&slot->slot);

        assert_true(id >= 1 && id <= 5000);
        /* as much of the hash as a slot keeps */
        assert_true(slot->hash ==
                    ((UINT64_C(9) << 60 | hash_of(id) >> 4) & (UINT64_MAX << (64 - 44))));
        seen[id]++;
}

static void collect_covers_everything_once(void **state)
{
        static uint8_t seen[5001];

        bm_index_deinit(&ix);
        set_up_with(9, 4, 32);
        for (uint64_t n = 0; n < 5000; n++) {
                insert_id(&ix, UINT64_C(9) << 60 | hash_of(n + 1) >> 4, n + 1);
                if ((n & (n + 1)) && n != 4999)
                        continue;
                memset(seen, 0, sizeof(seen));
                assert_int_equal(collect_all(&ix, count_seen, seen), n + 1);
                for (uint64_t id = 1; id <= n + 1; id++)
                        assert_int_equal(seen[id], 1);
        }
        assert_true(ix.n_blocks > 4);
}

static void ignore_seen(void *ctx, const struct bm_known_slot *slot)
{
}

static void collect_covers_chains(void **state)
{
        for (uint64_t id = 1; id <= 3000; id++)
                insert_id(&ix, id % 3 ? 42 : hash_of(id), id);
        assert_int_equal(collect_all(&ix, ignore_seen, NULL), 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(empty_index_has_no_block),
                TEST(first_block_has_32_slots),
                TEST(bucket_index_ix_is_stable),
                TEST(find_tells_equal_hashes_apart),
                TEST(find_passes_errors_on),
                TEST(set_replaces_all_but_the_hash),
                TEST(insert_refuses_what_does_not_fit),
                TEST(no_space_leaves_no_trace),
                TEST(erase_makes_misses_short_again),
                TEST(probe_wraps_at_the_end),
                TEST(place_follows_its_slot),
                TEST(equal_hashes_never_fail),
                TEST(equal_tags_never_fail),
                TEST(skewed_hashes_never_fail),
                TEST(any_max_search),
                TEST(size_per_key),
                TEST(collect_covers_everything_once),
                TEST(collect_covers_chains),
        };

        return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
