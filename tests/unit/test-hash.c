/* SPDX-License-Identifier: MIT */
/* The hashes are part of the format: literal values, as other XXH3 programs give them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "hash.h"

static void checksum_golden(void **state)
{
        uint8_t page[4096];

        for (size_t i = 0; i < sizeof(page); i++)
                page[i] = (uint8_t)(i * 7);
        assert_true(bm_checksum("", 0) == UINT64_C(0x2d06800538d394c2));
        assert_true(bm_checksum("bucketmap", 9) == UINT64_C(0x9776bf13f7a98229));
        assert_true(bm_checksum(page, sizeof(page)) == UINT64_C(0x8fb047a89e810965));
}

static void seeded_checksum(void **state)
{
        const uint64_t seed = UINT64_C(0x0123456789abcdef);

        assert_int_equal(bm_checksum_seeded("bucketmap", 9, 0),
                         (uint32_t)bm_checksum("bucketmap", 9));
        assert_int_equal(bm_checksum_seeded("", 0, 1), UINT32_C(0x826f6703));
        assert_int_equal(bm_checksum_seeded("bucketmap", 9, seed), UINT32_C(0x54ef3c6c));
}

/* Whatever vectors the processor has, and from whatever address on. */
static void every_length_and_seed(void **state)
{
        static uint8_t bytes[40000];
        const uint64_t seeds[] = {0, 1, UINT64_C(0x0123456789abcdef)};

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t)(i * i >> 7 ^ i);
        for (size_t len = 0; len + 7 < sizeof(bytes); len += len < 1200 ? 1 : 997) {
                const uint8_t *at = bytes + len % 8;

                assert_true(bm_checksum(at, len) == XXH3_64bits(at, len));
                for (size_t i = 0; i < 3; i++)
                        assert_int_equal(bm_checksum_seeded(at, len, seeds[i]),
                                         (uint32_t)XXH3_64bits_withSeed(at, len, seeds[i]));
        }
}

static void key_hash_depends_on_the_whole_secret(void **state)
{
        uint8_t secret[BM_HASH_SECRET];
        uint8_t key[255];
        uint64_t plain;

        for (size_t i = 0; i < sizeof(secret); i++)
                secret[i] = (uint8_t)(i * 31 + 5);
        memset(key, 'k', sizeof(key));
        plain = bm_hash_key(secret, key, sizeof(key));
        assert_true(plain == UINT64_C(0x0b6cfd65fce75343));
        assert_true(bm_hash_key(secret, key, 1) == UINT64_C(0x3e4999bd9a45c1f3));
        assert_true(plain != bm_hash_key(secret, key, sizeof(key) - 1));
        assert_true(plain != bm_checksum(key, sizeof(key)));
        secret[0] ^= 1;
        assert_true(plain != bm_hash_key(secret, key, sizeof(key)));
}

static void random_bytes_differ(void **state)
{
        uint8_t a[64] = {0}, b[64] = {0};

        assert_int_equal(bm_random(a, sizeof(a)), 0);
        assert_int_equal(bm_random(b, sizeof(b)), 0);
        assert_memory_not_equal(a, b, sizeof(a));
        assert_int_equal(bm_random(a, 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(checksum_golden),
                cmocka_unit_test(seeded_checksum),
                cmocka_unit_test(every_length_and_seed),
                cmocka_unit_test(key_hash_depends_on_the_whole_secret),
                cmocka_unit_test(random_bytes_differ),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
