/* SPDX-License-Identifier: MIT */
#include "mutants.h"

#include <stdlib.h>
#include <string.h>

#include "format.h"

enum { AT_KIND = 24, OTHER = 0, MANIFEST = 100 };

static unsigned highest_file(const struct trace *trace, const struct disk *before)
{
        unsigned highest = (unsigned)before->n_files;
        for (size_t i = 0; i < trace->n; i++) {
                if (trace->events[i].file > highest)
                        highest = trace->events[i].file;
        }
        return highest;
}

/* By file: MANIFEST, the segment's kind, or OTHER. */
static uint8_t *kinds_of(const struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = calloc(highest_file(trace, before) + 1, 1);
        if (!kinds)
                exit(99);
        for (unsigned d = 0; d < DIRS; d++) {
                for (size_t i = 0; i < before->dirs[d].n_names; i++) {
                        const struct disk_name *n = &before->dirs[d].names[i];
                        const struct disk_file *f = &before->files[n->file];
                        if (strcmp(n->name, "manifest") == 0)
                                kinds[n->file] = MANIFEST;
                        else if (d % 2 == DIR_SEGMENTS && f->held > AT_KIND)
                                kinds[n->file] = f->bytes[AT_KIND];
                }
        }
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *e = &trace->events[i];
                if (e->kind == EV_WRITE && e->offset == 0 && e->len == BM_SEGMENT_HEADER &&
                    kinds[e->file] == OTHER)
                        kinds[e->file] = e->data[AT_KIND];
        }
        return kinds;
}

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

static void no_log_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, BM_SEGMENT_LOG);
}

static void no_cold_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, BM_SEGMENT_COLD);
}

static void no_index_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, BM_SEGMENT_INDEX);
}

static void no_manifest_sync(struct trace *trace, const struct disk *before)
{
        leave_out_syncs(trace, before, MANIFEST);
}

static void no_dir_sync(struct trace *trace, const struct disk *before)
{
        for (size_t i = 0; i < trace->n; i++) {
                if (trace->events[i].kind == EV_SYNC_DIR)
                        trace->events[i].kind = EV_NOTHING;
        }
}

/* The second of two drives is never flushed. */
static void one_drive_only(struct trace *trace, const struct disk *before)
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
static void manifest_first(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        size_t index_sync = SIZE_MAX;
        for (size_t i = 0; i < trace->n; i++) {
                struct event *e = trace->events;
                if (e[i].kind != EV_SYNC)
                        continue;
                if (kinds[e[i].file] == BM_SEGMENT_INDEX)
                        index_sync = i;
                if (kinds[e[i].file] != MANIFEST || index_sync == SIZE_MAX)
                        continue;
                struct event late = e[index_sync];
                memmove(e + index_sync, e + index_sync + 1, (i - index_sync) * sizeof(*e));
                e[i] = late;
                index_sync = SIZE_MAX;
        }
        free(kinds);
}

/* Compaction frees a segment before the checkpoint that no longer needs it. */
static void free_early(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 0; i < trace->n; i++) {
                const struct event *e = &trace->events[i];
                unsigned manifests = 0;
                if (e->kind != EV_UNLINK || kinds[e->file] == BM_SEGMENT_INDEX)
                        continue;
                for (size_t k = i; k-- > 0 && manifests < 2;) {
                        struct event *w = &trace->events[k];
                        if (w->kind == EV_WRITE && kinds[w->file] == MANIFEST && ++manifests == 2 &&
                            !w->early)
                                w->early = e;
                }
        }
        free(kinds);
}

/* Recovery goes on behind an old log that it has not made durable: what it
 * syncs before its first manifest is left out. */
static void recovery_trusts_cache(struct trace *trace, const struct disk *before)
{
        uint8_t *kinds = kinds_of(trace, before);
        for (size_t i = 0; i < trace->n; i++) {
                struct event *e = &trace->events[i];
                if (e->kind == EV_WRITE && kinds[e->file] == MANIFEST)
                        break;
                if (e->kind == EV_SYNC && e->file < before->n_files &&
                    kinds[e->file] == BM_SEGMENT_LOG)
                        e->kind = EV_NOTHING;
        }
        free(kinds);
}

/* A record's checksum is ignored: a copy gets the right one before it is decoded. */

static bool ignore_checks;

int __real_bm_record_decode(struct bm_record *record, const uint8_t *in, size_t room, uint64_t salt,
                            uint64_t offset, int64_t base_time);
int __wrap_bm_record_decode(struct bm_record *record, const uint8_t *in, size_t room, uint64_t salt,
                            uint64_t offset, int64_t base_time);

int __wrap_bm_record_decode(struct bm_record *record, const uint8_t *in, size_t room, uint64_t salt,
                            uint64_t offset, int64_t base_time)
{
        uint32_t len = bm_record_length(in, room);
        int r = __real_bm_record_decode(record, in, room, salt, offset, base_time);
        if (r == 0 || !ignore_checks || len == 0)
                return r;
        uint8_t *copy = must_alloc(len); /* the record leads into it */
        memcpy(copy, in, len);
        bm_record_seal(copy, len, salt, offset);
        return __real_bm_record_decode(record, copy, len, salt, offset, base_time);
}

const struct mutant mutants[] = {
        {"the log is not synced", no_log_sync, NULL},
        {"a cold segment is not synced", no_cold_sync, NULL},
        {"an index segment is not synced", no_index_sync, NULL},
        {"the manifest is not synced", no_manifest_sync, NULL},
        {"directories are not synced", no_dir_sync, NULL},
        {"the second drive is not synced", one_drive_only, NULL},
        {"the manifest goes before what it names", manifest_first, NULL},
        {"a segment is freed before the checkpoint", free_early, NULL},
        {"recovery trusts the page cache", recovery_trusts_cache, NULL},
        {"a record's checksum is ignored", NULL, &ignore_checks},
};
const size_t n_mutants = sizeof(mutants) / sizeof(mutants[0]);
