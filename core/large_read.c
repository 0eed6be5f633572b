/* SPDX-License-Identifier: MIT */
/* Reading a part of a value, inline or in chunks. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/intmath.h"
#include "large.h"
#include "lookup.h"
#include "store.h"
#include "unreadable.h"

struct read {
        const struct bm_ref *ref;
        struct bm_target target;
        uint64_t data_id; /* of the head as last seen; 0: not seen yet */
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

static int read_chunk(struct read *rd, const struct bm_head *head, const struct bm_target *target)
{
        uint64_t chunk = rd->offset >> BM_CHUNK_LOG2;
        uint64_t within = rd->offset & (BM_CHUNK - 1);
        size_t len = bm_min_u64(clamp_len(rd, head->size), BM_CHUNK - within);
        struct bm_found found;
        if (rd->end)
                return 0;
        int r = bm_target_find(target, &found);
        if (r < 0)
                return r;
        bool alive = found.there && bm_head_has(head, chunk, (uint32_t)found.record.count);
        copy_out(rd, alive ? found.record.value : NULL, alive ? found.record.value_len : 0, within,
                 len);
        return found.there && !bm_record_intact(&found.record) ? -EIO : 0;
}

/* One step: an inline value whole, or a part of one chunk. The head is looked
 * up again with each chunk, so that a value that is cut or replaced meanwhile
 * never reads as a hole. */
static int read_some(struct read *rd)
{
        uint8_t key[BM_CHUNK_KEY];
        struct bm_target chunk;
        struct bm_lookup lookup;
        struct bm_head head;
        bm_chunk_key(rd->data_id, rd->offset >> BM_CHUNK_LOG2, key);
        int r = bm_target_init(&chunk, rd->ref->map->store->chunks, key, sizeof(key));
        if (r == 0)
                r = bm_lookup(rd->ref, &rd->target, rd->data_id ? &chunk : NULL, &lookup);
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
                r = read_chunk(rd, &head, &chunk);
        } else {
                rd->data_id = head.data_id; /* another try, with the right lock */
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
