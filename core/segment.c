/* SPDX-License-Identifier: MIT */
/* See segment.h. */
#include "segment_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "bucketmap.h"

enum { PAGE = 4 << 10 };

void bm_segment_name(uint32_t file_id, char out[BM_SEGMENT_NAME])
{
        snprintf(out, BM_SEGMENT_NAME, "%08" PRIx32, file_id);
}

int bm_segment_parse_name(const char *name, uint32_t *file_id)
{
        size_t len = strlen(name);
        if (len != BM_SEGMENT_NAME - 1 || strspn(name, "0123456789abcdef") != len)
                return BM_E_NOT_FOUND;
        *file_id = (uint32_t)strtoul(name, NULL, 16);
        return 0;
}

static int segment_new(const struct bm_io *io, int dir, enum bm_segment_access access,
                       struct bm_segment **segmentp)
{
        struct bm_segment *s = aligned_alloc(BM_CACHE_LINE, sizeof(*s));
        if (!s)
                return -ENOMEM;
        memset(s, 0, sizeof(*s));
        s->io = io;
        s->dir = dir;
        s->fd = -1;
        s->access = access;
        atomic_init(&s->lowest_version, UINT64_MAX);
        *segmentp = s;
        return 0;
}

static int map_segment(struct bm_segment *s)
{
        void *base;
        if (s->header.kind == BM_SEGMENT_INDEX)
                return 0;
        int r = bm_io_call(s->io, map, s->fd, s->size, bm_segment_is_stored_into(s), &base);
        if (r == 0)
                s->base = base;
        return r;
}

static int write_header(struct bm_segment *s)
{
        uint8_t header[BM_SEGMENT_HEADER];
        bm_segment_header_encode(&s->header, header);
        return bm_io_call(s->io, pwrite, s->fd, header, sizeof(header), 0);
}

static int start_new(struct bm_segment *s)
{
        const bool huge = bm_segment_piece(s) == BM_HUGE_PAGE;
        int r = bm_io_call(s->io, allocate, s->fd, 0, s->size);
        if (r == 0 && huge) /* before the header, whose small page would stand in the way */
                r = bm_io_call(s->io, fill, s->fd, 0, BM_HUGE_PAGE);
        if (r == 0)
                r = write_header(s);
        if (r == 0)
                r = map_segment(s);
        s->filled = huge ? BM_HUGE_PAGE : BM_SEGMENT_HEADER;
        if (r == 0 && s->base && s->access == BM_SEGMENT_IN_MEMORY) {
                (void)bm_io_call(s->io, prefault, s->fd, s->base, 0, s->size);
                s->filled = s->size;
        }
        return r;
}

/* Whoever cut the file, or made holes in it, is answered here. */
static int start_again(struct bm_segment *s)
{
        size_t there;
        int r = bm_io_call(s->io, allocate, s->fd, 0, s->size);
        if (r == 0)
                r = write_header(s);
        if (r == 0)
                r = map_segment(s);
        if (r == 0)
                r = bm_io_call(s->io, resident, s->base, s->size, &there);
        if (r == 0)
                s->filled = bm_max_u64(bm_round_down(there, PAGE), BM_SEGMENT_HEADER);
        return r;
}

/* On failure nothing is left of S, nor of its file. */
static int begin(struct bm_segment *s, int (*start)(struct bm_segment *s),
                 const struct bm_segment_header *header, uint64_t size,
                 struct bm_segment **segmentp)
{
        s->header = *header;
        s->size = size;
        int r = start(s);
        if (r < 0) {
                /* for good: else a power cut may bring it back beside the one that is made
                 * instead, with the same number */
                int gone = bm_segment_unlink(s);
                if (gone == 0)
                        gone = bm_io_call(s->io, sync_dir, s->dir);
                if (gone < 0)
                        r = -EIO;
                bm_segment_free(s);
                return r;
        }
        atomic_init(&s->used, BM_SEGMENT_HEADER);
        *segmentp = s;
        return 0;
}

