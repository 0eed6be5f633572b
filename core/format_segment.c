/* SPDX-License-Identifier: MIT */
/* Segments: the header of the file, its row in the manifest's table, and the
 * seal that leads from one log segment to the next. FORMAT.md, "Segments". */
#include "format_page.h"

/* Header */

enum {
        HEADER_STORE_UUID = 8,
        HEADER_KIND = 24,
        HEADER_SIZE_LOG2 = 25,
        HEADER_DRIVE = 26,
        HEADER_FILE_ID = 28,
        HEADER_NUMBER = 32,
        HEADER_EPOCH = 40,
        HEADER_SALT = 48,
        HEADER_DURABLE = 56,
        HEADER_BASE_TIME = 64,
        HEADER_ZEROS = 72,
};

_Static_assert(HEADER_STORE_UUID - BM_PAGE_MAGIC == 0 && HEADER_STORE_UUID + BM_UUID == HEADER_KIND,
               "no gap");
_Static_assert(HEADER_DRIVE + 2 == HEADER_FILE_ID && HEADER_FILE_ID + 4 == HEADER_NUMBER, "no gap");
_Static_assert(HEADER_NUMBER + 5 * 8 == HEADER_ZEROS, "no gap");
_Static_assert(HEADER_ZEROS <= BM_SEGMENT_HEADER - BM_PAGE_CHECKSUM, "it fits");
_Static_assert(BM_SEGMENT_LOG2_MAX < BM_POS_OFFSET_BITS, "a position holds any offset");

void bm_segment_header_encode(const struct bm_segment_header *h, uint8_t out[BM_SEGMENT_HEADER])
{
        bm_page_begin(out, BM_SEGMENT_HEADER, BM_MAGIC_SEGMENT);
        memcpy(out + HEADER_STORE_UUID, h->store_uuid, BM_UUID);
        out[HEADER_KIND] = h->kind;
        out[HEADER_SIZE_LOG2] = h->size_log2;
        bm_store_le16(out + HEADER_DRIVE, h->drive);
        bm_store_le32(out + HEADER_FILE_ID, h->file_id);
        bm_store_le64(out + HEADER_NUMBER, h->number);
        bm_store_le64(out + HEADER_EPOCH, h->epoch);
        bm_store_le64(out + HEADER_SALT, h->salt);
        bm_store_le64(out + HEADER_DURABLE, h->durable);
        bm_store_le64(out + HEADER_BASE_TIME, (uint64_t)h->base_time);
        bm_page_seal(out, BM_SEGMENT_HEADER);
}

int bm_segment_header_decode(struct bm_segment_header *h, const uint8_t in[BM_SEGMENT_HEADER])
{
        if (bm_all_zero(in, BM_SEGMENT_HEADER))
                return BM_E_NOT_FOUND;
        if (!bm_page_has_magic(in, BM_MAGIC_SEGMENT) || !bm_page_is_sound(in, BM_SEGMENT_HEADER))
                return BM_E_DAMAGED;
        *h = (struct bm_segment_header){
                .kind = in[HEADER_KIND],
                .size_log2 = in[HEADER_SIZE_LOG2],
                .drive = bm_load_le16(in + HEADER_DRIVE),
                .file_id = bm_load_le32(in + HEADER_FILE_ID),
                .number = bm_load_le64(in + HEADER_NUMBER),
                .epoch = bm_load_le64(in + HEADER_EPOCH),
                .salt = bm_load_le64(in + HEADER_SALT),
                .durable = bm_load_le64(in + HEADER_DURABLE),
                .base_time = (int64_t)bm_load_le64(in + HEADER_BASE_TIME),
        };
        memcpy(h->store_uuid, in + HEADER_STORE_UUID, BM_UUID);
        if (!bm_segment_fields_ok(h->kind, h->size_log2, h->drive, h->file_id) ||
            h->number > bm_pos_number(UINT64_MAX))
                return BM_E_DAMAGED;
        return 0;
}

/* Row */

enum {
        ROW_FILE_ID = 0,
        ROW_DRIVE = 4,
        ROW_KIND = 6,
        ROW_SIZE_LOG2 = 7,
        ROW_STATE = 8,
        ROW_PAD = 9,
        ROW_NUMBER = 16,
        ROW_SALT = 24,
        ROW_USED = 32,
        ROW_LIVE_BYTES = 40,
        ROW_KEPT_BYTES = 48,
        ROW_N_PUTS = 56,
        ROW_N_LIVE = 60,
        ROW_LOWEST_VERSION = 64,
        ROW_KEPT_VERSION = 72,
        ROW_BASE_TIME = 80,
        ROW_ZEROS = 88,
};

