/* SPDX-License-Identifier: MIT */
/* Repairing: what is intact stays, what is lost is said, and the result is sound. */
#include "drives.h"
#include "large.h"
#include "said.h"
#include "store-fixture.h"
#include "txn.h"

enum { LARGE = 200000, KEYS = 300 };

static int repair(struct fixture *f, struct said *said, bool dry_run)
{
        const struct bm_repair_args args = {.dry_run = dry_run, .finding = on_finding, .ctx = said};
        *said = (struct said){.n = 0};
        return bm_repair(f->path, &f->config, &args);
}

/* Flips a bit in each place of the closed store's segments where TEXT stands. */
static unsigned damage(struct fixture *f, const void *bytes, size_t len)
{
        unsigned hits = 0;
        char path[700], dir[400];
        snprintf(dir, sizeof(dir), "%s/segments", f->path);
        DIR *d = opendir(dir);
        assert_non_null(d);
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                struct stat st;
                snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
                int fd = open(path, O_RDWR);
                if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                        close(fd);
                        continue;
                }
                uint8_t *content = malloc((size_t)st.st_size);
                assert_non_null(content);
                assert_int_equal(pread(fd, content, (size_t)st.st_size, 0), st.st_size);
                for (uint8_t *at = content;
                     (at = memmem(at, (size_t)(content + st.st_size - at), bytes, len)); at++) {
                        uint8_t bad = *at ^ 1;
                        assert_int_equal(pwrite(fd, &bad, 1, at - content), 1);
                        hits++;
                }
                free(content);
                close(fd);
        }
        closedir(d);
        return hits;
}

static void fill(struct fixture *f)
{
        for (unsigned i = 0; i < KEYS; i++) {
                char key[32], value[64];
                snprintf(key, sizeof(key), "key%u", i);
                snprintf(value, sizeof(value), "the value of %u", i);
                put_text(f, key, value);
        }
}

static void assert_filled(struct fixture *f, unsigned but)
{
        for (unsigned i = 0; i < KEYS; i++) {
                char key[32], value[64];
                snprintf(key, sizeof(key), "key%u", i);
                snprintf(value, sizeof(value), "the value of %u", i);
                if (i == but)
                        assert_gone(f, key);
                else
                        assert_text(f, key, value);
        }
}

static uint64_t make_map(struct fixture *f, const char *name, struct bm_map **map)
{
        uint64_t id;
        assert_int_equal(bm_map_create(f->root, name, strlen(name), "a-meta", 6, &id, NULL), 0);
        assert_int_equal(bm_map_open(f->store, id, map), 0);
        return id;
}

static uint8_t *make_large(void)
{
        uint8_t *bytes = malloc(LARGE);
        assert_non_null(bytes);
        for (size_t i = 0; i < LARGE; i++)
                bytes[i] = (uint8_t)((i ^ i >> 7) * 2654435761u >> 11 ^ i * i >> 9);
        return bytes;
}

static void a_sound_store_is_left_alone(void **state)
{
        struct fixture *f = *state;
        struct said said;
        fill(f);
        fixture_close(f);
        assert_int_equal(repair(f, &said, false), 0);
        assert_int_equal(said.n, 0);
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
}

static void a_lost_value_is_named_and_gone(void **state)
{
        struct fixture *f = *state;
        struct said said;
        struct bm_stats stats;
        fill(f);
        fixture_close(f);
        assert_int_equal(damage(f, "the value of 77", 15), 1);
        assert_int_equal(repair(f, &said, true), BM_E_DAMAGED);
        assert_true(says(&said, "key77: lost"));
        /* nothing is done yet */
        fixture_open(f);
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, "key77", 5, &view), -EIO);
        fixture_close(f);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "key77: lost"));
        fixture_open(f);
        assert_filled(f, 77);
        assert_sound(f);
        assert_int_equal(bm_stats(f->store, &stats), 0);
        assert_int_equal(stats.keys, KEYS - 1);
        fixture_close(f);
        assert_int_equal(repair(f, &said, false), 0);
        fixture_open(f);
}

