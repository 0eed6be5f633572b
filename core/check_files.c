/* SPDX-License-Identifier: MIT */
/* The files' part of a check: all records of all segments, needed or not; the copies of
 * superblock and manifest. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

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

/* What keys need was named by the walk of the maps; this finds the rest. */
static void check_segment(struct bm_checker *c, struct bm_segment *s)
{
        char place[4200];
        uint64_t used = atomic_load_explicit(&s->used, memory_order_acquire), counted = 0;
        for (uint64_t at = BM_SEGMENT_HEADER; at < used;) {
                struct bm_record r;
                int result = bm_segment_record(s, at, &r);
                if (result == 0) {
                        at += r.length;
                } else {
                        uint64_t next = next_valid(s, at, used);
                        bm_check_report(
                                c, BM_CHECK_DEAD, NULL,
                                "%" PRIu64 " bytes from byte %" PRIu64 " of %s %s", next - at, at,
                                bm_drives_place(&c->store->drives, s, place, sizeof(place)),
                                result == -EIO ? "cannot be read (I/O error)" : "are damaged");
                        at = next;
                }
                if (at - counted > 1 << 20) {
                        bm_check_advance(c, at - counted);
                        counted = at;
                }
        }
        bm_check_advance(c, used - counted);
}

void bm_check_segments(struct bm_checker *c)
{
        struct bm_segment *s;
        uint32_t file_id = 0;
        while ((s = bm_drives_pin_next(&c->store->drives, &file_id))) {
                check_segment(c, s);
                bm_segment_unpin(s);
        }
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

void bm_check_manifests(struct bm_checker *c)
{
        for (unsigned place = 0; place < 2; place++) {
                uint8_t bytes[BM_MANIFEST_ROOT];
                struct bm_manifest m;
                int r = bm_io_call(c->store->io, pread, c->store->manifests.fd, bytes,
                                   sizeof(bytes), (uint64_t)place * BM_MANIFEST_ROOT);
                if (r == 0)
                        r = bm_manifest_decode(&m, bytes);
                if (r != 0 && r != BM_E_NOT_FOUND)
                        bm_check_report(c, BM_CHECK_INDEX, NULL, "manifest %u is damaged",
                                        place + 1);
        }
}
