/* SPDX-License-Identifier: MIT */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bucketmap.h"
#include "format.h"
#include "io_record.h"
#include "superblock.h"

enum { DEPTH_MAX = 3 };

struct scene {
        unsigned depth;
        struct disk disk; /* before; what is pending of it may still be lost */
        struct trace trace;
        struct history history;
};

static void scene_deinit(struct scene *s)
{
        disk_deinit(&s->disk);
        trace_deinit(&s->trace);
        history_deinit(&s->history);
}

/* The steps that may be there after an accident. */
struct bounds {
        size_t lo, hi;
        size_t durable; /* what a power cut in what follows must spare; at most lo */
};

/* Those after the first CUT events. */
static void bounds_at(const struct history *h, size_t cut, bool killed, struct bounds *b)
{
        size_t returned = 0;
        *b = (struct bounds){0};
        for (size_t i = 0; i < h->n_steps; i++) {
                if (h->steps[i].begin < cut || h->steps[i].end <= cut)
                        b->hi = i;
                if (h->steps[i].end <= cut)
                        returned = i;
        }
        for (size_t i = 0; i < h->n_acks; i++) {
                if (h->acks[i].at <= cut && h->acks[i].step > b->durable)
                        b->durable = h->acks[i].step;
        }
        b->lo = killed ? returned : b->durable;
}

/* Opening and judging */

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct explorer *x = ctx;
        if (!x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "check: %s", finding->message);
}

static void on_log(void *ctx, enum bm_log_level level, const char *message)
{
        printf("# log: %s\n", message);
}

/* BM_TRAIL, set to what a report says between seed and problem, shows that
 * state; BM_KEEP is a directory for a copy of it. */
static bool is_watched(const struct explorer *x)
{
        const char *trail = getenv("BM_TRAIL");
        return trail && x->trail[0] && strcmp(x->trail + 1, trail) == 0;
}

static void keep_copy(const struct disk *disk)
{
        const char *dir = getenv("BM_KEEP");
        char names[DRIVES_MAX][300];
        const char *paths[DRIVES_MAX];
        for (unsigned i = 0; i < DRIVES_MAX; i++) {
                snprintf(names[i], sizeof(names[i]), "%s/%u", dir ? dir : "", i);
                paths[i] = names[i];
        }
        if (dir)
                disk_store(disk, paths);
}

static void show_trace(const struct trace *trace, const struct disk *disk)
{
        static const char *const kinds[] = {"write",  "size",    "sync",   "create",
                                            "unlink", "syncdir", "nothing"};
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *e = &trace->events[i];
                printf("#  %zu %s file %u dir %u %s %llu+%llu\n", i, kinds[e->kind], e->file,
                       e->dir, e->name, (unsigned long long)e->offset, (unsigned long long)e->len);
        }
        for (unsigned i = 0; i < DIRS; i++) {
                for (size_t k = 0; k < disk->dirs[i].n_names; k++)
                        printf("#  before: dir %u %s is file %u\n", i, disk->dirs[i].names[k].name,
                               disk->dirs[i].names[k].file);
        }
}

static struct bm_config config_for(struct explorer *x, const struct record_io *io)
{
        struct bm_config config = BM_CONFIG_INIT;
        config.no_background = true;
        config.io = &io->io;
        config.drives = x->paths + 1;
        config.n_drives = io->n_drives - 1;
        if (is_watched(x))
                config.log = on_log;
        return config;
}

/* The last step from LO to HI that MODEL could be, or -1. */
static long find_step(const struct history *h, const struct model *model, size_t lo, size_t hi)
{
        for (size_t i = hi + 1; i-- > lo;) {
                if (h->steps[i].hash == model->hash)
                        return (long)i;
        }
        return -1;
}

static void judge(struct explorer *x, struct bm_store *store, const struct history *h, size_t lo,
                  size_t hi, struct model *model, long *step)
{
        const struct bm_check_args args = {.finding = on_finding, .ctx = x};
        char problem[200];
        int r = bm_check(store, &args);
        if (r != 0 && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "check: %s", bm_strerror(r));
        r = model_load(model, store, problem);
        if (r != 0 && !x->problem[0])
                snprintf(x->problem, sizeof(x->problem), "reading: %s", problem);
        *step = find_step(h, model, lo, hi);
        if (*step >= 0 || x->problem[0])
                return;
        long other = find_step(h, model, 0, h->n_steps - 1);
        if (other >= 0)
                snprintf(x->problem, sizeof(x->problem),
                         "it is the state after step %ld (%s), but should be one of %zu to %zu",
                         other, h->steps[other].what, lo, hi);
        else
                snprintf(x->problem, sizeof(x->problem),
                         "%zu records: a state that never was; steps %zu (%s) to %zu (%s)",
                         model->n, lo, h->steps[lo].what, hi, h->steps[hi].what);
}

