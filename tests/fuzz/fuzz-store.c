/* SPDX-License-Identifier: MIT */
/*
 * A whole store with some bytes changed: opening it to read and to write,
 * reading all, checking, changing and closing it give results or errors, never
 * a crash, an endless loop or memory without end.
 *
 * Input: a byte of choices (which store; which checksums are put right
 * afterwards), then edits of eight bytes: file, kind, place, value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/le.h"
#include "bucketmap.h"
#include "fuzz.h"
#include "image.h"

int __wrap_bm_random(void *buf, size_t len);

enum { EDIT = 8, EDITS_MAX = 64, READ = 40000, LIST_MAX = 2000 };

enum {
        CRASHED = 1,
        RIGHT_RECORDS = 2,
        RIGHT_TABLES = 4,
        RIGHT_PAGES = 8,
        READ_ONLY = 16,
        REPAIR = 32
};

static char dir[200], path[220];
static struct image images[2]; /* closed; as a killed process leaves it */

/* The same store in every run. */
int __wrap_bm_random(void *buf, size_t len)
{
        static uint64_t state = 1;
        uint8_t *at = buf;
        for (size_t i = 0; i < len; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                at[i] = (uint8_t)(state >> 56);
        }
        return 0;
}

static void must(int r, const char *what)
{
        if (r == 0)
                return;
        fprintf(stderr, "%s: %s %s\n", what, bm_strerror(r), bm_last_problem());
        abort();
}

static void clean_up(void)
{
        const struct image nothing = {.n_files = 0};
        char segments[256];
        image_store(&nothing, path);
        snprintf(segments, sizeof(segments), "%s/segments", path);
        (void)rmdir(segments);
        (void)rmdir(path);
        (void)rmdir(dir);
}

/* Something of each kind: records small and large, links, maps, counts, drops, tombstones. */
static void fill(struct bm_store *store, unsigned round)
{
        struct bm_map *root = bm_root(store), *map;
        char key[32];
        uint8_t *large = calloc(1, 100000);
        uint64_t map_id, count;
        struct bm_rename_args rename = {.no_replace = false};
        size_t done;
        for (unsigned i = 0; i < 40; i++) {
                size_t len = (size_t)snprintf(key, sizeof(key), "key%u", i);
                must(bm_insert(root, key, len, key, len, i + 1), "insert");
        }
        for (unsigned i = round; i < 20; i += 3) {
                size_t len = (size_t)snprintf(key, sizeof(key), "key%u", i);
                must(bm_delete_key(root, key, len), "delete");
        }
        must(bm_insert(root, "counted", 7, "x", 1, BM_COUNT_MAX - 1), "insert");
        must(bm_addref(root, "key20", 5, &count), "addref");
        must(bm_insert(root, "large", 5, large, 100000, 1), "large");
        const struct bm_ref ref = {root, "large", 5, 0};
        must(bm_truncate(&ref, 50000, NULL, NULL), "truncate");
        must(bm_write_at(&ref, 90000, "end", 3, NULL, NULL, &done), "write");
        int r = bm_map_create(root, "dir", 3, "meta", 4, &map_id, NULL);
        if (r == 0) {
                must(bm_map_open(store, map_id, &map), "map");
                must(bm_map_create(map, "sub", 3, NULL, 0, NULL, NULL), "map");
                const struct bm_ref key21 = {root, "key21", 5, 0};
                must(bm_rename(&key21, map, "moved", 5, &rename), "rename");
                bm_map_close(map);
        }
        free(large);
}

static void make_images(void)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
        snprintf(dir, sizeof(dir), "%s/bm-fuzz-XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(dir)) {
                perror(dir);
                exit(99);
        }
        snprintf(path, sizeof(path), "%s/store", dir);
        config.no_background = true;
        must(bm_create(path, &config), "create");
        atexit(clean_up);
        must(bm_open(path, &config, &store), "open");
        fill(store, 0);
        must(bm_checkpoint(store), "checkpoint");
        fill(store, 1);
        must(bm_compact(store), "compact");
        must(bm_sync(store), "sync");
        image_load(&images[1], path);
        must(bm_close(store), "close");
        image_load(&images[0], path);
}

static void edit(struct image *image, const uint8_t *e)
{
        static const uint64_t odd[] = {0,
                                       1,
                                       7,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0xffff,
                                       0x7fffffff,
                                       0xffffffff,
                                       UINT64_C(1) << 32,
                                       INT64_MAX,
                                       UINT64_MAX};
        struct image_file *f = &image->files[e[0] % image->n_files];
        uint32_t place = bm_load_le32(e + 2);
        if (f->used == 0)
                return;
        size_t at = place % f->used;
        uint64_t value = odd[e[6] % (sizeof(odd) / sizeof(odd[0]))];
        switch (e[1] % 10) {
        case 0:
        case 1:
                f->bytes[at] ^= (uint8_t)(1u << e[6] % 8);
                break;
        case 2:
                f->bytes[at] = e[6];
                break;
        case 3:
                f->bytes[at] = (uint8_t)(f->bytes[at] + 1);
                break;
        case 4:
        case 5: /* a field of some width */
                at = at / 8 * 8;
                for (unsigned i = 0; i < (1u << e[7] % 4) && at + i < f->len; i++)
                        f->bytes[at + i] = (uint8_t)(value >> 8 * i);
                break;
        case 6: /* what stands elsewhere */
                for (unsigned i = 0; i < 64 && at + i < f->used; i++)
                        f->bytes[at + i] = f->bytes[(at + i + (size_t)e[6] * 8) % f->used];
                break;
        case 7:
                if (image->n_records > 0) { /* into a record */
                        unsigned n = place % image->n_records;
                        f = &image->files[image->records[n].file];
                        f->bytes[image->records[n].offset + e[6] % image->records[n].length] = e[7];
                }
                break;
        case 8:
                f->len = e[7] % 4 ? f->len : at;
                f->used = f->used < f->len ? f->used : f->len;
                break;
        default:
                memset(f->bytes + at, 0, f->used - at < 64 ? f->used - at : 64);
                break;
        }
}

