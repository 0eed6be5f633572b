/* SPDX-License-Identifier: MIT */
/* See large_patch.h. */
#include "large_patch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define NO_STEP SIZE_MAX

/* The patches of one chunk. */
struct bm_patches {
        struct bm_patches *next;
        size_t step; /* of the chunk; NO_STEP: not in this attempt */
        uint32_t bits;
        size_t steps[BM_CHUNK_PIECES];
        uint8_t keys[BM_CHUNK_PIECES][BM_CHUNK_KEY];
        uint8_t *bytes; /* BM_CHUNK; NULL: nobody wanted them yet */
};

/* The bits of a chunk and its patches do not agree. */
static int mismatch(const struct bm_change *c)
{
        bm_store_log(c->ref->map->store, BM_LOG_ERROR,
                     "a part of the value %" PRIu64 " is lost: a patch is not what its chunk says",
                     c->head.data_id);
        return -EIO;
}

/* Writing */

bool bm_patch_may_write(uint32_t from, uint32_t len)
{
        return (from + len - 1) / BM_PATCH - from / BM_PATCH < BM_PATCH_PIECES_MAX;
}

/* Whether the chunk lives: BM_E_NOT_FOUND. */
static int look_at_chunk(struct bm_change *c, struct bm_step *s, uint64_t chunk)
{
        if (!s->found.there)
                return BM_E_NOT_FOUND;
        if (!bm_head_has(&c->head, chunk, 0)) { /* its generation counts */
                int r = bm_found_verify(&s->target, &s->found);
                if (r != 0)
                        return r;
        }
        return bm_head_has(&c->head, chunk, bm_chunk_generation(&s->found.record)) ? 0
                                                                                   : BM_E_NOT_FOUND;
}

/* The LEN bytes that a piece has now, verified: its patch's, or the chunk's own. */
static int old_piece(struct bm_step *chunk, struct bm_step *patch, uint32_t at, uint32_t len,
                     const uint8_t **bytes)
{
        struct bm_step *s = patch->found.there ? patch : chunk;
        int r = bm_found_verify(&s->target, &s->found);
        const uint32_t have = s->found.record.value_len;
        if (r == 0 && (s == patch ? have != len : have < at + len))
                r = -EIO;
        *bytes = s == patch ? s->found.record.value : s->found.record.value + at;
        return r;
}

static void put_patch(const struct bm_change *c, struct bm_step *s, const uint8_t *value,
                      uint32_t len)
{
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = BM_REC_PATCH,
                .record_id = c->head.data_id,
                .value = value,
                .value_len = len,
        };
}

/* Bytes [from, to) of a chunk are written. */
struct piece_write {
        uint32_t from, to;
        uint32_t old_len, len; /* of the chunk, before and then; from <= old_len */
};

/* Whether a patch is there exactly if the bit of its chunk says so. */
static bool agrees(const struct bm_step *chunk, const struct bm_step *patch, unsigned piece)
{
        return patch->found.there == !!(chunk->found.slot.count & bm_piece_bit(piece));
}

static int write_piece(struct bm_txn *txn, struct bm_change *c, size_t chunk_step, unsigned piece,
                       size_t step, const struct piece_write *w)
{
        struct bm_step *chunk = &txn->steps[chunk_step], *s = &txn->steps[step];
        const uint32_t at = (uint32_t)piece << BM_PATCH_LOG2;
        const uint32_t len = bm_piece_len(w->len, piece), end = at + len;
        const uint32_t new_from = w->from > at ? w->from : at, new_to = w->to < end ? w->to : end;
        const uint8_t *value = c->buf + (new_from - w->from), *old;
        if (!agrees(chunk, s, piece))
                return mismatch(c);
        if (new_from > at || new_to < end) {
                const uint32_t old_len = bm_piece_len(w->old_len, piece);
                int r = old_piece(chunk, s, at, old_len, &old);
                if (r != 0)
                        return r;
                memcpy(c->chunk + at, old, old_len);
                memcpy(c->chunk + new_from, value, new_to - new_from);
                value = c->chunk + at;
        }
        put_patch(c, s, value, len);
        return 0;
}

