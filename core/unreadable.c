/* SPDX-License-Identifier: MIT */
/* See unreadable.h. */
#include "unreadable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "store.h"

enum { WHOSE = BM_KEY_TEXT + 64, PLACE = 4200 };

const char *bm_key_text(const void *key, size_t len, char out[BM_KEY_TEXT])
{
        const uint8_t *k = key;
        char *p = out;
        *p++ = '"';
        for (size_t i = 0; i < len && i < BM_KEY_MAX; i++) {
                if (k[i] < ' ' || k[i] == 0x7f || k[i] == '"' || k[i] == '\\')
                        p += sprintf(p, "\\x%02x", k[i]);
                else
                        *p++ = (char)k[i];
        }
        *p++ = '"';
        *p = '\0';
        return out;
}

/* With a colon behind it; empty where nothing is known. */
static const char *whose(const struct bm_target *t, char out[WHOSE])
{
        char text[BM_KEY_TEXT];
        uint64_t data_id, chunk;
        out[0] = '\0';
        if (!t)
                return out;
        if (t->map->id == BM_MAP_CHUNKS &&
            bm_chunk_key_decode(t->key, t->key_len, &data_id, &chunk) == 0)
                snprintf(out, WHOSE, "chunk %" PRIu64 " of the value %" PRIu64 ": ", chunk,
                         data_id);
        else if (t->map->id == BM_MAP_PATCHES &&
                 bm_chunk_key_decode(t->key, t->key_len, &data_id, &chunk) == 0)
                snprintf(out, WHOSE, "piece %" PRIu64 " of the value %" PRIu64 ": ", chunk,
                         data_id);
        else if (t->map->id == BM_MAP_ROOT)
                snprintf(out, WHOSE, "key %s: ", bm_key_text(t->key, t->key_len, text));
        else if (t->map->id == BM_MAP_INODES)
                snprintf(out, WHOSE, "record %" PRIu64 ", of several names: ", t->by_record);
        else if (bm_map_is_user(t->map))
                snprintf(out, WHOSE, "key %s of map %" PRIu64 ": ",
                         bm_key_text(t->key, t->key_len, text), t->map->id);
        return out;
}

void bm_log_unreadable(struct bm_store *store, const struct bm_slot *slot, int result,
                       const struct bm_target *wanted)
{
        const struct bm_segment *s = bm_drives_segment(&store->drives, slot->file_id);
        char place[PLACE], name[WHOSE];
        if (!s)
                snprintf(place, sizeof(place), "segment %08" PRIx32 ", which is missing",
                         slot->file_id);
        bm_store_log(store, BM_LOG_ERROR, "%s%s at byte %" PRIu32 " of %s", whose(wanted, name),
                     result == -EIO ? "I/O error" : "damaged record", slot->offset,
                     s ? bm_drives_place(&store->drives, s, place, sizeof(place)) : place);
}
