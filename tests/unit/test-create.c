/* SPDX-License-Identifier: MIT */
/* Making a store: all of it or nothing, whichever file operation fails. */
#include <sys/file.h>

#include "store-fixture.h"

/* The n-th call that changes a file fails. */
static struct {
        unsigned calls, fail_at;
} counted;

static bool fails(void)
{
        return ++counted.calls == counted.fail_at;
}

static int open_at(const struct bm_io *io, int dir, const char *name, int flags, mode_t mode)
{
        if (flags & O_CREAT && fails())
                return -ENOSPC;
        return bm_io_call(&bm_io_posix, open_at, dir, name, flags, mode);
}

static int mkdir_at(const struct bm_io *io, int dir, const char *name, mode_t mode)
{
        return fails() ? -ENOSPC : bm_io_call(&bm_io_posix, mkdir_at, dir, name, mode);
}

static int pwrite_at(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t offset)
{
        return fails() ? -ENOSPC : bm_io_call(&bm_io_posix, pwrite, fd, buf, len, offset);
}

static int allocate(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        return fails() ? -ENOSPC : bm_io_call(&bm_io_posix, allocate, fd, offset, len);
}

static int sync_data(const struct bm_io *io, int fd)
{
        return fails() ? -EIO : bm_io_call(&bm_io_posix, sync_data, fd);
}

static int sync_dir(const struct bm_io *io, int dir)
{
        return fails() ? -EIO : bm_io_call(&bm_io_posix, sync_dir, dir);
}

static int map_write(const struct bm_io *io, int fd, void *base, uint64_t offset, const void *src,
                     size_t len)
{
        return fails() ? -EIO : bm_io_call(&bm_io_posix, map_write, fd, base, offset, src, len);
}

struct places {
        char dir[32], path[64], drive[64];
        const char *drives[1];
        struct bm_io_ops ops;
        struct bm_io io;
        struct bm_config config;
};

static int setup(void **state)
{
        struct places *p = calloc(1, sizeof(*p));
        assert_non_null(p);
        strcpy(p->dir, "/tmp/bm-create-XXXXXX");
        assert_non_null(mkdtemp(p->dir));
        snprintf(p->path, sizeof(p->path), "%s/store", p->dir);
        snprintf(p->drive, sizeof(p->drive), "%s/drive", p->dir);
        p->drives[0] = p->drive;
        p->ops = *bm_io_posix.ops;
        p->ops.open_at = open_at;
        p->ops.mkdir_at = mkdir_at;
        p->ops.pwrite = pwrite_at;
        p->ops.allocate = allocate;
        p->ops.sync_data = sync_data;
        p->ops.sync_dir = sync_dir;
        p->ops.map_write = map_write;
        p->io.ops = &p->ops;
        p->config = (struct bm_config){.drives = p->drives, .n_drives = 1, .io = &p->io};
        *state = p;
        return 0;
}

static int teardown(void **state)
{
        struct places *p = *state;
        char command[64];
        snprintf(command, sizeof(command), "rm -rf %s", p->dir);
        int r = system(command);
        free(p);
        return r;
}

/* Number of entries; -1 if there is no such directory. */
static int n_entries(const char *path)
{
        DIR *d = opendir(path);
        int n = 0;
        if (!d)
                return -1;
        while (readdir(d))
                n++;
        closedir(d);
        return n - 2; /* . and .. */
}

static void make_way(struct places *p, int want)
{
        char command[512];
        snprintf(command, sizeof(command), "rm -rf %s %s%s%s %s", p->path, p->drive,
                 want == 0 ? "; mkdir " : "; :", want == 0 ? p->path : "",
                 want == 0 ? p->drive : "");
        assert_int_equal(system(command), 0);
}

/* WANT: entries of both places after a failure. */
static unsigned fail_each_call(struct places *p, int want)
{
        for (unsigned n = 1;; n++) {
                counted.calls = 0;
                counted.fail_at = n;
                int r = bm_create(p->path, &p->config);
                if (counted.calls < n) {
                        assert_int_equal(r, 0);
                        return n;
                }
                if (r == 0) /* it could be done without */
                        make_way(p, want);
                assert_int_equal(n_entries(p->path), want);
                assert_int_equal(n_entries(p->drive), want);
        }
}

