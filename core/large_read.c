/* SPDX-License-Identifier: MIT */
/* Reading a part of a value, inline or in chunks. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/intmath.h"
#include "large.h"
#include "lookup.h"
#include "patch.h"
#include "store.h"
#include "unreadable.h"

struct read {
        const struct bm_ref *ref;
        struct bm_target target;
        uint64_t data_id; /* of the head as last seen; 0: not seen yet */
        uint64_t chunk;   /* the one whose patches, as last seen, are in BITS */
        uint32_t bits;
        uint64_t offset;
        uint8_t *buf;
        size_t len, done;
        bool end;
};

/* Locked. LEN bytes from OFFSET of what is SIZE bytes long, of which the first
 * HAVE are at BYTES and the rest are zeros. */
static void copy_out(struct read *rd, const uint8_t *bytes, uint64_t have, uint64_t offset,
                     size_t len)
{
        size_t copied = offset < have ? bm_min_u64(len, have - offset) : 0;
        if (copied)
                memcpy(rd->buf + rd->done, bytes + offset, copied);
        memset(rd->buf + rd->done + copied, 0, len - copied);
        rd->done += len;
        rd->offset += len;
}

/* Locked. What the value has at the offset, at most to the end of its size. */
static size_t clamp_len(struct read *rd, uint64_t size)
{
        uint64_t left = rd->offset < size ? size - rd->offset : 0;
        size_t len = bm_min_u64(rd->len - rd->done, left);
        rd->end = len == 0;
        return len;
}

/* A chunk, and its patches that are locked with it. */
struct parts {
        uint8_t keys[1 + BM_CHUNK_PIECES][BM_CHUNK_KEY];
        struct bm_target targets[1 + BM_CHUNK_PIECES]; /* the chunk's, then those of BITS */
        size_t n;
        uint64_t chunk;
        uint32_t wanted, bits; /* pieces: to be read now; with a patch that is locked */
};

static int find_parts(const struct read *rd, struct parts *p)
{
        struct bm_store *store = rd->ref->map->store;
        const uint64_t within = rd->offset & (BM_CHUNK - 1);
        const uint64_t end = bm_min_u64(BM_CHUNK, within + (rd->len - rd->done));
        p->chunk = rd->offset >> BM_CHUNK_LOG2;
        p->n = 1;
        bm_chunk_key(rd->data_id, p->chunk, p->keys[0]);
        int r = bm_target_init(&p->targets[0], store->chunks, p->keys[0], BM_CHUNK_KEY);
        p->targets[0].trust = BM_TRUST_PATCHED;
        p->wanted = end > within ? bm_piece_bits((unsigned)(within >> BM_PATCH_LOG2),
                                                 (unsigned)((end - 1) >> BM_PATCH_LOG2))
                                 : 0;
        p->bits = rd->chunk == p->chunk ? rd->bits & p->wanted : 0;
        for (unsigned i = 0; p->bits >> i && r == 0; i++) {
                if (!(p->bits & bm_piece_bit(i)))
                        continue;
                bm_patch_key(rd->data_id, p->chunk, i, p->keys[p->n]);
                r = bm_target_init(&p->targets[p->n], store->patches, p->keys[p->n], BM_CHUNK_KEY);
                p->n++;
        }
        return r;
}

/* Locked. What the chunk's own bytes say at the offset. */
static int read_own(struct read *rd, const struct parts *p, struct bm_found *chunk, bool *verified,
                    size_t len)
{
        int r = *verified ? 0 : bm_found_verify(&p->targets[0], chunk);
        if (r != 0)
                return r;
        *verified = true;
        copy_out(rd, chunk->record.value, chunk->record.value_len, rd->offset & (BM_CHUNK - 1),
                 len);
        return bm_record_intact(&chunk->record) ? 0 : -EIO;
}

static int lost(const struct read *rd)
{
        bm_store_log(rd->ref->map->store, BM_LOG_ERROR, "a part of the value %" PRIu64 " is lost",
                     rd->data_id);
        return -EIO;
}

/* Locked. */
static int read_patch(struct read *rd, const struct bm_target *target, size_t len)
{
        struct bm_found found;
        int r = bm_target_find(target, &found);
        if (r != 0)
                return r;
        if (!found.there)
                return lost(rd);
        copy_out(rd, found.record.value, found.record.value_len, rd->offset & (BM_PATCH - 1), len);
        return bm_record_intact(&found.record) ? 0 : -EIO;
}

