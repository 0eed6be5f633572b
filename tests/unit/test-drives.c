/* SPDX-License-Identifier: MIT */
/* Stores on several drives: which belong, and what is refused. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "io.h"
#include "store.h"
#include "test_store.h"

enum { N = 200, VALUE = 12000 };

struct drives {
        struct test_store *t;
        char *dir, *b, *c;
        const char *paths[2];
};

static void make_value(unsigned char value[VALUE], unsigned number)
{
        struct test_random random;

        test_random_init(&random, number);
        test_random_fill(&random, value, VALUE);
}

static void fill(struct test_store *t)
{
        static unsigned char value[VALUE];
        char key[16];

        for (unsigned i = 0; i < N; i++) {
                make_value(value, i);
                assert_ok(bm_insert(t->root, key, (size_t)snprintf(key, 16, "%u", i), value, VALUE,
                                    i));
        }
}

static void assert_filled(struct test_store *t)
{
        static unsigned char value[VALUE];
        char key[16];

        for (unsigned i = 0; i < N; i++) {
                make_value(value, i);
                assert_holds(t->root, key, (size_t)snprintf(key, 16, "%u", i), value, VALUE, i);
        }
        test_store_check(t->store);
}

static void drives_init(struct drives *d)
{
        struct bm_config config = BM_CONFIG_INIT;

        d->dir = test_dir_new();
        d->b = test_path(d->dir, "b");
        d->c = test_path(d->dir, "c");
        d->paths[0] = d->b;
        d->paths[1] = d->c;
        config.drives = d->paths;
        config.n_drives = 2;
        d->t = test_store_new(&config);
        fill(d->t);
}

static void drives_deinit(struct drives *d)
{
        test_store_free(d->t);
        free(d->b);
        free(d->c);
        test_dir_remove(d->dir);
}

static int count_segment(void *ctx, const struct bm_segment_info *info)
{
        unsigned *n = ctx;

        assert_in_range(info->drive, 0, 2);
        n[info->drive]++;
        return 0;
}

static void all_are_used(void **state)
{
        unsigned n[3] = {0};
        struct drives d;

        drives_init(&d);
        assert_ok(bm_segments(d.t->store, count_segment, n));
        assert_true(n[0] > 0 && n[1] > 0 && n[2] > 0);
        test_store_reopen(d.t);
        assert_filled(d.t);
        drives_deinit(&d);
}

/* The store knows its drives; naming them is a check. */
static void found_without_being_named(void **state)
{
        struct drives d;

        drives_init(&d);
        test_store_close(d.t);
        d.t->config.n_drives = 0;
        d.t->config.drives = NULL;
        test_store_open(d.t);
        assert_filled(d.t);
        drives_deinit(&d);
}

static void assert_refused(struct drives *d, const char *path, int want)
{
        uint64_t store = test_dir_digest(d->t->dir), others = test_dir_digest(d->dir);
        struct bm_store *opened;

        assert_result(bm_open(path, &d->t->config, &opened), want);
        assert_true(test_dir_digest(d->t->dir) == store);
        assert_true(test_dir_digest(d->dir) == others);
}

static void wrong_ones_are_refused(void **state)
{
        struct drives d, other;
        char *moved;

        drives_init(&d);
        drives_init(&other);
        test_store_close(d.t);
        test_store_close(other.t);

        /* missing */
        moved = test_path(d.dir, "elsewhere");
        assert_int_equal(rename(d.c, moved), 0);
        assert_refused(&d, d.t->path, BM_E_MISMATCH);
        /* another store's */
        assert_int_equal(rename(other.c, d.c), 0);
        assert_refused(&d, d.t->path, BM_E_MISMATCH);
        assert_int_equal(rename(d.c, other.c), 0);
        /* an empty directory */
        assert_int_equal(mkdir(d.c, 0700), 0);
        assert_refused(&d, d.t->path, BM_E_MISMATCH);
        assert_int_equal(rmdir(d.c), 0);
        assert_int_equal(rename(moved, d.c), 0);
        /* too few, the wrong order, a drive taken for the store */
        d.t->config.n_drives = 1;
        assert_refused(&d, d.t->path, BM_E_MISMATCH);
        d.t->config.n_drives = 2;
        d.paths[0] = d.c;
        d.paths[1] = d.b;
        assert_refused(&d, d.t->path, BM_E_MISMATCH);
        d.paths[0] = d.b;
        d.paths[1] = d.c;
        assert_refused(&d, d.b, BM_E_MISMATCH);

        test_store_open(d.t);
        assert_filled(d.t);
        test_store_open(other.t);
        assert_filled(other.t);
        free(moved);
        drives_deinit(&d);
        drives_deinit(&other);
}

