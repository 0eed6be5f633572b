/* SPDX-License-Identifier: MIT */
/* Scratch directories and repeatable random numbers for tests. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "test_store.h"

uint64_t test_env_number(const char *name, uint64_t default_value)
{
        const char *text = getenv(name);

        return text && *text ? strtoull(text, NULL, 0) : default_value;
}

uint64_t test_seed(void)
{
        struct timespec now;
        uint64_t seed;

        clock_gettime(CLOCK_REALTIME, &now);
        seed = test_env_number("BM_SEED", (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20);
        printf("# BM_SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        return seed;
}

void test_random_init(struct test_random *random, uint64_t seed)
{
        random->state = XXH3_64bits(&seed, sizeof(seed)) | 1;
}

uint64_t test_random_next(struct test_random *random)
{
        random->state ^= random->state >> 12;
        random->state ^= random->state << 25;
        random->state ^= random->state >> 27;
        return random->state * UINT64_C(2685821657736338717);
}

uint64_t test_random_below(struct test_random *random, uint64_t below)
{
        return (test_random_next(random) >> 11) % below;
}

void test_random_fill(struct test_random *random, void *buf, size_t len)
{
        char *out = buf;

        while (len > 0) {
                uint64_t word = test_random_next(random);
                size_t n = len < sizeof(word) ? len : sizeof(word);

                memcpy(out, &word, n);
                out += n;
                len -= n;
        }
}

char *test_path(const char *dir, const char *name)
{
        char *path;

        assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
        return path;
}

char *test_dir_new(void)
{
        const char *tmp = getenv("TMPDIR");
        char *path = test_path(tmp && *tmp ? tmp : "/tmp", "bucketmap-unit.XXXXXX");

        assert_non_null(mkdtemp(path));
        return path;
}

/* Calls FN for each entry of DIR but . and .. */
static void each_entry(const char *dir, void (*fn)(void *ctx, const char *path, const char *name),
                       void *ctx)
{
        DIR *d = opendir(dir);
        struct dirent *entry;

        assert_non_null(d);
        while ((entry = readdir(d)) != NULL) {
                char *path;

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                path = test_path(dir, entry->d_name);
                fn(ctx, path, entry->d_name);
                free(path);
        }
        closedir(d);
}

static bool is_dir(const char *path)
{
        struct stat st;

        assert_int_equal(lstat(path, &st), 0);
        return S_ISDIR(st.st_mode);
}

static void remove_entry(void *ctx, const char *path, const char *name)
{
        if (is_dir(path)) {
                each_entry(path, remove_entry, NULL);
                assert_int_equal(rmdir(path), 0);
        } else {
                assert_int_equal(unlink(path), 0);
        }
}

void test_dir_remove(char *path)
{
        if (!path)
                return;
        remove_entry(NULL, path, "");
        free(path);
}

static void *read_file(const char *path, size_t *len)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *buf;

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        buf = malloc((size_t)st.st_size + 1);
        assert_non_null(buf);
        assert_int_equal(read(fd, buf, (size_t)st.st_size), st.st_size);
        close(fd);
        *len = (size_t)st.st_size;
        return buf;
}

/* Summed, so that the order of the directory does not matter. */
static void digest_entry(void *ctx, const char *path, const char *name)
{
        uint64_t *sum = ctx;

        if (strcmp(name, "lock") == 0)
                return;
        *sum += XXH3_64bits(path, strlen(path));
        if (is_dir(path)) {
                each_entry(path, digest_entry, sum);
        } else {
                size_t len;
                void *bytes = read_file(path, &len);

                *sum += XXH3_64bits_withSeed(bytes, len, XXH3_64bits(path, strlen(path)));
                free(bytes);
        }
}

uint64_t test_dir_digest(const char *dir)
{
        uint64_t sum = 0;

        each_entry(dir, digest_entry, &sum);
        return sum;
}

static void copy_entry(void *ctx, const char *path, const char *name)
{
        char *to = test_path(ctx, name);

        if (is_dir(path)) {
                test_dir_copy(path, to);
        } else {
                size_t len;
                void *bytes = read_file(path, &len);
                int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

                assert_true(fd >= 0);
                assert_int_equal(write(fd, bytes, len), len);
                close(fd);
                free(bytes);
        }
        free(to);
}

void test_dir_copy(const char *from, const char *to)
{
        assert_int_equal(mkdir(to, 0700), 0);
        each_entry(from, copy_entry, (void *)to);
}
