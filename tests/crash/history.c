/* SPDX-License-Identifier: MIT */
#include "history.h"

#include <stdlib.h>

void history_step(struct history *h, uint64_t hash, size_t begin, size_t end, const char *what)
{
        if (h->n_steps == h->cap_steps) {
                h->cap_steps = h->cap_steps ? h->cap_steps * 2 : 256;
                h->steps = must_realloc(h->steps, h->cap_steps * sizeof(*h->steps));
        }
        h->steps[h->n_steps++] = (struct step){hash, begin, end, what};
}

void history_ack(struct history *h, size_t at, size_t step)
{
        if (h->n_acks == h->cap_acks) {
                h->cap_acks = h->cap_acks ? h->cap_acks * 2 : 64;
                h->acks = must_realloc(h->acks, h->cap_acks * sizeof(*h->acks));
        }
        h->acks[h->n_acks++] = (struct ack){at, step};
}

void history_deinit(struct history *h)
{
        free(h->steps);
        free(h->acks);
        *h = (struct history){0};
}
