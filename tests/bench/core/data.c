/* SPDX-License-Identifier: MIT */
#include "data.h"

#include <math.h>
#include <string.h>

enum { POOL = 1 << 20 };

static char pool[POOL];

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t mix(uint64_t x)
{
        x += 0x9e3779b97f4a7c15;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

void data_init(void)
{
        for (size_t i = 0; i < POOL; i += sizeof(uint64_t)) {
                uint64_t word = mix(i);

                memcpy(pool + i, &word, sizeof(word));
        }
}

/* Eight letters a..p, four bits of HALF each. */
static void letters(uint32_t half, char *to)
{
        uint64_t x = half;

        x = (x | x << 16) & 0x0000ffff0000ffff;
        x = (x | x << 8) & 0x00ff00ff00ff00ff;
        x = ((x | x << 4) & 0x0f0f0f0f0f0f0f0f) + 0x6161616161616161;
        memcpy(to, &x, sizeof(x));
}

size_t data_key(uint64_t i, char key[KEY_MAX])
{
        uint64_t word = mix(i), more = word * 0x9e3779b97f4a7c15;

        /* the first 16 letters are all of the word, a bijection of I: no two keys are equal */
        letters((uint32_t)word, key);
        letters((uint32_t)(word >> 32), key + 8);
        letters((uint32_t)more, key + 16);
        letters((uint32_t)(more >> 32), key + 24);
        letters((uint32_t)(more >> 16), key + 32);
        return 16 + (word >> 32) % 25;
}

size_t data_value_max(enum workload workload)
{
        return workload == SMALL ? 100 : workload == KIB ? 1024 : VALUE_MAX;
}

/* Log-normal by the sum of uniform numbers: median 1 KiB, sigma 1.5. */
static size_t file_size(uint64_t random)
{
        double normal = 0;

        for (int i = 0; i < 12; i++)
                normal += (double)(mix(random + (uint64_t)i) >> 11) * 0x1p-53;
        normal = 1024 * exp(1.5 * (normal - 6));
        return normal < VALUE_MAX ? (size_t)normal : VALUE_MAX;
}

const void *data_value(enum workload workload, uint64_t i, unsigned version, size_t *len)
{
        uint64_t size = mix(i * 8 + version / 2), place = mix(i * 8 + version);

        if (workload == SMALL)
                *len = size % 101;
        else
                *len = workload == KIB ? 1024 - version / 2 % 2 * 100 : file_size(size);
        return pool + place % (POOL - VALUE_MAX);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
        while (b) {
                uint64_t rest = a % b;

                a = b;
                b = rest;
        }
        return a;
}

/* An affine walk: its step shares no factor with N, so that each number comes once. */
uint64_t data_shuffled(uint64_t i, uint64_t n, unsigned salt)
{
        static _Thread_local uint64_t for_n, step;
        static _Thread_local unsigned for_salt;

        if (for_n != n || for_salt != salt) {
                for_n = n;
                for_salt = salt;
                step = (uint64_t)((double)n * (0.618 + salt * 0.01)) | 1;
                while (gcd(step, n) != 1)
                        step += 2;
        }
        return (uint64_t)((unsigned __int128)i * step % n);
}
