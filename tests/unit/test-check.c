/* SPDX-License-Identifier: MIT */
/* What a check finds: each damage once, under the name of whom it hit. */
#include "drives.h"
#include "large.h"
#include "store-fixture.h"

enum { FINDINGS = 16, LARGE = 200000 };

struct found {
        size_t n;
        struct {
                enum bm_check_kind kind;
                char name[64], message[300];
        } list[FINDINGS];
        unsigned n_progress, stop_at;
};

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct found *f = ctx;
        assert_true(f->n < FINDINGS);
        f->list[f->n].kind = finding->kind;
        snprintf(f->list[f->n].name, sizeof(f->list[0].name), "%s%.*s", finding->path,
                 (int)finding->key_len, finding->key ? (const char *)finding->key : "");
        snprintf(f->list[f->n].message, sizeof(f->list[0].message), "%s", finding->message);
        print_message("# %s: %s\n", f->list[f->n].name, f->list[f->n].message);
        f->n++;
}

static int on_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes)
{
        struct found *f = ctx;
        return ++f->n_progress == f->stop_at ? -ECANCELED : 0;
}

static int check(struct fixture *f, struct found *found)
{
        const struct bm_check_args args = {
                .finding = on_finding, .progress = on_progress, .ctx = found};
        return bm_check(f->store, &args);
}

static void assert_found(const struct found *found, size_t i, enum bm_check_kind kind,
                         const char *name, const char *message)
{
        assert_true(i < found->n);
        assert_int_equal(found->list[i].kind, kind);
        assert_string_equal(found->list[i].name, name);
        if (!strstr(found->list[i].message, message))
                fail_msg("\"%s\" is not in \"%s\"", message, found->list[i].message);
}

/* Changes the first byte of LEN bytes that stand somewhere in a data segment. */
static void damage(struct fixture *f, const void *bytes, size_t len)
{
        struct bm_segment **list;
        size_t n, hits = 0;
        assert_int_equal(bm_drives_list(&f->store->drives, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
                uint8_t *at =
                        list[i]->base ? memmem(list[i]->base, list[i]->size, bytes, len) : NULL;
                if (at) {
                        fixture_damage_segment(f, list[i]->header.file_id,
                                               (uint64_t)(at - list[i]->base));
                        hits++;
                }
        }
        free(list);
        assert_int_equal(hits, 1);
}

static uint8_t *put_large(struct fixture *f, const char *key)
{
        uint8_t *bytes = malloc(LARGE);
        assert_non_null(bytes);
        for (size_t i = 0; i < LARGE; i++)
                bytes[i] = (uint8_t)((i ^ i >> 7) * 2654435761u >> 11 ^ i * i >> 9);
        put(f, key, bytes, LARGE);
        return bytes;
}

static void a_damaged_value_is_found_once(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        put_text(f, "good", "left alone");
        put_text(f, "bad", "the marked value");
        damage(f, "the marked value", 16);
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_found(&found, 0, BM_CHECK_RECORD, "bad", "fails the checksum: byte ");
}

static void a_damaged_chunk_is_found_once_with_its_range(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        uint8_t *bytes = put_large(f, "large");
        damage(f, bytes + 3 * 32768 + 100, 64);
        free(bytes);
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_found(&found, 0, BM_CHECK_RECORD, "large", "bytes 98304 to 131071 are lost");
}

/* A value that goes takes all its chunks along: nothing in them matters any more. */
static void a_damaged_chunk_goes_with_its_value(void **state)
{
        struct fixture *f = *state;
        uint8_t *bytes = put_large(f, "large");
        damage(f, bytes + 3 * 32768 + 100, 64);
        free(bytes);
        assert_int_equal(bm_delete_key(f->root, "large", 5), 0);
        assert_int_equal(bm_large_sweep(f->store, NULL), 0);
        assert_int_equal(bm_map_sums(f->store->chunks).n_keys, 0);
}

static void a_damaged_chunk_without_its_own_key_is_named_too(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        struct bm_map *map;
        uint64_t map_id;
        assert_int_equal(bm_map_create(f->root, "dir", 3, NULL, 0, &map_id, NULL), 0);
        assert_int_equal(bm_map_open(f->store, map_id, &map), 0);
        uint8_t *bytes = malloc(LARGE), key[BM_CHUNK_KEY + 8] = {0};
        assert_non_null(bytes);
        memset(bytes, 'x', LARGE);
        uint64_t data_id = atomic_load(&f->store->next_data);
        assert_int_equal(bm_insert(map, "large", 5, bytes, LARGE, 1), 0);
        bm_map_close(map);
        free(bytes);
        bm_chunk_key(data_id, 6, key);
        memset(key + BM_CHUNK_KEY, 'x', 8);
        damage(f, key, sizeof(key));
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_found(&found, 0, BM_CHECK_RECORD, "dir/large", "bytes 196608 to 199999 are lost");
}

static void what_nobody_needs_is_found_as_such(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        put_text(f, "key", "the older value");
        put_text(f, "key", "the newer one");
        damage(f, "the older value", 15);
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_found(&found, 0, BM_CHECK_DEAD, "", "are damaged");
}

static void neighbours_are_told_apart(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        put_text(f, "key", "the older value");
        put_text(f, "bad", "the marked value");
        put_text(f, "key", "the newer one");
        damage(f, "the older value", 15);
        damage(f, "the marked value", 16);
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 2);
        assert_found(&found, 0, BM_CHECK_RECORD, "bad", "fails the checksum");
        assert_found(&found, 1, BM_CHECK_DEAD, "", "are damaged");
}

