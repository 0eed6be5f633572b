/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <stdbool.h>
#include <stdlib.h>

#include "turns.h"

static _Thread_local struct frames *frames;

void frames_note_in(struct frames *f)
{
        frames = f;
}

void frames_deinit(struct frames *f)
{
        free(f->list);
        *f = (struct frames){0};
}

static bool is_visible(const struct bm_record *records, size_t n)
{
        bool visible = false;
        for (size_t i = 0; i < n; i++) {
                uint64_t map = records[i].map_id;
                visible |= records[i].type != BM_REC_SYNC && map != BM_MAP_CHUNKS &&
                           map != BM_MAP_PATCHES && map != BM_MAP_DROPS && map != BM_MAP_ORPHANS;
        }
        return visible;
}

static uint64_t end_of_chunks(const struct bm_record *records, size_t n)
{
        uint64_t end = 0;
        for (size_t i = 0; i < n; i++) {
                const struct bm_record *r = &records[i];
                uint64_t data_id, number;
                if ((r->type != BM_REC_CHUNK && r->type != BM_REC_PATCH) ||
                    bm_chunk_key_decode(r->key, r->key_len, &data_id, &number) != 0)
                        continue;
                if (r->type == BM_REC_PATCH)
                        number /= BM_CHUNK_PIECES;
                if ((number + 1) * BM_CHUNK > end)
                        end = (number + 1) * BM_CHUNK;
        }
        return end;
}

/* The last that this thread wrote: a seal may have come before it. */
static size_t last_write(const struct trace *t, size_t from)
{
        size_t i = t->n;
        while (i > from &&
               (t->events[i - 1].kind != EV_WRITE || t->events[i - 1].thread != turns_self()))
                i--;
        return i > from ? i - 1 : from;
}

__typeof__(bm_log_append) __real_bm_log_append, __wrap_bm_log_append;
__typeof__(bm_log_append) *frames_append = __real_bm_log_append;

int __wrap_bm_log_append(struct bm_log *log, struct bm_record *records, size_t n,
                         enum bm_claim claim, struct bm_location *where, uint64_t *capacity)
{
        struct frames *f = frames;
        size_t from = f ? f->trace->n : 0;
        int r = frames_append(log, records, n, claim, where, capacity);
        if (r != 0 || !f || !is_visible(records, n))
                return r;
        if (f->n == f->cap) {
                f->cap = f->cap ? f->cap * 2 : 64;
                f->list = must_realloc(f->list, f->cap * sizeof(*f->list));
        }
        f->list[f->n++] =
                (struct frame){.at = last_write(f->trace, from), .end = end_of_chunks(records, n)};
        return r;
}
