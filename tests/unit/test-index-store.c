/* SPDX-License-Identifier: MIT */
/* Checkpoint, loading, and what is found on disk. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index-fixture.h"

static struct bm_index_stats stats;
static struct bm_index ix;
static struct disk disk;

static int set_up(void **state)
{
        disk_init(&disk);
        stats = (struct bm_index_stats){0};
        bm_index_init(&ix, 2, 4, 32, &disk.source, &stats);
        return 0;
}

static int tear_down(void **state)
{
        bm_index_deinit(&ix);
        assert_int_equal(stats.slots, 0);
        assert_int_equal(stats.bytes, 0);
        disk_deinit(&disk);
        return 0;
}

static uint64_t hash_here(uint64_t id)
{
        return UINT64_C(2) << 60 | hash_of(id) >> 4;
}

static void fill(uint64_t from, uint64_t to)
{
        for (uint64_t id = from; id < to; id++)
                insert_id(&ix, hash_here(id), id);
}

static int reload(void)
{
        bm_index_deinit(&ix);
        bm_index_init(&ix, 2, 4, 32, &disk.source, &stats);
        disk.reads = 0;
        return bm_index_load(&ix, disk.rows, disk.n_rows);
}

static void everything_comes_back(void **state)
{
        struct bm_place place;
        struct bm_index_stats before;
        uint32_t n_blocks;

        fill(0, 5000);
        for (uint64_t id = 10000; id < 11500; id++) /* a chain */
                insert_id(&ix, hash_here(1), id);
        disk_checkpoint(&disk, &ix, 77);
        assert_int_equal(disk.n_written, disk.n_rows);
        before = stats;
        n_blocks = ix.n_blocks;

        assert_int_equal(reload(), 0);
        assert_int_equal(disk.reads, 0);
        assert_int_equal(ix.n_blocks, n_blocks);
        assert_int_equal(ix.n_used, 6500);
        assert_int_equal(stats.bytes, before.bytes);
        assert_int_equal(stats.slots, before.slots);
        for (uint64_t id = 0; id < 5000; id++)
                assert_int_equal(find_id(&ix, hash_here(id), id, &place), 0);
        for (uint64_t id = 10000; id < 11500; id++)
                assert_int_equal(find_id(&ix, hash_here(1), id, &place), 0);
        assert_int_equal(disk.reads, n_blocks);
        check_index(&ix);

        /* nothing changed: nothing is written, the rows are the same */
        disk_checkpoint(&disk, &ix, 99);
        assert_int_equal(disk.n_written, 0);
        assert_int_equal(disk.n_rows, n_blocks);
}

static void only_what_is_needed_is_read(void **state)
{
        struct bm_place place;

        fill(0, 5000);
        disk_checkpoint(&disk, &ix, 1);
        assert_int_equal(reload(), 0);
        assert_int_equal(find_id(&ix, hash_here(9), 9, &place), 0);
        assert_int_equal(find_id(&ix, hash_here(9), 9, &place), 0);
        assert_int_equal(disk.reads, 1);
}

static void only_changed_blocks_are_written(void **state)
{
        struct bm_place place;

        fill(0, 5000);
        disk_checkpoint(&disk, &ix, 1);
        assert_int_equal(reload(), 0);
        erase_id(&ix, hash_here(3), 3);
        disk_checkpoint(&disk, &ix, 2);
        assert_int_equal(disk.n_written, 1);
        assert_int_equal(reload(), 0);
        assert_int_equal(find_id(&ix, hash_here(3), 3, &place), BM_E_NOT_FOUND);
        assert_int_equal(find_id(&ix, hash_here(4), 4, &place), 0);
        check_index(&ix);
}

static int refuse(void *ctx, struct bm_block_row *row, const void *image, size_t len)
{
        return -ENOSPC;
}

static void failed_write_leaves_blocks_changed(void **state)
{
        fill(0, 10);
        struct bm_index_run run = {.map_id = 3, .applied = 5, .max_bytes = UINT32_MAX};
        assert_int_equal(bm_index_checkpoint(&ix, &run, refuse, NULL), -ENOSPC);
        bm_index_end_run(&ix);
        disk_checkpoint(&disk, &ix, 6);
        assert_int_equal(disk.n_written, 1);
}

static void applied_follows_the_blocks(void **state)
{
        uint64_t applied = 1;

        fill(0, 2000);
        assert_int_equal(bm_index_applied(&ix, hash_here(1), &applied), 0);
        assert_int_equal(applied, 0);
        disk_checkpoint(&disk, &ix, 100);
        assert_int_equal(reload(), 0);
        erase_id(&ix, hash_here(1), 1);
        disk_checkpoint(&disk, &ix, 200);
        assert_int_equal(reload(), 0);
        for (uint64_t id = 1; id < 50; id++) {
                struct bm_place a, b;

                if (id > 1) {
                        assert_int_equal(find_id(&ix, hash_here(id), id, &a), 0);
                        (void)find_id(&ix, hash_here(1), 1, &b);
                        assert_int_equal(bm_index_applied(&ix, hash_here(id), &applied), 0);
                        assert_int_equal(
                                applied,
                                a.block == bm_index_part(&ix, bm_index_tag(&ix, hash_here(1)))
                                        ? 200
                                        : 100);
                }
        }
        /* and through growth */
        fill(10000, 30000);
        assert_int_equal(bm_index_applied(&ix, hash_here(1), &applied), 0);
        assert_int_equal(applied, 200);
}

