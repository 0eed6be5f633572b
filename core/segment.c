/* SPDX-License-Identifier: MIT */
/* See segment.h. */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intmath.h"
#include "bucketmap.h"

enum {
        VERSION_BYTES = 8, /* a record of the log gets longer by as much as a copy */
        FILL = 64 << 10,   /* what is filled at once as the writer goes on */
        AHEAD = 1 << 20,   /* and before a sync, if less than AHEAD_MIN is */
        AHEAD_MIN = 256 << 10,
        PAGE = 4 << 10,
};

_Static_assert((int)BM_HUGE_PAGE <= (int)BM_IO_FILL_MAX, "a huge page is filled by one call");

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

static bool is_stored_into(const struct bm_segment *s)
{
        return s->access == BM_SEGMENT_MAPPED || s->access == BM_SEGMENT_HUGE ||
               s->access == BM_SEGMENT_IN_MEMORY;
}

static int map_segment(struct bm_segment *s)
{
        void *base;
        if (s->header.kind == BM_SEGMENT_INDEX)
                return 0;
        int r = bm_io_call(s->io, map, s->fd, s->size, is_stored_into(s), &base);
        if (r == 0)
                s->base = base;
        return r;
}

/*
 * What is written a huge page at a time gets huge pages in the page cache (ext4 and xfs of today),
 * and is mapped by them: one fault instead of 512, and hardly a miss of the TLB. Elsewhere it is
 * as good as any other way to fill a file.
 */
static uint64_t piece_of(const struct bm_segment *s)
{
        return s->access == BM_SEGMENT_HUGE && s->size % BM_HUGE_PAGE == 0 ? BM_HUGE_PAGE : FILL;
}

static int write_header(struct bm_segment *s)
{
        uint8_t header[BM_SEGMENT_HEADER];
        bm_segment_header_encode(&s->header, header);
        return bm_io_call(s->io, pwrite, s->fd, header, sizeof(header), 0);
}

