/* SPDX-License-Identifier: MIT */
/*
 * Accidents of recoveries. A process is killed, best where a copy into a cold segment or a manifest
 * was just written; whoever opens the store next is killed, or has the power cut, while it
 * recovers; and where it was killed, the power is cut under the one that comes then. So a recovery
 * finds in the page cache what one before it left there, and nothing of that may count as being on
 * the disk.
 */
#include <stdlib.h>

#include "explore.h"
#include "format.h"
#include "kinds.h"

enum { OPS = 250, OPS_LATER = 6, KILLS = 8, PLACES = 24, LAST_CUTS = 4 };

static int by_size(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        return x < y ? -1 : x > y;
}

/* Behind the next write to a file of that kind from AT on, or AT. */
static size_t behind_write(const struct scene *s, size_t at, uint8_t kind)
{
        uint8_t *kinds = kinds_of(&s->trace, &s->disk);
        size_t i = at;
        while (i < s->trace.n &&
               (s->trace.events[i].kind != EV_WRITE || kinds[s->trace.events[i].file] != kind))
                i++;
        free(kinds);
        return i < s->trace.n ? i + 1 : at;
}

/*
 * Ascending places for N accidents before event END: some anywhere, some where a copy into a cold
 * segment or a manifest was just written.
 */
static void choose_places(const struct scene *s, size_t *places, unsigned n, size_t end,
                          uint64_t *rng)
{
        for (unsigned i = 0; i < n; i++) {
                places[i] = rnd_below(rng, end + 1);
                if (i % 4 < 2)
                        places[i] =
                                behind_write(s, places[i], i % 4 ? KIND_MANIFEST : BM_SEGMENT_COLD);
        }
        qsort(places, n, sizeof(*places), by_size);
}

static struct accident killed(void (*deeper)(struct explorer *x, struct scene *s, uint64_t rng),
                              uint64_t *rng)
{
        struct accident a = {.style = CUT_KEEP, .killed = true, .deeper = deeper};
        unsigned n_ops = (unsigned)rnd_below(rng, OPS_LATER);
        a.plan = explore_plan(rng, n_ops);
        a.plan.n_workers = 0;
        return a;
}

static struct accident cut(uint64_t *rng)
{
        struct accident a = {.style = (enum cut_style)rnd_below(rng, CUT_STYLES)};
        a.rot = (enum rot)rnd_below(rng, ROT_BOTH + 1);
        a.seed = rnd(rng);
        a.plan = explore_plan(rng, 0);
        a.plan.n_workers = 0;
        return a;
}

/* Half of a write may be done when it comes. */
static void come_in_part(struct accident *a, const struct scene *s, size_t at, uint64_t *rng)
{
        if (at < s->trace.n && rnd_below(rng, 2))
                a->part = explore_part(&s->trace.events[at], rnd(rng));
}

static void begin(struct explorer *x, struct scene *s, struct disk *disk)
{
        if (x->mutate)
                x->mutate(&s->trace, &s->disk);
        disk_clone(disk, &s->disk);
}

static void go_to(struct disk *disk, const struct scene *s, size_t *at, size_t place)
{
        while (*at < place)
                disk_apply(disk, &s->trace.events[(*at)++]);
}

static void cut_last(struct explorer *x, struct scene *s, uint64_t rng)
{
        size_t places[LAST_CUTS], at = 0;
        struct disk disk;
        begin(x, s, &disk);
        choose_places(s, places, LAST_CUTS, s->trace.n, &rng);
        for (unsigned i = 0; i < LAST_CUTS && !explorer_done(x); i++) {
                struct accident a = cut(&rng);
                go_to(&disk, s, &at, places[i]);
                come_in_part(&a, s, at, &rng);
                explore_state(x, s, &disk, at, i, &a, rng);
        }
        disk_deinit(&disk);
}

static void end_recovery(struct explorer *x, struct scene *s, uint64_t rng)
{
        size_t places[PLACES], at = 0;
        struct disk disk;
        begin(x, s, &disk);
        choose_places(s, places, PLACES, s->opened, &rng);
        for (unsigned i = 0; i < PLACES && !explorer_done(x); i++) {
                go_to(&disk, s, &at, places[i]);
                for (unsigned k = 0; k < 2; k++) {
                        struct accident a = k ? killed(cut_last, &rng) : cut(&rng);
                        come_in_part(&a, s, at, &rng);
                        explore_state(x, s, &disk, at, 2 * i + k, &a, rng);
                }
        }
        disk_deinit(&disk);
}

static void kill_first(struct explorer *x, struct scene *s, uint64_t rng)
{
        size_t places[KILLS], at = 0;
        struct disk disk;
        begin(x, s, &disk);
        choose_places(s, places, KILLS, s->trace.n, &rng);
        for (unsigned i = 0; i < KILLS && !explorer_done(x); i++) {
                struct accident a = killed(end_recovery, &rng);
                go_to(&disk, s, &at, places[i]);
                explore_state(x, s, &disk, at, i, &a, rnd(&rng));
        }
        disk_deinit(&disk);
}

void explore_recovery(struct explorer *x)
{
        explore_first(x, OPS, kill_first);
}
