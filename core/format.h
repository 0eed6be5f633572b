/* SPDX-License-Identifier: MIT */
/*
 * What stands on disk: encode, decode, validate. FORMAT.md says the same in
 * prose; a change here is a change there. Everything is little-endian, and
 * bytes are swapped here (le.h) and nowhere else.
 */
#ifndef BM_FORMAT_H
#define BM_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Library version and disk version are two numbers. */
enum { BM_FORMAT_MAJOR = 1, BM_FORMAT_MINOR = 0 };

enum {
        BM_UNIT = 8, /* records are aligned to, and measured in, units of 8 bytes */
        BM_UNIT_LOG2 = 3,
        BM_HASH_SECRET = 192, /* bytes of secret for the key hash */
        BM_UUID = 16,
        BM_SUPERBLOCK = 4096, /* one copy; two stand in the file */
        BM_SEGMENT_HEADER = 512,
        BM_SEGMENT_LOG2_MIN = 18,   /* 256 KiB */
        BM_SEGMENT_LOG2_MAX = 26,   /* 64 MiB */
        BM_MANIFEST_ROOT = 4096,    /* one copy; two places alternate */
        BM_VALUE_INLINE = 16 << 10, /* larger values are a head and chunks */
        BM_CHUNK_LOG2 = 15,         /* 32 KiB */
        BM_CHUNK = 1 << BM_CHUNK_LOG2,
        BM_PATCH_LOG2 = 12, /* 4 KiB: a piece of a chunk that can be written by itself */
        BM_PATCH = 1 << BM_PATCH_LOG2,
        BM_CHUNK_PIECES = BM_CHUNK / BM_PATCH,
        BM_VALUE_CHECK_MIN = 1 << 10, /* values from here on have a check of their own */
        BM_CUTS_MAX = 8,
        BM_FRAME_MAX = 240 << 10, /* bytes of one frame, so that any segment takes it */
};

/* File ids are numbers of segments' files: 21 bits, for a slot has room for so many. */
enum { BM_FILE_ID_BITS = 21 };
#define BM_FILE_ID_MAX ((UINT32_C(1) << BM_FILE_ID_BITS) - 1)

/* Maps that every store has; user maps count from BM_MAP_FIRST. */
enum {
        BM_MAP_TOP = 1, /* holds one key, "/": the root map's entry */
        BM_MAP_ROOT = 2,
        BM_MAP_INODES = 3,  /* records that had several names, by record id */
        BM_MAP_CHUNKS = 4,  /* chunks of large values, by data id and chunk number */
        BM_MAP_DROPS = 5,   /* chunk ranges that nobody needs, for the sweeper */
        BM_MAP_ORPHANS = 6, /* removed but open records; its records are dead at open */
        BM_MAP_PATCHES = 7, /* pieces of chunks that were written anew, by data id and piece */
        BM_MAP_FIRST = 16,
};

/* A place in the log's history: segment number and byte offset in one number. */
#define BM_POS_OFFSET_BITS 27
static inline uint64_t bm_pos(uint64_t number, uint64_t offset)
{
        return number << BM_POS_OFFSET_BITS | offset;
}
static inline uint64_t bm_pos_number(uint64_t pos)
{
        return pos >> BM_POS_OFFSET_BITS;
}
static inline uint64_t bm_pos_offset(uint64_t pos)
{
        return pos & ((UINT64_C(1) << BM_POS_OFFSET_BITS) - 1);
}

/* Superblock */

/* A store that uses more than these cannot be read at all, and every store of this format has
 * them: PATCH records, and values with checks of their own. */
#define BM_INCOMPAT_PATCHES     UINT64_C(1)
#define BM_INCOMPAT_VALUE_CHECK UINT64_C(2)
#define BM_INCOMPAT_ALL         (BM_INCOMPAT_PATCHES | BM_INCOMPAT_VALUE_CHECK)

struct bm_superblock {
        uint16_t major, minor, drive_number, n_drives;
        uint8_t store_uuid[BM_UUID], drive_uuid[BM_UUID];
        uint64_t incompat, ro_compat, compat;
        uint8_t hash_algorithm, checksum_algorithm, unit_log2, segment_log2_max, buckets_log2;
        uint16_t max_search;
        uint8_t hash_secret[BM_HASH_SECRET];
        int64_t created_ns;
};

void bm_superblock_encode(const struct bm_superblock *sb, uint8_t out[BM_SUPERBLOCK]);
/* BM_E_NOT_A_STORE (no magic), BM_E_NEWER_FORMAT, BM_E_OLDER_FORMAT, BM_E_DAMAGED (checksum, or
 * a field outside its range). */