/* Adds the steps of the pieces of [FROM, TO). */
static int add_pieces(struct bm_txn *txn, struct bm_change *c, uint64_t chunk, uint32_t from,
                      uint32_t to, size_t steps[])
{
        const unsigned first = from / BM_PATCH, last = (to - 1) / BM_PATCH;
        int again = 0;
        for (unsigned i = 0; i <= last - first; i++) {
                int r = bm_patch_more(txn, c->head.data_id, chunk, first + i, c->patch_keys[i],
                                      &steps[i]);
                if (r != 0 && r != BM_E_AGAIN)
                        return r;
                again |= r;
        }
        return again;
}

int bm_patch_ahead(struct bm_txn *txn, struct bm_change *c, uint64_t chunk, uint32_t from,
                   uint32_t len)
{
        size_t steps[BM_PATCH_PIECES_MAX];
        int r = add_pieces(txn, c, chunk, from, from + len, steps);
        return r == 0 ? BM_E_AGAIN : r;
}

/* With a patch for each piece the chunk needs no bytes of its own. */
static void hollow_out(struct bm_change *c, struct bm_step *s, uint32_t len)
{
        const struct bm_record *was = &s->found.record;
        c->head.allocated += len - bm_chunk_len(was);
        s->action = BM_ACT_PUT;
        s->next = (struct bm_record){
                .type = BM_REC_CHUNK,
                .record_id = c->head.data_id,
                .count = bm_chunk_hollow_count(bm_chunk_generation(was), len),
        };
}

/* What the chunk has already. */
static int patch_within(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk,
                        const struct piece_write *w)
{
        const unsigned first = w->from / BM_PATCH, last = (w->to - 1) / BM_PATCH;
        const uint32_t bits = bm_piece_bits(first, last);
        size_t steps[BM_PATCH_PIECES_MAX];
        int r = add_pieces(txn, c, chunk, w->from, w->to, steps);
        for (unsigned i = first; i <= last && r == 0; i++)
                r = write_piece(txn, c, step, i, steps[i - first], w);
        struct bm_step *s = &txn->steps[step];
        if (r != 0 || bm_chunk_is_hollow(&s->found.record) ||
            (s->found.slot.count | bits) != bm_pieces_of(w->len))
                return r;
        r = bm_found_verify(&s->target, &s->found);
        if (r == 0)
                hollow_out(c, s, w->len);
        return r;
}

/* What the chunk ends with: it is hollow from here on, and whatever it has that has no patch yet
 * gets one. */
static int patch_end(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk,
                     const struct piece_write *w)
{
        const bool hollow = bm_chunk_is_hollow(&txn->steps[step].found.record);
        const unsigned written = w->from / BM_PATCH, last = (w->to - 1) / BM_PATCH;
        const unsigned first = hollow ? written : 0;
        size_t steps[BM_CHUNK_PIECES];
        int r = add_pieces(txn, c, chunk, first << BM_PATCH_LOG2, w->to, steps);
        if (r != 0)
                return r;
        struct bm_step *s = &txn->steps[step];
        r = bm_found_verify(&s->target, &s->found);
        if (r == 0 && bm_chunk_needs(&s->found.record) & ~s->found.slot.count)
                r = mismatch(c);
        for (unsigned i = first; i <= last && r == 0; i++) {
                struct bm_step *patch = &txn->steps[steps[i - first]];
                if (i >= written)
                        r = write_piece(txn, c, step, i, steps[i - first], w);
                else if (!agrees(s, patch, i))
                        r = mismatch(c);
                else if (!patch->found.there)
                        put_patch(c, patch, s->found.record.value + ((size_t)i << BM_PATCH_LOG2),
                                  BM_PATCH);
        }
        if (r == 0)
                hollow_out(c, s, w->len);
        return r;
}

