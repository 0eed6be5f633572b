/* SPDX-License-Identifier: MIT */
/* Cold segments: where compaction puts its copies. */
#include <errno.h>
#include <stdlib.h>

#include "compact_private.h"
#include "space.h"
#include "store.h"

static int make_cold(void *ctx, uint64_t size)
{
        struct bm_store *store = ctx;
        return bm_drives_make(&store->drives, BM_SEGMENT_COLD, size, store->next_cold,
                              store->log.epoch, atomic_load(&store->syncer.durable), &store->cold);
}

int bm_cold_room(struct bm_store *store, uint32_t len)
{
        struct bm_segment *cold = store->cold;
        if (cold && atomic_load(&cold->used) + len <= cold->size)
                return 0;
        if (cold)
                atomic_store(&cold->state, BM_SEGMENT_SEALED);
        store->cold = NULL;
        int r = bm_space_make_cold(store, make_cold, store);
        if (r < 0) {
                store->cold = NULL;
                return r;
        }
        store->next_cold++;
        atomic_store(&store->cold->state, BM_SEGMENT_OPEN);
        return 0;
}

int bm_cold_append(struct bm_store *store, struct bm_record *record, struct bm_location *where)
{
        uint8_t bytes[BM_CHUNK + 1024], *out = bytes;
        record->more = false;
        record->flags |= BM_RECF_VERSION;
        int64_t base_time = store->cold ? store->cold->header.base_time : 0;
        uint32_t len = bm_record_measure(record, base_time);
        /* the time may take more bytes in a segment of another base */
        int r = len == 0 ? -EFBIG : bm_cold_room(store, len + BM_SEAL_ROOM);
        if (r < 0)
                return r;
        struct bm_segment *cold = store->cold;
        len = bm_record_measure(record, cold->header.base_time);
        if (len > sizeof(bytes)) {
                out = malloc(len);
                if (!out)
                        return -ENOMEM;
        }
        uint64_t at = atomic_load(&cold->used);
        bm_record_encode(record, cold->header.base_time, out);
        bm_record_seal(out, record->checked, cold->header.salt, at);
        /* what is copied must not have become zeros on the way */
        r = bm_record_intact(record) ? 0 : -EIO;
        if (r == 0) {
                do
                        r = bm_segment_write(cold, at, out, len);
                while (r == -ENOSPC && bm_space_draw(store, BM_SPACE_PIECE, BM_SPACE_COLD));
        }
        if (out != bytes)
                free(out);
        if (r < 0)
                return r;
        atomic_store_explicit(&cold->used, at + len, memory_order_release);
        *where = (struct bm_location){.segment = cold, .offset = (uint32_t)at, .length = len};
        return 0;
}
