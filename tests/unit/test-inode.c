/* SPDX-License-Identifier: MIT */
/* The inode table over a backend that only counts what is opened and freed. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inode.h"

#define DIR_ID     UINT64_C(10)
#define DIR_MAP_ID UINT64_C(500)

static struct {
        int n_open_maps;
        int n_released;
        uint64_t last_released;
} counts;

static char root_map, other_map;

static void fake_root(void *ctx, struct bm_map **map, struct bm_ref *ref)
{
        *map = (struct bm_map *)&root_map;
        *ref = (struct bm_ref){.key = "/", .key_len = 1, .record_id = FS_ROOT_ID};
}

static int fake_open_map(void *ctx, uint64_t map_id, struct bm_map **map)
{
        assert_int_equal(map_id, DIR_MAP_ID);
        counts.n_open_maps++;
        *map = (struct bm_map *)&other_map;
        return 0;
}

static void fake_close_map(void *ctx, struct bm_map *map)
{
        assert_ptr_equal(map, &other_map);
        counts.n_open_maps--;
}

static void fake_id_ref(void *ctx, uint64_t record_id, uint8_t key[8], struct bm_ref *ref)
{
        memcpy(key, "by an id", 8);
        *ref = (struct bm_ref){.key = key, .key_len = 8, .record_id = record_id};
}

static void fake_orphan_ref(void *ctx, uint64_t record_id, uint8_t key[8], struct bm_ref *ref)
{
        memset(key, 0xab, 8);
        *ref = (struct bm_ref){.key = key, .key_len = 8, .record_id = record_id};
}

static int fake_orphan_release(void *ctx, uint64_t record_id)
{
        counts.n_released++;
        counts.last_released = record_id;
        return 0;
}

static const struct backend backend = {
        .root = fake_root,
        .open_map = fake_open_map,
        .close_map = fake_close_map,
        .id_ref = fake_id_ref,
        .orphan_ref = fake_orphan_ref,
        .orphan_release = fake_orphan_release,
};

static struct fs_inodes *inodes;

static int new_table(void **state)
{
        memset(&counts, 0, sizeof(counts));
        return fs_inodes_new(&backend, &inodes);
}

static int free_table(void **state)
{
        inodes = fs_inodes_free(inodes);
        return counts.n_open_maps;
}

/* The kernel looks a name up; the reference is given back at once. */
static void look_up(uint64_t dir_id, const char *key, uint64_t id, uint64_t map_id)
{
        struct fs_inode *dir = fs_inode_get(inodes, dir_id), *inode;
        struct fs_found found = {
                .dir = dir, .key = key, .key_len = strlen(key), .record_id = id, .map_id = map_id};

        assert_non_null(dir);
        inode = fs_inode_remember(inodes, &found);
        assert_non_null(inode);
        assert_int_equal(fs_inode_id(inode), id);
        fs_inode_put(inodes, inode);
        fs_inode_put(inodes, dir);
}

static bool known(uint64_t id)
{
        struct fs_inode *inode = fs_inode_get(inodes, id);

        fs_inode_put(inodes, inode);
        return inode;
}

static void assert_place(uint64_t id, const void *map, const char *key)
{
        struct fs_inode *inode = fs_inode_get(inodes, id);
        struct fs_place place;

        assert_non_null(inode);
        assert_int_equal(fs_inode_place(inodes, inode, &place), 0);
        assert_ptr_equal(place.ref.map, map);
        assert_int_equal(place.ref.key_len, strlen(key));
        assert_memory_equal(place.ref.key, key, strlen(key));
        assert_int_equal(place.ref.record_id, id);
        fs_place_release(inodes, &place);
        fs_inode_put(inodes, inode);
}

static void lookups_are_counted(void **state)
{
        look_up(FS_ROOT_ID, "a", 2, 0);
        look_up(FS_ROOT_ID, "a", 2, 0);
        look_up(FS_ROOT_ID, "a", 2, 0);
        assert_int_equal(fs_inodes_count(inodes), 2);
        fs_inode_forget(inodes, 2, 1);
        assert_true(known(2));
        fs_inode_forget(inodes, 2, 2);
        assert_false(known(2));
        assert_int_equal(fs_inodes_count(inodes), 1);
        /* of what is not known nothing can be forgotten, and never the root */
        fs_inode_forget(inodes, 2, 1);
        fs_inode_forget(inodes, FS_ROOT_ID, 1000);
        assert_true(known(FS_ROOT_ID));
}

