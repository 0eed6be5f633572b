/* SPDX-License-Identifier: MIT */
/*
 * Patches of chunks: each is there that its chunk's slot says to be, and no
 * other. Both are looked at under their locks, so a change in between never
 * looks like a fault.
 */
#include <errno.h>
#include <inttypes.h>

#include "check_private.h"
#include "lookup.h"
#include "patch.h"
#include "store.h"

/* A chunk and all patches that it may have. */
struct family {
        uint8_t keys[1 + BM_CHUNK_PIECES][BM_CHUNK_KEY];
        struct bm_target targets[1 + BM_CHUNK_PIECES];
};

static int family_init(struct family *f, struct bm_store *store, uint64_t data_id, uint64_t chunk)
{
        bm_chunk_key(data_id, chunk, f->keys[0]);
        int r = bm_target_init(&f->targets[0], store->chunks, f->keys[0], BM_CHUNK_KEY);
        for (unsigned i = 0; i < BM_CHUNK_PIECES && r == 0; i++) {
                bm_patch_key(data_id, chunk, i, f->keys[1 + i]);
                r = bm_target_init(&f->targets[1 + i], store->patches, f->keys[1 + i],
                                   BM_CHUNK_KEY);
        }
        /* what is damaged is reported as that, by the walk of its map */
        for (unsigned i = 0; i < 1 + BM_CHUNK_PIECES; i++)
                f->targets[i].trust = BM_TRUST_KEY;
        return r;
}

/* Locked. Whether a patch is what the bit and the length of its chunk say. */
static bool agrees(const struct bm_found *chunk, const struct bm_found *patch, unsigned piece)
{
        const bool said = chunk->there && chunk->slot.count & bm_piece_bit(piece);
        if (chunk->there && !said && bm_chunk_needs(&chunk->record) & bm_piece_bit(piece))
                return false;
        if (!said || !patch->there)
                return said == patch->there;
        return patch->record.value_len == bm_piece_len(bm_chunk_len(&chunk->record), piece);
}

int bm_check_patches_of(struct bm_checker *c, uint64_t data_id, uint64_t chunk, unsigned piece)
{
        struct bm_read_lock lock;
        struct bm_found found, patch;
        struct family f;
        const unsigned first = piece < BM_CHUNK_PIECES ? piece : 0;
        const unsigned last = piece < BM_CHUNK_PIECES ? piece : BM_CHUNK_PIECES - 1;
        uint32_t bad = 0;
        int r = family_init(&f, c->store, data_id, chunk);
        if (r != 0)
                return r;
        bm_read_lock_all(&lock, f.targets, 1 + BM_CHUNK_PIECES);
        r = bm_target_find(&f.targets[0], &found);
        for (unsigned i = first; i <= last && r == 0; i++) {
                int one = bm_target_find(&f.targets[1 + i], &patch);
                if (one == 0 && !agrees(&found, &patch, i))
                        bad |= bm_piece_bit(i);
                if (one < 0 && one != -EIO)
                        r = one;
        }
        bm_read_unlock(&lock);
        for (unsigned i = first; i <= last && r == 0; i++) {
                if (bad & bm_piece_bit(i))
                        bm_check_report(c, BM_CHECK_STRUCTURE, NULL,
                                        "chunk %" PRIu64 " of data id %" PRIu64
                                        " does not agree with the patch of its piece %u",
                                        chunk, data_id, i);
        }
        return r == -EIO ? 0 : r;
}

static int visit_patch(struct bm_check_walk *w, const struct bm_check_slot *slot)
{
        struct bm_check_part part;
        int r = bm_check_part(w, slot, true, &part);
        if (r != 0 || !part.whole)
                return r;
        return bm_check_patches_of(w->check, part.data_id, part.number / BM_CHUNK_PIECES,
                                   (unsigned)(part.number % BM_CHUNK_PIECES));
}

int bm_check_patches(struct bm_checker *c)
{
        return bm_check_walk_map(c, BM_MAP_PATCHES, "", visit_patch);
}
