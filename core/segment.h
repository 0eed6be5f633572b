/* SPDX-License-Identifier: MIT */
/*
 * One segment: a file of fixed size that is filled once, from its header to
 * its end, and freed as a whole. Log and cold segments are mapped for as long
 * as they exist; index segments are read and written by offset.
 *
 * Life: made (allocated) -> perhaps settled (durable, with its name) -> filled, and made durable
 * by each sync -> sealed -> emptied (nothing in it lives) -> excluded from a manifest ->
 * unlinked, or made again of the same file, once no retained manifest and no reader's pin refers to
 * it.
 */
#ifndef BM_SEGMENT_H
#define BM_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "format.h"
#include "io.h"
#include "io_mapped.h"

enum bm_segment_state {
        BM_SEGMENT_PREPARED, /* made, not in use yet */
        BM_SEGMENT_OPEN,     /* being filled */
        BM_SEGMENT_SEALED,   /* full */
        BM_SEGMENT_GONE,     /* excluded from the newest manifest; awaits its unlinking */
};

/* How its bytes get into a segment's file. All but those of an index segment
 * are read through a mapping in any case. */
enum bm_segment_access {
        BM_SEGMENT_READ,      /* not at all */
        BM_SEGMENT_MAPPED,    /* through the mapping */
        BM_SEGMENT_HUGE,      /* likewise, by huge pages where the kernel has them for files */
        BM_SEGMENT_IN_MEMORY, /* likewise, and no disk is behind it */
        BM_SEGMENT_BY_CALLS,  /* by pwrite: a full disk is an error of the call */
};

struct bm_segment {
        /* constant after construction */
        const struct bm_io *io;
        struct bm_segment_header header;
        int dir; /* of the drive's segments; not ours */
        int fd;
        uint8_t *base; /* the mapping; NULL for an index segment */
        enum bm_segment_access access;
        uint64_t size; /* bytes */
        bool cut;      /* the file is shorter: only to be read */
        /* all that changes with each record, in a cache line: written under the log's append lock,
         * or by the one compactor; read anywhere */
        _Alignas(BM_CACHE_LINE) _Atomic uint64_t
                used;    /* bytes filled, the header included; release after the copy */
        uint64_t filled; /* the writer's: bytes from the start that are in memory, to be stored into
                          */
        /* synchronise themselves: relaxed counters, exact when nobody writes */
        _Atomic uint64_t
                live_bytes;      /* of records (index segment: of blocks and tables) that live */
        _Atomic uint32_t n_puts; /* records that put something */
        _Atomic uint32_t n_live; /* those of them that live */
        _Atomic uint64_t lowest_version; /* of its records; UINT64_MAX: none */
        _Atomic uint64_t kept_bytes;     /* of tombstones, which stay while they hide something */
        _Atomic uint64_t kept_version;   /* the highest of those; 0: none */
        _Atomic uint32_t pins; /* borrowed views; release on drop, acquire before the unmapping */
        _Atomic uint8_t state; /* enum bm_segment_state; as used */
        /* the compactor's and the checkpoint's, one thread */
        bool emptied;            /* a compaction found or left nothing in it that is needed */
        _Atomic bool unreadable; /* a compaction met damage in it: never chosen again */
        bool left_open;          /* cold: behind what is used may be what a crash left */
        uint64_t excluded_in;    /* generation of the first manifest without it */
        /* of who makes it durable: the syncer's leader, or the one that checkpoints */
        bool named;              /* so is its name */
        _Atomic uint64_t synced; /* bytes from the start that are durable */
};

/* Whether its file, which is on a disk, is stored into through the mapping. */
static inline bool bm_segment_is_mapped(const struct bm_segment *s)
{
        return s->access == BM_SEGMENT_MAPPED || s->access == BM_SEGMENT_HUGE;
}

/* Segments of so many bytes and more are mapped by huge pages, if they can be. */
enum { BM_HUGE_PAGE_LOG2 = 21, BM_HUGE_PAGE = 1 << BM_HUGE_PAGE_LOG2 };

/* The file's name in its drive's segments directory. */
enum { BM_SEGMENT_NAME = 9 };
void bm_segment_name(uint32_t file_id, char out[BM_SEGMENT_NAME]);
/* BM_E_NOT_FOUND if NAME is none of ours. */
int bm_segment_parse_name(const char *name, uint32_t *file_id);

/*
 * Makes the file that HEADER describes in DIR, SIZE bytes really allocated. Neither it nor its
 * name is durable before it is settled or synced. On failure no file is left. The segment is
 * the caller's: bm_segment_free.
 */
int bm_segment_make(const struct bm_io *io, int dir, const struct bm_segment_header *header,
                    uint64_t size, enum bm_segment_access access, struct bm_segment **segmentp);

/*
 * The same of the file FD, which has its name durably and no header, and then a header as new:
 * what is behind it is of an earlier life. FD is the segment's, also on failure, which leaves no
 * file either.
 */
int bm_segment_make_again(const struct bm_io *io, int dir, int fd,
                          const struct bm_segment_header *header, uint64_t size,
                          enum bm_segment_access access, struct bm_segment **segmentp);

