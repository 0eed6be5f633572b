/* SPDX-License-Identifier: MIT */
#include "mutants.h"

#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "kinds.h"

enum { AT_TYPE = 7 };

static void leave_out_syncs(struct trace *trace, const struct disk *before, uint8_t kind)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 0; i < trace->n; i++) {
                struct event *e = &trace->events[i];
                if (e->kind == EV_SYNC && kinds[e->file] == kind)
                        e->kind = EV_NOTHING;
        }
        free(kinds);
}

void mutate_no_log_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, BM_SEGMENT_LOG);
}

void mutate_no_cold_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, BM_SEGMENT_COLD);
}

void mutate_no_index_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, BM_SEGMENT_INDEX);
}

void mutate_no_manifest_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, KIND_MANIFEST);
}

void mutate_no_dir_sync(struct trace *trace, const struct disk *before)
{
        for (size_t i = 0; i < trace->n; i++) {
                if (trace->events[i].kind == EV_SYNC_DIR)
                        trace->events[i].kind = EV_NOTHING;
        }
}

/* The second of two drives is never flushed. */
void mutate_one_drive_only(struct trace *trace, const struct disk *before)
{
        bool *second = calloc(highest_file(trace, before) + 1, sizeof(*second));
        if (!second)
                exit(99);
        for (unsigned d = 2; d < DIRS; d++) {
                for (size_t i = 0; i < before->dirs[d].n_names; i++)
                        second[before->dirs[d].names[i].file] = true;
        }
        for (size_t i = 0; i < trace->n; i++) {
                struct event *e = &trace->events[i];
                if (e->kind == EV_CREATE && e->dir >= 2)
                        second[e->file] = true;
                else if (e->kind == EV_SYNC && second[e->file])
                        e->kind = EV_NOTHING;
        }
        free(second);
}

/* The wrong order in a checkpoint: what the manifest names is synced behind it. */
void mutate_manifest_first(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        size_t index_sync = SIZE_MAX;
        for (size_t i = 0; i < trace->n; i++) {
                struct event *e = trace->events;
                if (e[i].kind != EV_SYNC)
                        continue;
                if (kinds[e[i].file] == BM_SEGMENT_INDEX)
                        index_sync = i;
                if (kinds[e[i].file] != KIND_MANIFEST || index_sync == SIZE_MAX)
                        continue;
                struct event late = e[index_sync];
                memmove(e + index_sync, e + index_sync + 1, (i - index_sync) * sizeof(*e));
                e[i] = late;
                index_sync = SIZE_MAX;
        }
        free(kinds);
}

/* Compaction frees a segment before the checkpoint that no longer needs it. */
void mutate_free_early(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *e = &trace->events[i];
                unsigned manifests = 0;
                if (e->kind != EV_UNLINK || kinds[e->file] == BM_SEGMENT_INDEX)
                        continue;
                for (size_t k = i; k-- > 0 && manifests < 2;) {
                        struct event *w = &trace->events[k];
                        if (w->kind == EV_WRITE && kinds[w->file] == KIND_MANIFEST &&
                            ++manifests == 2 && !w->early)
                                w->early = e;
                }
        }
        free(kinds);
}

/* Events of a recovery before its checkpoint. */
static size_t before_checkpoint(const struct trace *trace, const uint8_t *kinds)
{
        size_t i = 0;
        while (i < trace->n && (trace->events[i].kind != EV_WRITE ||
                                kinds[trace->events[i].file] != BM_SEGMENT_INDEX))
                i++;
        return i;
}

/* What a recovery wiped behind copies is on the disk whenever that likes. */
void mutate_wipe_unsynced(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        size_t n = before_checkpoint(trace, kinds);
        for (size_t i = 0; i < n; i++) {
                struct event *e = &trace->events[i];
                if (e->kind == EV_SYNC && kinds[e->file] == BM_SEGMENT_COLD)
                        e->kind = EV_NOTHING;
        }
        free(kinds);
}

/* Recovery goes on behind an old log that it has not made durable: what it
 * syncs before its first manifest is left out. */
void mutate_recovery_trusts_cache(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 0; i < trace->n; i++) {
                struct event *e = &trace->events[i];
                if (e->kind == EV_WRITE && kinds[e->file] == KIND_MANIFEST)
                        break;
                if (e->kind == EV_SYNC && e->file < before->n_files &&
                    kinds[e->file] == BM_SEGMENT_LOG)
                        e->kind = EV_NOTHING;
        }
        free(kinds);
}

/* Whether this is a record of that type in a log segment. */
static bool is_record(const struct event *e, const uint8_t *kinds, unsigned type)
{
        return e->kind == EV_WRITE && e->mapped && kinds[e->file] == BM_SEGMENT_LOG &&
               e->len > AT_TYPE && e->data[AT_TYPE] >> 4 == type;
}

/* A sync leaves its mark before it is done. */
void mutate_mark_early(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 1; i < trace->n; i++) {
                struct event *e = trace->events;
                if (!is_record(&e[i], kinds, BM_REC_SYNC))
                        continue;
                for (size_t k = i; k > 0 && e[k - 1].kind == EV_SYNC; k--) {
                        struct event mark = e[k];
                        e[k] = e[k - 1];
                        e[k - 1] = mark;
                }
        }
        free(kinds);
}

/* Recovery leaves the log segments that lie behind the end. */
void mutate_later_segments_stay(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        unsigned manifests = 0;
        for (size_t i = 0; i < trace->n && manifests < 2; i++) {
                struct event *e = &trace->events[i];
                manifests += e->kind == EV_WRITE && kinds[e->file] == KIND_MANIFEST;
                if (e->kind == EV_UNLINK && kinds[e->file] == BM_SEGMENT_LOG)
                        e->kind = EV_NOTHING;
        }
        free(kinds);
}

static bool is_wipe(const struct event *e)
{
        static const uint8_t nothing[BM_SEGMENT_HEADER];
        return e->kind == EV_WRITE && e->offset == 0 && e->len == sizeof(nothing) &&
               memcmp(e->data, nothing, sizeof(nothing)) == 0;
}

/* The header of a segment that is kept to be used again goes whenever the disk likes. */
void mutate_spare_unsynced(struct trace *trace, const struct disk *before)
{
        for (size_t i = 0; i < trace->n; i++) {
                size_t k = i + 1;
                if (!is_wipe(&trace->events[i]))
                        continue;
                while (k < trace->n && (trace->events[k].kind != EV_SYNC ||
                                        trace->events[k].file != trace->events[i].file))
                        k++;
                if (k < trace->n)
                        trace->events[k].kind = EV_NOTHING;
        }
}

/* A new log segment is not synced before it is used. */
void mutate_new_segment_unsynced(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *made = &trace->events[i];
                if (made->kind != EV_CREATE || kinds[made->file] != BM_SEGMENT_LOG)
                        continue;
                for (size_t k = i; k < trace->n; k++) {
                        struct event *e = &trace->events[k];
                        if (e->kind == EV_SYNC && e->file == made->file) {
                                e->kind = EV_NOTHING;
                                break;
                        }
                }
        }
        free(kinds);
}