static void a_failed_creation_leaves_nothing(void **state)
{
        struct places *p = *state;
        struct bm_store *store;
        assert_true(fail_each_call(p, -1) > 20);
        counted.fail_at = 0;
        assert_int_equal(bm_open(p->path, &p->config, &store), 0);
        assert_int_equal(bm_close(store), 0);
}

static void directories_that_were_there_stay(void **state)
{
        struct places *p = *state;
        assert_int_equal(mkdir(p->path, 0700), 0);
        assert_int_equal(mkdir(p->drive, 0700), 0);
        assert_true(fail_each_call(p, 0) > 20);
}

static void what_is_not_empty_is_left_alone(void **state)
{
        struct places *p = *state;
        char file[80];
        counted.fail_at = 0;
        assert_int_equal(mkdir(p->drive, 0700), 0);
        snprintf(file, sizeof(file), "%s/precious", p->drive);
        int fd = open(file, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(bm_create(p->path, &p->config), BM_E_NOT_EMPTY_DIR);
        assert_int_equal(n_entries(p->path), -1);
        assert_int_equal(n_entries(p->drive), 1);
        assert_int_equal(bm_create(p->drive, &(struct bm_config){0}), BM_E_NOT_EMPTY_DIR);
        assert_int_equal(n_entries(p->drive), 1);
        assert_int_equal(access(file, F_OK), 0);
}

/* The file of that name alone, in the place for a store: whether it is still there, as it was. */
static void assert_stays(struct places *p, const char *name, const char *text)
{
        char file[128], found[32] = "";
        make_way(p, 0);
        snprintf(file, sizeof(file), "%s/%s", p->path, name);
        int fd = open(file, O_CREAT | O_RDWR, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(bm_create(p->path, &p->config), BM_E_NOT_EMPTY_DIR);
        assert_int_equal(n_entries(p->path), 1);
        assert_int_equal(n_entries(p->drive), 0);
        assert_int_equal(pread(fd, found, sizeof(found), 0), strlen(text));
        assert_string_equal(found, text);
        close(fd);
}

static void files_of_others_with_names_of_ours_stay(void **state)
{
        struct places *p = *state;
        counted.fail_at = 0;
        assert_stays(p, "lock", "a lock of somebody's");
        assert_stays(p, "reserve", "of somebody's");
        assert_stays(p, "manifest", "of cargo");
        assert_stays(p, "drives", "");
        assert_stays(p, "segments", "no directory");
}

static void the_drive_of_another_store_is_refused(void **state)
{
        struct places *p = *state;
        char other[80];
        struct bm_store *store;
        counted.fail_at = 0;
        assert_int_equal(bm_create(p->path, &p->config), 0);
        snprintf(other, sizeof(other), "%s/other", p->dir);
        assert_int_equal(bm_create(other, &p->config), BM_E_NOT_EMPTY_DIR);
        assert_int_equal(n_entries(other), -1);
        assert_int_equal(bm_open(p->path, &p->config, &store), 0);
        assert_int_equal(bm_close(store), 0);
}

static void whoever_makes_it_is_alone(void **state)
{
        struct places *p = *state;
        char file[128];
        counted.fail_at = 0;
        make_way(p, 0);
        snprintf(file, sizeof(file), "%s/lock", p->path);
        int fd = open(file, O_CREAT | O_RDWR, 0600);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        assert_int_equal(bm_create(p->path, &p->config), BM_E_IN_USE);
        assert_int_equal(n_entries(p->path), 1);
        close(fd);
        assert_int_equal(bm_create(p->path, &p->config), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_failed_creation_leaves_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(directories_that_were_there_stay, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_not_empty_is_left_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(files_of_others_with_names_of_ours_stay, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(the_drive_of_another_store_is_refused, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(whoever_makes_it_is_alone, setup, teardown),
        };
        return cmocka_run_group_tests_name("create", tests, NULL, NULL);
}
