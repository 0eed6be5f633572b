/* SPDX-License-Identifier: MIT */
/*
 * Files of emptied log segments, kept to be written again while the log grows.
 *
 * Their pages are in memory and their blocks are allocated, so the next segment
 * costs neither zeros nor fresh pages nor a file. A spare has no header, durably,
 * and so is none of the store's segments: what an open finds of it, it removes.
 * What stands behind the header is of an earlier life, which its salt tells from
 * the next one. Thread safe, but that only one thread keeps any: the holder of
 * the checkpoint lock.
 */
#ifndef BM_SPARES_H
#define BM_SPARES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "segment.h"

struct bm_drives;

enum {
        BM_SPARES_MAX = 128,
        BM_SPARES_BYTES = 256 << 20, /* in all, */
        BM_SPARES_FEW = 4,           /* or so many */
};

struct bm_spare {
        uint64_t size; /* bytes */
        uint32_t file_id;
        uint16_t drive;
        bool huge; /* its pages in memory may be large: a sync would write each wholly */
        int fd;
};

struct bm_spares {
        _Atomic bool wanted; /* relaxed: the keeper's to say; others may see it late */
        /* guarded by the lock of the drives */
        struct bm_spare list[BM_SPARES_MAX];
        unsigned n;
        uint64_t bytes;  /* of their files */
        uint64_t asked;  /* size that was wanted last: others give way to it */
        uint32_t making; /* file id of the one that is being made a segment of; 0: none */
};

/*
 * Takes over SEGMENT, of which nobody needs anything any more, and frees it. Its header is wiped,
 * durably. False: it is as it was, or has lost its header, and is to be removed.
 */
bool bm_spares_keep(struct bm_drives *drives, struct bm_segment *segment);

/* Locked. Whether ID belongs to a spare, so that no other file may have it, whatever its drive. */
bool bm_spares_own(const struct bm_spares *spares, uint32_t id);

/* Gives away one of SIZE bytes, if there is one; none with large pages in memory unless
 * LARGE_PAGES. Its file and descriptor are the caller's, and its id as long as MAKING says so:
 * only one thread makes log segments at a time. */
bool bm_spares_take(struct bm_drives *drives, uint64_t size, bool large_pages,
                    struct bm_spare *spare);

/* Removes them all, durably. How many bytes that gave back. */
uint64_t bm_spares_drop(struct bm_drives *drives);

/* Closes them; the files stay, for the next open to remove. */
void bm_spares_close(struct bm_drives *drives);

/* Bytes of their files. */
uint64_t bm_spares_bytes(struct bm_drives *drives);

#endif