int bm_patch_write(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk,
                   uint32_t from, uint32_t len)
{
        struct bm_step *s = &txn->steps[step];
        int r = look_at_chunk(c, s, chunk);
        if (r != 0)
                return r;
        const uint32_t old_len = bm_chunk_len(&s->found.record), to = from + len;
        struct piece_write w = {.from = from, .to = to, .old_len = old_len, .len = old_len};
        if (to <= old_len)
                return patch_within(txn, c, step, chunk, &w);
        w.len = to;
        /* with a gap, up to the end of the chunk, or to twice what it was: written as a whole */
        if (from > old_len || to == BM_CHUNK ||
            (len > old_len && !bm_chunk_is_hollow(&s->found.record)))
                return BM_E_NOT_FOUND;
        return patch_end(txn, c, step, chunk, &w);
}

/* Writing a chunk as a whole */

static struct bm_patches *patches_of(const struct bm_change *c, size_t step)
{
        for (struct bm_patches *p = c->patches; p; p = p->next) {
                if (p->step == step)
                        return p;
        }
        return NULL;
}

/* One that no chunk of this attempt has. */
static struct bm_patches *take_patches(struct bm_change *c, size_t step)
{
        struct bm_patches *p = patches_of(c, NO_STEP);
        if (!p) {
                p = calloc(1, sizeof(*p));
                if (!p)
                        return NULL;
                p->next = c->patches;
                c->patches = p;
        }
        p->step = step;
        return p;
}

int bm_patches_add(struct bm_txn *txn, struct bm_change *c, size_t step, uint64_t chunk)
{
        const struct bm_found *f = &txn->steps[step].found;
        struct bm_patches *p;
        int again = 0;
        if (!f->there || f->slot.count == 0)
                return 0;
        p = take_patches(c, step);
        if (!p)
                return -ENOMEM;
        p->bits = f->slot.count;
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++) {
                if (!(p->bits & bm_piece_bit(i)))
                        continue;
                int r = bm_patch_more(txn, c->head.data_id, chunk, i, p->keys[i], &p->steps[i]);
                if (r != 0 && r != BM_E_AGAIN)
                        return r;
                again |= r;
        }
        return again;
}

/* Puts a patch in its place, LEN bytes. */
static int lay_over(const struct bm_change *c, struct bm_step *s, uint8_t *bytes, uint32_t len)
{
        if (!s->found.there)
                return mismatch(c);
        int r = bm_found_verify(&s->target, &s->found);
        if (r != 0)
                return r;
        if (s->found.record.value_len != len)
                return mismatch(c);
        memcpy(bytes, s->found.record.value, len);
        return 0;
}

int bm_patches_compose(struct bm_txn *txn, struct bm_change *c, size_t step, const uint8_t **bytes,
                       uint32_t len)
{
        struct bm_patches *p = patches_of(c, step);
        int r = 0;
        const struct bm_record *record = &txn->steps[step].found.record;
        if (bm_chunk_needs(record) & ~(p ? p->bits : 0))
                return mismatch(c);
        if (!p)
                return 0;
        if (!p->bytes)
                p->bytes = malloc(BM_CHUNK);
        if (!p->bytes)
                return -ENOMEM;
        if (record->value_len)
                memcpy(p->bytes, *bytes, record->value_len);
        for (unsigned i = 0; i < BM_CHUNK_PIECES && r == 0; i++) {
                if (p->bits & bm_piece_bit(i))
                        r = lay_over(c, &txn->steps[p->steps[i]],
                                     p->bytes + ((size_t)i << BM_PATCH_LOG2), bm_piece_len(len, i));
        }
        *bytes = p->bytes;
        return r;
}

void bm_patches_delete(struct bm_txn *txn, struct bm_change *c, size_t step)
{
        const struct bm_patches *p = patches_of(c, step);
        for (unsigned i = 0; p && i < BM_CHUNK_PIECES; i++) {
                if (p->bits & bm_piece_bit(i) && txn->steps[p->steps[i]].found.there)
                        txn->steps[p->steps[i]].action = BM_ACT_DELETE;
        }
}

void bm_patches_reset(struct bm_change *c)
{
        for (struct bm_patches *p = c->patches; p; p = p->next)
                p->step = NO_STEP;
}

void bm_patches_free(struct bm_change *c)
{
        while (c->patches) {
                struct bm_patches *p = c->patches;
                c->patches = p->next;
                free(p->bytes);
                free(p);
        }
}
