/* SPDX-License-Identifier: MIT */
/* The manifest's root and the rows of its tables (segments: format_segment.c).
 * FORMAT.md, "Manifest". */
#include "base/intmath.h"
#include "format_page.h"

/* Root */

enum {
        AT_STORE_UUID = 8,
        AT_GENERATION = 24,
        AT_EPOCH = 32,
        AT_FLAGS = 40,
        AT_REPLAY_FROM = 48,
        AT_COVERED = 56,
        AT_NEXT_RECORD = 64,
        AT_NEXT_MAP = 72,
        AT_NEXT_DATA = 80,
        AT_NEXT_SEGMENT = 88,
        AT_TABLES = 96,
        AT_KEYS = 256,
        AT_MAPS = 264,
        AT_VALUE_BYTES = 272,
        AT_ZEROS = 280,
        EXTENT_FILE_ID = 0,
        EXTENT_PAD = 4,
        EXTENT_OFFSET = 8,
        EXTENT_LENGTH = 16,
        EXTENT_CHECKSUM = 24,
        EXTENT_BYTES = 32,
};

_Static_assert(AT_STORE_UUID - BM_PAGE_MAGIC == 0 && AT_STORE_UUID + BM_UUID == AT_GENERATION,
               "no gap");
_Static_assert(AT_GENERATION + 3 * 8 == AT_REPLAY_FROM && AT_REPLAY_FROM + 6 * 8 == AT_TABLES,
               "no gap");
_Static_assert(AT_TABLES + BM_TABLES * EXTENT_BYTES == AT_KEYS && AT_KEYS + 3 * 8 == AT_ZEROS,
               "no gap");
_Static_assert(EXTENT_FILE_ID + 4 == EXTENT_PAD && EXTENT_PAD + 4 == EXTENT_OFFSET &&
                       EXTENT_CHECKSUM + 8 == EXTENT_BYTES,
               "no gap");
_Static_assert(AT_ZEROS <= BM_MANIFEST_ROOT - BM_PAGE_CHECKSUM, "it fits");

#define FLAG_CLEAN  UINT64_C(1)
#define FLAGS_KNOWN FLAG_CLEAN

enum { BUCKETS_LOG2_MAX = 16, HASH_BITS = 64, LINE_SLOTS = 4 };

void bm_manifest_encode(const struct bm_manifest *m, uint8_t out[BM_MANIFEST_ROOT])
{
        bm_page_begin(out, BM_MANIFEST_ROOT, BM_MAGIC_MANIFEST);
        memcpy(out + AT_STORE_UUID, m->store_uuid, BM_UUID);
        bm_store_le64(out + AT_GENERATION, m->generation);
        bm_store_le64(out + AT_EPOCH, m->epoch);
        bm_store_le64(out + AT_FLAGS, m->clean ? FLAG_CLEAN : 0);
        bm_store_le64(out + AT_REPLAY_FROM, m->replay_from);
        bm_store_le64(out + AT_COVERED, m->covered);
        bm_store_le64(out + AT_NEXT_RECORD, m->next_record);
        bm_store_le64(out + AT_NEXT_MAP, m->next_map);
        bm_store_le64(out + AT_NEXT_DATA, m->next_data);
        bm_store_le64(out + AT_NEXT_SEGMENT, m->next_segment);
        for (unsigned i = 0; i < BM_TABLES; i++) {
                uint8_t *p = out + AT_TABLES + (size_t)i * EXTENT_BYTES;

                bm_store_le32(p + EXTENT_FILE_ID, m->tables[i].file_id);
                bm_store_le64(p + EXTENT_OFFSET, m->tables[i].offset);
                bm_store_le64(p + EXTENT_LENGTH, m->tables[i].length);
                bm_store_le64(p + EXTENT_CHECKSUM, m->tables[i].checksum);
        }
        bm_store_le64(out + AT_KEYS, m->keys);
        bm_store_le64(out + AT_MAPS, m->maps);
        bm_store_le64(out + AT_VALUE_BYTES, m->value_bytes);
        bm_page_seal(out, BM_MANIFEST_ROOT);
}

static bool extent_ok(const struct bm_extent *e)
{
        return e->file_id <= BM_FILE_ID_MAX && bm_range_ok(e->offset, e->length, INT64_MAX);
}

