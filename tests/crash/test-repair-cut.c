/* SPDX-License-Identifier: MIT */
/*
 * Power cuts while a damaged store is repaired. Random work makes a store, it is closed or killed,
 * and something of it is damaged: records, the index, manifests, superblocks, a whole file. It is
 * repaired, and everything that does is recorded; cut anywhere, it leaves a store that can be
 * repaired (again), perhaps after an ordinary open, and then holds the same. What lost no record
 * holds all that there was. The argument is how many stores; BM_SEED is where the seeds start, and
 * BM_STATE the only cut to try ("12": the twelfth).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"
#include "format.h"
#include "io_record.h"
#include "model.h"
#include "same_luck.h"
#include "scene.h"

enum { STORES = 60, OPS = 120, CUTS = 40, DAMAGES = 3 };

static struct explorer x;
static size_t n_whole, n_beyond;
/* An open takes what is left of a log without its last file for all of it, and seals that. */
static bool file_is_gone;

/* Damage */

enum harm {
        HARM_RECORD,
        HARM_INDEX,
        HARM_NEWEST,
        HARM_MANIFESTS,
        HARM_NO_MANIFEST,
        HARM_SUPERBLOCK,
        HARM_FILE,
        HARMS
};

static struct disk_file *file_named(struct disk *disk, unsigned dir, const char *name)
{
        for (size_t i = 0; i < disk->dirs[dir].n_names; i++) {
                if (strcmp(disk->dirs[dir].names[i].name, name) == 0)
                        return &disk->files[disk->dirs[dir].names[i].file];
        }
        return NULL;
}

static void flip(struct disk_file *f, uint64_t from, uint64_t to, uint64_t luck)
{
        if (f && from < to && to <= f->held)
                f->bytes[from + luck / 8 % (to - from)] ^= (uint8_t)(1u << luck % 8);
}

/* Some segment of data, or of the index. */
static size_t choose_segment(const struct disk *disk, bool index, unsigned *dir, uint64_t *rng)
{
        for (unsigned tries = 0; tries < 100; tries++) {
                *dir = 2 * (unsigned)rnd_below(rng, disk->n_drives) + DIR_SEGMENTS;
                const struct disk_dir *d = &disk->dirs[*dir];
                if (d->n_names == 0)
                        continue;
                const size_t i = rnd_below(rng, d->n_names);
                struct bm_segment_header h;
                const struct disk_file *f = &disk->files[d->names[i].file];
                if (f->held > BM_SEGMENT_HEADER && bm_segment_header_decode(&h, f->bytes) == 0 &&
                    (h.kind == BM_SEGMENT_INDEX) == index)
                        return i;
        }
        return SIZE_MAX;
}

static void drop_name(struct disk_dir *d, size_t i)
{
        d->names[i] = d->names[--d->n_names];
}

/* True: a record may be lost by it. */
static bool harm(struct disk *disk, enum harm what, uint64_t *rng)
{
        struct disk_file *manifest = file_named(disk, DIR_TOP, "manifest");
        const bool index = what == HARM_INDEX;
        const uint64_t luck = rnd(rng);
        unsigned dir;
        size_t i;
        switch (what) {
        case HARM_RECORD:
        case HARM_INDEX:
        case HARM_FILE:
                i = choose_segment(disk, index, &dir, rng);
                if (i == SIZE_MAX)
                        return false;
                if (what == HARM_FILE)
                        drop_name(&disk->dirs[dir], i);
                else {
                        struct disk_file *f = &disk->files[disk->dirs[dir].names[i].file];
                        flip(f, BM_SEGMENT_HEADER, f->held, luck);
                }
                return !index;
        case HARM_NEWEST:
                flip(manifest, 0, BM_MANIFEST_ROOT, luck);
                return false;
        case HARM_MANIFESTS:
                flip(manifest, 0, BM_MANIFEST_ROOT, luck);
                flip(manifest, BM_MANIFEST_ROOT, 2 * BM_MANIFEST_ROOT, luck);
                return false;
        case HARM_NO_MANIFEST:
                for (i = 0; i < disk->dirs[DIR_TOP].n_names; i++) {
                        if (strcmp(disk->dirs[DIR_TOP].names[i].name, "manifest") == 0)
                                drop_name(&disk->dirs[DIR_TOP], i);
                }
                return false;
        case HARM_SUPERBLOCK:
                dir = 2 * (unsigned)rnd_below(rng, disk->n_drives);
                flip(file_named(disk, dir, "superblock"), 0, BM_SUPERBLOCK, luck);
                return false;
        case HARMS:
                break;
        }
        return false;
}

