/* SPDX-License-Identifier: MIT */
/*
 * usage: power-cut DIR
 * Does to the files below DIR, which nobody has open, what a power cut would: nothing of them is in
 * memory any more, and if DIR/store is a store of ours, its log ends where it was durable, as what
 * its own marks say (FORMAT.md): zeros stand behind. What a peer had not synced stays; there is no
 * telling it. Where files live in memory, as on tmpfs, they stay in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"

static uint64_t durable; /* the highest mark */
static uint64_t lost;    /* bytes */

static void fail(const char *path)
{
        fprintf(stderr, "power-cut: %s: %s\n", path, strerror(errno));
        exit(2);
}

/* A log segment, mapped; NULL: the file is something else. */
static uint8_t *map_log(const char *path, struct bm_segment_header *h, size_t *size)
{
        struct stat st;
        int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0 || fstat(fd, &st) != 0)
                fail(path);
        *size = (size_t)st.st_size;
        uint8_t *base = *size < BM_SEGMENT_HEADER
                                ? NULL
                                : mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED)
                fail(path);
        close(fd);
        if (base && (bm_segment_header_decode(h, base) != 0 || h->kind != BM_SEGMENT_LOG)) {
                munmap(base, *size);
                return NULL;
        }
        return base;
}

/* Marks: in the header, and in the records up to the first that is not whole. */
static int note_marks(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        struct bm_segment_header h;
        struct bm_record r;
        size_t size;
        uint8_t *base = type == FTW_F ? map_log(path, &h, &size) : NULL;

        if (!base)
                return 0;
        if (h.durable > durable)
                durable = h.durable;
        for (uint64_t at = BM_SEGMENT_HEADER;
             bm_record_decode(&r, base + at, size - at, h.salt, at, h.base_time) == 0;
             at += r.length) {
                if (r.type == BM_REC_SYNC && r.version > durable)
                        durable = r.version;
        }
        munmap(base, size);
        return 0;
}

static int cut_log(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        struct bm_segment_header h;
        size_t size;
        uint8_t *base = type == FTW_F ? map_log(path, &h, &size) : NULL;

        if (!base)
                return 0;
        uint64_t from = h.number < bm_pos_number(durable)   ? size
                        : h.number > bm_pos_number(durable) ? BM_SEGMENT_HEADER
                                                            : bm_pos_offset(durable);
        size_t end = size;
        while (end > from && base[end - 1] == 0)
                end--;
        if (end > from) {
                memset(base + from, 0, end - from);
                lost += end - from;
        }
        munmap(base, size);
        return 0;
}

/* Written back, so that it may be forgotten, and forgotten. */
static int forget(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        int fd = type == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (type != FTW_F)
                return 0;
        if (fd < 0 || fdatasync(fd) != 0)
                fail(path);
        if ((errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)) != 0)
                fail(path);
        close(fd);
        return 0;
}

int main(int argc, char **argv)
{
        char segments[4096];

        if (argc != 2) {
                fprintf(stderr, "usage: power-cut DIR\n");
                return 2;
        }
        snprintf(segments, sizeof(segments), "%s/store/segments", argv[1]);
        if (access(segments, F_OK) == 0) {
                nftw(segments, note_marks, 16, FTW_PHYS);
                nftw(segments, cut_log, 16, FTW_PHYS);
                fprintf(stderr, "%-16s %.1f MB of the log were not durable, and are lost\n",
                        "power cut", (double)lost / 1e6);
        }
        nftw(argv[1], forget, 16, FTW_PHYS);
        return 0;
}
