/* SPDX-License-Identifier: MIT */
/*
 * Random operations on an index against a plain array. BM_SEED repeats a run.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../unit/index-fixture.h"
#include "hash.h"

enum { KEYS = 12000, OPERATIONS = 60000 };

enum spread { EVEN, CLOSE, FEW, EQUAL_TAGS, SPREADS };

struct model {
        struct bm_index_stats stats;
        struct bm_index ix;
        struct disk disk;
        uint64_t random, present;
        enum spread spread;
        uint32_t bucket;
        uint8_t skip;
        uint16_t max_search;
        struct {
                uint64_t hash;
                struct bm_slot slot;
                bool present, seen;
        } keys[KEYS];
};

static uint64_t pick(struct model *m, uint64_t below)
{
        return random_next(&m->random) % below;
}

static uint64_t new_hash(struct model *m)
{
        uint64_t r = random_next(&m->random);
        uint64_t bucket = m->skip ? (uint64_t)m->bucket << (64 - m->skip) : 0;

        switch (m->spread) {
        case CLOSE: /* one in four behind a prefix of 20 bits */
                if (r % 4 == 0)
                        r = UINT64_C(0x55555) << 44 | r >> 20;
                break;
        case FEW:
                r = hash_of(r % 400);
                break;
        case EQUAL_TAGS:
                if (r % 3 == 0)
                        r = UINT64_C(0xabcdef0123) << 24 | r >> 40;
                break;
        case EVEN:
        case SPREADS:
                break;
        }
        return bucket | r >> m->skip;
}

/* What is in a slot may be anything, but its place is its key's alone. */
static struct bm_slot new_slot(struct model *m, size_t key)
{
        uint64_t place = pick(m, 1000) * KEYS + key;
        struct bm_slot slot = slot_of(place);

        slot.count = (uint32_t)pick(m, BM_SLOT_COUNT_OVERFLOW + 1);
        slot.length = (uint32_t)pick(m, BM_SLOT_LENGTH_SEE_RECORD) * BM_UNIT;
        slot.kind = BM_SLOT_VALUE + pick(m, 3);
        return slot;
}

static int match_key(void *ctx, const struct bm_slot *slot)
{
        return id_of(slot) % KEYS == *(const size_t *)ctx;
}

static void check_key(struct model *m, size_t key, struct bm_place *place)
{
        struct bm_slot slot;
        int r = bm_index_find(&m->ix, m->keys[key].hash, match_key, &key, place, &slot);

        assert_int_equal(r, m->keys[key].present ? 0 : BM_E_NOT_FOUND);
        if (r)
                return;
        assert_int_equal(id_of(&slot), id_of(&m->keys[key].slot));
        assert_int_equal(slot.count, m->keys[key].slot.count);
        assert_int_equal(slot.length, m->keys[key].slot.length);
        assert_int_equal(slot.kind, m->keys[key].slot.kind);
}

static void note_seen(void *ctx, const struct bm_known_slot *known)
{
        struct model *m = ctx;
        size_t key = id_of(&known->slot) % KEYS;
        uint64_t bits = UINT64_MAX << (64 - BM_TAG_BITS - m->skip);

        assert_true(m->keys[key].present && !m->keys[key].seen);
        assert_true(known->hash == (m->keys[key].hash & bits));
        m->keys[key].seen = true;
}

static void check_all(struct model *m)
{
        struct bm_place place;

        check_index(&m->ix);
        assert_int_equal(m->ix.n_used, m->present);
        for (size_t key = 0; key < KEYS; key++) {
                m->keys[key].seen = false;
                check_key(m, key, &place);
        }
        assert_int_equal(collect_all(&m->ix, note_seen, m), m->present);
}

static void put(struct model *m, size_t key, struct bm_place *place)
{
        struct bm_slot slot = new_slot(m, key);

        if (m->keys[key].present) {
                bm_index_set(&m->ix, place, &slot);
        } else {
                if (m->present == 0 || pick(m, 2))
                        m->keys[key].hash = new_hash(m);
                insert_slot(&m->ix, m->keys[key].hash, &slot);
                m->keys[key].present = true;
                m->present++;
        }
        m->keys[key].slot = slot;
}