static int start_new(struct bm_segment *s)
{
        const bool huge = piece_of(s) == BM_HUGE_PAGE;
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

/* Pages up to byte END, in pieces that start at their multiples. */
static int fill(struct bm_segment *s, uint64_t end, uint64_t piece)
{
        int r = 0;
        while (r == 0 && s->filled < end) {
                uint64_t to = bm_min_u64(bm_round_down(s->filled + piece, piece), s->size);
                r = bm_io_call(s->io, fill, s->fd, s->filled, to - s->filled);
                if (r == 0)
                        s->filled = to;
        }
        return r;
}

int bm_segment_settle(struct bm_segment *s)
{
        int r = bm_io_call(s->io, sync_data, s->fd);
        if (r == 0)
                atomic_store(&s->synced, BM_SEGMENT_HEADER);
        return r == 0 ? bm_segments_sync_names(&s, 1) : r;
}

void bm_segment_fill_to(struct bm_segment *s, uint64_t end)
{
        if (is_stored_into(s))
                (void)!fill(s, bm_min_u64(end, s->size), piece_of(s));
}

void bm_segment_fill_huge(struct bm_segment *s, uint64_t end)
{
        if (piece_of(s) == BM_HUGE_PAGE)
                (void)!fill(s, bm_min_u64(bm_round_down(end, BM_HUGE_PAGE), s->size), BM_HUGE_PAGE);
}

void bm_segment_fill_ahead(struct bm_segment *s, bool smallest)
{
        uint64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);
        /* no hurry where it fails: the writer meets that */
        if (is_stored_into(s) && s->filled < used + AHEAD_MIN)
                (void)!fill(s, bm_min_u64(used + AHEAD, s->size), smallest ? PAGE : FILL);
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

int bm_segment_write(struct bm_segment *s, uint64_t offset, const void *bytes, size_t len)
{
        if (!is_stored_into(s))
                return bm_segment_write_call(s, offset, bytes, len);
        int r = fill(s, offset + len, piece_of(s));
        return r < 0 ? r : bm_io_call(s->io, map_write, s->fd, s->base, offset, bytes, len);
}

int bm_segment_write_call(struct bm_segment *s, uint64_t offset, const void *bytes, size_t len)
{
        int r = bm_io_call(s->io, pwrite, s->fd, bytes, len, offset);
        /* what is behind it in its last page is zeros */
        if (r == 0 && s->filled < offset + len)
                s->filled = bm_round_down(offset + len + PAGE - 1, PAGE);
        return r;
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

/* How much of a record is verified. */
enum verified { ALL, HEAD, NOTHING };

static int record_at(const struct bm_segment *s, uint64_t offset, enum verified verified,
                     struct bm_record *record)
{
        if (offset < BM_SEGMENT_HEADER || offset >= s->size)
                return BM_E_DAMAGED;
        const uint8_t *at = s->base + offset;
        const uint64_t left = s->size - offset, salt = s->header.salt;
        const int64_t base_time = s->header.base_time;
        int r = verified == NOTHING ? bm_record_parse(record, at, left, base_time)
                                    : (verified == HEAD ? bm_record_decode_head : bm_record_decode)(
                                              record, at, left, salt, offset, base_time);
        /* zeros in place of its beginning, or of what it says to be its length */
        if (r == 0 ? bm_record_intact(record)
                   : bm_mapped_intact(at, bm_record_length(at, left) + 1))
                return r;
        return -EIO;
}

int bm_segment_record(const struct bm_segment *s, uint64_t offset, struct bm_record *record)
{
        return record_at(s, offset, ALL, record);
}

int bm_segment_record_head(const struct bm_segment *s, uint64_t offset, struct bm_record *record)
{
        return record_at(s, offset, HEAD, record);
}

int bm_segment_record_unverified(const struct bm_segment *s, uint64_t offset,
                                 struct bm_record *record)
{
        return record_at(s, offset, NOTHING, record);
}

void bm_segment_count_put(struct bm_segment *s, uint64_t version)
{
        atomic_fetch_add_explicit(&s->n_puts, 1, memory_order_relaxed);
        /* Only the one compactor ever lowers it: a log segment's is its start. */
        if (version < atomic_load_explicit(&s->lowest_version, memory_order_relaxed))
                atomic_store_explicit(&s->lowest_version, version, memory_order_relaxed);
}

void bm_segment_count_tombstone(struct bm_segment *s, uint32_t length, uint64_t version)
{
        uint64_t highest = atomic_load_explicit(&s->kept_version, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->kept_bytes, length, memory_order_relaxed);
        while (highest < version &&
               !atomic_compare_exchange_weak_explicit(&s->kept_version, &highest, version,
                                                      memory_order_relaxed, memory_order_relaxed))
                ;
}

void bm_segment_add_live(struct bm_segment *s, uint32_t length)
{
        atomic_fetch_add_explicit(&s->n_live, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&s->live_bytes, length, memory_order_relaxed);
}

void bm_segment_add_put(struct bm_segment *s, uint32_t length, uint64_t version)
{
        bm_segment_count_put(s, version);
        bm_segment_add_live(s, length);
}

void bm_segment_drop_live(struct bm_segment *s, uint32_t length)
{
        atomic_fetch_sub_explicit(&s->n_live, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&s->live_bytes, length, memory_order_relaxed);
}

uint64_t bm_segment_output(const struct bm_segment *s)
{
        uint64_t live = atomic_load_explicit(&s->live_bytes, memory_order_relaxed);
        uint64_t n_live = atomic_load_explicit(&s->n_live, memory_order_relaxed);
        return s->header.kind == BM_SEGMENT_LOG ? live + n_live * VERSION_BYTES : live;
}

uint64_t bm_segment_reclaimable(const struct bm_segment *s)
{
        uint64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);
        uint64_t kept = atomic_load_explicit(&s->kept_bytes, memory_order_relaxed);
        uint64_t held = bm_segment_output(s) + kept + BM_SEGMENT_HEADER;
        /* a full one's last bytes did not take the next record, nor would those of its copies */
        if (used < s->size / 2 && atomic_load(&s->state) != BM_SEGMENT_OPEN)
                used = s->size;
        return used > held ? used - held : 0;
}

void bm_segment_to_row(const struct bm_segment *s, struct bm_segment_row *row)
{
        *row = (struct bm_segment_row){
                .file_id = s->header.file_id,
                .drive = s->header.drive,
                .kind = s->header.kind,
                .size_log2 = s->header.size_log2,
                .state = atomic_load_explicit(&s->state, memory_order_relaxed),
                .number = s->header.number,
                .salt = s->header.salt,
                .used = atomic_load_explicit(&s->used, memory_order_acquire),
                .live_bytes = atomic_load_explicit(&s->live_bytes, memory_order_relaxed),
                .kept_bytes = atomic_load_explicit(&s->kept_bytes, memory_order_relaxed),
                .n_puts = atomic_load_explicit(&s->n_puts, memory_order_relaxed),
                .n_live = atomic_load_explicit(&s->n_live, memory_order_relaxed),
                .lowest_version = atomic_load_explicit(&s->lowest_version, memory_order_relaxed),
                .kept_version = atomic_load_explicit(&s->kept_version, memory_order_relaxed),
                .base_time = s->header.base_time,
        };
}

void bm_segment_from_row(struct bm_segment *s, const struct bm_segment_row *row)
{
        atomic_store_explicit(&s->state, row->state, memory_order_relaxed);
        atomic_store_explicit(&s->used, row->used, memory_order_relaxed);
        atomic_store_explicit(&s->live_bytes, row->live_bytes, memory_order_relaxed);
        atomic_store_explicit(&s->n_puts, row->n_puts, memory_order_relaxed);
        atomic_store_explicit(&s->n_live, row->n_live, memory_order_relaxed);
        atomic_store_explicit(&s->lowest_version, row->lowest_version, memory_order_relaxed);
        atomic_store_explicit(&s->kept_bytes, row->kept_bytes, memory_order_relaxed);
        atomic_store_explicit(&s->kept_version, row->kept_version, memory_order_relaxed);
}
