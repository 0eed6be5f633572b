/* SPDX-License-Identifier: MIT */
/*
 * The original's tests of its storage files, by behaviour: places are
 * occupied and freed once, what was there is there after loading, and files
 * that are not as they should be are refused without changing anything.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "test_store.h"

enum { N = 50 };

static const unsigned sizes[] = {0, 1, 100, 5000, 16384, 16385, 100000};

/* A value that depends on its number alone. */
static unsigned char *value_of(unsigned number, size_t *len)
{
        static unsigned char value[100000];
        struct test_random random;

        *len = sizes[number % (sizeof(sizes) / sizeof(*sizes))];
        test_random_init(&random, number);
        test_random_fill(&random, value, *len);
        return value;
}

static size_t key_of(unsigned number, char key[16])
{
        return (size_t)snprintf(key, 16, "%u", number);
}

static void fill(struct test_store *t)
{
        char key[16];

        for (unsigned i = 0; i < N; i++) {
                size_t len;
                const void *value = value_of(i, &len);

                assert_ok(bm_insert(t->root, key, key_of(i, key), value, len, i));
        }
}

static void assert_filled(struct test_store *t)
{
        char key[16];

        for (unsigned i = 0; i < N; i++) {
                size_t len;
                const void *value = value_of(i, &len);

                assert_holds(t->root, key, key_of(i, key), value, len, i);
        }
        assert_int_equal(test_count_keys(t->root), N);
}

/* A filled store, closed. */
static int closed_store_setup(void **state)
{
        struct test_store *t = test_store_new(NULL);

        fill(t);
        test_store_close(t);
        *state = t;
        return 0;
}

#define test_with_closed_store(name)                                                               \
        cmocka_unit_test_setup_teardown(name, closed_store_setup, test_store_teardown)

/* Opening gives WANT, and every byte of the directory stays as it is. */
static void assert_refused(struct test_store *t, int want)
{
        uint64_t before = test_dir_digest(t->dir);

        assert_result(bm_open(t->path, &t->config, &t->store), want);
        t->store = NULL;
        assert_true(test_dir_digest(t->dir) == before);
}

static void occupy(void **state)
{
        struct test_store *t = *state;
        uint64_t id;

        assert_ok(bm_create_record(t->root, "k", 1, "v", 1, NULL, 0, &id));
        assert_true(id > 1);
        assert_holds(t->root, "k", 1, "v", 1, 1);
}

static void double_occupy(void **state)
{
        struct test_store *t = *state;
        uint64_t id;

        assert_ok(bm_create_record(t->root, "k", 1, "v", 1, NULL, 0, &id));
        assert_result(bm_create_record(t->root, "k", 1, "w", 1, NULL, 0, &id), BM_E_EXISTS);
        assert_holds(t->root, "k", 1, "v", 1, 1);
}

static void free_and_double_free(void **state)
{
        struct test_store *t = *state;
        uint64_t first, second;

        assert_ok(bm_create_record(t->root, "k", 1, "v", 1, NULL, 0, &first));
        assert_ok(bm_delete_key(t->root, "k", 1));
        assert_result(bm_delete_key(t->root, "k", 1), BM_E_NOT_FOUND);
        assert_absent(t->root, "k", 1);
        /* what was free can be taken again, as another record */
        assert_ok(bm_create_record(t->root, "k", 1, "w", 1, NULL, 0, &second));
        assert_true(second != first);
        assert_holds(t->root, "k", 1, "w", 1, 1);
}

static void load_after_restart(void **state)
{
        struct test_store *t = *state;
        struct bm_stats stats;

        fill(t);
        for (int i = 0; i < 3; i++) {
                test_store_reopen(t);
                assert_filled(t);
                assert_ok(bm_stats(t->store, &stats));
                assert_true(stats.clean_open);
                assert_int_equal(stats.replayed_records, 0);
                test_store_check(t->store);
        }
}

static char *superblock_path(struct test_store *t)
{
        return test_path(t->path, "superblock");
}

static void load_directory(void **state)
{
        struct test_store *t = *state;
        char *path = superblock_path(t);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_refused(t, BM_E_NOT_A_STORE);
        free(path);
}

/* Of the two copies one whole one is enough; with neither it is no store. */
static void load_lengths(void **state)
{
        static const struct {
                off_t len;
                bool good;
        } cases[] = {
                {3 * 4096, true}, {8193, true},  {8191, true}, {4097, true},
                {4096, true},     {4095, false}, {1, false},   {0, false},
        };
        struct test_store *t = *state;
        char *path = superblock_path(t);

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                assert_int_equal(truncate(path, cases[i].len), 0);
                if (!cases[i].good) {
                        assert_refused(t, BM_E_NOT_A_STORE);
                        continue;
                }
                test_store_open(t);
                assert_filled(t);
                test_store_close(t);
        }
        free(path);
}

