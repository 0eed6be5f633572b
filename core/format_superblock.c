/* SPDX-License-Identifier: MIT */
/* The superblock: FORMAT.md, "Superblock". */
#include "format_page.h"

enum {
        AT_MAJOR = 8,
        AT_MINOR = 10,
        AT_DRIVE_NUMBER = 12,
        AT_N_DRIVES = 14,
        AT_STORE_UUID = 16,
        AT_DRIVE_UUID = 32,
        AT_INCOMPAT = 48,
        AT_RO_COMPAT = 56,
        AT_COMPAT = 64,
        AT_HASH_ALGORITHM = 72,
        AT_CHECKSUM_ALGORITHM = 73,
        AT_UNIT_LOG2 = 74,
        AT_SEGMENT_LOG2_MAX = 75,
        AT_BUCKETS_LOG2 = 76,
        AT_PAD = 77,
        AT_MAX_SEARCH = 78,
        AT_HASH_SECRET = 80,
        AT_CREATED = 272,
        AT_ZEROS = 280,
};

_Static_assert(AT_MAJOR - BM_PAGE_MAGIC == 0 && AT_N_DRIVES + 2 == AT_STORE_UUID, "no gap");
_Static_assert(AT_STORE_UUID + BM_UUID == AT_DRIVE_UUID, "no gap");
_Static_assert(AT_DRIVE_UUID + BM_UUID == AT_INCOMPAT && AT_COMPAT + 8 == AT_HASH_ALGORITHM,
               "no gap");
_Static_assert(AT_PAD + 1 == AT_MAX_SEARCH && AT_MAX_SEARCH + 2 == AT_HASH_SECRET, "no gap");
_Static_assert(AT_HASH_SECRET + BM_HASH_SECRET == AT_CREATED, "no gap");
_Static_assert(AT_CREATED + 8 == AT_ZEROS, "no gap");
_Static_assert(AT_ZEROS <= BM_SUPERBLOCK - BM_PAGE_CHECKSUM, "it fits");

enum { BUCKETS_LOG2_MAX = 16, SEARCH_MIN = 4, SEARCH_MAX = 1024, SEARCH_STEP = 4 };

void bm_superblock_encode(const struct bm_superblock *sb, uint8_t out[BM_SUPERBLOCK])
{
        bm_page_begin(out, BM_SUPERBLOCK, BM_MAGIC_SUPERBLOCK);
        bm_store_le16(out + AT_MAJOR, sb->major);
        bm_store_le16(out + AT_MINOR, sb->minor);
        bm_store_le16(out + AT_DRIVE_NUMBER, sb->drive_number);
        bm_store_le16(out + AT_N_DRIVES, sb->n_drives);
        memcpy(out + AT_STORE_UUID, sb->store_uuid, BM_UUID);
        memcpy(out + AT_DRIVE_UUID, sb->drive_uuid, BM_UUID);
        bm_store_le64(out + AT_INCOMPAT, sb->incompat);
        bm_store_le64(out + AT_RO_COMPAT, sb->ro_compat);
        bm_store_le64(out + AT_COMPAT, sb->compat);
        out[AT_HASH_ALGORITHM] = sb->hash_algorithm;
        out[AT_CHECKSUM_ALGORITHM] = sb->checksum_algorithm;
        out[AT_UNIT_LOG2] = sb->unit_log2;
        out[AT_SEGMENT_LOG2_MAX] = sb->segment_log2_max;
        out[AT_BUCKETS_LOG2] = sb->buckets_log2;
        bm_store_le16(out + AT_MAX_SEARCH, sb->max_search);
        memcpy(out + AT_HASH_SECRET, sb->hash_secret, BM_HASH_SECRET);
        bm_store_le64(out + AT_CREATED, (uint64_t)sb->created_ns);
        bm_page_seal(out, BM_SUPERBLOCK);
}

static bool fields_ok(const struct bm_superblock *sb)
{
        return sb->n_drives >= 1 && sb->n_drives <= BM_DRIVES_MAX &&
               sb->drive_number < sb->n_drives && sb->unit_log2 == BM_UNIT_LOG2 &&
               sb->segment_log2_max >= BM_SEGMENT_LOG2_MIN &&
               sb->segment_log2_max <= BM_SEGMENT_LOG2_MAX &&
               sb->buckets_log2 <= BUCKETS_LOG2_MAX && sb->max_search >= SEARCH_MIN &&
               sb->max_search <= SEARCH_MAX && sb->max_search % SEARCH_STEP == 0;
}

int bm_superblock_decode(struct bm_superblock *sb, const uint8_t in[BM_SUPERBLOCK])
{
        if (!bm_page_has_magic(in, BM_MAGIC_SUPERBLOCK))
                return BM_E_NOT_A_STORE;
        /* first, for a damaged version number is no newer version: the place and the algorithm
         * of this checksum stay as they are in every format to come */
        if (!bm_page_is_sound(in, BM_SUPERBLOCK))
                return BM_E_DAMAGED;
        *sb = (struct bm_superblock){
                .major = bm_load_le16(in + AT_MAJOR),
                .minor = bm_load_le16(in + AT_MINOR),
                .drive_number = bm_load_le16(in + AT_DRIVE_NUMBER),
                .n_drives = bm_load_le16(in + AT_N_DRIVES),
                .incompat = bm_load_le64(in + AT_INCOMPAT),
                .ro_compat = bm_load_le64(in + AT_RO_COMPAT),
                .compat = bm_load_le64(in + AT_COMPAT),
                .hash_algorithm = in[AT_HASH_ALGORITHM],
                .checksum_algorithm = in[AT_CHECKSUM_ALGORITHM],
                .unit_log2 = in[AT_UNIT_LOG2],
                .segment_log2_max = in[AT_SEGMENT_LOG2_MAX],
                .buckets_log2 = in[AT_BUCKETS_LOG2],
                .max_search = bm_load_le16(in + AT_MAX_SEARCH),
                .created_ns = (int64_t)bm_load_le64(in + AT_CREATED),
        };
        memcpy(sb->store_uuid, in + AT_STORE_UUID, BM_UUID);
        memcpy(sb->drive_uuid, in + AT_DRIVE_UUID, BM_UUID);
        memcpy(sb->hash_secret, in + AT_HASH_SECRET, BM_HASH_SECRET);

        if (sb->major > BM_FORMAT_MAJOR || (sb->incompat & ~BM_INCOMPAT_ALL) ||
            sb->hash_algorithm > BM_HASH_XXH3_64_SECRET ||
            sb->checksum_algorithm > BM_CHECKSUM_XXH3)
                return BM_E_NEWER_FORMAT;
        if (sb->major != BM_FORMAT_MAJOR || sb->hash_algorithm != BM_HASH_XXH3_64_SECRET ||
            sb->checksum_algorithm != BM_CHECKSUM_XXH3 || !fields_ok(sb))
                return BM_E_DAMAGED;
        return sb->incompat == BM_INCOMPAT_ALL ? 0 : BM_E_OLDER_FORMAT;
}
