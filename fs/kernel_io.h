/* SPDX-License-Identifier: MIT */
/*
 * Every message to and from the kernel passes here: it is counted (requests.h),
 * and with a libfuse that does not know KILLPRIV_V2 the offer of it in INIT and
 * the flag of a WRITE that asks to clear set-id bits are read from the bytes.
 * Messages that a newer libfuse exchanges through io_uring do not pass.
 */
#ifndef FS_KERNEL_IO_H
#define FS_KERNEL_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fuse_api.h"

struct fs;

struct fs_kernel_io {
        bool installed;
        atomic_uint_least64_t init_unique; /* of the INIT request that is to be answered; 0: none */
};

/* Call behind fuse_session_mount. 0 or a negative errno. */
int fs_kernel_io_install(struct fs *fs, struct fuse_session *session);

/*
 * Whether the WRITE that this thread is handling asks to clear set-id bits:
 * the caller has no right to keep them.
 */
bool fs_write_kills(fuse_req_t req);

#endif
