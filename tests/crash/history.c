/* SPDX-License-Identifier: MIT */
#include "history.h"

#include <stdlib.h>

/* The flush that the interval brings takes time itself. */
static const uint64_t FLUSH_NS = UINT64_C(2000000000);

static void add(struct history *h, const struct step *step)
{
        if (h->n_steps == h->cap_steps) {
                h->cap_steps = h->cap_steps ? h->cap_steps * 2 : 256;
                h->steps = must_realloc(h->steps, h->cap_steps * sizeof(*h->steps));
        }
        h->steps[h->n_steps++] = *step;
}

void history_base(struct history *h, uint64_t hash, const char *what)
{
        add(h, &(struct step){.hash = hash, .end_ns = UINT64_MAX, .what = what});
        h->n_settled = h->n_steps;
}

void history_step(struct history *h, const struct step *step)
{
        add(h, step);
}

void history_ack(struct history *h, size_t at, size_t since)
{
        if (h->n_acks == h->cap_acks) {
                h->cap_acks = h->cap_acks ? h->cap_acks * 2 : 64;
                h->acks = must_realloc(h->acks, h->cap_acks * sizeof(*h->acks));
        }
        h->acks[h->n_acks++] = (struct ack){.at = at, .since = since};
}

/* Those of several threads were noted as each had its answer; each thread's
 * own are in order, and few are far from their place. */
static void sort(struct step *steps, size_t n)
{
        for (size_t i = 1; i < n; i++) {
                struct step one = steps[i];
                size_t k = i;
                for (; k > 0 && steps[k - 1].at > one.at; k--)
                        steps[k] = steps[k - 1];
                steps[k] = one;
        }
}

void history_settle(struct history *h)
{
        sort(h->steps + h->n_settled, h->n_steps - h->n_settled);
        for (; h->n_settled < h->n_steps; h->n_settled++) {
                if (h->n_settled > 0)
                        h->steps[h->n_settled].hash += h->steps[h->n_settled - 1].hash;
        }
        for (size_t i = 0; i < h->n_acks; i++) {
                struct ack *a = &h->acks[i];
                while (a->step + 1 < h->n_steps && h->steps[a->step + 1].at < a->since)
                        a->step++;
        }
}

void history_bounds(const struct history *h, const struct trace *trace, size_t cut, bool part,
                    bool killed, struct bounds *b)
{
        uint64_t now = cut > 0 ? trace->events[cut - 1].time_ns : 0;
        size_t returned = 0;
        *b = (struct bounds){0};
        for (size_t i = 0; i < h->n_steps; i++) {
                const struct step *s = &h->steps[i];
                if (s->at < cut + part || s->end <= cut)
                        b->hi = i;
                if (s->end <= cut)
                        returned = i;
                if (s->end <= cut && h->interval_ns && now > s->end_ns &&
                    now - s->end_ns > h->interval_ns + FLUSH_NS)
                        b->durable = i;
        }
        for (size_t i = 0; i < h->n_acks; i++) {
                if (h->acks[i].at <= cut && h->acks[i].step > b->durable)
                        b->durable = h->acks[i].step;
        }
        b->lo = killed ? returned : b->durable;
}

long history_find(const struct history *h, uint64_t hash, size_t lo, size_t hi)
{
        for (size_t i = hi + 1; i-- > lo;) {
                if (h->steps[i].hash == hash)
                        return (long)i;
        }
        return -1;
}

void history_deinit(struct history *h)
{
        free(h->steps);
        free(h->acks);
        *h = (struct history){0};
}
