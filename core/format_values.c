/* SPDX-License-Identifier: MIT */
/* Values and keys of the records that the store itself makes: heads of large
 * values, map entries, drops, chunk keys. FORMAT.md, "Values". */
#include <assert.h>

#include "format_page.h"

enum { BUCKETS_LOG2_MAX = 16 };

/* Head */

enum {
        HEAD_SIZE = 0,
        HEAD_DATA_ID = 8,
        HEAD_ALLOCATED = 16,
        HEAD_GENERATION = 24,
        HEAD_CHUNK_LOG2 = 28,
        HEAD_N_CUTS = 29,
        HEAD_REACH_LOG2 = 30,
        HEAD_ZEROS = 31,
        CUT_FROM = 0,
        CUT_TO = 8,
        CUT_GENERATION = 16,
        CUT_ZEROS = 20,
};

_Static_assert(HEAD_ALLOCATED + 8 == HEAD_GENERATION && HEAD_GENERATION + 4 == HEAD_CHUNK_LOG2 &&
                       HEAD_N_CUTS + 1 == HEAD_REACH_LOG2 && HEAD_REACH_LOG2 + 1 == HEAD_ZEROS &&
                       HEAD_ZEROS + 1 == BM_HEAD_FIXED,
               "no gap");
_Static_assert(CUT_GENERATION + 4 == CUT_ZEROS && CUT_ZEROS + 4 == BM_CUT_SIZE, "no gap");
_Static_assert(1 << BM_CHUNK_LOG2 == BM_CHUNK, "a chunk's size");

uint32_t bm_head_encode(const struct bm_head *h, uint8_t out[BM_HEAD_BYTES_MAX])
{
        uint8_t *p = out + BM_HEAD_FIXED;

        assert(h->n_cuts <= BM_CUTS_MAX);
        memset(out, 0, BM_HEAD_BYTES_MAX);
        bm_store_le64(out + HEAD_SIZE, h->size);
        bm_store_le64(out + HEAD_DATA_ID, h->data_id);
        bm_store_le64(out + HEAD_ALLOCATED, h->allocated);
        bm_store_le32(out + HEAD_GENERATION, h->generation);
        out[HEAD_CHUNK_LOG2] = h->chunk_log2;
        out[HEAD_N_CUTS] = h->n_cuts;
        out[HEAD_REACH_LOG2] = h->reach_log2;
        for (unsigned i = 0; i < h->n_cuts; i++, p += BM_CUT_SIZE) {
                bm_store_le64(p + CUT_FROM, h->cuts[i].from);
                bm_store_le64(p + CUT_TO, h->cuts[i].to);
                bm_store_le32(p + CUT_GENERATION, h->cuts[i].generation);
        }
        return (uint32_t)(p - out);
}

static bool head_ok(const struct bm_head *h)
{
        /* UINT32_MAX is no generation: a drop of all says that */
        return h->size <= BM_VALUE_MAX && h->data_id != 0 && h->allocated <= INT64_MAX &&
               h->generation < UINT32_MAX && h->chunk_log2 == BM_CHUNK_LOG2 &&
               h->reach_log2 <= BM_REACH_MAX;
}

int bm_head_decode(struct bm_head *h, const uint8_t *in, size_t len)
{
        const uint8_t *p = in + BM_HEAD_FIXED;

        if (len < BM_HEAD_FIXED || in[HEAD_N_CUTS] > BM_CUTS_MAX ||
            len != BM_HEAD_FIXED + (size_t)in[HEAD_N_CUTS] * BM_CUT_SIZE)
                return BM_E_DAMAGED;
        *h = (struct bm_head){
                .size = bm_load_le64(in + HEAD_SIZE),
                .data_id = bm_load_le64(in + HEAD_DATA_ID),
                .allocated = bm_load_le64(in + HEAD_ALLOCATED),
                .generation = bm_load_le32(in + HEAD_GENERATION),
                .chunk_log2 = in[HEAD_CHUNK_LOG2],
                .n_cuts = in[HEAD_N_CUTS],
                .reach_log2 = in[HEAD_REACH_LOG2],
        };
        if (!head_ok(h) || !bm_all_zero(in + HEAD_ZEROS, BM_HEAD_FIXED - HEAD_ZEROS))
                return BM_E_DAMAGED;
        for (unsigned i = 0; i < h->n_cuts; i++, p += BM_CUT_SIZE) {
                struct bm_cut *cut = &h->cuts[i];

                cut->from = bm_load_le64(p + CUT_FROM);
                cut->to = bm_load_le64(p + CUT_TO);
                cut->generation = bm_load_le32(p + CUT_GENERATION);
                /* a cut above the head's generation would kill chunks yet to come */
                if (cut->from >= cut->to || cut->generation > h->generation ||
                    !bm_all_zero(p + CUT_ZEROS, BM_CUT_SIZE - CUT_ZEROS))
                        return BM_E_DAMAGED;
        }
        return 0;
}