static void maps_below_a_lost_name_are_found_once(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        struct bm_map *map;
        uint64_t upper, lower;
        assert_int_equal(bm_map_create(f->root, "upper-map", 9, "its-meta", 8, &upper, NULL), 0);
        assert_int_equal(bm_map_open(f->store, upper, &map), 0);
        assert_int_equal(bm_map_create(map, "lower-map", 9, NULL, 0, &lower, NULL), 0);
        bm_map_close(map);
        damage(f, "its-meta", 8);
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 2);
        assert_found(&found, 0, BM_CHECK_RECORD, "upper-map", "fails the checksum");
        assert_found(&found, 1, BM_CHECK_STRUCTURE, "", "no name leads to map 16");
}

static void chunks_of_an_unreadable_head_are_no_strays(void **state)
{
        struct fixture *f = *state;
        struct found found = {0};
        uint8_t *bytes = put_large(f, "large");
        free(bytes);
        damage(f, "large", 5);
        assert_int_equal(check(f, &found), BM_E_DAMAGED);
        assert_int_equal(found.n, 1);
        assert_found(&found, 0, BM_CHECK_RECORD, "./", "a record fails its checksum");
}

static void a_check_can_be_ended(void **state)
{
        struct fixture *f = *state;
        struct found found = {.stop_at = 2};
        free(put_large(f, "a"));
        free(put_large(f, "b"));
        free(put_large(f, "c"));
        assert_int_equal(check(f, &found), -ECANCELED);
        assert_int_equal(found.n_progress, 2);
        found.stop_at = 0;
        assert_int_equal(check(f, &found), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(a_damaged_value_is_found_once),
                test_in_store(a_damaged_chunk_is_found_once_with_its_range),
                test_in_store(a_damaged_chunk_goes_with_its_value),
                test_in_store(a_damaged_chunk_without_its_own_key_is_named_too),
                test_in_store(what_nobody_needs_is_found_as_such),
                test_in_store(neighbours_are_told_apart),
                test_in_store(maps_below_a_lost_name_are_found_once),
                test_in_store(chunks_of_an_unreadable_head_are_no_strays),
                test_in_store(a_check_can_be_ended),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
