/* SPDX-License-Identifier: MIT */
/* What an actor's keys must hold, compared. */
#include "stress-actor.h"

struct actor *actor_new(unsigned number, uint64_t seed, uint64_t n_operations)
{
        struct actor *a = calloc(1, sizeof(*a));
        wanted(a);
        a->number = number;
        a->random = (seed + number) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        a->n_operations = n_operations;
        for (unsigned m = 0; m < STRESS_MAPS; m++) {
                for (unsigned i = 0; i < STRESS_SLOTS; i++)
                        wanted(a->slots[m][i].bytes = malloc(STRESS_VALUE_MAX));
        }
        return a;
}

void actor_free(struct actor *a)
{
        for (unsigned m = 0; m < STRESS_MAPS; m++) {
                for (unsigned i = 0; i < STRESS_SLOTS; i++)
                        free(a->slots[m][i].bytes);
        }
        free(a);
}

void actor_attach(struct actor *a, struct bm_store *store, struct bm_map *const *maps)
{
        a->store = store;
        memcpy(a->maps, maps, sizeof(a->maps));
}

uint64_t actor_random(struct actor *a, uint64_t below)
{
        a->random ^= a->random >> 12;
        a->random ^= a->random << 25;
        a->random ^= a->random >> 27;
        return (a->random * UINT64_C(0x2545f4914f6cdd1d) >> 11) % below;
}

size_t actor_key(const struct actor *a, unsigned slot, char key[32])
{
        return (size_t)snprintf(key, 32, "%u-%u", a->number, slot);
}

struct bm_ref actor_ref(const struct actor *a, unsigned map, unsigned slot, char key[32])
{
        size_t len = actor_key(a, slot, key);
        return (struct bm_ref){.map = a->maps[map], .key = key, .key_len = len};
}

void actor_verify(struct actor *a, unsigned map, unsigned number)
{
        const struct slot *s = &a->slots[map][number];
        struct bm_view view;
        size_t done;
        char key[32];
        struct bm_ref ref = actor_ref(a, map, number, key);
        if (!s->there) {
                gives(bm_read_ref(&ref, &view), BM_E_NOT_FOUND);
                return;
        }
        gives(bm_read_ref(&ref, &view), 0);
        wanted(view.count == s->count);
        wanted(view.size == s->size);
        wanted(!view.value || memcmp(view.value, s->bytes, s->size) == 0);
        gives(bm_read_at(&ref, 0, a->buf, sizeof(a->buf), &done), 0);
        wanted(done == s->size);
        wanted(memcmp(a->buf, s->bytes, done) == 0);
        bm_view_release(&view);
}

void actor_list(struct actor *a, unsigned map)
{
        unsigned char seen[STRESS_SLOTS] = {0};
        struct bm_cursor *cursor;
        struct bm_item item;
        int r;
        gives(bm_cursor_open(a->maps[map], 0, &cursor), 0);
        while ((r = bm_cursor_next(cursor, &item)) == 0) {
                unsigned owner, number;
                char text[64];
                snprintf(text, sizeof(text), "%.*s", (int)item.key_len, (const char *)item.key);
                wanted(item.cookie > 2 && item.cookie >> 63 == 0);
                if (sscanf(text, "%u-%u", &owner, &number) == 2 && owner == a->number)
                        seen[number]++;
        }
        gives(r, BM_E_NOT_FOUND);
        bm_cursor_close(cursor);
        for (unsigned i = 0; i < STRESS_SLOTS; i++)
                wanted(seen[i] == a->slots[map][i].there);
}

void actor_verify_all(struct actor *a)
{
        for (unsigned m = 0; m < STRESS_MAPS; m++) {
                for (unsigned i = 0; i < STRESS_SLOTS; i++)
                        actor_verify(a, m, i);
                actor_list(a, m);
        }
}
