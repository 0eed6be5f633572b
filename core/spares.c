/* SPDX-License-Identifier: MIT */
/* See spares.h. */
#include "spares.h"

#include <fcntl.h>

#include "base/intmath.h"
#include "bucketmap.h"
#include "drives.h"

/* Locked. Whether one of SIZE bytes more is not too much. */
static bool has_room(const struct bm_spares *sp, uint64_t size)
{
        return sp->n < BM_SPARES_MAX &&
               sp->bytes + size <= bm_max_u64(BM_SPARES_BYTES, BM_SPARES_FEW * size);
}

/* Locked. */
static struct bm_spare take(struct bm_spares *sp, unsigned i)
{
        struct bm_spare spare = sp->list[i];
        sp->list[i] = sp->list[--sp->n];
        sp->bytes -= spare.size;
        return spare;
}

/* One that stays is the next open's to remove. */
static bool remove_file(struct bm_drives *d, const struct bm_spare *spare)
{
        char name[BM_SEGMENT_NAME];
        bm_segment_name(spare->file_id, name);
        (void)bm_io_call(d->io, close, spare->fd);
        return bm_io_call(d->io, unlink_at, d->drives[spare->drive].segments, name) == 0;
}

/* Locked. -1: there is none. */
static int of_another_size(const struct bm_spares *sp, uint64_t size)
{
        int i = (int)sp->n - 1;
        while (i >= 0 && sp->list[i].size == size)
                i--;
        return i;
}

/* Makes room for one of SIZE bytes, for which others may go if that is what is asked for. */
static bool make_room(struct bm_drives *d, uint64_t size)
{
        struct bm_spares *sp = &d->spares;
        for (;;) {
                struct bm_spare spare;
                pthread_mutex_lock(&d->lock);
                const bool room = has_room(sp, size);
                const int other = room || size != sp->asked ? -1 : of_another_size(sp, size);
                if (other >= 0)
                        spare = take(sp, (unsigned)other);
                pthread_mutex_unlock(&d->lock);
                if (other < 0)
                        return room;
                (void)!remove_file(d, &spare);
        }
}

static bool is_worth_keeping(struct bm_drives *d, const struct bm_segment *s)
{
        return s->header.kind == BM_SEGMENT_LOG && bm_segment_is_mapped(s) &&
               bm_mapped_intact(s->base, s->size) && make_room(d, s->size);
}

/* As durable as the removal of a file would be. Returns a descriptor. */
static int wipe(const struct bm_segment *s)
{
        static const uint8_t nothing[BM_SEGMENT_HEADER];
        char name[BM_SEGMENT_NAME];
        bm_segment_name(s->header.file_id, name);
        int fd = bm_io_call(s->io, open_at, s->dir, name, O_RDWR, 0);
        if (fd < 0)
                return fd;
        int r = bm_io_call(s->io, pwrite, fd, nothing, sizeof(nothing), 0);
        if (r == 0)
                r = bm_io_call(s->io, sync_data, fd);
        if (r == 0)
                return fd;
        (void)bm_io_call(s->io, close, fd);
        return r;
}

bool bm_spares_keep(struct bm_drives *d, struct bm_segment *s)
{
        struct bm_spare spare = {
                .size = s->size,
                .file_id = s->header.file_id,
                .drive = s->header.drive,
                .huge = s->access == BM_SEGMENT_HUGE,
        };
        if (!is_worth_keeping(d, s))
                return false;
        spare.fd = wipe(s);
        if (spare.fd < 0)
                return false;
        /* in one step: at no moment does its id belong to nobody */
        pthread_mutex_lock(&d->lock);
        bm_drives_leave(d, s);
        d->spares.list[d->spares.n++] = spare; /* only this thread adds any */
        d->spares.bytes += spare.size;
        pthread_mutex_unlock(&d->lock);
        bm_segment_free(s);
        return true;
}

bool bm_spares_own(const struct bm_spares *sp, uint32_t id)
{
        bool owns = id == sp->making;
        for (unsigned i = 0; i < sp->n && !owns; i++)
                owns = sp->list[i].file_id == id;
        return owns;
}

bool bm_spares_take(struct bm_drives *d, uint64_t size, bool large_pages, struct bm_spare *spare)
{
        struct bm_spares *sp = &d->spares;
        bool found = false;
        pthread_mutex_lock(&d->lock);
        sp->asked = size;
        for (unsigned i = sp->n; i-- > 0 && !found;) {
                found = sp->list[i].size == size && (large_pages || !sp->list[i].huge);
                if (found) {
                        *spare = take(sp, i);
                        sp->making = spare->file_id;
                }
        }
        pthread_mutex_unlock(&d->lock);
        return found;
}

uint64_t bm_spares_drop(struct bm_drives *d)
{
        bool touched[BM_DRIVES_MAX] = {false};
        uint64_t bytes = 0;
        for (;;) {
                struct bm_spare spare = {.fd = -1};
                pthread_mutex_lock(&d->lock);
                if (d->spares.n > 0)
                        spare = take(&d->spares, d->spares.n - 1);
                pthread_mutex_unlock(&d->lock);
                if (spare.fd < 0)
                        break;
                if (remove_file(d, &spare))
                        bytes += spare.size;
                touched[spare.drive] = true;
        }
        for (unsigned i = 0; i < d->n_drives; i++) {
                if (touched[i])
                        (void)bm_io_call(d->io, sync_dir, d->drives[i].segments);
        }
        return bytes;
}

void bm_spares_close(struct bm_drives *d)
{
        while (d->spares.n > 0)
                (void)bm_io_call(d->io, close, take(&d->spares, d->spares.n - 1).fd);
}

uint64_t bm_spares_bytes(struct bm_drives *d)
{
        pthread_mutex_lock(&d->lock);
        uint64_t bytes = d->spares.bytes;
        pthread_mutex_unlock(&d->lock);
        return bytes;
}
