/* SPDX-License-Identifier: MIT */
/* The files' part of a check: all records of all segments, needed or not; the copies of
 * superblock and manifest. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "check_private.h"
#include "store.h"
#include "superblock.h"

/* Segments */

static uint64_t next_valid(const struct bm_segment *s, uint64_t at, uint64_t used)
{
        struct bm_record r;
        for (at += BM_UNIT; at < used; at += BM_UNIT) {
                if (bm_record_length(s->base + at, used - at) != 0 &&
                    bm_segment_record(s, at, &r) == 0)
                        return at;
        }
        return used;
}

static int compare_places(const void *a, const void *b)
{
        const struct bm_check_place *x = a, *y = b;
        if (x->file_id != y->file_id)
                return x->file_id < y->file_id ? -1 : 1;
        return (x->offset > y->offset) - (x->offset < y->offset);
}

static size_t first_place(const struct bm_checker *c, uint32_t file_id, uint64_t from)
{
        const struct bm_check_place wanted = {.file_id = file_id, .offset = (uint32_t)from};
        size_t low = 0, high = c->n_places;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (compare_places(&c->places[middle], &wanted) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void report_dead(struct bm_checker *c, const struct bm_segment *s, uint64_t from,
                        uint64_t to, int result)
{
        char place[4200];
        if (from < to)
                bm_check_report(c, BM_CHECK_DEAD, NULL,
                                "%" PRIu64 " bytes from byte %" PRIu64 " of %s %s", to - from, from,
                                bm_drives_place(&c->store->drives, s, place, sizeof(place)),
                                result == -EIO ? "cannot be read (I/O error)" : "are damaged");
}

/* The damaged bytes [FROM, TO), but for those that were reported under a key. */
static void report_rest(struct bm_checker *c, const struct bm_segment *s, uint64_t from,
                        uint64_t to, int result)
{
        for (size_t i = first_place(c, s->header.file_id, from); i < c->n_places; i++) {
                const struct bm_check_place *p = &c->places[i];
                if (p->file_id != s->header.file_id || p->offset >= to)
                        break;
                report_dead(c, s, from, p->offset, result);
                from = p->length && p->length < to - p->offset ? p->offset + p->length : to;
        }
        report_dead(c, s, from, to, result);
}

/* What keys need was named by the walk of the maps; this finds the rest. */
static int check_segment(struct bm_checker *c, const struct bm_segment *s)
{
        uint64_t used = atomic_load_explicit(&s->used, memory_order_acquire);
        int stopped = 0;
        for (uint64_t at = BM_SEGMENT_HEADER, next; at < used && stopped == 0; at = next) {
                struct bm_record r;
                int result = bm_segment_record(s, at, &r);
                if (result == 0) {
                        next = at + r.length;
                } else {
                        next = next_valid(s, at, used);
                        report_rest(c, s, at, next, result);
                }
                stopped = bm_check_advance(c, next - at);
        }
        return stopped;
}

int bm_check_segments(struct bm_checker *c)
{
        struct bm_segment *s;
        uint32_t file_id = 0;
        int r = 0;
        if (c->n_places > 1)
                qsort(c->places, c->n_places, sizeof(*c->places), compare_places);
        /* what is made meanwhile we might never come to the end of */
        while (r == 0 && file_id < c->last_file_id &&
               (s = bm_drives_pin_next(&c->store->drives, &file_id))) {
                if (file_id <= c->last_file_id)
                        r = check_segment(c, s);
                bm_segment_unpin(s);
        }
        return r;
}

/* Copies */

int bm_check_superblocks(struct bm_checker *c)
{
        struct bm_drives *d = &c->store->drives;
        for (unsigned i = 0; i < d->n_drives; i++) {
                uint8_t bytes[BM_SUPERBLOCK];
                struct bm_superblock sb;
                int fd = bm_io_call(c->store->io, open_at, d->drives[i].dir, BM_FILE_SUPERBLOCK,
                                    O_RDONLY, 0);
                if (fd < 0)
                        return fd;
                for (unsigned copy = 0; copy < 2; copy++) {
                        int r = bm_io_call(c->store->io, pread, fd, bytes, sizeof(bytes),
                                           (uint64_t)copy * BM_SUPERBLOCK);
                        if (r != 0 || bm_superblock_decode(&sb, bytes) != 0)
                                bm_check_report(c, BM_CHECK_INDEX, NULL,
                                                "copy %u of the superblock on %s is damaged",
                                                copy + 1, d->drives[i].path);
                }
                (void)bm_io_call(c->store->io, close, fd);
        }
        return 0;
}

int bm_check_manifests(struct bm_checker *c)
{
        for (unsigned place = 0; place < 2; place++) {
                uint8_t bytes[BM_MANIFEST_ROOT];
                struct bm_manifest m;
                /* or a checkpoint might be writing it */
                pthread_mutex_lock(&c->store->checkpoint_lock);
                int r = bm_io_call(c->store->io, pread, c->store->manifests.fd, bytes,
                                   sizeof(bytes), (uint64_t)place * BM_MANIFEST_ROOT);
                pthread_mutex_unlock(&c->store->checkpoint_lock);
                if (r == 0)
                        r = bm_manifest_decode(&m, bytes);
                if (r != 0 && r != BM_E_NOT_FOUND)
                        bm_check_report(c, BM_CHECK_INDEX, NULL, "manifest %u is damaged",
                                        place + 1);
        }
        return 0;
}