int bm_superblock_decode(struct bm_superblock *sb, const uint8_t in[BM_SUPERBLOCK]);

/* Segment header */

enum bm_segment_kind { BM_SEGMENT_LOG = 1, BM_SEGMENT_COLD = 2, BM_SEGMENT_INDEX = 3 };

struct bm_segment_header {
        uint8_t store_uuid[BM_UUID];
        uint8_t kind, size_log2; /* an index segment has size_log2 0: as long as its file */
        uint16_t drive;
        uint32_t file_id;
        uint64_t number, epoch, salt;
        uint64_t durable;  /* position known durable when it was prepared */
        int64_t base_time; /* record times are counted from here, ns */
};

void bm_segment_header_encode(const struct bm_segment_header *h, uint8_t out[BM_SEGMENT_HEADER]);
/* BM_E_NOT_FOUND: all zero, a wiped header; BM_E_DAMAGED else. */
int bm_segment_header_decode(struct bm_segment_header *h, const uint8_t in[BM_SEGMENT_HEADER]);

/* Records */

enum bm_record_type {
        BM_REC_INVALID = 0,
        BM_REC_PUT = 1, /* key -> value, inline */
        BM_REC_DEL = 2, /* key is gone; record_id of what it was */
        BM_REC_COUNT =
                3, /* count of the record record_id under key hash (the "key" is the 8-byte hash) */
        BM_REC_MAP = 4,   /* key -> map; value: struct bm_map_entry */
        BM_REC_HEAD = 5,  /* key -> large value; value: struct bm_head */
        BM_REC_CHUNK = 6, /* key: bm_chunk_key; record_id: data id; count: generation */
        BM_REC_PATCH = 7, /* key: bm_chunk_key of the piece; record_id: data id */
        BM_REC_NAME = 8,  /* key -> record_id in BM_MAP_INODES, one of its names */
        BM_REC_INODE = 9, /* reserved */
        BM_REC_SYNC = 10, /* version: everything below this position is durable */
        BM_REC_SEAL = 11, /* end of a log segment; value: struct bm_seal */
        BM_REC_PAD = 12,  /* nothing */
        BM_REC_EXT = 13,  /* reserved: further types */
};

enum {
        BM_RECF_META = 1,
        BM_RECF_VERSION = 2,
        BM_RECF_TIME = 4,
        BM_RECF_DISC = 8,
        BM_RECF_MOVED = 16,       /* what the key had goes on under another key of the frame */
        BM_RECF_LINKS = 32,       /* PUT, HEAD of BM_MAP_INODES, always: how many names it has */
        BM_RECF_VALUE_CHECK = 64, /* the value has a check of its own: set by bm_record_measure */
        BM_RECF_KNOWN = 127,
};

/* A record taken apart or to be put together. Pointers lead into the bytes it
 * was decoded from, or to the caller's. */
struct bm_record {
        uint8_t type, flags, key_len;
        uint8_t disc;   /* discriminator among equal hashes; 0 unless BM_RECF_DISC */
        bool more;      /* the frame goes on */
        uint32_t links; /* BM_RECF_LINKS: names, 1 or more */
        uint64_t map_id, record_id, count;
        uint64_t version; /* BM_RECF_VERSION: position that it counts as, for a copy */
        int64_t time_ns;  /* BM_RECF_TIME: absolute */
        const uint8_t *key, *meta, *value;
        uint32_t meta_len, value_len;
        uint32_t value_check; /* BM_RECF_VALUE_CHECK, taken apart: what the value is to give */
        uint32_t length;      /* whole record on disk, bytes, a multiple of BM_UNIT */
        uint32_t checked;     /* bytes of it up to which its own check goes */
};

/* Whether records of that type put something under their key. */
static inline bool bm_record_puts(uint8_t type)
{
        const uint32_t all = 1u << BM_REC_PUT | 1u << BM_REC_MAP | 1u << BM_REC_HEAD |
                             1u << BM_REC_CHUNK | 1u << BM_REC_NAME | 1u << BM_REC_PATCH;
        return all >> type & 1;
}

/* Fixed part: check, length word, key length, flags. */
enum { BM_RECORD_FIXED = 10, BM_RECORD_LENGTH_MAX = BM_FRAME_MAX };

/* Bytes on disk, a multiple of BM_UNIT, or 0 for more than BM_RECORD_LENGTH_MAX;
 * base_time as the segment's. Sets r->length and r->checked, and of r->flags BM_RECF_VALUE_CHECK.
 */
