/* SPDX-License-Identifier: MIT */
#include "mutants.h"

const struct mutant mutants[] = {
        {"the log is not synced", .mutate = mutate_no_log_sync},
        {"a cold segment is not synced", .mutate = mutate_no_cold_sync},
        {"an index segment is not synced", .mutate = mutate_no_index_sync},
        {"the manifest is not synced", .mutate = mutate_no_manifest_sync},
        {"directories are not synced", .mutate = mutate_no_dir_sync},
        {"the second drive is not synced", .mutate = mutate_one_drive_only},
        {"a new log segment is not synced", .mutate = mutate_new_segment_unsynced},
        {"a flush leaves out the names of new segments", .fault = FAULT_NAMES_UNSYNCED},
        {"the manifest goes before what it names", .mutate = mutate_manifest_first},
        {"a segment is freed before the checkpoint", .mutate = mutate_free_early},
        {"a sync leaves its mark before it is done", .mutate = mutate_mark_early},
        {"recovery trusts the page cache", .mutate = mutate_recovery_trusts_cache},
        {"recovery leaves later log segments", .mutate = mutate_later_segments_stay},
        {"an open store stays marked as closed", .fault = FAULT_STAYS_CLEAN},
        {"a record's checksum is ignored", .fault = FAULT_CHECKSUM_IGNORED},
        {"a segment is left without a seal", .fault = FAULT_NO_SEAL},
        {"replay goes on behind a bad record", .fault = FAULT_BEYOND_A_BAD_RECORD},
        {"a frame is logged in parts", .fault = FAULT_FRAME_IN_PARTS},
        {"a tombstone is dropped too early", .fault = FAULT_TOMBSTONE_DROPPED},
        {"a count is replayed relatively", .fault = FAULT_COUNT_RELATIVE},
        {"an orphan's chunks are swept", .fault = FAULT_ORPHAN_SWEPT},
        {"a value stored ahead is swept as it is committed", .fault = FAULT_AHEAD_SWEPT},
        {"the drop of a committed value stays", .fault = FAULT_DROP_STAYS},
        {"nothing is synced by itself", .fault = FAULT_NO_INTERVAL},
        {"recovery does not settle the manifest", explore_recovery, .fault = FAULT_NOT_SETTLED},
        {"recovery does not sync what it wiped", explore_recovery, .mutate = mutate_wipe_unsynced},
        {"a sync shares a flush that began before it", .fault = FAULT_SYNC_SHARED_TOO_LATE},
};
const size_t n_mutants = sizeof(mutants) / sizeof(mutants[0]);
