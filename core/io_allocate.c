/* SPDX-License-Identifier: MIT */
#include "io_allocate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/intmath.h"

enum { COPY_BYTES = 64 << 10 };

int bm_io_allocate_by_writing(const struct bm_io *io, int fd, uint64_t offset, uint64_t len)
{
        bm_autofree uint8_t *buf = malloc(COPY_BYTES);
        struct bm_io_file file;
        int r;

        if (!buf)
                return -ENOMEM;
        r = bm_io_call(io, stat, fd, &file);
        while (r == 0 && len) {
                size_t n = bm_min_u64(len, COPY_BYTES);

                if (offset < file.size_bytes) {
                        n = bm_min_u64(n, file.size_bytes - offset);
                        r = bm_io_call(io, pread, fd, buf, n, offset);
                } else {
                        memset(buf, 0, n);
                }
                if (r == 0)
                        r = bm_io_call(io, pwrite, fd, buf, n, offset);
                offset += n;
                len -= n;
        }
        return r;
}
