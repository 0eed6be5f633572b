/* SPDX-License-Identifier: MIT */
/* Rounds, and the accidents that make states of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"
#include "explore.h"
#include "format.h"
#include "same_luck.h"
#include "superblock.h"

enum { DEPTH_MAX = 3, CUTS_ROUND = 40, CUTS_BELOW = 5, OPS_FEW = 30, OPS_MANY = 250 };

static void explore_below(struct explorer *x, struct scene *s, uint64_t rng);

/* Bits of the newest manifest rot, or of both: then all records make the index anew. */
static void damage_manifests(struct disk *disk, enum rot rot, uint64_t luck)
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
                if (rot == ROT_BOTH || i == place)
                        f->bytes[i * BM_MANIFEST_ROOT + luck % 200] ^= 1u << luck / 256 % 8;
        }
}

struct plan explore_plan(uint64_t *rng, unsigned n_ops)
{
        struct plan p = {.seed = rnd(rng), .n_ops = n_ops};
        p.n_workers = (unsigned)rnd_below(rng, 4);
        p.sort = (enum sort_of_work)rnd_below(rng, WORK_SORTS);
        p.interval = 1 + (unsigned)rnd_below(rng, 5);
        return p;
}

uint64_t explore_part(const struct event *e, uint64_t luck)
{
        if (e->kind != EV_WRITE)
                return 0;
        uint64_t end = e->offset + luck % e->len;
        if (!e->mapped)
                end -= end % DISK_SECTOR;
        return end > e->offset ? end - e->offset : 0;
}

static struct accident choose_accident(const struct scene *s, size_t cut, uint64_t rng)
{
        struct accident a = {.style = (enum cut_style)rnd_below(&rng, CUT_STYLES)};
        a.killed = rnd_below(&rng, 8) == 0;
        if (a.killed)
                a.style = CUT_KEEP;
        if (rnd_below(&rng, 2) && cut < s->trace.n)
                a.part = explore_part(&s->trace.events[cut], rnd(&rng));
        /* most tells the loss of both when much has been lost before */
        a.rot = (enum rot)rnd_below(&rng, s->depth ? 8 : 20);
        if (a.killed || a.rot > ROT_BOTH)
                a.rot = ROT_NONE;
        a.seed = rnd(&rng);
        if (s->depth < DEPTH_MAX && (a.killed || rnd_below(&rng, 4) == 0))
                a.deeper = explore_below;
        unsigned most = rnd_below(&rng, 8) ? OPS_FEW : OPS_MANY;
        a.plan = explore_plan(&rng, (unsigned)rnd_below(&rng, most));
        if (!a.deeper)
                a.plan.n_ops = a.plan.n_workers = 0;
        a.plan.look = rnd_below(&rng, 4) == 0;
        return a;
}

/* Adds to the trail how the state came to be. */
static void note(struct explorer *x, const struct scene *s, size_t cut, unsigned i,
                 const struct accident *a)
{
        static const char *const styles[] = {"drop", "keep", "moment", "pages", "sectors", "torn"};
        static const char *const rots[] = {"", " manifest lost", " manifests lost"};
        size_t trail = strlen(x->trail), state = strlen(x->state);
        snprintf(x->trail + trail, sizeof(x->trail) - trail, " %zu%s/%zu %s%s", cut,
                 a->part ? "+" : "", s->trace.n, a->killed ? "killed" : styles[a->style],
                 rots[a->rot]);
        snprintf(x->state + state, sizeof(x->state) - state, "%s%u", state ? "." : "", i);
}

/* Whether the state that was asked for, if there is one, is this or comes of it. */
static bool is_wanted(const struct explorer *x)
{
        size_t n = strlen(x->state);
        return !x->only ||
               (strncmp(x->only, x->state, n) == 0 && (x->only[n] == 0 || x->only[n] == '.'));
}