/* What the store shows while it is open is what the model holds. */
static void compare_live(struct explorer *x, struct bm_store *store, const struct model *model)
{
        struct model now;
        char problem[200];
        int r = model_load(&now, store, problem);
        if (!x->problem[0] && r != 0)
                snprintf(x->problem, sizeof(x->problem), "reading after work: %s", problem);
        if (!x->problem[0] && now.hash != model->hash)
                snprintf(x->problem, sizeof(x->problem), "after work it holds something else");
        model_clear(&now);
}

/*
 * Opens what VISIBLE shows, judges it by the steps B of HISTORY, works on it
 * with N_OPS more operations and closes it. All of that becomes NEXT, but
 * for its disk, which the caller sets.
 */
static bool play_scene(struct explorer *x, struct scene *next, const struct disk *visible,
                       const struct history *h, const struct bounds *b, unsigned n_ops)
{
        struct record_io io;
        struct model model = {0};
        struct bm_store *store;
        long step = -1;
        disk_store(visible, x->paths);
        if (is_watched(x))
                keep_copy(visible);
        record_init(&io, visible, x->paths, visible->n_drives, &next->trace);
        struct bm_config config = config_for(x, &io);
        x->problem[0] = 0;
        int r = bm_open(x->paths[0], &config, &store);
        if (r != 0)
                snprintf(x->problem, sizeof(x->problem), "open: %s: %s", bm_strerror(r),
                         bm_last_problem());
        size_t opened = next->trace.n;
        if (r == 0)
                judge(x, store, h, b->lo, b->hi, &model, &step);
        if (is_watched(x))
                model_show(&model);
        if (r == 0 && step >= 0) {
                for (size_t i = b->durable; i <= (size_t)step; i++)
                        history_step(&next->history, h->steps[i].hash, 0, 0, h->steps[i].what);
                history_ack(&next->history, 0, 0);
                history_ack(&next->history, opened, (size_t)step - b->durable);
                struct work w = {.store = store,
                                 .model = &model,
                                 .history = &next->history,
                                 .trace = &next->trace,
                                 .loud = is_watched(x),
                                 .rng = rnd(&x->rng)};
                if (!work_run(&w, n_ops))
                        snprintf(x->problem, sizeof(x->problem), "%s", w.problem);
                work_end(&w);
                compare_live(x, store, &model);
        }
        if (r == 0) {
                r = bm_close(store);
                if (r != 0 && !x->problem[0])
                        snprintf(x->problem, sizeof(x->problem), "close: %s", bm_strerror(r));
                if (step >= 0)
                        history_ack(&next->history, next->trace.n, next->history.n_steps - 1);
        }
        if (is_watched(x))
                show_trace(&next->trace, visible);
        model_clear(&model);
        record_deinit(&io);
        remove_store(x->paths, visible->n_drives);
        return !x->problem[0];
}

/* Accidents */

static bool is_new(struct hash_set *set, uint64_t hash)
{
        if (set->n * 2 >= set->cap) {
                struct hash_set larger = {.cap = set->cap ? set->cap * 2 : 1024};
                larger.list = calloc(larger.cap, sizeof(*larger.list));
                if (!larger.list)
                        exit(99);
                for (size_t i = 0; i < set->cap; i++) {
                        if (set->list[i])
                                (void)is_new(&larger, set->list[i]);
                }
                free(set->list);
                *set = larger;
        }
        size_t at = hash % set->cap;
        while (set->list[at] && set->list[at] != hash)
                at = (at + 1) % set->cap;
        if (set->list[at] == hash)
                return false;
        set->list[at] = hash;
        set->n++;
        return true;
}

static void report(struct explorer *x)
{
        x->n_failed++;
        if (x->n_failed > x->max_reports)
                return;
        printf("# seed %llu:%s: %s\n", (unsigned long long)x->seed, x->trail, x->problem);
        fflush(stdout);
}

static void explore(struct explorer *x, struct scene *s, unsigned n_cuts);

/* Bits of the newest manifest rot, or of both: then all records make the index anew. */
static void damage_manifests(struct disk *disk, bool both, uint64_t luck)
{
        struct disk_file *f = NULL;
        uint64_t newest = 0;
        unsigned place = 0;
        for (size_t i = 0; i < disk->dirs[0].n_names; i++) {
                if (strcmp(disk->dirs[0].names[i].name, BM_FILE_MANIFEST) == 0)
                        f = &disk->files[disk->dirs[0].names[i].file];
        }
        for (unsigned i = 0; f && i < 2; i++) {
                struct bm_manifest m;
                if (f->held >= (i + 1) * BM_MANIFEST_ROOT &&
                    bm_manifest_decode(&m, f->bytes + (size_t)i * BM_MANIFEST_ROOT) == 0 &&
                    m.generation > newest) {
                        newest = m.generation;
                        place = i;
                }
        }
        for (unsigned i = 0; newest && i < 2; i++) {
                if (both || i == place)
                        f->bytes[i * BM_MANIFEST_ROOT + luck % 200] ^= 1u << luck / 256 % 8;
        }
}