/* A drive that is not empty: nothing is made, nothing is taken away. */
static void creation_leaves_nothing_behind(void **state)
{
        char *dir = test_dir_new(), *store = test_path(dir, "a"), *b = test_path(dir, "b");
        const char *drives[] = {b, dir};
        struct bm_config config = {.drives = drives, .n_drives = 2};
        char *file = test_path(dir, "somebody's");
        FILE *f = fopen(file, "w");

        assert_non_null(f);
        fclose(f);
        assert_result(bm_create(store, &config), BM_E_NOT_EMPTY_DIR);
        assert_int_equal(access(store, F_OK), -1);
        assert_int_equal(access(b, F_OK), -1);
        assert_int_equal(access(file, F_OK), 0);
        free(file);
        free(b);
        free(store);
        test_dir_remove(dir);
}

/* What a killed process made or removed may be so in memory only. */

static struct {
        ino_t dirs[3]; /* the drives' directories of segments; 0 once it was synced */
        unsigned unsynced;
        bool wrote_before;
} names;

static int note_sync_dir(const struct bm_io *io, int dir)
{
        struct stat st;

        assert_int_equal(fstat(dir, &st), 0);
        for (unsigned i = 0; i < 3; i++) {
                if (names.dirs[i] != st.st_ino)
                        continue;
                names.dirs[i] = 0;
                names.unsynced--;
        }
        return bm_io_call(&bm_io_posix, sync_dir, dir);
}

static int note_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t offset)
{
        /* into the lock it may */
        names.wrote_before = names.wrote_before || (names.unsynced > 0 && len >= BM_MANIFEST_ROOT);
        return bm_io_call(&bm_io_posix, pwrite, fd, buf, len, offset);
}

static ino_t segments_of(const char *drive)
{
        struct stat st;
        char *path = test_path(drive, "segments");

        assert_int_equal(stat(path, &st), 0);
        free(path);
        return st.st_ino;
}

static void names_are_durable_before_an_open_writes(void **state)
{
        struct bm_io_ops ops = *bm_io_posix.ops;
        const struct bm_io io = {.ops = &ops};
        struct drives d;

        drives_init(&d);
        test_store_close(d.t);
        ops.sync_dir = note_sync_dir;
        ops.pwrite = note_pwrite;
        names.dirs[0] = segments_of(d.t->path);
        names.dirs[1] = segments_of(d.b);
        names.dirs[2] = segments_of(d.c);
        names.unsynced = 3;
        d.t->config.io = &io;
        test_store_open(d.t);
        assert_int_equal(names.unsynced, 0);
        assert_false(names.wrote_before);
        assert_filled(d.t);
        drives_deinit(&d);
}

/* However many segments there were, those that there are can be gone through quickly. */
static void file_ids_stay_low(void **state)
{
        struct test_store *t = test_store_new(NULL);
        struct bm_drives *d = &t->store->drives;
        struct bm_segment *kept, *made;

        assert_ok(bm_drives_make(d, BM_SEGMENT_COLD, 1 << BM_SEGMENT_LOG2_MIN, 1000, 1, 0, &kept));
        for (unsigned i = 0; i < 1000; i++) {
                assert_ok(bm_drives_make(d, BM_SEGMENT_COLD, 1 << BM_SEGMENT_LOG2_MIN, 1001, 1, 0,
                                         &made));
                assert_int_not_equal(made->header.file_id, kept->header.file_id);
                assert_in_range(made->header.file_id, 1, 300);
                assert_ok(bm_drives_remove(d, made));
        }
        assert_in_range(d->highest_file_id, 1, 300);
        assert_ok(bm_drives_remove(d, kept));
        test_store_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_are_used),
                cmocka_unit_test(found_without_being_named),
                cmocka_unit_test(wrong_ones_are_refused),
                cmocka_unit_test(creation_leaves_nothing_behind),
                cmocka_unit_test(names_are_durable_before_an_open_writes),
                cmocka_unit_test(file_ids_stay_low),
        };

        return cmocka_run_group_tests_name("drives", tests, NULL, NULL);
}
