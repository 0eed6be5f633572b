/* SPDX-License-Identifier: MIT */
/* Functions of the core with a fault, each in the place of the real one. */
#include <string.h>

#include "checkpoint.h"
#include "format.h"
#include "frames.h"
#include "large_patch.h"
#include "mutants.h"
#include "recover.h"
#include "store.h"
#include "sync.h"
#include "test_record.h"

static enum fault living;
static __typeof__(bm_log_append) *real_append;

#define replace(fn) __typeof__(fn) __real_##fn, __wrap_##fn
replace(bm_record_decode);
replace(bm_log_seal);
replace(bm_segment_record);
replace(bm_segment_count_put);
replace(bm_segment_add_put);
replace(bm_replay_apply);
replace(bm_large_hold);
replace(bm_large_release);
replace(bm_read_value);
replace(bm_large_commit);
replace(bm_patches_delete);
replace(bm_patch_mark);
replace(bm_segments_sync_names);
replace(bm_syncer_sync);
replace(bm_syncer_init);
replace(bm_checkpoint_settle);
replace(bm_checkpoint_unclean);

/* A copy gets the right checks before it is decoded. */
int __wrap_bm_record_decode(struct bm_record *record, const uint8_t *in, size_t room, uint64_t salt,
                            uint64_t offset, int64_t base_time)
{
        uint32_t len = bm_record_length(in, room);
        int r = __real_bm_record_decode(record, in, room, salt, offset, base_time);
        if (r != 0 && living == FAULT_VALUE_UNCHECKED)
                return bm_record_decode_head(record, in, room, salt, offset, base_time);
        if (r == 0 || living != FAULT_CHECKSUM_IGNORED || len == 0)
                return r;
        uint8_t *copy = must_alloc(len); /* the record leads into it */
        memcpy(copy, in, len);
        test_record_seal(copy, len, salt, offset);
        return __real_bm_record_decode(record, copy, len, salt, offset, base_time);
}

uint32_t __wrap_bm_log_seal(const struct bm_segment *s, uint64_t offset,
                            const struct bm_segment *next, uint8_t out[BM_SEAL_ROOM])
{
        uint32_t len = __real_bm_log_seal(s, offset, next, out);
        if (living == FAULT_NO_SEAL)
                memset(out, 0, len);
        return len;
}

/* What is bad belongs to the next good one. */
int __wrap_bm_segment_record(const struct bm_segment *s, uint64_t offset, struct bm_record *record)
{
        int r = __real_bm_segment_record(s, offset, record);
        if (living != FAULT_BEYOND_A_BAD_RECORD)
                return r;
        for (uint64_t at = offset + BM_UNIT; r != 0 && at < s->size; at += BM_UNIT) {
                r = __real_bm_segment_record(s, at, record);
                if (r == 0)
                        record->length += (uint32_t)(at - offset);
        }
        return r;
}

/* Nobody knows that the segment holds something that a tombstone hides. */
void __wrap_bm_segment_count_put(struct bm_segment *segment, uint64_t version)
{
        if (living != FAULT_TOMBSTONE_DROPPED)
                __real_bm_segment_count_put(segment, version);
}

void __wrap_bm_segment_add_put(struct bm_segment *segment, uint32_t length, uint64_t version)
{
        if (living != FAULT_TOMBSTONE_DROPPED)
                __real_bm_segment_add_put(segment, length, version);
        else
                bm_segment_add_live(segment, length);
}

int __wrap_bm_replay_apply(struct bm_store *store, struct bm_target *t, struct bm_found *found,
                           const struct bm_record *record, const struct bm_location *where)
{
        struct bm_record other = *record;
        if (living == FAULT_COUNT_RELATIVE && record->type == BM_REC_COUNT && found->there)
                other.count = found->count + (record->count > found->count ? 1 : -1);
        return __real_bm_replay_apply(store, t, found, &other, where);
}

/* Those of values stored ahead are within large.c and stay. */
int __wrap_bm_large_hold(struct bm_store *store, uint64_t data_id)
{
        return living == FAULT_ORPHAN_SWEPT ? 0 : __real_bm_large_hold(store, data_id);
}

void __wrap_bm_large_release(struct bm_store *store, uint64_t data_id)
{
        if (living != FAULT_ORPHAN_SWEPT)
                __real_bm_large_release(store, data_id);
}

/* The sweeper does not look again at the drop. */
int __wrap_bm_read_value(struct bm_map *map, const void *key, size_t key_len, struct bm_view *view)
{
        if (living == FAULT_AHEAD_SWEPT && map->id == BM_MAP_DROPS) {
                *view = BM_VIEW_INIT;
                return 0;
        }
        return __real_bm_read_value(map, key, key_len, view);
}

int __wrap_bm_large_commit(struct bm_txn *txn, const struct bm_head *head,
                           uint8_t drop_key[BM_DROP_KEY])
{
        return living == FAULT_DROP_STAYS ? 0 : __real_bm_large_commit(txn, head, drop_key);
}

void __wrap_bm_patches_delete(struct bm_txn *txn, struct bm_change *c, size_t step)
{
        if (living != FAULT_PATCHES_STAY)
                __real_bm_patches_delete(txn, c, step);
}

/* That thread is there as soon as the store is open. */
int __wrap_bm_patch_mark(struct bm_store *store, const struct bm_record *record)
{
        if (living == FAULT_PATCH_FORGOTTEN && !store->preparer_running)
                return 0;
        return __real_bm_patch_mark(store, record);
}

int __wrap_bm_segments_sync_names(struct bm_segment *const *list, size_t n)
{
        return living == FAULT_NAMES_UNSYNCED ? 0 : __real_bm_segments_sync_names(list, n);
}

/* Whoever comes while a flush is under way waits for no other. */
int __wrap_bm_syncer_sync(struct bm_syncer *sy)
{
        pthread_mutex_lock(&sy->lock);
        bool leading = sy->leading;
        while (living == FAULT_SYNC_SHARED_TOO_LATE && leading && sy->leading)
                pthread_cond_wait(&sy->changed, &sy->lock);
        pthread_mutex_unlock(&sy->lock);
        if (living == FAULT_SYNC_SHARED_TOO_LATE && leading)
                return atomic_load(&sy->failed);
        return __real_bm_syncer_sync(sy);
}

/* Half of a frame is one, and the rest another. */
static int append_in_parts(struct bm_log *log, struct bm_record *records, size_t n,
                           enum bm_claim claim, struct bm_location *where, uint64_t *capacity)
{
        size_t first = n / 2;
        int r = first ? real_append(log, records, first, claim, where, capacity) : 0;
        if (r == 0)
                r = real_append(log, records + first, n - first, claim, where + first, capacity);
        return r;
}

void mutants_live(const struct mutant *m)
{
        living = m->fault;
        real_append = frames_append;
        if (m->fault == FAULT_FRAME_IN_PARTS)
                frames_append = append_in_parts;
}

int __wrap_bm_syncer_init(struct bm_syncer *sy, struct bm_log *log, unsigned interval)
{
        return __real_bm_syncer_init(sy, log, living == FAULT_NO_INTERVAL ? 0 : interval);
}

int __wrap_bm_checkpoint_unclean(struct bm_store *store)
{
        return living == FAULT_STAYS_CLEAN ? 0 : __real_bm_checkpoint_unclean(store);
}

int __wrap_bm_checkpoint_settle(struct bm_store *store)
{
        return living == FAULT_NOT_SETTLED ? 0 : __real_bm_checkpoint_settle(store);
}