/* One state of DISK, which is scene S after CUT events. */
static void one_state(struct explorer *x, const struct scene *s, const struct disk *disk,
                      size_t cut)
{
        static const char *const names[] = {"drop", "keep", "moment", "pages", "sectors", "torn"};
        enum cut_style style = (enum cut_style)rnd_below(&x->rng, CUT_STYLES);
        bool killed = rnd_below(&x->rng, 8) == 0;
        bool deeper = s->depth < DEPTH_MAX && (killed || rnd_below(&x->rng, 4) == 0);
        struct scene next = {.depth = s->depth + 1};
        struct disk visible;
        struct bounds b;
        size_t trail = strlen(x->trail);
        disk_clone(&visible, disk);
        disk_cut(&visible, killed ? CUT_KEEP : style, rnd(&x->rng));
        bounds_at(&s->history, cut, killed, &b);
        unsigned rot = killed ? 0 : (unsigned)rnd_below(&x->rng, 20);
        if (rot == 1 || rot == 2)
                damage_manifests(&visible, rot == 2, rnd(&x->rng));
        snprintf(x->trail + trail, sizeof(x->trail) - trail, " %zu/%zu %s%s", cut, s->trace.n,
                 killed ? "killed" : names[style],
                 rot == 1   ? " manifest lost"
                 : rot == 2 ? " manifests lost"
                            : "");
        if (is_new(&x->seen, disk_hash(&visible)) || deeper) {
                x->n_states++;
                unsigned n_ops = deeper ? (unsigned)rnd_below(&x->rng, 30) : 0;
                disk_clone(&next.disk, killed ? disk : &visible);
                if (!play_scene(x, &next, &visible, &s->history, &b, n_ops))
                        report(x);
                else if (deeper)
                        explore(x, &next, 5);
                scene_deinit(&next);
        }
        x->trail[trail] = 0;
        disk_deinit(&visible);
}

static int by_size(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        return x < y ? -1 : x > y;
}

/* Half of the cuts fall where files come, go, and are synced. */
static size_t choose_cut(struct explorer *x, const struct trace *t)
{
        size_t cut = rnd_below(&x->rng, t->n + 1);
        if (rnd_below(&x->rng, 2) == 0)
                return cut;
        while (cut < t->n && t->events[cut].kind == EV_WRITE)
                cut++;
        cut += rnd_below(&x->rng, 4);
        return cut > t->n ? t->n : cut;
}

static void explore(struct explorer *x, struct scene *s, unsigned n_cuts)
{
        size_t *cuts = must_alloc(n_cuts * sizeof(*cuts));
        struct disk disk;
        size_t at = 0;
        if (x->mutate)
                x->mutate(&s->trace, &s->disk);
        disk_clone(&disk, &s->disk);
        for (unsigned i = 0; i < n_cuts; i++)
                cuts[i] = choose_cut(x, &s->trace);
        qsort(cuts, n_cuts, sizeof(*cuts), by_size);
        for (unsigned i = 0; i < n_cuts && x->n_states < x->limit && x->n_failed < x->max_reports;
             i++) {
                while (at < cuts[i])
                        disk_apply(&disk, &s->trace.events[at++]);
                one_state(x, s, &disk, at);
        }
        disk_deinit(&disk);
        free(cuts);
}

void explore_round(struct explorer *x, unsigned n_drives, unsigned n_ops, unsigned n_cuts)
{
        struct scene first = {0};
        struct record_io io;
        struct disk visible;
        x->rng = mix64(x->seed);
        x->trail[0] = 0;
        record_init(&io, NULL, x->paths, n_drives, NULL);
        struct bm_config config = config_for(x, &io);
        config.n_buckets = 1u << rnd_below(&x->rng, 3);
        int r = bm_create(x->paths[0], &config);
        if (r != 0) {
                printf("# creating: %s: %s\n", bm_strerror(r), bm_last_problem());
                x->n_failed++;
                return;
        }
        disk_load(&visible, x->paths, n_drives);
        record_deinit(&io);
        remove_store(x->paths, n_drives);
        struct history fresh = {0};
        history_step(&fresh, 0, 0, 0, "nothing");
        disk_clone(&first.disk, &visible);
        if (!play_scene(x, &first, &visible, &fresh, &(struct bounds){0}, n_ops))
                report(x);
        else
                explore(x, &first, n_cuts);
        history_deinit(&fresh);
        disk_deinit(&visible);
        scene_deinit(&first);
}

static char place[64], drives[DRIVES_MAX][80];

void explorer_init(struct explorer *x, uint64_t seed)
{
        *x = (struct explorer){.seed = seed, .limit = SIZE_MAX, .max_reports = 20};
        snprintf(place, sizeof(place), "%s/bucketmap-crash.XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(place)) {
                perror(place);
                exit(99);
        }
        for (unsigned i = 0; i < DRIVES_MAX; i++) {
                snprintf(drives[i], sizeof(drives[i]), "%s/%u", place, i);
                x->paths[i] = drives[i];
        }
}

void explorer_deinit(struct explorer *x)
{
        remove_store(x->paths, DRIVES_MAX);
        (void)rmdir(place);
        free(x->seen.list);
}