int bm_manifest_decode(struct bm_manifest *m, const uint8_t in[BM_MANIFEST_ROOT])
{
        uint64_t flags;

        if (bm_all_zero(in, BM_MANIFEST_ROOT))
                return BM_E_NOT_FOUND;
        if (!bm_page_has_magic(in, BM_MAGIC_MANIFEST) || !bm_page_is_sound(in, BM_MANIFEST_ROOT))
                return BM_E_DAMAGED;
        flags = bm_load_le64(in + AT_FLAGS);
        *m = (struct bm_manifest){
                .generation = bm_load_le64(in + AT_GENERATION),
                .epoch = bm_load_le64(in + AT_EPOCH),
                .clean = flags & FLAG_CLEAN,
                .replay_from = bm_load_le64(in + AT_REPLAY_FROM),
                .covered = bm_load_le64(in + AT_COVERED),
                .next_record = bm_load_le64(in + AT_NEXT_RECORD),
                .next_map = bm_load_le64(in + AT_NEXT_MAP),
                .next_data = bm_load_le64(in + AT_NEXT_DATA),
                .next_segment = bm_load_le64(in + AT_NEXT_SEGMENT),
                .keys = bm_load_le64(in + AT_KEYS),
                .maps = bm_load_le64(in + AT_MAPS),
                .value_bytes = bm_load_le64(in + AT_VALUE_BYTES),
        };
        memcpy(m->store_uuid, in + AT_STORE_UUID, BM_UUID);
        for (unsigned i = 0; i < BM_TABLES; i++) {
                const uint8_t *p = in + AT_TABLES + (size_t)i * EXTENT_BYTES;

                m->tables[i] = (struct bm_extent){
                        .file_id = bm_load_le32(p + EXTENT_FILE_ID),
                        .offset = bm_load_le64(p + EXTENT_OFFSET),
                        .length = bm_load_le64(p + EXTENT_LENGTH),
                        .checksum = bm_load_le64(p + EXTENT_CHECKSUM),
                };
                if (!extent_ok(&m->tables[i]))
                        return BM_E_DAMAGED;
        }
        if ((flags & ~FLAGS_KNOWN) || m->replay_from > m->covered ||
            (m->clean && m->replay_from != m->covered) || m->next_record < 2 ||
            m->next_map < BM_MAP_FIRST || m->next_data == 0 ||
            m->next_segment > bm_pos_number(UINT64_MAX))
                return BM_E_DAMAGED;
        return 0;
}

/* Map row */

enum {
        MAP_ID = 0,
        MAP_PARENT = 8,
        MAP_RECORD = 16,
        MAP_N_KEYS = 24,
        MAP_N_MAPS = 32,
        MAP_VALUE_BYTES = 40,
        MAP_CHANGED = 48,
        MAP_BUCKETS_LOG2 = 56,
        MAP_ZEROS = 57,
};

_Static_assert(MAP_CHANGED + 8 == MAP_BUCKETS_LOG2 && MAP_BUCKETS_LOG2 + 1 == MAP_ZEROS &&
                       MAP_ZEROS + 7 == BM_MAP_ROW,
               "no gap");

void bm_map_row_encode(const struct bm_map_row *r, uint8_t out[BM_MAP_ROW])
{
        memset(out, 0, BM_MAP_ROW);
        bm_store_le64(out + MAP_ID, r->map_id);
        bm_store_le64(out + MAP_PARENT, r->parent_id);
        bm_store_le64(out + MAP_RECORD, r->record_id);
        bm_store_le64(out + MAP_N_KEYS, r->n_keys);
        bm_store_le64(out + MAP_N_MAPS, r->n_maps);
        bm_store_le64(out + MAP_VALUE_BYTES, r->value_bytes);
        bm_store_le64(out + MAP_CHANGED, (uint64_t)r->changed_ns);
        out[MAP_BUCKETS_LOG2] = r->buckets_log2;
}

int bm_map_row_decode(struct bm_map_row *r, const uint8_t in[BM_MAP_ROW])
{
        *r = (struct bm_map_row){
                .map_id = bm_load_le64(in + MAP_ID),
                .parent_id = bm_load_le64(in + MAP_PARENT),
                .record_id = bm_load_le64(in + MAP_RECORD),
                .n_keys = bm_load_le64(in + MAP_N_KEYS),
                .n_maps = bm_load_le64(in + MAP_N_MAPS),
                .value_bytes = bm_load_le64(in + MAP_VALUE_BYTES),
                .changed_ns = (int64_t)bm_load_le64(in + MAP_CHANGED),
                .buckets_log2 = in[MAP_BUCKETS_LOG2],
        };
        /* the counters are check's to judge: one that drifted keeps no store shut */
        if (r->map_id == 0 || r->buckets_log2 > BUCKETS_LOG2_MAX)
                return BM_E_DAMAGED;
        return 0;
}

/* Bucket row */