void explore_state(struct explorer *x, const struct scene *s, const struct disk *disk, size_t cut,
                   unsigned i, const struct accident *a, uint64_t rng)
{
        struct scene next = {.depth = s->depth + 1};
        struct disk before, visible;
        struct event part;
        size_t trail = strlen(x->trail), state = strlen(x->state);
        note(x, s, cut, i, a);
        disk_clone(&before, disk);
        if (a->part) {
                part = s->trace.events[cut];
                part.len = a->part;
                disk_apply(&before, &part);
        }
        disk_clone(&visible, &before);
        disk_cut(&visible, a->style, a->seed);
        if (a->rot != ROT_NONE)
                damage_manifests(&visible, a->rot, a->seed);
        if (is_wanted(x) && (seen_add(x->seen, disk_hash(&visible)) || a->deeper)) {
                struct past past = {
                        .visible = &visible, .history = &s->history, .clock_ns = s->clock_ns};
                history_bounds(&s->history, &s->trace, cut, a->part, a->killed, &past.bounds);
                x->n_states++;
                disk_clone(&next.disk, a->killed ? &before : &visible);
                if (!scene_play(x, &next, &past, &a->plan))
                        explorer_report(x);
                else if (a->deeper)
                        a->deeper(x, &next, mix64(rng));
                scene_deinit(&next);
        }
        x->trail[trail] = 0;
        x->state[state] = 0;
        disk_deinit(&visible);
        disk_deinit(&before);
}

static int by_size(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        return x < y ? -1 : x > y;
}

/* Half of the cuts fall where files come, go, and are synced. */
static size_t choose_cut(uint64_t *rng, const struct trace *t)
{
        size_t cut = rnd_below(rng, t->n + 1);
        if (rnd_below(rng, 2) == 0)
                return cut;
        while (cut < t->n && t->events[cut].kind == EV_WRITE)
                cut++;
        cut += rnd_below(rng, 4);
        return cut > t->n ? t->n : cut;
}

static void explore(struct explorer *x, struct scene *s, unsigned n_cuts, uint64_t rng)
{
        size_t *cuts = must_alloc(n_cuts * sizeof(*cuts));
        struct disk disk;
        size_t at = 0;
        if (x->mutate)
                x->mutate(&s->trace, &s->disk);
        disk_clone(&disk, &s->disk);
        for (unsigned i = 0; i < n_cuts; i++)
                cuts[i] = choose_cut(&rng, &s->trace);
        qsort(cuts, n_cuts, sizeof(*cuts), by_size);
        for (unsigned i = 0; i < n_cuts && !explorer_done(x); i++) {
                while (at < cuts[i])
                        disk_apply(&disk, &s->trace.events[at++]);
                uint64_t luck = mix64(rng + i);
                struct accident a = choose_accident(s, at, luck);
                if (x->stream)
                        a.plan.sort = WORK_STREAM;
                explore_state(x, s, &disk, at, i, &a, luck);
        }
        disk_deinit(&disk);
        free(cuts);
}

static void explore_below(struct explorer *x, struct scene *s, uint64_t rng)
{
        explore(x, s, CUTS_BELOW, rng);
}

void explore_first(struct explorer *x, unsigned n_ops,
                   void (*deeper)(struct explorer *x, struct scene *s, uint64_t rng))
{
        uint64_t rng = mix64(x->seed);
        struct scene first = {0};
        struct history fresh = {0};
        struct disk visible;
        x->trail[0] = x->state[0] = 0;
        same_luck(x->seed);
        struct plan plan = explore_plan(&rng, n_ops);
        if (x->stream)
                plan.sort = WORK_STREAM;
        if (!scene_create(x, &visible, &rng, plan.sort)) {
                explorer_report(x);
                return;
        }
        struct past past = {.visible = &visible, .history = &fresh, .clock_ns = same_luck_now()};
        history_base(&fresh, 0, "nothing");
        disk_clone(&first.disk, &visible);
        if (!scene_play(x, &first, &past, &plan))
                explorer_report(x);
        else
                deeper(x, &first, rng);
        history_deinit(&fresh);
        disk_deinit(&visible);
        scene_deinit(&first);
}

static void explore_top(struct explorer *x, struct scene *s, uint64_t rng)
{
        explore(x, s, CUTS_ROUND, rng);
}

void explore_round(struct explorer *x)
{
        explore_first(x, OPS_MANY, explore_top);
}

void explore_stream(struct explorer *x)
{
        x->stream = true;
        explore_round(x);
}
