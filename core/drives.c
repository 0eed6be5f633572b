/* SPDX-License-Identifier: MIT */
/* The segments of all drives; opening stands in superblock.c, creating in create.c. */
#include "drives.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/intmath.h"
#include "error.h"
#include "hash.h"

enum { IDS_MIN = 256 }; /* file ids that are used, however few segments there are */

static int64_t now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void enter(struct bm_drives *d, struct bm_segment *s)
{
        atomic_store_explicit(&d->table[s->header.file_id], s, memory_order_release);
        d->n_segments++;
        if (s->header.file_id > d->highest_file_id)
                d->highest_file_id = s->header.file_id;
}

/* Locked. File ids count from 1, so that an all-zero location is never valid; and they stay low,
 * for who goes through all segments goes through all ids up to the highest that ever was. Of
 * N_TAKEN it was found that files have them. */
static uint32_t free_file_id(struct bm_drives *d, uint32_t n_taken)
{
        const uint32_t highest =
                bm_min_u64(BM_FILE_ID_MAX, IDS_MIN + 2 * ((uint64_t)d->n_segments + n_taken));
        uint32_t id = d->next_file_id;
        for (uint32_t tried = 0; tried < highest; tried++) {
                if (id == 0 || id > highest)
                        id = 1;
                if (!bm_drives_segment(d, id) && !bm_spares_own(&d->spares, id)) {
                        d->next_file_id = id + 1;
                        return id;
                }
                id++;
        }
        return 0;
}

static enum bm_segment_access access_to(const struct bm_drives *d, unsigned drive)
{
        if (d->drives[drive].nomap)
                return BM_SEGMENT_BY_CALLS;
        return d->drives[drive].in_memory ? BM_SEGMENT_IN_MEMORY : BM_SEGMENT_MAPPED;
}

/* Who syncs often would write a huge page for each few bytes. */
static bool wants_huge(const struct bm_drives *d, enum bm_segment_kind kind)
{
        return kind != BM_SEGMENT_LOG ||
               !atomic_load_explicit(&d->small_pages, memory_order_relaxed);
}

static enum bm_segment_access access_to_new(const struct bm_drives *d, unsigned drive,
                                            enum bm_segment_kind kind)
{
        enum bm_segment_access access = access_to(d, drive);
        return access == BM_SEGMENT_MAPPED && wants_huge(d, kind) ? BM_SEGMENT_HUGE : access;
}

/* Of the next free file id, on the next drive that has room. */
static int make_file(struct bm_drives *d, bool first_only, struct bm_segment_header *header,
                     uint64_t size, struct bm_segment **segmentp)
{
        unsigned n_full = 0;
        uint32_t n_taken = 0;
        int r;
        /* A file id stays in use until its file is gone from the directory,
         * so an id taken here cannot meet a file of the same name unless a crash left one: then
         * the next is tried. */
        for (;;) {
                pthread_mutex_lock(&d->lock);
                header->file_id = free_file_id(d, n_taken);
                header->drive = first_only ? 0 : (uint16_t)(d->next_drive++ % d->n_drives);
                pthread_mutex_unlock(&d->lock);
                if (header->file_id == 0)
                        return -ENOSPC;
                r = bm_segment_make(d->io, d->drives[header->drive].segments, header, size,
                                    access_to_new(d, header->drive, header->kind), segmentp);
                if (r == -ENOSPC && !first_only && ++n_full < d->n_drives)
                        continue; /* the next one may have room */
                if (r != -EEXIST)
                        return r;
                n_taken++;
        }
}

static int make_of_spare(struct bm_drives *d, const struct bm_spare *spare,
                         struct bm_segment_header *header, struct bm_segment **segmentp)
{
        header->file_id = spare->file_id;
        header->drive = spare->drive;
        return bm_segment_make_again(d->io, d->drives[spare->drive].segments, spare->fd, header,
                                     spare->size, access_to_new(d, spare->drive, header->kind),
                                     segmentp);
}