static void many_inodes(void **state)
{
        enum { N = 20000 };
        char key[20];

        for (unsigned i = 0; i < N; i++) {
                snprintf(key, sizeof(key), "key-%u", i);
                look_up(FS_ROOT_ID, key, 2 + i, 0);
        }
        assert_int_equal(fs_inodes_count(inodes), N + 1);
        for (unsigned i = 0; i < N; i++) {
                snprintf(key, sizeof(key), "key-%u", i);
                assert_place(2 + i, &root_map, key);
        }
        for (unsigned i = 0; i < N; i += 2)
                fs_inode_forget(inodes, 2 + i, 1);
        assert_int_equal(fs_inodes_count(inodes), N / 2 + 1);
        for (unsigned i = 0; i < N; i++)
                assert_int_equal(known(2 + i), i % 2);
}

static void long_keys(void **state)
{
        char key[BM_KEY_MAX + 1];

        for (size_t len = 1; len <= BM_KEY_MAX; len++) {
                memset(key, 'a' + (int)(len % 26), len);
                key[len] = '\0';
                look_up(FS_ROOT_ID, key, 1 + len, 0);
                assert_place(1 + len, &root_map, key);
        }
}

static void a_directory_stays_open_for_what_is_in_it(void **state)
{
        struct fs_inode *dir;
        struct bm_map *map;

        look_up(FS_ROOT_ID, "dir", DIR_ID, DIR_MAP_ID);
        assert_int_equal(counts.n_open_maps, 0);
        dir = fs_inode_get(inodes, DIR_ID);
        assert_true(fs_inode_is_dir(dir));
        assert_int_equal(fs_inode_map(inodes, dir, &map), 0);
        assert_int_equal(fs_inode_map(inodes, dir, &map), 0);
        assert_int_equal(counts.n_open_maps, 1);
        fs_inode_put(inodes, dir);
        look_up(DIR_ID, "file", 11, 0);
        fs_inode_forget(inodes, DIR_ID, 1);
        assert_false(known(DIR_ID));
        assert_int_equal(counts.n_open_maps, 1);
        assert_place(11, &other_map, "file");
        fs_inode_forget(inodes, 11, 1);
        assert_int_equal(counts.n_open_maps, 0);
}

static void orphans_are_released_once(void **state)
{
        struct fs_inode *inode;
        struct fs_place place;
        struct fs_move move;

        look_up(FS_ROOT_ID, "file", 7, 0);
        inode = fs_inode_get(inodes, 7);
        assert_int_equal(fs_move_begin(inodes, &move, inode, 0), 0);
        fs_moved_to_orphans(inodes, &move, 1);
        fs_move_end(inodes, &move);
        assert_int_equal(fs_inode_place(inodes, inode, &place), 0);
        assert_true(place.removed_ns);
        assert_int_equal(place.ref.key_len, 8);
        fs_place_release(inodes, &place);
        /* forgotten while an operation holds it */
        fs_inode_forget(inodes, 7, 1);
        assert_int_equal(counts.n_released, 0);
        fs_inode_put(inodes, inode);
        assert_int_equal(counts.n_released, 1);
        assert_int_equal(counts.last_released, 7);
}

static void orphans_are_released_at_the_end(void **state)
{
        struct fs_inode *inode;
        struct fs_move move;

        look_up(FS_ROOT_ID, "file", 7, 0);
        inode = fs_inode_get(inodes, 7);
        assert_int_equal(fs_move_begin(inodes, &move, inode, 0), 0);
        fs_moved_to_orphans(inodes, &move, 1);
        fs_move_end(inodes, &move);
        fs_inode_put(inodes, inode);
        inodes = fs_inodes_free(inodes);
        assert_int_equal(counts.n_released, 1);
}

