/* SPDX-License-Identifier: MIT */
#include "mutants.h"

const struct mutant mutants[] = {
        {"the log is not synced", mutate_no_log_sync, FAULT_NONE},
        {"a cold segment is not synced", mutate_no_cold_sync, FAULT_NONE},
        {"an index segment is not synced", mutate_no_index_sync, FAULT_NONE},
        {"the manifest is not synced", mutate_no_manifest_sync, FAULT_NONE},
        {"directories are not synced", mutate_no_dir_sync, FAULT_NONE},
        {"the second drive is not synced", mutate_one_drive_only, FAULT_NONE},
        {"a new log segment is not synced", mutate_new_segment_unsynced, FAULT_NONE},
        {"a flush leaves out the names of new segments", NULL, FAULT_NAMES_UNSYNCED},
        {"the manifest goes before what it names", mutate_manifest_first, FAULT_NONE},
        {"a segment is freed before the checkpoint", mutate_free_early, FAULT_NONE},
        {"a sync leaves its mark before it is done", mutate_mark_early, FAULT_NONE},
        {"recovery trusts the page cache", mutate_recovery_trusts_cache, FAULT_NONE},
        {"recovery leaves later log segments", mutate_later_segments_stay, FAULT_NONE},
        {"an open store stays marked as closed", NULL, FAULT_STAYS_CLEAN},
        {"a record's checksum is ignored", NULL, FAULT_CHECKSUM_IGNORED},
        {"a segment is left without a seal", NULL, FAULT_NO_SEAL},
        {"replay goes on behind a bad record", NULL, FAULT_BEYOND_A_BAD_RECORD},
        {"a frame is logged in parts", NULL, FAULT_FRAME_IN_PARTS},
        {"a tombstone is dropped too early", NULL, FAULT_TOMBSTONE_DROPPED},
        {"a count is replayed relatively", NULL, FAULT_COUNT_RELATIVE},
        {"an orphan's chunks are swept", NULL, FAULT_ORPHAN_SWEPT},
        {"a value stored ahead is swept as it is committed", NULL, FAULT_AHEAD_SWEPT},
        {"the drop of a committed value stays", NULL, FAULT_DROP_STAYS},
        {"nothing is synced by itself", NULL, FAULT_NO_INTERVAL},
        {"a sync shares a flush that began before it", NULL, FAULT_SYNC_SHARED_TOO_LATE},
};
const size_t n_mutants = sizeof(mutants) / sizeof(mutants[0]);
