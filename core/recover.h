/* SPDX-License-Identifier: MIT */
/*
 * Opening: the newest good manifest, then whatever the log says behind it.
 *
 * Steps and their argument stand in DESIGN.md, "Recovery"; the functions in
 * recover*.c carry the same numbers.
 */
#ifndef BM_RECOVER_H
#define BM_RECOVER_H

#include <stdint.h>

struct bm_drives;
struct bm_found;
struct bm_location;
struct bm_record;
struct bm_seal;
struct bm_store;
struct bm_target;

/*
 * Brings an opened, locked store (superblock read, nothing else) to where
 * operations may run. A read-only one is recovered in memory, nothing is written.
 * BM_E_DAMAGED with the problem set.
 */
int bm_recover(struct bm_store *store);

/* What a replay found (replay.c). */
struct bm_segment;
struct bm_replay {
        uint64_t end;            /* X: start of the first incomplete or invalid frame */
        uint64_t durable;        /* D: the highest position known to be durable */
        uint64_t records, bytes; /* from there on */
        uint64_t next_record, next_map, next_data; /* lowest free ids */
};

/* Applies the log from position FROM on. 0, -EIO (index), -ENOMEM, BM_E_DAMAGED (FROM leads
 * nowhere). */
int bm_replay(struct bm_store *store, uint64_t from, struct bm_replay *replay);

/* Makes the index from all segments, without a manifest (rebuild.c). BM_E_DAMAGED, with the problem
 * set, where the log has a hole. */
int bm_rebuild(struct bm_store *store, struct bm_replay *replay);

/* rebuild_cold.c: copies of a version below it were durable, */
uint64_t bm_rebuild_durable_copies(struct bm_store *store);
/* so that where S is not whole behind its used bytes, this may be damage: BM_E_DAMAGED, with the
 * problem set. Who only reads goes past it, and the used bytes grow. */
int bm_rebuild_measure_cold(struct bm_store *store, struct bm_segment *s, uint64_t durable);

/* Raises replay->durable to the highest position, from replay->end on, that a
 * record or header claims to be durable. */
int bm_replay_look_beyond(struct bm_store *store, struct bm_replay *replay);

/* What the file that SEAL leads to, one that was left out when the segments were opened, shows to
 * have been durable: a position, 0 if nothing or if there is no such file (replay_left_out.c). */
uint64_t bm_replay_left_out(const struct bm_drives *drives, const struct bm_seal *seal);

/* One record, of a frame that is whole (replay_record.c). What the index has already is left as
 * it is. */
int bm_replay_record(struct bm_store *store, struct bm_replay *replay,
                     const struct bm_record *record, const struct bm_location *where);

/* For both: ids that were given out must not be given out again; what a
 * record does, in an index that grows as needed. */
void bm_replay_note_ids(struct bm_replay *replay, const struct bm_record *record);
int bm_replay_apply(struct bm_store *store, struct bm_target *target, struct bm_found *found,
                    const struct bm_record *record, const struct bm_location *where);

/* What a part of the index, or a record that it leads to, means that cannot be read: a checksum
 * says so, or the medium. 0 for who only reads, and finds keys there EIO; else BM_E_DAMAGED, with
 * the problem set. */
int bm_replay_unreadable(struct bm_store *store);

/* Counts anew, from the index, what lives in each segment (recount.c). */
int bm_recount(struct bm_store *store);

#endif