static void init(struct model *m)
{
        bm_index_init(&m->ix, m->bucket, m->skip, m->max_search, &m->disk.source, &m->stats);
}

static void reopen(struct model *m)
{
        disk_checkpoint(&m->disk, &m->ix, random_next(&m->random));
        if (pick(m, 2)) {
                bm_index_deinit(&m->ix);
                assert_int_equal(m->stats.slots, 0);
                assert_int_equal(m->stats.bytes, 0);
                init(m);
                assert_int_equal(bm_index_load(&m->ix, m->disk.rows, m->disk.n_rows), 0);
        }
}

static void step(struct model *m, unsigned erase_share)
{
        size_t key = pick(m, KEYS);
        unsigned what = (unsigned)pick(m, 1000);
        struct bm_place place;
        uint64_t capacity = 0;

        handle_delayed_grows(&m->ix);
        check_key(m, key, &place);
        if (what < erase_share) {
                if (!m->keys[key].present)
                        return;
                bm_index_erase(&m->ix, &place);
                m->keys[key].present = false;
                m->present--;
        } else if (what < 990) {
                put(m, key, &place);
        } else if (what < 997) { /* parked; perhaps overtaken by the next step */
                if (bm_index_room(&m->ix, m->keys[key].hash, &capacity) == 0)
                        capacity = bm_part_slots(
                                bm_index_part(&m->ix, bm_index_tag(&m->ix, m->keys[key].hash)));
                assert_int_equal(bm_index_grow(&m->ix, m->keys[key].hash, capacity), 0);
        } else if (what == 997 && pick(m, 10) == 0) {
                check_all(m);
        } else if (what == 998 && pick(m, 2)) {
                bm_index_shrink(&m->ix, (unsigned)pick(m, 100));
        } else if (what == 999) {
                reopen(m);
        }
}

static void run(struct model *m, uint64_t seed)
{
        m->random = seed;
        m->spread = (enum spread)pick(m, SPREADS);
        m->skip = (uint8_t)pick(m, 17);
        m->bucket = (uint32_t)pick(m, UINT64_C(1) << m->skip);
        m->max_search = (uint16_t)(pick(m, 3) ? 32 : 4 << pick(m, 9));
        print_message("# BM_SEED=%" PRIu64 " spread %d, skip %u, max_search %u\n", seed, m->spread,
                      m->skip, m->max_search);
        disk_init(&m->disk);
        init(m);
        if (pick(m, 4) == 0)
                m->ix.anticipated = pick(m, 2 * KEYS);
        for (size_t key = 0; key < KEYS; key++)
                m->keys[key].hash = new_hash(m);
        /* fill, churn, drain, fill */
        for (unsigned n = 0; n < OPERATIONS; n++) {
                static const unsigned erase_shares[] = {100, 450, 900, 200};

                step(m, erase_shares[n / (OPERATIONS / 4)]);
        }
        check_all(m);
        bm_index_deinit(&m->ix);
        assert_int_equal(m->stats.slots, 0);
        disk_deinit(&m->disk);
}

static void index_is_a_map(void **state)
{
        const char *given = getenv("BM_SEED");
        uint64_t seed = given ? strtoull(given, NULL, 0) : *(const uint64_t *)*state;
        unsigned rounds = given ? 1 : 8;

        for (unsigned i = 0; i < rounds; i++) {
                struct model *m = calloc(1, sizeof(*m));

                assert_non_null(m);
                run(m, seed + i);
                free(m);
        }
}

int main(void)
{
        static uint64_t seed;
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_prestate(index_is_a_map, &seed),
        };

        if (bm_random(&seed, sizeof(seed)))
                return 1;
        return cmocka_run_group_tests_name("index-model", tests, NULL, NULL);
}