static void a_dead_record_costs_nothing(void **state)
{
        struct fixture *f = *state;
        struct said said;
        put_text(f, "key5", "something older");
        fill(f);
        fixture_close(f);
        assert_int_equal(damage(f, "something older", 15), 1);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_false(says(&said, "lost"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
}

static void a_map_without_its_name_goes_to_lost_and_found(void **state)
{
        struct fixture *f = *state;
        struct said said;
        struct bm_map *map;
        struct bm_view view;
        fill(f);
        uint64_t id = make_map(f, "directory", &map);
        assert_int_equal(bm_insert(map, "inside", 6, "kept", 4, 9), 0);
        bm_map_close(map);
        fixture_close(f);
        assert_int_equal(damage(f, "a-meta", 6), 1);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "directory: lost"));
        assert_true(says(&said, "goes to lost+found/#"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
        assert_int_equal(bm_map_open(f->store, id, &map), 0);
        assert_int_equal(bm_read_value(map, "inside", 6, &view), 0);
        assert_int_equal(view.count, 9);
        bm_view_release(&view);
        bm_map_close(map);
        assert_int_equal(bm_read_value(f->root, "lost+found", 10, &view), 0);
        assert_true(view.map_id != 0);
        bm_view_release(&view);
}

static int count_item(void *ctx, const struct bm_item *item)
{
        uint64_t *size = ctx;
        *size += item->view.size;
        return 0;
}

static uint64_t size_in_lost(struct fixture *f)
{
        struct bm_view view;
        struct bm_map *map;
        uint64_t size = 0;
        assert_int_equal(bm_read_value(f->root, "lost+found", 10, &view), 0);
        assert_int_equal(bm_map_open(f->store, view.map_id, &map), 0);
        bm_view_release(&view);
        assert_int_equal(bm_keys(map, count_item, &size), 0);
        bm_map_close(map);
        return size;
}

static void a_large_value_with_a_hole_does_not_keep_its_name(void **state)
{
        struct fixture *f = *state;
        struct said said;
        uint8_t *bytes = make_large();
        fill(f);
        put(f, "large", bytes, LARGE);
        fixture_close(f);
        assert_int_equal(damage(f, bytes + 3 * 32768 + 100, 64), 1);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "large: 32768 bytes are lost, from byte 98304 to 131071"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_gone(f, "large");
        assert_sound(f);
        assert_int_equal(size_in_lost(f), LARGE);
        free(bytes);
}

/* Where chunk NUMBER of that value stands. */
static uint64_t place_of_chunk(struct fixture *f, uint64_t data_id, uint64_t number,
                               uint32_t *file_id)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_target t;
        struct bm_found found;
        bm_chunk_key(data_id, number, key);
        assert_int_equal(bm_target_init(&t, f->store->chunks, key, sizeof(key)), 0);
        assert_int_equal(bm_target_find(&t, &found), 0);
        assert_true(found.there);
        *file_id = found.segment->header.file_id;
        return found.slot.offset;
}

/* What was allocated ahead is zeros: no byte of the value is lost with it. */
static void a_lost_chunk_beyond_the_end_costs_nothing(void **state)
{
        enum { SIZE = 50000, NUMBER = 4, LAST = LARGE / BM_CHUNK };
        struct fixture *f = *state;
        struct said said;
        uint8_t *bytes = make_large(), *read = make_large();
        struct bm_ref ref = {.map = f->root, .key = "large", .key_len = 5};
        uint64_t data_id = atomic_load(&f->store->next_data);
        size_t done;
        uint64_t allocated;
        uint32_t file_id;
        fill(f);
        put(f, "large", bytes, SIZE);
        assert_int_equal(bm_allocate(&ref, 0, LARGE, BM_ALLOCATE_KEEP_SIZE, NULL, NULL, &allocated),
                         0);
        (void)place_of_chunk(f, data_id, LAST,
                             &file_id); /* the reach goes on behind what is lost */
        uint64_t at = place_of_chunk(f, data_id, NUMBER, &file_id);
        fixture_close(f);
        fixture_damage_segment(f, file_id, at + BM_CHUNK / 2);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_int_equal(said.n, 1);
        assert_true(says(&said, "are damaged"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
        ref.map = f->root;
        assert_int_equal(bm_read_at(&ref, 0, read, LARGE, &done), 0);
        assert_int_equal(done, SIZE);
        assert_memory_equal(read, bytes, SIZE);
        /* and it is zeros yet when the value grows over it */
        assert_int_equal(bm_truncate(&ref, LARGE, NULL, NULL), 0);
        memset(bytes + SIZE, 0, LARGE - SIZE);
        assert_int_equal(bm_read_at(&ref, 0, read, LARGE, &done), 0);
        assert_int_equal(done, LARGE);
        assert_memory_equal(read, bytes, LARGE);
        assert_sound(f);
        free(read);
        free(bytes);
}

static void chunks_of_a_lost_key_are_kept(void **state)
{
        struct fixture *f = *state;
        struct said said;
        uint8_t *bytes = make_large();
        fill(f);
        put(f, "the-large-one", bytes, LARGE);
        fixture_close(f);
        assert_true(damage(f, "the-large-one", 13) > 0);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "200000 bytes of a large value whose key is lost"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
        assert_int_equal(size_in_lost(f), LARGE);
        free(bytes);
}

static void names_of_a_lost_record_go(void **state)
{
        struct fixture *f = *state;
        struct said said;
        fill(f);
        put_text(f, "first", "shared by two names");
        const struct bm_ref ref = {f->root, "first", 5, 0};
        assert_int_equal(bm_link(&ref, f->root, "second", 6, NULL, NULL), 0);
        fixture_close(f);
        assert_true(damage(f, "shared by two names", 19) > 0);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "first: lost"));
        assert_true(says(&said, "second: lost"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_gone(f, "first");
        assert_gone(f, "second");
        assert_sound(f);
}

static void a_lost_name_is_taken_off_the_number(void **state)
{
        struct fixture *f = *state;
        struct said said;
        fill(f);
        put_text(f, "first", "shared by two names");
        const struct bm_ref ref = {f->root, "first", 5, 0};
        assert_int_equal(bm_link(&ref, f->root, "the-second-name", 15, NULL, NULL), 0);
        fixture_close(f);
        assert_int_equal(damage(f, "the-second-name", 15), 1);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_text(f, "first", "shared by two names");
        assert_sound(f);
}

/* A store that was killed, with damage before what was synced. */
static void a_hole_in_the_log_is_bridged(void **state)
{
        struct fixture *f = *state;
        struct said said;
        struct bm_store *store;
        fill(f);
        put_text(f, "marked", "the marked value");
        put_text(f, "behind", "it is behind");
        assert_int_equal(bm_sync(f->store), 0);
        put_text(f, "after", "it is after");
        fixture_kill(f);
        assert_int_equal(damage(f, "the marked value", 16), 1);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "changes are lost"));
        assert_true(says(&said, "marked: lost"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_gone(f, "marked");
        assert_text(f, "behind", "it is behind");
        assert_text(f, "after", "it is after");
        assert_sound(f);
}

static void without_manifests_and_with_damage(void **state)
{
        struct fixture *f = *state;
        struct said said;
        struct bm_store *store;
        uint8_t *bytes = make_large();
        fill(f);
        put(f, "large", bytes, LARGE);
        put_text(f, "marked", "the marked value");
        put_text(f, "behind", "it is behind");
        fixture_close(f);
        assert_int_equal(damage(f, "the marked value", 16), 1);
        fixture_damage(f, "manifest", 100);
        fixture_damage(f, "manifest", 4096 + 100);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, "marked: lost"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_gone(f, "marked");
        assert_text(f, "behind", "it is behind");
        assert_sound(f);
        struct bm_view view;
        assert_int_equal(bm_read_value(f->root, "large", 5, &view), 0);
        assert_int_equal(view.size, LARGE);
        bm_view_release(&view);
        free(bytes);
}

/* Flips a bit in each block of the index of a store that is not open. */
static unsigned damage_index(struct fixture *f)
{
        static const uint8_t kind = BM_SEGMENT_INDEX;
        unsigned n = 0;
        char path[700], dir[400];
        snprintf(dir, sizeof(dir), "%s/segments", f->path);
        DIR *d = opendir(dir);
        assert_non_null(d);
        for (struct dirent *e = readdir(d); e; e = readdir(d)) {
                uint8_t found = 0, byte = 0;
                snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
                int fd = open(path, O_RDWR);
                if (fd >= 0 && pread(fd, &found, 1, 24) == 1 && found == kind) {
                        /* behind the header comes the first block, of 64 bytes and its lines */
                        assert_int_equal(pread(fd, &byte, 1, BM_SEGMENT_HEADER + 100), 1);
                        byte ^= 1;
                        assert_int_equal(pwrite(fd, &byte, 1, BM_SEGMENT_HEADER + 100), 1);
                        n++;
                }
                close(fd);
        }
        closedir(d);
        return n;
}

static void a_part_of_the_index_is_made_anew(void **state)
{
        struct fixture *f = *state;
        struct said said;
        struct bm_store *store;
        struct bm_view view;
        fill(f);
        assert_int_equal(bm_checkpoint(f->store), 0);
        put_text(f, "later", "in the log alone");
        fixture_kill(f);
        assert_true(damage_index(f) > 0);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
        assert_non_null(strstr(bm_last_problem(), "the index"));
        f->config.read_only = true;
        fixture_open(f);
        const int r = bm_read_value(f->root, "later", 5, &view);
        assert_true(r == 0 || r == -EIO);
        bm_view_release(&view);
        fixture_close(f);
        f->config.read_only = false;
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_false(says(&said, "lost"));
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_text(f, "later", "in the log alone");
        assert_sound(f);
}

/* Compaction has been there, and no manifest leads to what it wrote. */
static void leave_copies_alone(struct fixture *f)
{
        uint8_t *bytes = make_large();
        fill(f);
        for (unsigned round = 0; round < 8; round++)
                put(f, "large", bytes, LARGE);
        assert_int_equal(bm_compact(f->store), 0);
        assert_true(f->store->next_cold > 1);
        fixture_close(f);
        fixture_damage(f, "manifest", 100);
        fixture_damage(f, "manifest", 4096 + 100);
        free(bytes);
}

static void copies_are_found_without_manifests(void **state)
{
        struct fixture *f = *state;
        struct said said;
        leave_copies_alone(f);
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
}

static void a_damaged_copy_ends_nothing(struct fixture *f, unsigned key)
{
        char value[64], lost[64];
        struct said said;
        struct bm_store *store;
        struct bm_view view;
        leave_copies_alone(f);
        snprintf(value, sizeof(value), "the value of %u", key);
        snprintf(lost, sizeof(lost), "key%u: lost", key);
        assert_int_equal(damage(f, value, strlen(value)), 1);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
        assert_non_null(strstr(bm_last_problem(), "is damaged at byte"));
        f->config.read_only = true;
        fixture_open(f);
        assert_text(f, "key1", "the value of 1");
        assert_text(f, "key150", "the value of 150");
        snprintf(value, sizeof(value), "key%u", key);
        assert_int_equal(bm_read_value(f->root, value, strlen(value), &view), BM_E_NOT_FOUND);
        fixture_close(f);
        f->config.read_only = false;
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_true(says(&said, lost));
        fixture_open(f);
        assert_filled(f, key);
        assert_sound(f);
}

static void a_damaged_copy_without_manifests(void **state)
{
        a_damaged_copy_ends_nothing(*state, 77);
}

static void the_last_copy_damaged_without_manifests(void **state)
{
        a_damaged_copy_ends_nothing(*state, KEYS - 1);
}

static void a_superblock_copy_is_mended(void **state)
{
        struct fixture *f = *state;
        struct said said;
        fill(f);
        fixture_close(f);
        fixture_damage(f, "superblock", 50);
        assert_int_equal(repair(f, &said, true), BM_E_DAMAGED);
        assert_true(says(&said, "copy 1 of the superblock"));
        assert_int_equal(repair(f, &said, false), BM_E_DAMAGED);
        assert_int_equal(repair(f, &said, false), 0);
        fixture_open(f);
        assert_filled(f, KEYS);
        assert_sound(f);
}

static void an_open_store_is_refused(void **state)
{
        struct fixture *f = *state;
        struct said said;
        fill(f);
        assert_int_equal(repair(f, &said, false), BM_E_IN_USE);
        assert_filled(f, KEYS);
}

/* File operations that end after some: from then on nothing is written, as if the process had
 * been killed. Stores into mappings go on: what nothing leads to yet. */

static struct bm_io_ops ending_ops;
static const struct bm_io ending_io = {.ops = &ending_ops};
static unsigned calls_left;

static bool is_over(void)
{
        if (calls_left > 0)
                calls_left--;
        return calls_left == 0;
}

static int ending_pwrite(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t at)
{
        return is_over() ? -EIO : bm_io_call(&bm_io_posix, pwrite, fd, buf, len, at);
}

static int ending_allocate(const struct bm_io *io, int fd, uint64_t at, uint64_t len)
{
        return is_over() ? -EIO : bm_io_call(&bm_io_posix, allocate, fd, at, len);
}

static int ending_truncate(const struct bm_io *io, int fd, uint64_t len)
{
        return is_over() ? -EIO : bm_io_call(&bm_io_posix, truncate, fd, len);
}

static int ending_unlink(const struct bm_io *io, int dir, const char *name)
{
        return is_over() ? -EIO : bm_io_call(&bm_io_posix, unlink_at, dir, name);
}

static int ending_sync(const struct bm_io *io, int fd)
{
        return is_over() ? -EIO : 0;
}

static void start_ending(unsigned calls)
{
        ending_ops = *bm_io_posix.ops;
        ending_ops.pwrite = ending_pwrite;
        ending_ops.allocate = ending_allocate;
        ending_ops.truncate = ending_truncate;
        ending_ops.unlink_at = ending_unlink;
        ending_ops.sync_data = ending_sync;
        ending_ops.sync_dir = ending_sync;
        calls_left = calls;
}

static void copy_store(const char *from, const char *to)
{
        char command[600];
        snprintf(command, sizeof(command), "rm -rf %s && cp -a %s %s", to, from, to);
        assert_int_equal(system(command), 0);
}

static void assert_rest(struct fixture *f, const uint8_t *bytes)
{
        for (unsigned i = 0; i < KEYS; i++) {
                char key[32], value[64];
                snprintf(key, sizeof(key), "key%u", i);
                snprintf(value, sizeof(value), "the value of %u", i);
                if (i != 77)
                        assert_text(f, key, value);
        }
        const struct bm_ref ref = {f->root, "whole", 5, 0};
        uint8_t *got = malloc(LARGE);
        size_t done;
        assert_int_equal(bm_read_at(&ref, 0, got, LARGE, &done), 0);
        assert_memory_equal(got, bytes, LARGE);
        free(got);
}

static void killed_at_any_call_it_leaves_one_store_or_the_other(void **state)
{
        struct fixture *f = *state;
        char damaged[200];
        struct said said;
        struct bm_map *map;
        uint8_t *bytes = make_large();
        fill(f);
        make_map(f, "directory", &map);
        assert_int_equal(bm_insert(map, "inside", 6, "kept", 4, 9), 0);
        bm_map_close(map);
        put(f, "whole", bytes, LARGE);
        bytes[3 * 32768 + 100] ^= 1;
        put(f, "large", bytes, LARGE);
        bytes[3 * 32768 + 100] ^= 1;
        fixture_close(f);
        damage(f, "the value of 77", 15);
        damage(f, "a-meta", 6);
        bytes[3 * 32768 + 100] ^= 1;
        damage(f, bytes + 3 * 32768 + 100, 64);
        bytes[3 * 32768 + 100] ^= 1;
        snprintf(damaged, sizeof(damaged), "%s.damaged", f->path);
        copy_store(f->path, damaged);
        const struct bm_config good = f->config;
        int r = -EIO;
        for (unsigned n = 1; r != BM_E_DAMAGED; n++) {
                copy_store(damaged, f->path);
                f->config.io = &ending_io;
                start_ending(n);
                r = repair(f, &said, false);
                assert_true(r == BM_E_DAMAGED || r < 0);
                f->config = good;
                f->config.read_only = true;
                fixture_open(f);
                assert_rest(f, bytes);
                fixture_close(f);
                f->config = good;
                fixture_open(f);
                assert_rest(f, bytes);
                fixture_close(f);
                const int again = repair(f, &said, false);
                assert_true(again == 0 || again == BM_E_DAMAGED);
                fixture_open(f);
                assert_rest(f, bytes);
                assert_gone(f, "key77");
                assert_gone(f, "large");
                assert_sound(f);
                fixture_close(f);
                if (r == BM_E_DAMAGED)
                        print_message("# %u calls\n", n);
        }
        fixture_open(f);
        free(bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_sound_store_is_left_alone),
                test_in_store(a_lost_value_is_named_and_gone),
                test_in_store(a_dead_record_costs_nothing),
                test_in_store(a_map_without_its_name_goes_to_lost_and_found),
                test_in_store(a_large_value_with_a_hole_does_not_keep_its_name),
                test_in_store(a_lost_chunk_beyond_the_end_costs_nothing),
                test_in_store(chunks_of_a_lost_key_are_kept),
                test_in_store(names_of_a_lost_record_go),
                test_in_store(a_lost_name_is_taken_off_the_number),
                test_in_store(a_hole_in_the_log_is_bridged),
                test_in_store(without_manifests_and_with_damage),
                test_in_store(a_part_of_the_index_is_made_anew),
                test_in_store(copies_are_found_without_manifests),
                test_in_store(a_damaged_copy_without_manifests),
                test_in_store(the_last_copy_damaged_without_manifests),
                test_in_store(a_superblock_copy_is_mended),
                test_in_store(an_open_store_is_refused),
                test_in_store(killed_at_any_call_it_leaves_one_store_or_the_other),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