uint32_t bm_record_measure(struct bm_record *r, int64_t base_time);
/* Encodes what was measured into OUT (r->length bytes), padding zeroed, with the value's own check
 * but without the record's. A NULL value stands for zeros. */
void bm_record_encode(const struct bm_record *r, int64_t base_time, uint8_t *out);
/* Fills in the check of an encoded record that will stand at OFFSET; CHECKED as in struct
 * bm_record.
 */
void bm_record_seal(uint8_t *rec, uint32_t checked, uint64_t salt, uint64_t offset);
/* Length in bytes that the record at IN claims, 0 if IN (AVAIL bytes) cannot
 * hold it or the type is 0 or unknown. Verifies nothing else. */
uint32_t bm_record_length(const uint8_t *in, size_t avail);
/* Verifies checks and structure, and takes it apart. BM_E_DAMAGED. */
int bm_record_decode(struct bm_record *r, const uint8_t *in, size_t avail, uint64_t salt,
                     uint64_t offset, int64_t base_time);
/* The same of all but a value that has a check of its own, which is not read: that is left to
 * bm_record_value_verified. */
int bm_record_decode_head(struct bm_record *r, const uint8_t *in, size_t avail, uint64_t salt,
                          uint64_t offset, int64_t base_time);
/* Whether the value of a record that was taken apart, and the padding behind it, are what its
 * check says; true if it has none. */
bool bm_record_value_verified(const struct bm_record *r);
/* Takes it apart and verifies no check, for bytes that were verified before. */
int bm_record_parse(struct bm_record *r, const uint8_t *in, size_t avail, int64_t base_time);

/* Values of special records: fixed little-endian layouts. */

struct bm_cut {
        uint64_t from, to;   /* chunk numbers, half open; to = UINT64_MAX: for ever */
        uint32_t generation; /* chunks below it are dead in the range */
};

struct bm_head {
        uint64_t size;       /* bytes */
        uint64_t data_id;    /* never reused */
        uint64_t allocated;  /* bytes of chunks, an upper bound */
        uint32_t generation; /* that new chunks get */
        uint8_t chunk_log2, n_cuts;
        uint8_t reach_log2; /* no chunk has that number; 0: none is beyond the end */
        struct bm_cut cuts[BM_CUTS_MAX];
};
enum {
        BM_HEAD_FIXED = 32,
        BM_CUT_SIZE = 24,
        BM_HEAD_BYTES_MAX = BM_HEAD_FIXED + BM_CUTS_MAX * BM_CUT_SIZE,
        BM_REACH_MAX = 29 /* the chunks of the largest value */
};
uint32_t bm_head_encode(const struct bm_head *h, uint8_t out[BM_HEAD_BYTES_MAX]); /* length */
int bm_head_decode(struct bm_head *h, const uint8_t *in, size_t len);

struct bm_map_entry {
        uint64_t map_id;
        uint8_t buckets_log2;
};
enum { BM_MAP_ENTRY_BYTES = 16 };
void bm_map_entry_encode(const struct bm_map_entry *e, uint8_t out[BM_MAP_ENTRY_BYTES]);
int bm_map_entry_decode(struct bm_map_entry *e, const uint8_t *in, size_t len);

struct bm_seal {
        uint64_t next_number, next_salt;
        uint32_t next_file_id;
};
enum { BM_SEAL_BYTES = 24 };
void bm_seal_encode(const struct bm_seal *s, uint8_t out[BM_SEAL_BYTES]);
int bm_seal_decode(struct bm_seal *s, const uint8_t *in, size_t len);

/* A range of dead chunks (BM_MAP_DROPS). Key: data id and generation. */
struct bm_drop {
        uint64_t data_id, from, to; /* chunk numbers, half open */
        uint32_t generation;        /* chunks below it go; UINT32_MAX: all */
};
enum { BM_DROP_KEY = 12, BM_DROP_BYTES = 16, BM_CHUNK_KEY = 16 };
void bm_drop_encode(const struct bm_drop *d, uint8_t key[BM_DROP_KEY],
                    uint8_t value[BM_DROP_BYTES]);
int bm_drop_decode(struct bm_drop *d, const uint8_t *key, size_t key_len, const uint8_t *value,
                   size_t value_len);
void bm_chunk_key(uint64_t data_id, uint64_t chunk, uint8_t out[BM_CHUNK_KEY]);
/* The key of a patch is made likewise, of the piece's number: that of the chunk * 8, and 0 to 7.
 * BM_E_DAMAGED for another length. */