/* Repairing */

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        if (explorer_watches(&x) || getenv("BM_SHOW"))
                printf("# finding: %s%.*s: %s\n", finding->path ? finding->path : "",
                       (int)finding->key_len, finding->key ? (const char *)finding->key : "",
                       finding->message);
}

static void on_bad(void *ctx, const struct bm_finding *finding)
{
        if (!x.problem[0])
                snprintf(x.problem, sizeof(x.problem), "check after the repair: %s",
                         finding->message);
}

static void fail(const char *what, int r)
{
        if (!x.problem[0])
                snprintf(x.problem, sizeof(x.problem), "%s: %s: %s", what, bm_strerror(r),
                         bm_last_problem());
}

/* What a store holds; but what lost its name may have another number in lost+found. */
static uint64_t hash_of(struct model *model)
{
        const struct model_record *lost = model_find(model, 0, "lost+found", 10);
        uint64_t sum = 0;
        for (size_t i = 0; i < model->n; i++) {
                const struct model_record *r = &model->records[i];
                if (!lost || (r != lost && r->map_id != lost->names_map))
                        sum += r->hash;
                else if (r != lost)
                        sum += mix64(r->size + 1);
        }
        return sum;
}

/* The hash of what it holds, of which nothing may be wrong. */
static uint64_t read_sound(const struct bm_config *config)
{
        const struct bm_check_args args = {.finding = on_bad};
        struct bm_store *store;
        struct model model = {0};
        char why[200] = "";
        int r = bm_open(x.paths[0], config, &store);
        if (r != 0) {
                fail("opening what was repaired", r);
                return 0;
        }
        r = bm_check(store, &args);
        if (r != 0)
                fail("check after the repair", r);
        r = model_load(&model, store, why);
        if (r != 0)
                fail(why, r);
        if (explorer_watches(&x) || getenv("BM_SHOW"))
                model_show(&model);
        const uint64_t hash = hash_of(&model);
        model_clear(&model);
        r = bm_close(store);
        if (r != 0)
                fail("closing what was repaired", r);
        return hash;
}

/* Repairs what is on DISK; *HASH is what it holds then. False: that cannot be. */
static bool repair(const struct disk *disk, bool open_first, struct trace *trace, uint64_t *hash)
{
        const struct bm_repair_args args = {.finding = on_finding};
        struct record_io io;
        struct bm_store *store;
        disk_store(disk, x.paths);
        record_init(&io, disk, x.paths, disk->n_drives, trace);
        const struct bm_config config = explorer_config(&x, &io);
        if (open_first && bm_open(x.paths[0], &config, &store) == 0)
                (void)!bm_close(store);
        int r = bm_repair(x.paths[0], &config, &args);
        const bool done = r == 0 || r == BM_E_DAMAGED;
        if (!done && !bm_last_problem()[0])
                fail("beyond repair, without a word", r);
        io.trace = NULL; /* the repair alone is cut */
        *hash = done ? read_sound(&config) : 0;
        record_deinit(&io);
        remove_store(x.paths, disk->n_drives);
        return done;
}

/* Stores */

/* A store after random work, closed or killed; *HASH is what it holds. */
static bool make(struct disk *disk, uint64_t *hash, uint64_t *rng)
{
        struct plan plan = {.seed = rnd(rng), .n_ops = OPS, .interval = 5};
        struct scene scene = {0};
        struct history fresh = {0};
        struct disk visible;
        struct bounds b;
        plan.sort = (enum sort_of_work)rnd_below(rng, WORK_SORTS);
        if (!scene_create(&x, &visible, rng, plan.sort))
                return false;
        struct past past = {.visible = &visible, .history = &fresh, .clock_ns = same_luck_now()};
        history_base(&fresh, 0, "nothing");
        disk_clone(&scene.disk, &visible);
        const bool ok = scene_play(&x, &scene, &past, &plan);
        const size_t n = scene.trace.n, at = rnd_below(rng, 2) ? n : n / 2 + rnd_below(rng, n / 2);
        disk_clone(disk, &visible);
        for (size_t i = 0; i < at; i++)
                disk_apply(disk, &scene.trace.events[i]);
        disk_cut(disk, CUT_KEEP, 0);
        history_bounds(&scene.history, &scene.trace, at, false, true, &b);
        /* an operation under way may be there or not: then nobody knows */
        *hash = b.lo == b.hi ? scene.history.steps[b.lo].hash : 0;
        history_deinit(&fresh);
        disk_deinit(&visible);
        scene_deinit(&scene);
        return ok;
}

