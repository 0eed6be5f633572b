/* SPDX-License-Identifier: MIT */
/* Memory for index blocks: nobody gets what another has, and what is given back comes again. */
#include <pthread.h>

#include "index_block.h"
#include "index_memory.h"
#include "test_store.h"

enum { IMAGES = 4000, STEPS = 200000, THREADS = 4 };

struct image {
        uint8_t *at;
        size_t bytes;
        uint64_t seed;
};

/* Sizes of blocks mostly, and any other. */
static size_t some_size(struct test_random *random)
{
        static const unsigned lines[] = {8, 16, 32, 64, 128, 160, 192, 224, 256};
        if (test_random_below(random, 8) == 0)
                return 1 + test_random_below(random, BM_IMAGE_BYTES_MAX);
        return BM_BLOCK_HEADER + lines[test_random_below(random, 9)] * (size_t)BM_LINE_BYTES;
}

static void fill(struct image *image)
{
        struct test_random random;
        test_random_init(&random, image->seed);
        test_random_fill(&random, image->at, image->bytes);
}

static bool is_as_filled(const struct image *image)
{
        struct test_random random;
        uint8_t *expected = malloc(image->bytes);
        test_random_init(&random, image->seed);
        test_random_fill(&random, expected, image->bytes);
        bool same = memcmp(expected, image->at, image->bytes) == 0;
        free(expected);
        return same;
}

/* Takes and gives back at random, more of the one and then more of the other; false: one was not
 * as it was left. */
static bool use(struct test_random *random, size_t n_images, unsigned steps)
{
        struct image *images = calloc(n_images, sizeof(*images));
        bool good = true;
        for (unsigned i = 0; i < steps && good; i++) {
                struct image *image = &images[test_random_below(random, n_images)];
                bool fewer = i / (steps / 5) % 2;
                if (image->at && (fewer || test_random_below(random, 4) == 0)) {
                        good = is_as_filled(image);
                        bm_image_free(image->at);
                        image->at = NULL;
                } else if (!image->at && (!fewer || test_random_below(random, 4) == 0)) {
                        image->bytes = some_size(random);
                        image->seed = test_random_next(random);
                        image->at = bm_image_new(image->bytes);
                        good = image->at && (uintptr_t)image->at % BM_LINE_BYTES == 0;
                        if (good)
                                fill(image);
                }
        }
        for (size_t i = 0; i < n_images; i++) {
                good = good && (!images[i].at || is_as_filled(&images[i]));
                bm_image_free(images[i].at);
        }
        free(images);
        return good;
}

static void each_has_its_own(void **state)
{
        struct test_random random;
        test_random_init(&random, test_seed());
        assert_true(use(&random, IMAGES, STEPS));
}

static void *use_as_thread(void *arg)
{
        return use(arg, IMAGES / THREADS, STEPS / THREADS) ? NULL : arg;
}

static void threads_do_too(void **state)
{
        struct test_random random[THREADS];
        pthread_t threads[THREADS];
        uint64_t seed = test_seed();
        for (unsigned i = 0; i < THREADS; i++) {
                test_random_init(&random[i], seed + i);
                assert_int_equal(pthread_create(&threads[i], NULL, use_as_thread, &random[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
                void *failed;
                pthread_join(threads[i], &failed);
                assert_null(failed);
        }
}

/* Blocks of one size are a region's whole: given back, they make room for the next size. */
static void neighbours_are_joined(void **state)
{
        enum { SMALL = 576, LARGE = 16448, MANY = 6000, FEW = MANY * SMALL / LARGE - 4 };
        static uint8_t *small[MANY], *large[FEW];
        for (unsigned i = 0; i < MANY; i++) {
                small[i] = bm_image_new(SMALL);
                assert_non_null(small[i]);
        }
        uint8_t *kept = bm_image_new(SMALL); /* the last region stays */
        for (unsigned i = 0; i < MANY; i += 2)
                bm_image_free(small[i]);
        for (unsigned i = 1; i < MANY; i += 2)
                bm_image_free(small[i]);
        for (unsigned i = 0; i < FEW; i++) {
                large[i] = bm_image_new(LARGE);
                assert_non_null(large[i]);
                memset(large[i], (int)i, LARGE);
        }
        for (unsigned i = 0; i < FEW; i++) {
                assert_int_equal(large[i][0], (uint8_t)i);
                assert_int_equal(large[i][LARGE - 1], (uint8_t)i);
                bm_image_free(large[i]);
        }
        bm_image_free(kept);
        bm_image_free(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_has_its_own),
                cmocka_unit_test(threads_do_too),
                cmocka_unit_test(neighbours_are_joined),
        };
        return cmocka_run_group_tests_name("index-memory", tests, NULL, NULL);
}