int bm_chunk_key_decode(const uint8_t *key, size_t key_len, uint64_t *data_id, uint64_t *chunk);

/* Manifest root */

/* A run of bytes in an index segment. */
struct bm_extent {
        uint32_t file_id;
        uint64_t offset, length;
        uint64_t checksum; /* XXH3-64 of it */
};

enum bm_table {                 /* the manifest's roots */
                BM_TABLE_PAGES, /* index blocks of every bucket */
                BM_TABLE_SEGMENTS,
                BM_TABLE_MAPS,
                BM_TABLE_COUNTS, /* counts too large for a slot, by record id */
                BM_TABLE_SPARE,
                BM_TABLES
};

struct bm_manifest {
        uint8_t store_uuid[BM_UUID];
        uint64_t generation, epoch;
        bool clean;
        uint64_t replay_from; /* L: position */
        uint64_t covered;     /* E: position; the blocks hold nothing beyond it */
        uint64_t next_record, next_map, next_data, next_segment;
        struct bm_extent tables[BM_TABLES];
        uint64_t keys, maps, value_bytes;
};

void bm_manifest_encode(const struct bm_manifest *m, uint8_t out[BM_MANIFEST_ROOT]);
/* BM_E_NOT_FOUND: all zero; BM_E_DAMAGED. */
int bm_manifest_decode(struct bm_manifest *m, const uint8_t in[BM_MANIFEST_ROOT]);

/* Rows of the tables. Decoding gives BM_E_DAMAGED for a field outside its range. */

struct bm_segment_row { /* of a data segment */
        uint32_t file_id;
        uint16_t drive;
        uint8_t kind, size_log2, state;
        uint64_t number, salt;
        uint64_t used, live_bytes, kept_bytes;
        uint32_t n_puts, n_live; /* records that put something; those alive */
        uint64_t lowest_version; /* of any record in it */
        uint64_t kept_version;   /* highest version of a tombstone kept in it; 0: none */
        int64_t base_time;
};
enum { BM_SEGMENT_ROW = 96 };
void bm_segment_row_encode(const struct bm_segment_row *r, uint8_t out[BM_SEGMENT_ROW]);
int bm_segment_row_decode(struct bm_segment_row *r, const uint8_t in[BM_SEGMENT_ROW]);

struct bm_map_row {
        uint64_t map_id, parent_id, record_id;
        uint64_t n_keys, n_maps, value_bytes;
        int64_t changed_ns;
        uint8_t buckets_log2;
};
enum { BM_MAP_ROW = 64 };
void bm_map_row_encode(const struct bm_map_row *r, uint8_t out[BM_MAP_ROW]);
int bm_map_row_decode(struct bm_map_row *r, const uint8_t in[BM_MAP_ROW]);

/* Pages table: for each map, for each of its buckets, a bucket row and then
 * its block rows in the order of their hash prefixes (depths tile the space;
 * the blocks of an overflow chain follow their first, flagged). */
struct bm_bucket_row {
        uint64_t map_id;
        uint64_t value_bytes, n_maps; /* of the records in it */
        uint64_t applied;             /* log position that the blocks include */
        uint32_t bucket, n_blocks;
};
enum { BM_BUCKET_ROW = 40 };
void bm_bucket_row_encode(const struct bm_bucket_row *r, uint8_t out[BM_BUCKET_ROW]);
int bm_bucket_row_decode(struct bm_bucket_row *r, const uint8_t in[BM_BUCKET_ROW]);

struct bm_block_row {
        uint32_t file_id;
        uint32_t offset_units; /* of 64 bytes */
        uint16_t lines, live;
        uint8_t depth, flags; /* BM_BLOCK_CHAINED */
        uint16_t check;       /* low bits of the block's own checksum: catches a stale block */
};
enum { BM_BLOCK_ROW = 16, BM_BLOCK_CHAINED = 1 };
void bm_block_row_encode(const struct bm_block_row *r, uint8_t out[BM_BLOCK_ROW]);
int bm_block_row_decode(struct bm_block_row *r, const uint8_t in[BM_BLOCK_ROW]);

/* Count overflow table row. */
struct bm_count_row {
        uint64_t record_id, count;
};
enum { BM_COUNT_ROW = 16 };
void bm_count_row_encode(const struct bm_count_row *r, uint8_t out[BM_COUNT_ROW]);
int bm_count_row_decode(struct bm_count_row *r, const uint8_t in[BM_COUNT_ROW]);

#endif