/* Reads, changes by FN and rewrites both copies of the superblock. */
static void change_superblock(struct test_store *t, void (*fn)(struct bm_superblock *sb))
{
        uint8_t bytes[BM_SUPERBLOCK];
        struct bm_superblock sb;
        char *path = superblock_path(t);
        int fd = open(path, O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        assert_ok(bm_superblock_decode(&sb, bytes));
        fn(&sb);
        bm_superblock_encode(&sb, bytes);
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        assert_int_equal(pwrite(fd, bytes, sizeof(bytes), sizeof(bytes)), sizeof(bytes));
        close(fd);
        free(path);
}

static void next_major(struct bm_superblock *sb)
{
        sb->major++;
}

static void unknown_feature(struct bm_superblock *sb)
{
        sb->incompat = UINT64_C(1) << 40;
}

static void other_hash(struct bm_superblock *sb)
{
        sb->hash_algorithm = 77;
}

static void too_many_buckets(struct bm_superblock *sb)
{
        sb->buckets_log2 = 17;
}

static void odd_search(struct bm_superblock *sb)
{
        sb->max_search = 30;
}

static void no_search(struct bm_superblock *sb)
{
        sb->max_search = 0;
}

static void no_drives(struct bm_superblock *sb)
{
        sb->n_drives = 0;
}

static void header_version(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, next_major);
        assert_refused(t, BM_E_NEWER_FORMAT);
}

static void header_features(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, unknown_feature);
        assert_refused(t, BM_E_NEWER_FORMAT);
}

static void header_hash(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, other_hash);
        assert_refused(t, BM_E_NEWER_FORMAT);
}

static void header_buckets(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, too_many_buckets);
        assert_refused(t, BM_E_DAMAGED);
}

static void header_max_search(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, odd_search);
        assert_refused(t, BM_E_DAMAGED);
}

static void header_no_search(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, no_search);
        assert_refused(t, BM_E_DAMAGED);
}

static void header_no_drives(void **state)
{
        struct test_store *t = *state;

        change_superblock(t, no_drives);
        assert_refused(t, BM_E_DAMAGED);
}

/* Settings that differ from those at creation are refused, equal ones are not. */
static void settings(void **state)
{
        struct test_store *t = *state;

        t->config.n_buckets = 64;
        assert_refused(t, BM_E_MISMATCH);
        t->config.n_buckets = BM_BUCKETS_DEFAULT;
        t->config.max_search = 64;
        assert_refused(t, BM_E_MISMATCH);
        t->config.max_search = BM_MAX_SEARCH_DEFAULT;
        test_store_open(t);
        assert_filled(t);
        test_store_close(t);
}

static void settings_at_creation(void **state)
{
        static const unsigned bad_buckets[] = {3, 48, 131072}, bad_searches[] = {1, 30, 1028};
        char *dir = test_dir_new(), *path = test_path(dir, "store");
        struct bm_config config;

        for (int i = 0; i < 3; i++) {
                config = BM_CONFIG_INIT;
                config.n_buckets = bad_buckets[i];
                assert_result(bm_create(path, &config), -EINVAL);
                config = BM_CONFIG_INIT;
                config.max_search = bad_searches[i];
                assert_result(bm_create(path, &config), -EINVAL);
        }
        assert_int_equal(access(path, F_OK), -1);
        free(path);
        test_dir_remove(dir);
}

/* Flips one bit of the superblock's copy COPY. */
static void flip(struct test_store *t, int copy)
{
        char *path = superblock_path(t);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        off_t at = copy * 4096 + 100;
        uint8_t byte;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        free(path);
}

static void superblock_finding(void *ctx, const struct bm_finding *finding)
{
        assert_non_null(strstr(finding->message, "superblock"));
}

static void flipped_bits(void **state)
{
        struct bm_check_args args = {.finding = superblock_finding};
        struct test_store *t = *state;

        flip(t, 0);
        test_store_open(t);
        assert_filled(t);
        assert_result(bm_check(t->store, &args), BM_E_DAMAGED);
        test_store_close(t);
        flip(t, 1);
        assert_refused(t, BM_E_DAMAGED);
        flip(t, 0);
        test_store_open(t);
        assert_filled(t);
        test_store_close(t);
}

static void no_store(void **state)
{
        struct bm_config config = BM_CONFIG_INIT;
        char *dir = test_dir_new(), *path = test_path(dir, "none");
        struct bm_store *store;
        FILE *file;

        assert_result(bm_open(path, &config, &store), -ENOENT);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_result(bm_open(path, &config, &store), BM_E_NOT_A_STORE);
        free(path);

        path = test_path(dir, "none/file");
        file = fopen(path, "w");
        assert_non_null(file);
        fputs("somebody's", file);
        fclose(file);
        assert_result(bm_open(path, &config, &store), BM_E_NOT_A_STORE);
        free(path);
        path = test_path(dir, "none");
        assert_result(bm_create(path, &config), BM_E_NOT_EMPTY_DIR);
        free(path);
        path = test_path(dir, "none/file");
        assert_int_equal(access(path, F_OK), 0);
        free(path);
        path = test_path(dir, "absent/store");
        assert_result(bm_create(path, &config), -ENOENT);
        free(path);
        test_dir_remove(dir);
}

