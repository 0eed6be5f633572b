/* SPDX-License-Identifier: MIT */
/*
 * A store that has lost both manifests shows the same maps, keys, values,
 * counts and record ids as before: nothing that was deleted, cut or
 * compacted away comes back, and nothing that lives is missing.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "bucketmap.h"

enum { OPERATIONS = 12000, KEYS = 1500, MAPS = 3, LARGEST = 200000 };

struct fixture {
        char dir[32], path[48];
        struct bm_store *store;
        struct bm_map *maps[MAPS + 1];
        char *bytes;
};

static void open_store(struct fixture *f)
{
        struct bm_config config = BM_CONFIG_INIT;
        assert_int_equal(bm_open(f->path, &config, &f->store), 0);
}

static int setup(void **state)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct fixture *f = calloc(1, sizeof(*f));
        strcpy(f->dir, "/tmp/bm-rebuild-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/store", f->dir);
        assert_int_equal(bm_create(f->path, &config), 0);
        f->bytes = malloc(LARGEST);
        for (size_t i = 0; i < LARGEST; i++)
                f->bytes[i] = (char)(i * 31 / 7);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        char command[64];
        snprintf(command, sizeof(command), "rm -rf %s", f->dir);
        int r = system(command);
        free(f->bytes);
        free(f);
        return r;
}

static void make_maps(struct fixture *f)
{
        f->maps[0] = bm_root(f->store);
        for (int i = 1; i <= MAPS; i++) {
                char key[16];
                uint64_t id;
                int len = snprintf(key, sizeof(key), "map%d", i);
                assert_int_equal(bm_map_create(f->maps[i - 1], key, (size_t)len, "m", 1, &id, NULL),
                                 0);
                assert_int_equal(bm_map_open(f->store, id, &f->maps[i]), 0);
        }
}

/* One random change; what it meets there decides whether it does anything. */
static void change(struct fixture *f)
{
        struct bm_map *map = f->maps[random() % (MAPS + 1)];
        char key[16], other[16];
        size_t len = (size_t)snprintf(key, sizeof(key), "k%ld", random() % KEYS);
        size_t other_len = (size_t)snprintf(other, sizeof(other), "k%ld", random() % KEYS);
        const struct bm_ref ref = {.map = map, .key = key, .key_len = len};
        struct bm_rename_args args = {.exchange = random() % 4 == 0};
        size_t at = (size_t)random() % 1000, done;
        int r;
        switch (random() % 10) {
        case 0:
        case 1:
        case 2:
                r = bm_insert(map, key, len, f->bytes + at, (size_t)random() % 3000,
                              (uint64_t)random() % 4);
                break;
        case 3:
                r = bm_insert(map, key, len, f->bytes + at, (size_t)random() % (LARGEST - at),
                              UINT64_C(1) << random() % 40);
                break;
        case 4:
                r = bm_delete_key(map, key, len);
                break;
        case 5:
        case 6:
                r = bm_addref(map, key, len, NULL);
                break;
        case 7:
                r = bm_truncate(&ref, (uint64_t)random() % 100000, NULL, NULL);
                break;
        case 8:
                r = bm_write_at(&ref, (uint64_t)random() % 60000, f->bytes + at, 5000, NULL, NULL,
                                &done);
                break;
        default:
                r = bm_rename(&ref, f->maps[random() % (MAPS + 1)], other, other_len, &args);
                break;
        }
        assert_true(r >= 0);
}

struct digest {
        struct bm_store *store;
        uint64_t sum; /* of the items' hashes: whatever their order */
        uint64_t items;
};

static void digest_map(struct digest *d, struct bm_map *map);

static uint64_t hash_value(struct bm_map *map, const struct bm_item *item)
{
        const struct bm_ref ref = {.map = map, .key = item->key, .key_len = item->key_len};
        size_t done, size = item->view.size;
        void *bytes = malloc(size + 1);
        assert_int_equal(bm_read_at(&ref, 0, bytes, size, &done), 0);
        assert_int_equal(done, size);
        uint64_t hash = XXH3_64bits(bytes, size);
        free(bytes);
        return hash;
}

static void digest_map(struct digest *d, struct bm_map *map)
{
        struct bm_cursor *cursor;
        struct bm_item item;
        struct bm_map_info info;
        assert_int_equal(bm_map_info(map, &info), 0);
        assert_int_equal(bm_cursor_open(map, 0, &cursor), 0);
        while (bm_cursor_next(cursor, &item) == 0) {
                uint64_t facts[] = {info.map_id,       item.view.record_id, item.view.count,
                                    item.view.size,    item.view.map_id,    item.cookie,
                                    item.view.meta_len};
                uint64_t hash = XXH3_64bits_withSeed(facts, sizeof(facts),
                                                     XXH3_64bits(item.key, item.key_len));
                if (item.view.map_id) {
                        struct bm_map *child;
                        assert_int_equal(bm_map_open(d->store, item.view.map_id, &child), 0);
                        digest_map(d, child);
                        bm_map_close(child);
                } else {
                        hash ^= hash_value(map, &item);
                }
                d->sum += hash;
                d->items++;
        }
        bm_cursor_close(cursor);
}

static struct digest digest_store(struct fixture *f)
{
        struct digest d = {.store = f->store};
        digest_map(&d, bm_root(f->store));
        return d;
}

static void lose_manifests(struct fixture *f)
{
        char path[64];
        static const char zeros[8192];
        snprintf(path, sizeof(path), "%s/manifest", f->path);
        int fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
        close(fd);
}

static void finding(void *ctx, const struct bm_finding *found)
{
        print_error("check: %.*s: %s\n", (int)found->key_len,
                    found->key ? (const char *)found->key : "", found->message);
}

static void rebuilt_is_the_same(void **state)
{
        struct fixture *f = *state;
        const struct bm_check_args check = {.finding = finding};
        const char *given = getenv("BM_SEED");
        unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
        print_message("# BM_SEED=%u\n", seed);
        srandom(seed);
        open_store(f);
        make_maps(f);
        for (int i = 0; i < OPERATIONS; i++) {
                change(f);
                if (i % 4000 == 3999)
                        assert_int_equal(bm_compact(f->store), 0);
        }
        for (int i = 1; i <= MAPS; i++)
                bm_map_close(f->maps[i]);
        struct digest before = digest_store(f);
        assert_int_equal(bm_close(f->store), 0);

        lose_manifests(f);
        open_store(f);
        struct digest after = digest_store(f);
        assert_true(before.items > KEYS);
        assert_int_equal(after.items, before.items);
        assert_int_equal(after.sum, before.sum);
        assert_int_equal(bm_check(f->store, &check), 0);
        assert_int_equal(bm_close(f->store), 0);

        open_store(f); /* and again in the usual way */
        after = digest_store(f);
        assert_int_equal(after.sum, before.sum);
        assert_int_equal(bm_close(f->store), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(rebuilt_is_the_same, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