int bm_segment_make(const struct bm_io *io, int dir, const struct bm_segment_header *header,
                    uint64_t size, enum bm_segment_access access, struct bm_segment **segmentp)
{
        char name[BM_SEGMENT_NAME];
        struct bm_segment *s;
        int r = segment_new(io, dir, access, &s);
        if (r < 0)
                return r;
        bm_segment_name(header->file_id, name);
        s->fd = bm_io_call(io, open_at, dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (s->fd < 0) {
                r = s->fd;
                bm_segment_free(s);
                return r;
        }
        return begin(s, start_new, header, size, segmentp);
}

int bm_segment_make_again(const struct bm_io *io, int dir, int fd,
                          const struct bm_segment_header *header, uint64_t size,
                          enum bm_segment_access access, struct bm_segment **segmentp)
{
        struct bm_segment *s;
        int r = segment_new(io, dir, access, &s);
        if (r < 0) {
                char name[BM_SEGMENT_NAME];
                bm_segment_name(header->file_id, name);
                (void)bm_io_call(io, close, fd);
                (void)bm_io_call(io, unlink_at, dir, name); /* it has no header: nobody's */
                return r;
        }
        s->fd = fd;
        s->named = true;
        return begin(s, start_again, header, size, segmentp);
}

int bm_segment_settle(struct bm_segment *s)
{
        int r = bm_io_call(s->io, sync_data, s->fd);
        if (r == 0)
                atomic_store(&s->synced, BM_SEGMENT_HEADER);
        return r == 0 ? bm_segments_sync_names(&s, 1) : r;
}

static int read_existing(struct bm_segment *s, uint32_t file_id)
{
        uint8_t header[BM_SEGMENT_HEADER];
        struct bm_io_file file;
        int r = bm_io_call(s->io, stat, s->fd, &file);
        if (r < 0)
                return r;
        if (file.size_bytes == 0)
                return BM_E_NOT_FOUND;
        if (file.size_bytes < BM_SEGMENT_HEADER)
                return BM_E_DAMAGED;
        r = bm_io_call(s->io, pread, s->fd, header, sizeof(header), 0);
        if (r < 0)
                return r;
        r = bm_segment_header_decode(&s->header, header);
        if (r != 0)
                return r;
        s->size = s->header.kind == BM_SEGMENT_INDEX ? file.size_bytes
                                                     : UINT64_C(1) << s->header.size_log2;
        s->cut = file.size_bytes < s->size;
        /* who only reads finds out what is missing when it is wanted */
        if (s->header.file_id != file_id || (s->cut && s->access != BM_SEGMENT_READ))
                return BM_E_DAMAGED;
        return map_segment(s);
}

int bm_segment_open(const struct bm_io *io, int dir, uint32_t file_id,
                    enum bm_segment_access access, struct bm_segment **segmentp)
{
        const int flags = access == BM_SEGMENT_READ ? O_RDONLY : O_RDWR;
        struct bm_segment *s;
        char name[BM_SEGMENT_NAME];
        int r = segment_new(io, dir, access, &s);
        if (r < 0)
                return r;
        bm_segment_name(file_id, name);
        s->fd = bm_io_call(io, open_at, dir, name, flags, 0);
        if (s->fd >= 0)
                r = read_existing(s, file_id);
        else
                r = s->fd == -EMEDIUMTYPE ? BM_E_DAMAGED : s->fd;
        if (r != 0) {
                bm_segment_free(s);
                return r;
        }
        s->named = true;
        s->filled = s->size; /* what is there stays */
        atomic_init(&s->used, BM_SEGMENT_HEADER);
        atomic_init(&s->synced, BM_SEGMENT_HEADER);
        *segmentp = s;
        return 0;
}

/* A segment's file has its size from the start. What was copied into the
 * mapping of one that somebody cut is nowhere, and the kernel has nothing to
 * write: its success would be a lie. */
static int is_whole(const struct bm_segment *s, uint64_t used)
{
        uint64_t from = atomic_load(&s->synced);
        struct bm_io_file file;
        int r = bm_io_call(s->io, stat, s->fd, &file);
        if (r == 0 && file.size_bytes < s->size)
                r = -EIO;
        return r == 0 && !bm_mapped_intact(s->base + from, used - from) ? -EIO : r;
}

int bm_segment_sync(struct bm_segment *s, uint64_t used)
{
        int r = bm_io_call(s->io, sync_data, s->fd);
        if (r == 0)
                r = is_whole(s, used);
        if (r == 0)
                atomic_store(&s->synced, used);
        return r;
}

int bm_segments_sync_names(struct bm_segment *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (list[i]->named)
                        continue;
                int r = bm_io_call(list[i]->io, sync_dir, list[i]->dir);
                if (r < 0)
                        return r;
                for (size_t k = i; k < n; k++) /* of all on this drive */
                        list[k]->named = list[k]->named || list[k]->dir == list[i]->dir;
        }
        return 0;
}

void bm_segment_close_file(struct bm_segment *s)
{
        if (!s->base || s->fd < 0 || atomic_load(&s->state) != BM_SEGMENT_SEALED)
                return;
        (void)bm_io_call(s->io, close, s->fd);
        s->fd = -1;
}

void bm_segment_free(struct bm_segment *segment)
{
        if (!segment)
                return;
        if (segment->base)
                (void)bm_io_call(segment->io, unmap, segment->base, segment->size);
        if (segment->fd >= 0)
                (void)bm_io_call(segment->io, close, segment->fd);
        free(segment);
}

int bm_segment_unlink(struct bm_segment *segment)
{
        char name[BM_SEGMENT_NAME];
        bm_segment_name(segment->header.file_id, name);
        return bm_io_call(segment->io, unlink_at, segment->dir, name);
}