/* Map entry */

enum { ENTRY_MAP_ID = 0, ENTRY_BUCKETS_LOG2 = 8, ENTRY_ZEROS = 9 };

_Static_assert(ENTRY_MAP_ID + 8 == ENTRY_BUCKETS_LOG2 && ENTRY_BUCKETS_LOG2 + 1 == ENTRY_ZEROS,
               "no gap");
_Static_assert(ENTRY_ZEROS + 7 == BM_MAP_ENTRY_BYTES, "no gap");

void bm_map_entry_encode(const struct bm_map_entry *e, uint8_t out[BM_MAP_ENTRY_BYTES])
{
        memset(out, 0, BM_MAP_ENTRY_BYTES);
        bm_store_le64(out + ENTRY_MAP_ID, e->map_id);
        out[ENTRY_BUCKETS_LOG2] = e->buckets_log2;
}

int bm_map_entry_decode(struct bm_map_entry *e, const uint8_t *in, size_t len)
{
        if (len != BM_MAP_ENTRY_BYTES)
                return BM_E_DAMAGED;
        e->map_id = bm_load_le64(in + ENTRY_MAP_ID);
        e->buckets_log2 = in[ENTRY_BUCKETS_LOG2];
        /* of the maps that every store has only the root stands under a key */
        if ((e->map_id != BM_MAP_ROOT && e->map_id < BM_MAP_FIRST) ||
            e->buckets_log2 > BUCKETS_LOG2_MAX ||
            !bm_all_zero(in + ENTRY_ZEROS, BM_MAP_ENTRY_BYTES - ENTRY_ZEROS))
                return BM_E_DAMAGED;
        return 0;
}

/* Drop */

enum { DROP_KEY_DATA_ID = 0, DROP_KEY_GENERATION = 8, DROP_FROM = 0, DROP_TO = 8 };

_Static_assert(DROP_KEY_GENERATION + 4 == BM_DROP_KEY && DROP_TO + 8 == BM_DROP_BYTES, "no gap");

void bm_drop_encode(const struct bm_drop *d, uint8_t key[BM_DROP_KEY], uint8_t value[BM_DROP_BYTES])
{
        bm_store_le64(key + DROP_KEY_DATA_ID, d->data_id);
        bm_store_le32(key + DROP_KEY_GENERATION, d->generation);
        bm_store_le64(value + DROP_FROM, d->from);
        bm_store_le64(value + DROP_TO, d->to);
}

int bm_drop_decode(struct bm_drop *d, const uint8_t *key, size_t key_len, const uint8_t *value,
                   size_t value_len)
{
        if (key_len != BM_DROP_KEY || value_len != BM_DROP_BYTES)
                return BM_E_DAMAGED;
        d->data_id = bm_load_le64(key + DROP_KEY_DATA_ID);
        d->generation = bm_load_le32(key + DROP_KEY_GENERATION);
        d->from = bm_load_le64(value + DROP_FROM);
        d->to = bm_load_le64(value + DROP_TO);
        return d->data_id != 0 && d->from < d->to ? 0 : BM_E_DAMAGED;
}

/* Chunk key */

enum { CHUNK_DATA_ID = 0, CHUNK_NUMBER = 8 };

_Static_assert(CHUNK_NUMBER + 8 == BM_CHUNK_KEY, "no gap");

void bm_chunk_key(uint64_t data_id, uint64_t chunk, uint8_t out[BM_CHUNK_KEY])
{
        bm_store_le64(out + CHUNK_DATA_ID, data_id);
        bm_store_le64(out + CHUNK_NUMBER, chunk);
}

int bm_chunk_key_decode(const uint8_t *key, size_t key_len, uint64_t *data_id, uint64_t *chunk)
{
        if (key_len != BM_CHUNK_KEY)
                return BM_E_DAMAGED;
        *data_id = bm_load_le64(key + CHUNK_DATA_ID);
        *chunk = bm_load_le64(key + CHUNK_NUMBER);
        return 0;
}