enum {
        BUCKET_MAP_ID = 0,
        BUCKET_VALUE_BYTES = 8,
        BUCKET_N_MAPS = 16,
        BUCKET_APPLIED = 24,
        BUCKET_NUMBER = 32,
        BUCKET_N_BLOCKS = 36,
};

_Static_assert(BUCKET_N_BLOCKS + 4 == BM_BUCKET_ROW, "no gap");

void bm_bucket_row_encode(const struct bm_bucket_row *r, uint8_t out[BM_BUCKET_ROW])
{
        bm_store_le64(out + BUCKET_MAP_ID, r->map_id);
        bm_store_le64(out + BUCKET_VALUE_BYTES, r->value_bytes);
        bm_store_le64(out + BUCKET_N_MAPS, r->n_maps);
        bm_store_le64(out + BUCKET_APPLIED, r->applied);
        bm_store_le32(out + BUCKET_NUMBER, r->bucket);
        bm_store_le32(out + BUCKET_N_BLOCKS, r->n_blocks);
}

int bm_bucket_row_decode(struct bm_bucket_row *r, const uint8_t in[BM_BUCKET_ROW])
{
        r->map_id = bm_load_le64(in + BUCKET_MAP_ID);
        r->value_bytes = bm_load_le64(in + BUCKET_VALUE_BYTES);
        r->n_maps = bm_load_le64(in + BUCKET_N_MAPS);
        r->applied = bm_load_le64(in + BUCKET_APPLIED);
        r->bucket = bm_load_le32(in + BUCKET_NUMBER);
        r->n_blocks = bm_load_le32(in + BUCKET_N_BLOCKS);
        return r->map_id != 0 && r->bucket < 1u << BUCKETS_LOG2_MAX ? 0 : BM_E_DAMAGED;
}

/* Block row */

enum {
        BLOCK_FILE_ID = 0,
        BLOCK_OFFSET = 4,
        BLOCK_LINES = 8,
        BLOCK_LIVE = 10,
        BLOCK_DEPTH = 12,
        BLOCK_FLAGS = 13,
        BLOCK_CHECK = 14,
};

_Static_assert(BLOCK_LINES + 2 == BLOCK_LIVE && BLOCK_LIVE + 2 == BLOCK_DEPTH &&
                       BLOCK_CHECK + 2 == BM_BLOCK_ROW,
               "no gap");

void bm_block_row_encode(const struct bm_block_row *r, uint8_t out[BM_BLOCK_ROW])
{
        bm_store_le32(out + BLOCK_FILE_ID, r->file_id);
        bm_store_le32(out + BLOCK_OFFSET, r->offset_units);
        bm_store_le16(out + BLOCK_LINES, r->lines);
        bm_store_le16(out + BLOCK_LIVE, r->live);
        out[BLOCK_DEPTH] = r->depth;
        out[BLOCK_FLAGS] = r->flags;
        bm_store_le16(out + BLOCK_CHECK, r->check);
}

int bm_block_row_decode(struct bm_block_row *r, const uint8_t in[BM_BLOCK_ROW])
{
        *r = (struct bm_block_row){
                .file_id = bm_load_le32(in + BLOCK_FILE_ID),
                .offset_units = bm_load_le32(in + BLOCK_OFFSET),
                .lines = bm_load_le16(in + BLOCK_LINES),
                .live = bm_load_le16(in + BLOCK_LIVE),
                .depth = in[BLOCK_DEPTH],
                .flags = in[BLOCK_FLAGS],
                .check = bm_load_le16(in + BLOCK_CHECK),
        };
        /* sizes and tiling are the index's to judge */
        if (r->file_id > BM_FILE_ID_MAX || r->lines == 0 || r->live > r->lines * LINE_SLOTS ||
            r->depth > HASH_BITS || (r->flags & ~BM_BLOCK_CHAINED))
                return BM_E_DAMAGED;
        return 0;
}

/* Count row */

enum { COUNT_RECORD_ID = 0, COUNT_COUNT = 8 };

_Static_assert(COUNT_COUNT + 8 == BM_COUNT_ROW, "no gap");

void bm_count_row_encode(const struct bm_count_row *r, uint8_t out[BM_COUNT_ROW])
{
        bm_store_le64(out + COUNT_RECORD_ID, r->record_id);
        bm_store_le64(out + COUNT_COUNT, r->count);
}

int bm_count_row_decode(struct bm_count_row *r, const uint8_t in[BM_COUNT_ROW])
{
        r->record_id = bm_load_le64(in + COUNT_RECORD_ID);
        r->count = bm_load_le64(in + COUNT_COUNT);
        return r->record_id != 0 && r->count <= BM_COUNT_MAX ? 0 : BM_E_DAMAGED;
}