static int make_on(struct bm_drives *d, bool first_only, enum bm_segment_kind kind, uint64_t size,
                   uint64_t number, uint64_t epoch, uint64_t durable, struct bm_segment **segmentp)
{
        struct bm_segment_header header = {
                .kind = (uint8_t)kind,
                .size_log2 = kind == BM_SEGMENT_INDEX ? 0 : (uint8_t)bm_log2_floor(size),
                .number = number,
                .epoch = epoch,
                .durable = durable,
                .base_time = now_ns(),
        };
        memcpy(header.store_uuid, d->superblock.store_uuid, BM_UUID);
        struct bm_spare spare;
        int r = bm_random(&header.salt, sizeof(header.salt));
        if (r < 0)
                return r;
        if (kind == BM_SEGMENT_LOG && bm_spares_take(d, size, wants_huge(d, kind), &spare))
                r = make_of_spare(d, &spare, &header, segmentp);
        else
                r = make_file(d, first_only, &header, size, segmentp);
        pthread_mutex_lock(&d->lock);
        if (r == 0)
                enter(d, *segmentp);
        if (kind == BM_SEGMENT_LOG)
                d->spares.making = 0;
        pthread_mutex_unlock(&d->lock);
        return r;
}

int bm_drives_make(struct bm_drives *d, enum bm_segment_kind kind, uint64_t size, uint64_t number,
                   uint64_t epoch, uint64_t durable, struct bm_segment **segmentp)
{
        return make_on(d, false, kind, size, number, epoch, durable, segmentp);
}

int bm_drives_make_first(struct bm_drives *d, enum bm_segment_kind kind, uint64_t size,
                         uint64_t number, uint64_t epoch, uint64_t durable,
                         struct bm_segment **segmentp)
{
        return make_on(d, true, kind, size, number, epoch, durable, segmentp);
}

struct scan {
        struct bm_drives *drives;
        unsigned drive;
        bool writable;
        void (*bad)(void *ctx, unsigned drive, uint32_t file_id, int result);
        void *ctx;
};

static int scan_one(void *ctx, const char *name)
{
        struct scan *scan = ctx;
        struct bm_drives *d = scan->drives;
        struct bm_segment *s;
        uint32_t file_id;
        if (bm_segment_parse_name(name, &file_id) != 0 || file_id == 0 || file_id > BM_FILE_ID_MAX)
                return 0;
        int r = bm_segment_open(d->io, d->drives[scan->drive].segments, file_id,
                                scan->writable ? access_to(d, scan->drive) : BM_SEGMENT_READ, &s);
        /* what cannot be read now may be there the next time: nothing may be
         * written as if it were gone */
        if (r < 0 && (r != -EIO || scan->writable)) {
                bm_problem_set("segment %08" PRIx32 " on %s", file_id, d->drives[scan->drive].path);
                return r;
        }
        if (r == 0 && (memcmp(s->header.store_uuid, d->superblock.store_uuid, BM_UUID) != 0 ||
                       s->header.drive != scan->drive || bm_drives_segment(d, file_id))) {
                bm_segment_free(s);
                r = BM_E_MISMATCH;
        }
        if (r != 0) {
                scan->bad(scan->ctx, scan->drive, file_id, r);
                return 0;
        }
        enter(d, s);
        return 0;
}

int bm_drives_scan(struct bm_drives *d, bool writable,
                   void (*bad)(void *ctx, unsigned drive, uint32_t file_id, int result), void *ctx)
{
        struct scan scan = {.drives = d, .writable = writable, .bad = bad, .ctx = ctx};
        for (scan.drive = 0; scan.drive < d->n_drives; scan.drive++) {
                int r = bm_io_call(d->io, list, d->drives[scan.drive].segments, scan_one, &scan);
                if (r < 0)
                        return r;
        }
        return 0;
}

int bm_drives_sync_names(const struct bm_drives *d)
{
        int r = 0;
        for (unsigned i = 0; i < d->n_drives && r == 0; i++)
                r = bm_io_call(d->io, sync_dir, d->drives[i].segments);
        return r;
}

