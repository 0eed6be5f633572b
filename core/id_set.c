/* SPDX-License-Identifier: MIT */
/* See id_set.h. Open addressing, at most half full. */
#include "id_set.h"

#include <errno.h>
#include <stdlib.h>

enum { CAP_MIN = 64 };

void bm_id_set_deinit(struct bm_id_set *set)
{
        free(set->slots);
        *set = (struct bm_id_set){0};
}

/* The slot that has ID, or the empty one where it would go. */
static uint64_t *slot_of(const struct bm_id_set *set, uint64_t id)
{
        uint64_t mixed = id * 0x9e3779b97f4a7c15u;
        size_t at = (size_t)(mixed ^ mixed >> 32) & (set->cap - 1);
        while (set->slots[at] != 0 && set->slots[at] != id)
                at = (at + 1) & (set->cap - 1);
        return &set->slots[at];
}

bool bm_id_set_has(const struct bm_id_set *set, uint64_t id)
{
        return id == 0 || (set->cap > 0 && *slot_of(set, id) == id);
}

static int grow(struct bm_id_set *set)
{
        struct bm_id_set larger = {.n = set->n, .cap = set->cap ? set->cap * 2 : CAP_MIN};
        larger.slots = calloc(larger.cap, sizeof(*larger.slots));
        if (!larger.slots)
                return -ENOMEM;
        for (size_t i = 0; i < set->cap; i++) {
                if (set->slots[i])
                        *slot_of(&larger, set->slots[i]) = set->slots[i];
        }
        free(set->slots);
        *set = larger;
        return 0;
}

int bm_id_set_add(struct bm_id_set *set, uint64_t id)
{
        if (bm_id_set_has(set, id))
                return 0;
        int r = set->n * 2 >= set->cap ? grow(set) : 0;
        if (r < 0)
                return r;
        *slot_of(set, id) = id;
        set->n++;
        return 1;
}