static void moving(void **state)
{
        char name[BM_KEY_MAX + 1];
        struct fs_inode *dir, *inode;
        struct fs_place before;
        struct fs_move move;
        struct bm_map *map;

        memset(name, 'x', BM_KEY_MAX);
        name[BM_KEY_MAX] = '\0';
        look_up(FS_ROOT_ID, "dir", DIR_ID, DIR_MAP_ID);
        look_up(FS_ROOT_ID, "file", 7, 0);
        dir = fs_inode_get(inodes, DIR_ID);
        inode = fs_inode_get(inodes, 7);
        assert_int_equal(fs_inode_map(inodes, dir, &map), 0);
        assert_int_equal(fs_inode_place(inodes, inode, &before), 0);
        assert_false(fs_inode_settle(inodes, inode, &before));
        assert_int_equal(fs_move_begin(inodes, &move, inode, BM_KEY_MAX), 0);
        fs_moved(inodes, &move, dir, name, BM_KEY_MAX);
        fs_move_end(inodes, &move);
        assert_true(fs_inode_settle(inodes, inode, &before));
        fs_place_release(inodes, &before);
        assert_place(7, &other_map, name);
        assert_int_equal(fs_inode_parent_id(inodes, inode), DIR_ID);
        /* one that came to nothing */
        assert_int_equal(fs_inode_place(inodes, inode, &before), 0);
        assert_int_equal(fs_move_begin(inodes, &move, inode, BM_KEY_MAX), 0);
        fs_move_end(inodes, &move);
        assert_false(fs_inode_settle(inodes, inode, &before));
        fs_place_release(inodes, &before);
        fs_inode_put(inodes, inode);
        fs_inode_put(inodes, dir);
}

static void *settle(void *ctx)
{
        struct fs_inode *inode = fs_inode_get(inodes, 7);
        bool moved = fs_inode_settle(inodes, inode, ctx);

        fs_inode_put(inodes, inode);
        return moved ? ctx : NULL;
}

/* Whether the waiting thread comes before or after the move, it sees it. */
static void waiting_for_a_move(void **state)
{
        struct fs_inode *inode, *root = fs_inode_get(inodes, FS_ROOT_ID);
        struct fs_place before;
        struct fs_move move;
        pthread_t thread;
        void *moved;

        look_up(FS_ROOT_ID, "file", 7, 0);
        inode = fs_inode_get(inodes, 7);
        assert_int_equal(fs_inode_place(inodes, inode, &before), 0);
        assert_int_equal(fs_move_begin(inodes, &move, inode, 3), 0);
        assert_int_equal(pthread_create(&thread, NULL, settle, &before), 0);
        fs_moved(inodes, &move, root, "new", 3);
        fs_move_end(inodes, &move);
        assert_int_equal(pthread_join(thread, &moved), 0);
        assert_non_null(moved);
        fs_place_release(inodes, &before);
        fs_inode_put(inodes, inode);
        fs_inode_put(inodes, root);
}

static void removed_directories(void **state)
{
        const struct stat last = {.st_mode = S_IFDIR | 0700, .st_nlink = 0};
        struct fs_inode *dir;
        struct fs_place place;
        struct fs_move move;
        struct bm_map *map;
        struct stat st;

        look_up(FS_ROOT_ID, "dir", DIR_ID, DIR_MAP_ID);
        dir = fs_inode_get(inodes, DIR_ID);
        assert_false(fs_inode_is_gone(inodes, dir, &st));
        assert_int_equal(fs_move_begin(inodes, &move, dir, 0), 0);
        fs_moved_away(inodes, &move, &last);
        fs_move_end(inodes, &move);
        assert_true(fs_inode_is_gone(inodes, dir, &st));
        assert_int_equal(st.st_mode, S_IFDIR | 0700);
        assert_int_equal(fs_inode_map(inodes, dir, &map), BM_E_NOT_FOUND);
        assert_int_equal(fs_inode_place(inodes, dir, &place), BM_E_NOT_FOUND);
        fs_place_release(inodes, &place);
        fs_inode_put(inodes, dir);
}

