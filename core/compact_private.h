/* SPDX-License-Identifier: MIT */
/* What the files of the compaction share. */
#ifndef BM_COMPACT_PRIVATE_H
#define BM_COMPACT_PRIVATE_H

#include <stdint.h>

struct bm_location;
struct bm_record;
struct bm_segment;
struct bm_store;

/* Copies what lives in VICTIM, and leaves it for the next checkpoints to free. checkpoint_lock is
 * held. */
int bm_compact_segment(struct bm_store *store, struct bm_segment *victim);

/* Makes store->cold a segment with room for LEN more bytes, a new one if need be. 0, -ENOSPC and
 * other errors of making one, after which there is none. */
int bm_cold_room(struct bm_store *store, uint32_t len);

/* Appends a copy of RECORD, and says where it is. Only the one compactor writes cold segments. 0,
 * -EIO if what is copied cannot be read any more, -EFBIG, -ENOMEM, errors of bm_cold_room and of
 * writing. */
int bm_cold_append(struct bm_store *store, struct bm_record *record, struct bm_location *where);

#endif