/* Locked. LEN bytes of a chunk, BITS of whose pieces have patches. */
static int read_pieces(struct read *rd, const struct parts *p, struct bm_found *chunk,
                       bool verified, uint32_t bits, size_t len)
{
        const struct bm_target *patch = &p->targets[1];
        int r = 0;
        while (len > 0 && r == 0) {
                unsigned piece = (unsigned)(rd->offset >> BM_PATCH_LOG2) % BM_CHUNK_PIECES;
                const bool patched = bits >> piece & 1;
                size_t run = BM_PATCH - (rd->offset & (BM_PATCH - 1));
                while (!patched && run < len && !(bits >> ++piece & 1))
                        run += BM_PATCH;
                run = run < len ? run : len;
                r = patched ? read_patch(rd, patch++, run) : read_own(rd, p, chunk, &verified, run);
                len -= run;
        }
        return r;
}

static int read_chunk(struct read *rd, const struct bm_head *head, const struct parts *p)
{
        const uint64_t within = rd->offset & (BM_CHUNK - 1);
        const size_t len = bm_min_u64(clamp_len(rd, head->size), BM_CHUNK - within);
        struct bm_found found;
        if (rd->end)
                return 0;
        int r = bm_target_find(&p->targets[0], &found);
        if (r < 0)
                return r;
        bool verified = !found.there || found.slot.count == 0;
        if (!verified && !bm_head_has(head, p->chunk, 0)) {
                r = bm_found_verify(&p->targets[0], &found); /* its generation counts */
                verified = true;
        }
        if (r < 0)
                return r;
        if (!found.there || !bm_head_has(head, p->chunk, bm_chunk_generation(&found.record))) {
                copy_out(rd, NULL, 0, within, len);
                return found.there && !bm_record_intact(&found.record) ? -EIO : 0;
        }
        if (bm_chunk_needs(&found.record) & ~found.slot.count)
                return lost(rd);
        if ((found.slot.count & p->wanted) != p->bits) {
                rd->chunk = p->chunk; /* another try, with the right locks */
                rd->bits = found.slot.count;
                return 0;
        }
        return read_pieces(rd, p, &found, verified, p->bits, len);
}

/* One step: an inline value whole, or a part of one chunk. The head is looked
 * up again with each chunk, so that a value that is cut or replaced meanwhile
 * never reads as a hole. */
static int read_some(struct read *rd)
{
        struct parts parts;
        struct bm_lookup lookup;
        struct bm_head head;
        int r = find_parts(rd, &parts);
        if (r == 0)
                r = bm_lookup(rd->ref, &rd->target, parts.targets, rd->data_id ? parts.n : 0,
                              &lookup);
        if (r != 0)
                return r;
        const struct bm_record *record = &lookup.found.record;
        if (record->type == BM_REC_PUT) {
                size_t len = clamp_len(rd, record->value_len);
                copy_out(rd, record->value, record->value_len, rd->offset, len);
                rd->end = true;
        } else if (record->type != BM_REC_HEAD) {
                r = BM_E_IS_MAP;
        } else if (bm_head_decode(&head, record->value, record->value_len) != 0) {
                r = -EIO;
        } else if (head.data_id == rd->data_id) {
                r = read_chunk(rd, &head, &parts);
        } else {
                rd->data_id = head.data_id; /* another try, with the right lock */
                rd->bits = 0;
        }
        if (!bm_record_intact(record))
                r = -EIO;
        bm_read_unlock(&lookup.lock);
        return r;
}

/* What stands in a chunk has no name of its own. */
static void log_failed(const struct read *rd, uint64_t offset)
{
        char text[BM_KEY_TEXT];
        if (bm_map_is_user(rd->ref->map))
                bm_store_log(rd->ref->map->store, BM_LOG_ERROR,
                             "key %s cannot be read from byte %" PRIu64 " on",
                             bm_key_text(rd->ref->key, rd->ref->key_len, text), offset);
}

int bm_read_at(const struct bm_ref *ref, uint64_t offset, void *buf, size_t len, size_t *done)
{
        struct read rd = {.ref = ref, .offset = offset, .buf = buf, .len = len};
        int r = bm_target_init(&rd.target, ref->map, ref->key, ref->key_len);
        size_t good = 0;
        if (r == 0) {
                do { /* at least once: nothing of what is not there is an error too */
                        good = rd.done;
                        r = read_some(&rd);
                } while (r == 0 && !rd.end && rd.done < rd.len);
        }
        if (r == -EIO) {
                rd.done = good;
                log_failed(&rd, offset + good);
        }
        *done = rd.done;
        /* what was read before the record went is still what it was */
        return rd.done > 0 && (r == BM_E_NOT_FOUND || r == BM_E_STALE) ? 0 : r;
}