/* Makes a new one durable, with its name. */
int bm_segment_settle(struct bm_segment *segment);

/* Opens and maps one that is there. BM_E_NOT_FOUND: none yet, or a wiped header;
 * BM_E_DAMAGED: no valid header, or a size that it does not claim. */
int bm_segment_open(const struct bm_io *io, int dir, uint32_t file_id,
                    enum bm_segment_access access, struct bm_segment **segmentp);

/*
 * Puts LEN bytes at OFFSET of a data segment whose file is still open. What
 * they overwrite is undefined after a failure: -EIO, or -ENOSPC, by calls only.
 */
int bm_segment_write(struct bm_segment *segment, uint64_t offset, const void *bytes, size_t len);

/* The same by a call in any case: then no more than the blocks it hits is dirty. */
int bm_segment_write_call(struct bm_segment *segment, uint64_t offset, const void *bytes,
                          size_t len);

/* Brings what a write up to byte END will store into into memory, a piece at least. Its failure is
 * the write's to meet, which does the same. */
void bm_segment_fill_to(struct bm_segment *segment, uint64_t end);
/* Fills the huge pages up to byte END of a new segment that has them, likewise. */
void bm_segment_fill_huge(struct bm_segment *segment, uint64_t end);

/*
 * Writes zeros behind what is used. Once they are durable, a sync of what comes in their place
 * writes that alone, and no news of the file: right where syncs are many, twice the writing where
 * they are few. SMALLEST: in the smallest pages, for a sync writes each wholly.
 */
void bm_segment_fill_ahead(struct bm_segment *segment, bool smallest);

/* Makes the first USED bytes of a data segment, more than were so before, durable. */
int bm_segment_sync(struct bm_segment *segment, uint64_t used);

/* Makes the names of those that are new durable, after their bytes. */
int bm_segments_sync_names(struct bm_segment *const *list, size_t n);

/* A mapped segment that is full and durable needs no descriptor any more: a
 * large store would run out of them. */
void bm_segment_close_file(struct bm_segment *segment);

/* Unmaps and closes; the file stays. NULL is allowed. */
void bm_segment_free(struct bm_segment *segment);

/* Removes the file of a segment that is freed next. The caller syncs the directory. */
int bm_segment_unlink(struct bm_segment *segment);

static inline void bm_segment_pin(struct bm_segment *segment)
{
        /* relaxed: the bucket's lock orders it before any unmapping */
        atomic_fetch_add_explicit(&segment->pins, 1, memory_order_relaxed);
}

static inline void bm_segment_unpin(struct bm_segment *segment)
{
        /* release: what was read through the mapping was read before */
        atomic_fetch_sub_explicit(&segment->pins, 1, memory_order_release);
}

/*
 * Decodes and verifies the record at OFFSET. BM_E_DAMAGED; -EIO: the medium
 * does not give it. What RECORD points to is in the mapping and may stop being
 * readable at any time: after its use, and before anybody is told or anything
 * is logged, bm_record_intact says whether it was.
 */
int bm_segment_record(const struct bm_segment *segment, uint64_t offset, struct bm_record *record);

/* The same of all but its value, if that has a check of its own: see bm_record_decode_head. */
int bm_segment_record_head(const struct bm_segment *segment, uint64_t offset,
                           struct bm_record *record);

/* The same, but all checks are left out: reads no more than where the record begins. */
int bm_segment_record_unverified(const struct bm_segment *segment, uint64_t offset,
                                 struct bm_record *record);

/* Whether all that was read through RECORD's pointers is what was verified. */
static inline bool bm_record_intact(const struct bm_record *record)
{
        /* what lies before the meta or the key was decoded, and verified then */
        const uint8_t *from = record->meta_len ? record->meta : record->key;
        return bm_mapped_intact(from, (size_t)(record->value + record->value_len - from));
}

/* Counts a put record that stands in the segment, living or not. */
void bm_segment_count_put(struct bm_segment *segment, uint64_t version);
/* Counts one of LENGTH bytes that is new, and alive. */
void bm_segment_add_put(struct bm_segment *segment, uint32_t length, uint64_t version);
/* Counts a tombstone of LENGTH bytes that stands in it. */
void bm_segment_count_tombstone(struct bm_segment *segment, uint32_t length, uint64_t version);
/* A record of LENGTH bytes in it comes alive / dies. */
void bm_segment_add_live(struct bm_segment *segment, uint32_t length);
void bm_segment_drop_live(struct bm_segment *segment, uint32_t length);

/* Bytes that a compaction would copy, tombstones left out. */
uint64_t bm_segment_output(const struct bm_segment *segment);

/* Dead bytes that a compaction would win while tombstones must be kept; of a segment that was
 * given up early, what was never used is dead too. */
uint64_t bm_segment_reclaimable(const struct bm_segment *segment);

void bm_segment_to_row(const struct bm_segment *segment, struct bm_segment_row *row);
void bm_segment_from_row(struct bm_segment *segment, const struct bm_segment_row *row);

#endif
