/* SPDX-License-Identifier: MIT */
/*
 * Flipped bits: one bit anywhere in a closed store. Whoever opens it, to read
 * or to write, gets the right bytes or an error, never wrong bytes and never a
 * key less without a word; and where a read fails the check says so. The
 * argument is the number of flips.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explorer.h"
#include "io_record.h"
#include "same_luck.h"
#include "work.h"

enum { FLIPS = 2000, A_STORE = 150, OPS = 300, PROBLEM = 300 };

static struct explorer x; /* for its directories and messages */
static uint64_t luck;

static void on_crash(int sig)
{
        char text[600];
        int n = snprintf(text, sizeof(text), "# seed %llu:%s: signal %d\n",
                         (unsigned long long)x.seed, x.trail, sig);
        if (write(STDOUT_FILENO, text, (size_t)n) != n)
                _exit(98);
        _exit(97);
}

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        (*(size_t *)ctx)++;
}

static void bad(const char *what, const struct model_record *m, int r)
{
        if (!x.problem[0])
                snprintf(x.problem, sizeof(x.problem), "%s %.*s in map %llu: %s", what,
                         (int)m->key_len, (const char *)m->key, (unsigned long long)m->map_id,
                         bm_strerror(r));
}

static int open_map(struct bm_store *store, uint64_t map_id, struct bm_map **map)
{
        *map = bm_root(store);
        return map_id ? bm_map_open(store, map_id, map) : 0;
}

/* 0: it is there and right; -EIO: it says that it cannot be read. */
static int read_one(struct bm_store *store, const struct model_record *m)
{
        struct bm_view view;
        struct bm_map *map;
        size_t done = 0;
        int r = open_map(store, m->map_id, &map);
        if (r != 0)
                return r;
        r = bm_read_value(map, m->key, m->key_len, &view);
        if (r == 0) {
                const struct bm_ref ref = {map, m->key, m->key_len, m->record_id};
                uint8_t *bytes = must_alloc(m->size);
                if (view.record_id != m->record_id || view.count != m->count ||
                    view.map_id != m->names_map || (!m->names_map && view.size != m->size) ||
                    view.meta_len != m->meta_len ||
                    (m->meta_len && memcmp(view.meta, m->meta, m->meta_len) != 0))
                        bad("wrong", m, 0);
                bm_view_release(&view);
                if (!m->names_map)
                        r = bm_read_at(&ref, 0, bytes, m->size, &done);
                if (r == 0 && !m->names_map &&
                    (done != m->size || memcmp(bytes, m->value, m->size) != 0))
                        bad("wrong bytes of", m, 0);
                free(bytes);
        }
        if (m->map_id)
                bm_map_close(map);
        return r;
}

/* Keys that are listed; those that cannot be read are counted. */
static void list_one(struct bm_store *store, struct model *model, uint64_t map_id, size_t *n_eio)
{
        struct bm_cursor *cursor;
        struct bm_item item;
        struct bm_map *map;
        size_t n = 0, n_failed = 0;
        int r = open_map(store, map_id, &map);
        if (r != 0)
                return; /* read_one has judged that */
        r = bm_cursor_open(map, 0, &cursor);
        while (r == 0 || r == -EIO) {
                r = bm_cursor_next(cursor, &item);
                n += r == 0;
                n_failed += r == -EIO;
                if (r == 0 && !model_find(model, map_id, item.key, item.key_len) && !x.problem[0])
                        snprintf(x.problem, sizeof(x.problem), "map %llu lists a key too many",
                                 (unsigned long long)map_id);
                if (n_failed > 1000)
                        break; /* a part of the index that cannot be read fails again and again */
        }
        if (n_failed == 0 && n != model_count_in(model, map_id) && !x.problem[0])
                snprintf(x.problem, sizeof(x.problem), "map %llu lists %zu keys of %zu",
                         (unsigned long long)map_id, n, model_count_in(model, map_id));
        *n_eio += n_failed;
        (void)bm_cursor_close(cursor);
        if (map_id)
                bm_map_close(map);
}

static void read_all(struct bm_store *store, struct model *model, size_t *n_eio)
{
        bool hidden = false; /* the entry of some map cannot be read: what lies in it may be gone */
        list_one(store, model, 0, n_eio);
        for (size_t i = 0; i < model->n; i++) {
                const struct model_record *m = &model->records[i];
                int r = read_one(store, m);
                *n_eio += r == -EIO;
                hidden |= r == -EIO && m->names_map;
                if (r != 0 && r != -EIO && !(hidden && m->map_id))
                        bad("lost", m, r);
                if (r == 0 && m->names_map)
                        list_one(store, model, m->names_map, n_eio);
        }
}

enum outcome { REFUSED, HARMLESS, FOUND };