/* A chain of which one block changed includes what that block includes. */
static void applied_of_a_chain_is_its_newest(void **state)
{
        uint64_t applied = 0;

        for (uint64_t id = 0; id < 300; id++)
                insert_id(&ix, hash_here(1), id);
        disk_checkpoint(&disk, &ix, 100);
        erase_id(&ix, hash_here(1), 0); /* stands in the first */
        disk_checkpoint(&disk, &ix, 200);
        assert_int_equal(disk.n_written, 1);
        assert_int_equal(reload(), 0);
        assert_int_equal(bm_index_applied(&ix, hash_here(1), &applied), 0);
        assert_int_equal(applied, 200);
}

static void dirty_file_moves_blocks(void **state)
{
        fill(0, 5000);
        disk_checkpoint(&disk, &ix, 1);
        assert_int_equal(bm_index_dirty_file(&ix, 8), 0);
        disk_checkpoint(&disk, &ix, 2);
        assert_int_equal(disk.n_written, 0);
        assert_int_equal(reload(), 0);
        assert_int_equal(bm_index_dirty_file(&ix, 7), 0);
        disk_checkpoint(&disk, &ix, 3);
        assert_int_equal(disk.n_written, disk.n_rows);
        assert_int_equal(reload(), 0);
        check_index(&ix);
        disk.fail_reads = 1;
        assert_int_equal(reload(), 0);
        assert_int_equal(bm_index_dirty_file(&ix, 7), -EIO);
}

/* Every byte of a block counts. */
static void flipped_bit_is_found(void **state)
{
        size_t at, len;
        struct bm_place place;

        fill(0, 20);
        disk_checkpoint(&disk, &ix, 1);
        assert_int_equal(disk.n_rows, 1);
        at = (size_t)disk.rows[0].offset_units * 64;
        len = 64 + (size_t)disk.rows[0].lines * 64;
        for (size_t i = 0; i < len; i++) {
                uint64_t capacity, last, applied;
                struct bm_known_slot *slots;
                struct bm_slot slot = slot_of(99);
                size_t n;

                disk.bytes[at + i] ^= 1u << i % 8;
                assert_int_equal(reload(), 0);
                assert_int_equal(find_id(&ix, hash_here(1), 1, &place), -EIO);
                if (i % 64 == 0) {
                        assert_int_equal(bm_index_room(&ix, hash_here(1), &capacity), -EIO);
                        assert_int_equal(bm_index_insert(&ix, hash_here(1), &slot, NULL, &capacity),
                                         -EIO);
                        assert_int_equal(bm_index_grow(&ix, hash_here(1), 32), -EIO);
                        assert_int_equal(bm_index_collect(&ix, hash_here(1), &slots, &n, &last),
                                         -EIO);
                        assert_int_equal(bm_index_applied(&ix, hash_here(1), &applied), -EIO);
                }
                disk.bytes[at + i] ^= 1u << i % 8;
        }
        assert_int_equal(reload(), 0);
        assert_int_equal(find_id(&ix, hash_here(1), 1, &place), 0);
}

/* A good block, but not the one that the row means. */
static void wrong_block_is_found(void **state)
{
        struct bm_block_row row;
        struct bm_place place;

        fill(0, 3000);
        disk_checkpoint(&disk, &ix, 1);
        assert_true(disk.n_rows >= 3);
        for (uint32_t i = 1; i < disk.n_rows; i++) {
                row = disk.rows[0];
                disk.rows[0].offset_units = disk.rows[i].offset_units;
                assert_int_equal(reload(), 0);
                assert_int_equal(bm_index_touch(&ix, ix.dir[0], 0), -EIO);
                /* even if the check bits happen to agree */
                disk.rows[0].check = disk.rows[i].check;
                disk.rows[0].lines = disk.rows[i].lines;
                disk.rows[0].live = disk.rows[i].live;
                assert_int_equal(reload(), 0);
                assert_int_equal(bm_index_touch(&ix, ix.dir[0], 0), -EIO);
                disk.rows[0] = row;
        }
        /* another bucket's rows */
        bm_index_deinit(&ix);
        bm_index_init(&ix, 3, 4, 32, &disk.source, &stats);
        assert_int_equal(bm_index_load(&ix, disk.rows, disk.n_rows), 0);
        assert_int_equal(find_id(&ix, UINT64_C(3) << 60, 1, &place), -EIO);
}

