/* SPDX-License-Identifier: MIT */
/*
 * Stores with a fault, to test the test: a simulation that does not notice
 * proves nothing. Some faults change the trace, as if the code had left
 * something out or done it too early; others live in a function of the core
 * that the linker puts another in the place of, in this program only.
 */
#ifndef MUTANTS_H
#define MUTANTS_H

#include "explorer.h"

enum fault {
        FAULT_NONE,
        FAULT_CHECKSUM_IGNORED,
        FAULT_VALUE_UNCHECKED,
        FAULT_NO_SEAL,
        FAULT_BEYOND_A_BAD_RECORD,
        FAULT_TOMBSTONE_DROPPED,
        FAULT_COUNT_RELATIVE,
        FAULT_ORPHAN_SWEPT,
        FAULT_AHEAD_SWEPT,
        FAULT_DROP_STAYS,
        FAULT_SYNC_SHARED_TOO_LATE,
        FAULT_NO_INTERVAL,
        FAULT_STAYS_CLEAN,
        FAULT_FRAME_IN_PARTS,
        FAULT_NAMES_UNSYNCED,
        FAULT_NOT_SETTLED,
        FAULT_PATCHES_STAY,
        FAULT_PATCH_FORGOTTEN,
};

struct mutant {
        const char *name;
        void (*round)(struct explorer *x); /* NULL: explore_round */
        void (*mutate)(struct trace *trace, const struct disk *before);
        enum fault fault;
};

/* From here on its fault in the code is this process's. */
void mutants_live(const struct mutant *m);

extern const struct mutant mutants[];
extern const size_t n_mutants;

typedef void mutate_fn(struct trace *trace, const struct disk *before);
mutate_fn mutate_no_log_sync, mutate_no_cold_sync, mutate_no_index_sync, mutate_no_manifest_sync,
        mutate_no_dir_sync, mutate_one_drive_only, mutate_manifest_first, mutate_free_early,
        mutate_recovery_trusts_cache, mutate_mark_early, mutate_later_segments_stay,
        mutate_new_segment_unsynced, mutate_wipe_unsynced, mutate_spare_unsynced;

#endif
