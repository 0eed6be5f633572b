/* SPDX-License-Identifier: MIT */
/* Many entries put into a block at once lie as if each had been put by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index_block.h"

enum { N_MAX = BM_BLOCK_SLOTS_MAX };

static struct bm_entry_words words[N_MAX];

static uint64_t next(uint64_t *seed)
{
        *seed = *seed * 6364136223846793005 + 1442695040888963407;
        return *seed >> 20;
}

/* Tags all over, or (CROWDED) in one part of the block, so that its lines are passed and wrap. */
static void make_words(size_t n, bool crowded, uint64_t *seed)
{
        uint64_t part = next(seed) & BM_TAG_MASK & ~(BM_TAG_MASK >> 4);

        for (size_t i = 0; i < n; i++) {
                uint64_t tag = next(seed) & BM_TAG_MASK;

                words[i].place = (i + 1) | UINT64_C(1) << BM_SLOT_KIND_SHIFT;
                words[i].tag = crowded ? part | tag >> 4 : tag;
        }
}

static size_t put_all(struct bm_block *block, size_t n, uint32_t window)
{
        size_t i = 0;

        while (i < n && bm_block_put(block, &words[i], window))
                i++;
        return i;
}

static void fill_is_as_if_put_one_by_one(void **state)
{
        uint64_t seed = 1;
        size_t short_of = 0;

        for (unsigned round = 0; round < 2000; round++) {
                uint32_t lines = bm_block_lines_for(next(&seed) % N_MAX);
                uint32_t window = 1 + (uint32_t)(next(&seed) % 16);
                size_t n = next(&seed) % (lines * BM_LINE_SLOTS + 1);
                struct bm_block *filled = bm_block_new(lines, 0), *put = bm_block_new(lines, 0);
                size_t got;

                assert_non_null(filled);
                assert_non_null(put);
                make_words(n, round % 2, &seed);
                got = bm_block_fill(filled, words, n, window);
                assert_int_equal(got, put_all(put, n, window));
                assert_int_equal(filled->live, put->live);
                assert_int_equal(filled->live, got);
                assert_memory_equal(bm_block_image(filled), bm_block_image(put),
                                    bm_block_bytes(put));
                short_of += got < n;
                bm_block_free(filled);
                bm_block_free(put);
        }
        /* both ways were taken: all found room, and not all did */
        assert_in_range(short_of, 100, 1900);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fill_is_as_if_put_one_by_one),
        };

        return cmocka_run_group_tests_name("index-fill", tests, NULL, NULL);
}