static void failed_read_can_be_tried_again(void **state)
{
        struct bm_place place;

        fill(0, 20);
        disk_checkpoint(&disk, &ix, 1);
        assert_int_equal(reload(), 0);
        disk.fail_reads = 1;
        assert_int_equal(find_id(&ix, hash_here(1), 1, &place), -EIO);
        assert_int_equal(find_id(&ix, hash_here(1), 1, &place), 0);
}

static void rows_must_tile(void **state)
{
        const struct bm_block_row zero = {.file_id = 7, .offset_units = 8, .lines = 8};
        struct bm_block_row rows[4] = {zero, zero, zero, zero};

        assert_int_equal(bm_index_load(&ix, rows, 2), BM_E_DAMAGED); /* twice everything */
        rows[0].depth = rows[1].depth = 1;
        assert_int_equal(bm_index_load(&ix, rows, 1), BM_E_DAMAGED); /* half is missing */
        assert_int_equal(bm_index_load(&ix, rows, 3), BM_E_DAMAGED);
        rows[0].depth = rows[2].depth = 2; /* 2 1 2: not aligned */
        assert_int_equal(bm_index_load(&ix, rows, 3), BM_E_DAMAGED);
        rows[0].depth = 25;
        assert_int_equal(bm_index_load(&ix, rows, 3), BM_E_DAMAGED);
        rows[0] = zero;
        rows[0].flags = BM_BLOCK_CHAINED; /* of nothing */
        assert_int_equal(bm_index_load(&ix, rows, 1), BM_E_DAMAGED);
        rows[0].flags = 2;
        assert_int_equal(bm_index_load(&ix, rows, 1), BM_E_DAMAGED);
        rows[0] = zero;
        rows[1] = zero;
        rows[1].depth = 1;
        rows[1].flags = BM_BLOCK_CHAINED; /* of another depth */
        assert_int_equal(bm_index_load(&ix, rows, 2), BM_E_DAMAGED);
        rows[0].lines = 0;
        assert_int_equal(bm_index_load(&ix, rows, 1), BM_E_DAMAGED);
        rows[0].lines = 257;
        assert_int_equal(bm_index_load(&ix, rows, 1), BM_E_DAMAGED);
        rows[0].lines = 8;
        rows[0].live = 33;
        assert_int_equal(bm_index_load(&ix, rows, 1), BM_E_DAMAGED);
        assert_int_equal(stats.bytes, 0);
        assert_null(ix.dir);

        rows[0] = rows[1] = rows[2] = rows[3] = zero;
        rows[0].depth = 1;
        rows[1].depth = rows[2].depth = rows[3].depth = 2;
        rows[2].flags = BM_BLOCK_CHAINED;
        assert_int_equal(bm_index_load(&ix, rows, 4), 0);
        assert_int_equal(ix.depth, 2);
        assert_int_equal(ix.n_blocks, 4);
        assert_int_equal(bm_index_load(&ix, rows, 0), 0);
}

/* Many readers meet a block that is not loaded. */
enum { READERS = 4 };

static pthread_barrier_t start;
static _Atomic unsigned missing;

static int read_unlocked(void *ctx, const struct bm_block_row *row, void *buf, size_t len)
{
        memcpy(buf, disk.bytes + (size_t)row->offset_units * 64, len);
        return 0;
}

static void *read_all(void *arg)
{
        struct bm_place place;
        struct bm_slot slot;

        pthread_barrier_wait(&start);
        for (uint64_t id = 0; id < 5000; id++)
                if (bm_index_find(&ix, hash_here(id), match_id, &id, &place, &slot))
                        missing++;
        return NULL;
}

static void many_load_at_once(void **state)
{
        pthread_t threads[READERS];

        fill(0, 5000);
        disk_checkpoint(&disk, &ix, 1);
        assert_int_equal(reload(), 0);
        disk.source.read = read_unlocked;
        pthread_barrier_init(&start, NULL, READERS);
        for (size_t i = 0; i < READERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, read_all, NULL), 0);
        for (size_t i = 0; i < READERS; i++)
                pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&start);
        assert_int_equal(missing, 0);
        check_index(&ix);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(everything_comes_back),
                TEST(only_what_is_needed_is_read),
                TEST(only_changed_blocks_are_written),
                TEST(failed_write_leaves_blocks_changed),
                TEST(applied_follows_the_blocks),
                TEST(applied_of_a_chain_is_its_newest),
                TEST(dirty_file_moves_blocks),
                TEST(flipped_bit_is_found),
                TEST(wrong_block_is_found),
                TEST(failed_read_can_be_tried_again),
                TEST(rows_must_tile),
                TEST(many_load_at_once),
        };

        return cmocka_run_group_tests_name("index-store", tests, NULL, NULL);
}