static void one_cut(const struct disk *disk, unsigned i, uint64_t hash, uint64_t rng)
{
        struct disk visible;
        const bool open_first = rnd_below(&rng, 3) == 0 && !file_is_gone;
        const enum cut_style style = (enum cut_style)rnd_below(&rng, CUT_STYLES);
        uint64_t again;
        snprintf(x.state, sizeof(x.state), "%u", i);
        if (x.only && !explorer_watches(&x))
                return;
        disk_clone(&visible, disk);
        disk_cut(&visible, style, rnd(&rng));
        if (seen_add(x.seen, disk_hash(&visible))) {
                x.n_states++;
                x.problem[0] = 0;
                same_luck(rnd(&rng));
                if (!repair(&visible, open_first, NULL, &again))
                        fail("repairing again", -1);
                if (again != hash && !x.problem[0])
                        snprintf(x.problem, sizeof(x.problem),
                                 "repaired again%s it holds something else",
                                 open_first ? ", after an open," : "");
                if (x.problem[0])
                        explorer_report(&x);
        }
        disk_deinit(&visible);
}

static void cut_all(const struct disk *damaged, const struct trace *trace, uint64_t hash,
                    uint64_t rng)
{
        struct disk disk;
        size_t at = 0;
        disk_clone(&disk, damaged);
        for (unsigned i = 0; i < CUTS && !explorer_done(&x); i++) {
                for (; at < (i + 1) * trace->n / CUTS; at++)
                        disk_apply(&disk, &trace->events[at]);
                const size_t trail = strlen(x.trail);
                snprintf(x.trail + trail, sizeof(x.trail) - trail, ", cut at %zu of %zu", at,
                         trace->n);
                one_cut(&disk, i, hash, mix64(rng + i));
                x.trail[trail] = 0;
        }
        x.state[0] = 0;
        disk_deinit(&disk);
}

static void one_store(void)
{
        static const char *const names[] = {"record",    "index",       "newest manifest",
                                            "manifests", "no manifest", "superblock",
                                            "file"};
        uint64_t rng = mix64(x.seed), before, hash;
        struct trace trace = {0};
        struct disk disk;
        bool lossy = false;
        x.trail[0] = x.state[0] = x.problem[0] = 0;
        file_is_gone = false;
        same_luck(x.seed);
        if (!make(&disk, &before, &rng)) {
                explorer_report(&x);
                return;
        }
        const unsigned n = 1 + (unsigned)rnd_below(&rng, DAMAGES);
        for (unsigned i = 0; i < n; i++) {
                const enum harm what = (enum harm)rnd_below(&rng, HARMS);
                const size_t trail = strlen(x.trail);
                snprintf(x.trail + trail, sizeof(x.trail) - trail, "%s %s", i ? "," : "",
                         names[what]);
                lossy |= harm(&disk, what, &rng);
                file_is_gone |= what == HARM_FILE;
        }
        const bool done = repair(&disk, false, &trace, &hash);
        n_beyond += !done;
        if (done && !lossy && before && !x.problem[0]) {
                n_whole++;
                if (hash != before)
                        snprintf(x.problem, sizeof(x.problem),
                                 "no record was damaged, but it holds something else");
        }
        if (x.problem[0])
                explorer_report(&x);
        else if (done)
                cut_all(&disk, &trace, hash, rng);
        trace_deinit(&trace);
        disk_deinit(&disk);
}

int main(int argc, char **argv)
{
        const char *seed = getenv("BM_SEED");
        const size_t stores = argc > 1 ? strtoull(argv[1], NULL, 0) : STORES;
        explorer_init(&x, seed ? strtoull(seed, NULL, 0) : 1);
        printf("# seeds from %llu\n", (unsigned long long)x.seed);
        for (size_t i = 0; i < (x.only ? 1 : stores) && !explorer_done(&x); i++, x.seed++)
                one_store();
        printf("# %zu states, %zu stores that lost nothing, %zu beyond repair, %zu bad\n",
               x.n_states, n_whole, n_beyond, x.n_failed);
        explorer_deinit(&x);
        return x.n_failed ? 1 : 0;
}
