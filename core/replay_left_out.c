/* SPDX-License-Identifier: MIT */
/* What a segment was that the log leads to, but that could not be opened. */
#include <errno.h>
#include <fcntl.h>

#include "base/intmath.h"
#include "bucketmap.h"
#include "drives.h"
#include "recover.h"

/* The highest durable position that the records in FD tell of, of a file that long; 0: of none. */
static uint64_t told_in(const struct bm_io *io, int fd, uint64_t size, uint64_t salt)
{
        enum { WINDOW = 64 << 10, SYNC_MAX = 64 };
        uint8_t bytes[WINDOW];
        uint64_t highest = 0;
        struct bm_record r;
        for (uint64_t from = BM_SEGMENT_HEADER; from < size; from += WINDOW - SYNC_MAX) {
                size_t len = bm_min_u64(WINDOW, size - from);
                if (bm_io_call(io, pread, fd, bytes, len, from) < 0)
                        continue;
                for (size_t at = 0; at < len; at += BM_UNIT) {
                        uint32_t length = bm_record_length(bytes + at, len - at);
                        if (length == 0 || length > SYNC_MAX ||
                            bm_record_decode(&r, bytes + at, length, salt, from + at, 0) != 0)
                                continue;
                        if (r.type == BM_REC_SYNC)
                                highest = bm_max_u64(highest, r.version);
                }
        }
        return highest;
}

/*
 * A header that is neither empty nor whole was durable once: a sector is written as a whole. An
 * empty one is that of a file that no sync came to, unless its records say otherwise.
 */
static uint64_t durable_in(const struct bm_io *io, int fd, const struct bm_seal *seal)
{
        uint8_t bytes[BM_SEGMENT_HEADER];
        struct bm_segment_header header;
        struct bm_io_file file = {0};
        int r = bm_io_call(io, stat, fd, &file);
        if (r == 0 && file.size_bytes < BM_SEGMENT_HEADER)
                return 0;
        if (r == 0)
                r = bm_io_call(io, pread, fd, bytes, sizeof(bytes), 0);
        if (r == 0)
                r = bm_segment_header_decode(&header, bytes);
        if (r != 0 && r != BM_E_NOT_FOUND)
                return bm_pos(seal->next_number, BM_SEGMENT_HEADER);
        return told_in(io, fd, file.size_bytes, seal->next_salt);
}

uint64_t bm_replay_left_out(const struct bm_drives *d, const struct bm_seal *seal)
{
        char name[BM_SEGMENT_NAME];
        uint64_t highest = 0;
        if (bm_drives_segment(d, seal->next_file_id))
                return 0;
        bm_segment_name(seal->next_file_id, name);
        for (unsigned i = 0; i < d->n_drives; i++) {
                int fd = bm_io_call(d->io, open_at, d->drives[i].segments, name, O_RDONLY, 0);
                if (fd >= 0) {
                        highest = bm_max_u64(highest, durable_in(d->io, fd, seal));
                        (void)bm_io_call(d->io, close, fd);
                } else if (fd != -ENOENT) { /* something else bears its name */
                        highest = bm_max_u64(highest, bm_pos(seal->next_number, BM_SEGMENT_HEADER));
                }
        }
        return highest;
}