static void in_use(void **state)
{
        struct test_store *t = *state;
        struct bm_store *second;

        assert_ok(bm_set_owner_note(t->store, "mounted at /somewhere"));
        assert_result(bm_open(t->path, &t->config, &second), BM_E_IN_USE);
        assert_non_null(strstr(bm_last_problem(), "mounted at /somewhere"));
        fill(t);
        assert_filled(t);
}

/* Every key is right, or an error; never wrong, and never silently absent. */
static void assert_right_or_error(struct test_store *t)
{
        static unsigned char have[100001];
        char key[16];

        for (unsigned i = 0; i < N; i++) {
                size_t len, done;
                const void *value = value_of(i, &len);
                struct bm_ref ref = {.map = t->root, .key = key, .key_len = key_of(i, key)};
                int r = bm_read_at(&ref, 0, have, sizeof(have), &done);

                if (r < 0)
                        continue;
                assert_int_equal(r, 0);
                assert_int_equal(done, len);
                if (len)
                        assert_memory_equal(have, value, len);
        }
}

/* Segment files cut at every boundary that matters. */
static void load_cut_segments(void **state)
{
        static const off_t lengths[] = {0, 1, 511, 512, 513, 4096, 4097, -1};
        struct test_store *t = *state;
        char *whole = test_path(t->dir, "whole"), *segments = test_path(t->path, "segments");
        struct dirent *entry;
        DIR *dir;
        unsigned n_refused = 0;

        assert_int_equal(rename(t->path, whole), 0);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
                uint64_t before;
                int r;

                test_dir_copy(whole, t->path);
                dir = opendir(segments);
                assert_non_null(dir);
                while ((entry = readdir(dir)) != NULL) {
                        char *path = test_path(segments, entry->d_name);
                        struct stat st;

                        assert_int_equal(stat(path, &st), 0);
                        if (S_ISREG(st.st_mode))
                                assert_int_equal(truncate(path, lengths[i] < 0 ? st.st_size - 1
                                                                               : lengths[i]),
                                                 0);
                        free(path);
                }
                closedir(dir);
                before = test_dir_digest(t->path);
                r = bm_open(t->path, &t->config, &t->store);
                if (r == 0) {
                        t->root = bm_root(t->store);
                        assert_right_or_error(t);
                        (void)bm_close(t->store);
                } else {
                        n_refused++;
                        assert_true(test_dir_digest(t->path) == before);
                }
                t->store = NULL;
                test_dir_remove(strdup(t->path));
        }
        /* without their headers nothing of it can be a store */
        assert_true(n_refused >= 4);
        free(segments);
        free(whole);
}

/* Files that do not belong are left alone and disturb nothing. */
static void orphan_files(void **state)
{
        static const char *const names[] = {"README", "deadbeef", "0000000x", "1", "000fffff~"};
        struct test_store *t = *state;
        char *path, *segments = test_path(t->path, "segments");

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                FILE *file;

                path = test_path(segments, names[i]);
                file = fopen(path, "w");
                assert_non_null(file);
                fprintf(file, "nothing of a store's: %s\n", names[i]);
                fclose(file);
                free(path);
        }
        for (int i = 0; i < 2; i++) {
                test_store_open(t);
                assert_filled(t);
                assert_ok(bm_compact(t->store));
                test_store_close(t);
        }
        path = test_path(segments, "README");
        assert_int_equal(access(path, F_OK), 0);
        free(path);
        free(segments);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_with_store(occupy),
                test_with_store(double_occupy),
                test_with_store(free_and_double_free),
                test_with_store(load_after_restart),
                test_with_closed_store(load_directory),
                test_with_closed_store(load_lengths),
                test_with_closed_store(header_version),
                test_with_closed_store(header_features),
                test_with_closed_store(header_hash),
                test_with_closed_store(header_buckets),
                test_with_closed_store(header_max_search),
                test_with_closed_store(header_no_search),
                test_with_closed_store(header_no_drives),
                test_with_closed_store(settings),
                cmocka_unit_test(settings_at_creation),
                test_with_closed_store(flipped_bits),
                cmocka_unit_test(no_store),
                test_with_store(in_use),
                test_with_closed_store(load_cut_segments),
                test_with_closed_store(orphan_files),
        };

        return cmocka_run_group_tests_name("storage", tests, NULL, NULL);
}