void bm_drives_leave(struct bm_drives *d, const struct bm_segment *s)
{
        atomic_store_explicit(&d->table[s->header.file_id], NULL, memory_order_release);
        d->n_segments--;
}

void bm_drives_forget(struct bm_drives *d, struct bm_segment *s)
{
        pthread_mutex_lock(&d->lock);
        bm_drives_leave(d, s);
        pthread_mutex_unlock(&d->lock);
        bm_segment_free(s);
}

int bm_drives_remove_all(struct bm_drives *d, struct bm_segment *const *list, size_t n)
{
        bool touched[BM_DRIVES_MAX] = {false};
        int r = 0, one;
        for (size_t i = 0; i < n; i++) {
                one = bm_segment_unlink(list[i]);
                if (one == 0)
                        touched[list[i]->header.drive] = true;
                else
                        r = one;
        }
        for (unsigned i = 0; i < d->n_drives; i++) {
                one = touched[i] ? bm_io_call(d->io, sync_dir, d->drives[i].segments) : 0;
                if (one < 0)
                        r = one;
        }
        for (size_t i = 0; i < n; i++)
                bm_drives_forget(d, list[i]);
        return r;
}

int bm_drives_remove(struct bm_drives *d, struct bm_segment *s)
{
        return bm_drives_remove_all(d, &s, 1);
}

int bm_drives_each(struct bm_drives *d, int (*fn)(void *ctx, struct bm_segment *segment), void *ctx)
{
        int r = 0;
        pthread_mutex_lock(&d->lock);
        for (uint32_t id = 1; r == 0 && id <= d->highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(d, id);
                if (s)
                        r = fn(ctx, s);
        }
        pthread_mutex_unlock(&d->lock);
        return r;
}

struct bm_segment *bm_drives_pin_next(struct bm_drives *d, uint32_t *file_id)
{
        struct bm_segment *found = NULL;
        pthread_mutex_lock(&d->lock);
        while (!found && *file_id < d->highest_file_id) {
                struct bm_segment *s = bm_drives_segment(d, ++*file_id);
                uint8_t state = s ? atomic_load(&s->state) : BM_SEGMENT_GONE;
                if (s && s->base && state != BM_SEGMENT_PREPARED && state != BM_SEGMENT_GONE)
                        found = s;
        }
        if (found) /* it gets to be gone under the lock only, and is freed unpinned only */
                bm_segment_pin(found);
        pthread_mutex_unlock(&d->lock);
        return found;
}

int bm_drives_list(struct bm_drives *d, struct bm_segment ***listp, size_t *n)
{
        *n = 0;
        pthread_mutex_lock(&d->lock);
        struct bm_segment **list = malloc(((size_t)d->highest_file_id + 1) * sizeof(*list));
        for (uint32_t id = 1; list && id <= d->highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(d, id);
                if (s)
                        list[(*n)++] = s;
        }
        pthread_mutex_unlock(&d->lock);
        *listp = list;
        return list ? 0 : -ENOMEM;
}

int bm_drives_space(const struct bm_drives *d, struct bm_io_space *space)
{
        struct bm_io_space seen[BM_DRIVES_MAX];
        unsigned n_seen = 0;
        *space = (struct bm_io_space){0};
        for (unsigned i = 0; i < d->n_drives; i++) {
                struct bm_io_space one;
                unsigned k = 0;
                int r = bm_io_call(d->io, space, d->drives[i].dir, &one);
                if (r < 0)
                        return r;
                while (k < n_seen && seen[k].device != one.device)
                        k++;
                if (k < n_seen)
                        continue;
                seen[n_seen++] = one;
                space->total_bytes += one.total_bytes;
                space->free_bytes += one.free_bytes;
                space->available_bytes += one.available_bytes;
        }
        return 0;
}

const char *bm_drives_place(const struct bm_drives *d, const struct bm_segment *s, char *buf,
                            size_t len)
{
        snprintf(buf, len, "segment %08" PRIx32 " on %s", s->header.file_id,
                 d->drives[s->header.drive].path);
        return buf;
}