static enum outcome open_and_read(const struct record_io *io, struct model *model, bool read_only)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        size_t n_eio = 0, n_found = 0;
        const struct bm_check_args args = {.finding = on_finding, .ctx = &n_found};
        config.io = &io->io;
        config.read_only = read_only;
        config.no_background = true;
        int r = bm_open(x.paths[0], &config, &store);
        if (r != 0)
                return REFUSED;
        read_all(store, model, &n_eio);
        r = bm_check(store, &args);
        if (n_eio > 0 && r == 0 && !x.problem[0])
                snprintf(x.problem, sizeof(x.problem),
                         "%zu reads fail, and the check finds nothing", n_eio);
        r = bm_close(store);
        return n_found || n_eio || r != 0 ? FOUND : HARMLESS;
}

/* Small files as likely as large ones, and bytes that were written. */
static void flip(struct disk *disk)
{
        struct disk_file *f;
        uint64_t at;
        do {
                f = &disk->files[rnd_below(&luck, disk->n_files)];
        } while (f->held == 0);
        unsigned tries = 0;
        do {
                at = rnd_below(&luck, f->held);
        } while (f->bytes[at] == 0 && ++tries < 50);
        f->bytes[at] ^= 1u << rnd_below(&luck, 8);
        snprintf(x.trail, sizeof(x.trail), " file %zu byte %llu", (size_t)(f - disk->files),
                 (unsigned long long)at);
}

static const char *name_of(const struct disk *disk, const struct disk *flipped)
{
        for (unsigned d = 0; d < DIRS; d++) {
                for (size_t i = 0; i < disk->dirs[d].n_names; i++) {
                        const struct disk_name *n = &disk->dirs[d].names[i];
                        if (memcmp(disk->files[n->file].bytes, flipped->files[n->file].bytes,
                                   disk->files[n->file].held) != 0)
                                return n->name;
                }
        }
        return "";
}

/* A store full of everything, closed. */
static void make_store(struct disk *disk, struct model *model)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct history history = {0};
        struct trace trace = {0};
        struct record_io io;
        struct bm_store *store;
        record_init(&io, NULL, x.paths, 1, NULL);
        config.no_background = true;
        config.io = &io.io;
        int r = bm_create(x.paths[0], &config);
        if (r == 0)
                r = bm_open(x.paths[0], &config, &store);
        if (r == 0) {
                struct work w = {.store = store,
                                 .model = model,
                                 .history = &history,
                                 .name = 'a',
                                 .trace = &trace,
                                 .rng = x.seed};
                work_begin(&w);
                if (!work_run(&w, OPS))
                        r = -EBADMSG;
                work_end(&w);
                int closed = bm_close(store);
                r = r ? r : closed;
        }
        if (r != 0) {
                printf("# making a store: %s\n", bm_strerror(r));
                exit(99);
        }
        disk_load(disk, x.paths, 1);
        remove_store(x.paths, 1);
        history_deinit(&history);
        record_deinit(&io);
}

static void one_flip(const struct disk *disk, struct model *model, size_t outcomes[3])
{
        struct record_io io;
        struct disk flipped;
        disk_clone(&flipped, disk);
        flip(&flipped);
        for (unsigned read_only = 2; read_only-- > 0;) {
                record_init(&io, NULL, x.paths, 1, NULL);
                disk_store(&flipped, x.paths);
                x.problem[0] = 0;
                outcomes[open_and_read(&io, model, read_only)]++;
                if (x.problem[0]) {
                        x.n_failed++;
                        printf("# seed %llu:%s (%s), %s: %s\n", (unsigned long long)x.seed, x.trail,
                               name_of(disk, &flipped), read_only ? "to read" : "to write",
                               x.problem);
                        fflush(stdout);
                }
                remove_store(x.paths, 1);
                record_deinit(&io);
        }
        disk_deinit(&flipped);
}

int main(int argc, char **argv)
{
        const char *seed = getenv("BM_SEED");
        size_t flips = argc > 1 ? strtoull(argv[1], NULL, 0) : FLIPS, outcomes[3] = {0}, n = 0;
        explorer_init(&x, seed ? strtoull(seed, NULL, 0) : 1);
        signal(SIGSEGV, on_crash);
        signal(SIGABRT, on_crash);
        signal(SIGFPE, on_crash);
        for (; n < flips && x.n_failed < x.max_reports; x.seed++) {
                struct model model = {0};
                struct disk disk;
                luck = mix64(x.seed);
                same_luck(x.seed);
                make_store(&disk, &model);
                for (unsigned i = 0; i < A_STORE && n < flips && x.n_failed < x.max_reports;
                     i++, n++)
                        one_flip(&disk, &model, outcomes);
                model_clear(&model);
                disk_deinit(&disk);
        }
        printf("# %zu flips: %zu times refused, %zu found, %zu harmless, %zu bad\n", n,
               outcomes[REFUSED], outcomes[FOUND], outcomes[HARMLESS], x.n_failed);
        explorer_deinit(&x);
        return x.n_failed ? 1 : 0;
}