static void hashes_are_kept_until_a_write(void **state)
{
        struct fs_inode *inode;
        uint32_t n_writes;
        uint64_t hash;

        look_up(FS_ROOT_ID, "file", 7, 0);
        inode = fs_inode_get(inodes, 7);
        assert_false(fs_inode_hash(inodes, inode, &hash));
        n_writes = fs_inode_writes(inode);
        assert_true(fs_inode_keep_hash(inodes, inode, 1234, n_writes));
        assert_true(fs_inode_hash(inodes, inode, &hash));
        assert_int_equal(hash, 1234);
        fs_inode_written(inode);
        assert_false(fs_inode_hash(inodes, inode, &hash));
        /* computed from what was there before */
        assert_false(fs_inode_keep_hash(inodes, inode, 1234, n_writes));
        assert_false(fs_inode_hash(inodes, inode, &hash));
        fs_inode_put(inodes, inode);
}

static void look_up_name(uint64_t dir_id, const char *key, uint64_t id)
{
        struct fs_inode *dir = fs_inode_get(inodes, dir_id), *inode;
        struct fs_found found = {
                .dir = dir, .key = key, .key_len = strlen(key), .record_id = id, .by_id = true};

        inode = fs_inode_remember(inodes, &found);
        assert_non_null(inode);
        fs_inode_put(inodes, inode);
        fs_inode_put(inodes, dir);
}

/* All names of a record are one inode, which no name's end concerns. */
static void one_of_several_names_is_no_place(void **state)
{
        const int64_t now = INT64_C(1800000000) * 1000000000;
        struct fs_move move;
        struct fs_inode *inode, *dir;
        struct fs_place before;

        look_up(FS_ROOT_ID, "dir", DIR_ID, DIR_MAP_ID);
        dir = fs_inode_get(inodes, DIR_ID);
        look_up(FS_ROOT_ID, "a name longer than what is near by", 7, 0);
        inode = fs_inode_get(inodes, 7);
        assert_int_equal(fs_inode_place(inodes, inode, &before), 0);
        look_up_name(DIR_ID, "b", 7);
        assert_int_equal(fs_inodes_count(inodes), 3);
        assert_place(7, NULL, "by an id");
        /* whoever looked in vain under its key looks again */
        assert_true(fs_inode_settle(inodes, inode, &before));
        fs_place_release(inodes, &before);

        assert_int_equal(fs_move_begin(inodes, &move, inode, 1), 0);
        fs_moved(inodes, &move, dir, "c", 1);
        fs_move_end(inodes, &move);
        assert_place(7, NULL, "by an id");
        assert_false(fs_inode_is_losing(inodes, inode, now));
        assert_int_equal(fs_move_begin(inodes, &move, inode, 0), 0);
        assert_true(fs_inode_is_losing(inodes, inode, now));
        fs_moved_to_id(inodes, &move, now);
        fs_move_end(inodes, &move);
        assert_place(7, NULL, "by an id");
        assert_true(fs_inode_is_losing(inodes, inode, now));
        assert_true(fs_inode_is_losing(inodes, inode, now + 999999999));
        assert_false(fs_inode_is_losing(inodes, inode, now + 1000000000));

        assert_int_equal(fs_move_begin(inodes, &move, inode, 0), 0);
        fs_moved_to_orphans(inodes, &move, 12);
        fs_move_end(inodes, &move);
        assert_int_equal(fs_inode_place(inodes, inode, &before), 0);
        assert_int_equal(before.removed_ns, 12);
        fs_place_release(inodes, &before);
        fs_inode_put(inodes, inode);
        fs_inode_put(inodes, dir);
        fs_inode_forget(inodes, 7, 1);
        assert_int_equal(counts.n_released, 0);
        fs_inode_forget(inodes, 7, 1);
        assert_int_equal(counts.n_released, 1);
        fs_inode_forget(inodes, DIR_ID, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_table, free_table)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(one_of_several_names_is_no_place),
                TEST(lookups_are_counted),
                TEST(many_inodes),
                TEST(long_keys),
                TEST(a_directory_stays_open_for_what_is_in_it),
                TEST(orphans_are_released_once),
                TEST(orphans_are_released_at_the_end),
                TEST(moving),
                TEST(waiting_for_a_move),
                TEST(removed_directories),
                TEST(hashes_are_kept_until_a_write),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
