/* SPDX-License-Identifier: MIT */
/* XXH3 for keys and checksums, and the system's random bytes. */
#include "hash.h"

#include <errno.h>
#include <sys/random.h>

/* inlined: a key is short, and the call through the shared library costs as much as its hash */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SHORT = 240 }; /* up to here XXH3 uses no vectors */

_Static_assert(BM_HASH_SECRET >= XXH3_SECRET_SIZE_MIN, "XXH3 wants that much secret");

uint64_t bm_hash_key(const uint8_t secret[BM_HASH_SECRET], const void *key, size_t len)
{
        return XXH3_64bits_withSecret(key, len, secret, BM_HASH_SECRET);
}

uint64_t bm_checksum(const void *data, size_t len)
{
        /* a seed of 0 is none */
        return len > SHORT ? bm_checksum_long(data, len, 0) : XXH3_64bits(data, len);
}

uint32_t bm_checksum_seeded(const void *data, size_t len, uint64_t seed)
{
        return (uint32_t)(len > SHORT ? bm_checksum_long(data, len, seed)
                                      : XXH3_64bits_withSeed(data, len, seed));
}

int bm_random(void *buf, size_t len)
{
        uint8_t *p = buf;

        while (len) {
                ssize_t n = getrandom(p, len, 0);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                len -= (size_t)n;
        }
        return 0;
}