_Static_assert(ROW_FILE_ID + 4 == ROW_DRIVE && ROW_DRIVE + 2 == ROW_KIND, "no gap");
_Static_assert(ROW_STATE + 1 == ROW_PAD && ROW_PAD + 7 == ROW_NUMBER, "no gap");
_Static_assert(ROW_NUMBER + 5 * 8 == ROW_N_PUTS && ROW_N_LIVE + 4 == ROW_LOWEST_VERSION, "no gap");
_Static_assert(ROW_LOWEST_VERSION + 3 * 8 == ROW_ZEROS && ROW_ZEROS + 8 == BM_SEGMENT_ROW,
               "no gap");

void bm_segment_row_encode(const struct bm_segment_row *r, uint8_t out[BM_SEGMENT_ROW])
{
        memset(out, 0, BM_SEGMENT_ROW);
        bm_store_le32(out + ROW_FILE_ID, r->file_id);
        bm_store_le16(out + ROW_DRIVE, r->drive);
        out[ROW_KIND] = r->kind;
        out[ROW_SIZE_LOG2] = r->size_log2;
        out[ROW_STATE] = r->state;
        bm_store_le64(out + ROW_NUMBER, r->number);
        bm_store_le64(out + ROW_SALT, r->salt);
        bm_store_le64(out + ROW_USED, r->used);
        bm_store_le64(out + ROW_LIVE_BYTES, r->live_bytes);
        bm_store_le64(out + ROW_KEPT_BYTES, r->kept_bytes);
        bm_store_le32(out + ROW_N_PUTS, r->n_puts);
        bm_store_le32(out + ROW_N_LIVE, r->n_live);
        bm_store_le64(out + ROW_LOWEST_VERSION, r->lowest_version);
        bm_store_le64(out + ROW_KEPT_VERSION, r->kept_version);
        bm_store_le64(out + ROW_BASE_TIME, (uint64_t)r->base_time);
}

/* The counters are not held against each other: they only choose what to look
 * at, and drift after a crash. */
int bm_segment_row_decode(struct bm_segment_row *r, const uint8_t in[BM_SEGMENT_ROW])
{
        *r = (struct bm_segment_row){
                .file_id = bm_load_le32(in + ROW_FILE_ID),
                .drive = bm_load_le16(in + ROW_DRIVE),
                .kind = in[ROW_KIND],
                .size_log2 = in[ROW_SIZE_LOG2],
                .state = in[ROW_STATE],
                .number = bm_load_le64(in + ROW_NUMBER),
                .salt = bm_load_le64(in + ROW_SALT),
                .used = bm_load_le64(in + ROW_USED),
                .live_bytes = bm_load_le64(in + ROW_LIVE_BYTES),
                .kept_bytes = bm_load_le64(in + ROW_KEPT_BYTES),
                .n_puts = bm_load_le32(in + ROW_N_PUTS),
                .n_live = bm_load_le32(in + ROW_N_LIVE),
                .lowest_version = bm_load_le64(in + ROW_LOWEST_VERSION),
                .kept_version = bm_load_le64(in + ROW_KEPT_VERSION),
                .base_time = (int64_t)bm_load_le64(in + ROW_BASE_TIME),
        };
        if (!bm_segment_fields_ok(r->kind, r->size_log2, r->drive, r->file_id) ||
            r->number > bm_pos_number(UINT64_MAX) || r->used > INT64_MAX ||
            (r->size_log2 && r->used > UINT64_C(1) << r->size_log2))
                return BM_E_DAMAGED;
        return 0;
}

/* Seal */

enum { SEAL_NUMBER = 0, SEAL_SALT = 8, SEAL_FILE_ID = 16, SEAL_ZEROS = 20 };

_Static_assert(SEAL_SALT + 8 == SEAL_FILE_ID && SEAL_ZEROS + 4 == BM_SEAL_BYTES, "no gap");

void bm_seal_encode(const struct bm_seal *s, uint8_t out[BM_SEAL_BYTES])
{
        memset(out, 0, BM_SEAL_BYTES);
        bm_store_le64(out + SEAL_NUMBER, s->next_number);
        bm_store_le64(out + SEAL_SALT, s->next_salt);
        bm_store_le32(out + SEAL_FILE_ID, s->next_file_id);
}

int bm_seal_decode(struct bm_seal *s, const uint8_t *in, size_t len)
{
        if (len != BM_SEAL_BYTES)
                return BM_E_DAMAGED;
        s->next_number = bm_load_le64(in + SEAL_NUMBER);
        s->next_salt = bm_load_le64(in + SEAL_SALT);
        s->next_file_id = bm_load_le32(in + SEAL_FILE_ID);
        if (s->next_number > bm_pos_number(UINT64_MAX) || s->next_file_id > BM_FILE_ID_MAX ||
            !bm_all_zero(in + SEAL_ZEROS, BM_SEAL_BYTES - SEAL_ZEROS))
                return BM_E_DAMAGED;
        return 0;
}