struct walk {
        struct bm_store *store;
        unsigned n, depth;
        uint8_t *buf;
};

static int read_item(void *ctx, const struct bm_item *item)
{
        struct walk *w = ctx;
        struct bm_map *map;
        if (++w->n > LIST_MAX)
                return 1;
        if (item->view.map_id && w->depth < 8 &&
            bm_map_open(w->store, item->view.map_id, &map) == 0) {
                w->depth++;
                (void)!bm_keys(map, read_item, w);
                w->depth--;
                bm_map_close(map);
        }
        return 0;
}

static void read_values(struct walk *w)
{
        static const char *const keys[] = {"key1", "key30", "counted", "large", "dir"};
        struct bm_map *root = bm_root(w->store);
        struct bm_map_info info;
        struct bm_view view;
        size_t done;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                const struct bm_ref ref = {root, keys[i], strlen(keys[i]), 0};
                if (bm_read_value(root, keys[i], strlen(keys[i]), &view) == 0)
                        (void)!bm_view_release(&view);
                (void)!bm_read_at(&ref, 0, w->buf, READ, &done);
                (void)!bm_read_at(&ref, 70000, w->buf, READ, &done);
        }
        (void)!bm_map_info(root, &info);
}

static void change(struct bm_store *store)
{
        struct bm_map *root = bm_root(store);
        const struct bm_ref large = {root, "large", 5, 0}, key = {root, "key30", 5, 0};
        struct bm_rename_args args = {.no_replace = false};
        uint64_t count;
        size_t done;
        (void)!bm_insert(root, "key1", 4, "new", 3, 5);
        (void)!bm_insert(root, "quite new", 9, "new", 3, 5);
        (void)!bm_delete_key(root, "key31", 5);
        (void)!bm_unref(root, "counted", 7, &count);
        (void)!bm_write_at(&large, 30000, "middle", 6, NULL, NULL, &done);
        (void)!bm_truncate(&large, 40000, NULL, NULL);
        (void)!bm_rename(&key, root, "key32", 5, &args);
        (void)!bm_map_remove(root, "dir", 3);
        (void)!bm_compact(store);
        (void)!bm_checkpoint(store);
}

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        (void)!strlen(finding->message);
}

static void use(bool read_only)
{
        const struct bm_check_args args = {.finding = on_finding};
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        struct bm_stats stats;
        config.no_background = true;
        config.read_only = read_only;
        if (bm_open(path, &config, &store) != 0)
                return;
        struct walk w = {.store = store, .buf = malloc(READ)};
        if (w.buf) {
                (void)!bm_keys(bm_root(store), read_item, &w);
                read_values(&w);
        }
        free(w.buf);
        (void)!bm_check(store, &args);
        if (!read_only)
                change(store);
        (void)!bm_stats(store, &stats);
        (void)bm_close(store);
}

static void on_left(void *ctx, const struct bm_finding *finding)
{
        fprintf(stderr, "%s%.*s: %s\n", finding->path, (int)finding->key_len,
                finding->key ? (const char *)finding->key : "", finding->message);
}

/* CRAFTED: what contradicts itself has right checksums; the check may have more to say then. */
static void repair(bool dry_run, bool crafted)
{
        const struct bm_repair_args args = {.dry_run = dry_run, .finding = on_finding};
        const struct bm_config config = BM_CONFIG_INIT;
        int r = bm_repair(path, &config, &args);
        if (dry_run || crafted || (r != 0 && r != BM_E_DAMAGED))
                return;
        /* what was repaired is whole */
        const struct bm_check_args check = {.finding = on_left};
        struct bm_store *store;
        must(bm_open(path, &config, &store), "opening what was repaired");
        must(bm_check(store, &check), "checking what was repaired");
        must(bm_close(store), "closing what was repaired");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        struct image image;
        if (len < 1 + EDIT)
                return 0;
        if (!dir[0])
                make_images();
        image_clone(&image, &images[(bytes[0] & CRASHED) != 0]);
        for (size_t at = 1, n = 0; at + EDIT <= len && n < EDITS_MAX; at += EDIT, n++)
                edit(&image, bytes + at);
        if (bytes[0] & RIGHT_PAGES)
                image_fix_pages(&image);
        if (bytes[0] & RIGHT_RECORDS)
                image_fix_records(&image);
        if (bytes[0] & RIGHT_TABLES)
                image_fix_tables(&image);
        image_store(&image, path);
        image_free(&image);
        use(true);
        if (bytes[0] & REPAIR) {
                const bool crafted = bytes[0] & (RIGHT_RECORDS | RIGHT_TABLES | RIGHT_PAGES);
                repair(true, crafted);
                repair(false, crafted);
        }
        if (!(bytes[0] & READ_ONLY)) {
                use(false);
                use(true);
        }
        return 0;
}
