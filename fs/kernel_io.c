/* SPDX-License-Identifier: MIT */
/*
 * libfuse calls these hooks for every message, in the thread that handles it:
 * what the last request of a thread was stands in a variable of the thread's.
 */
#include "kernel_io.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "fs.h"
#include "requests.h"

#ifndef FUSE_CAP_HANDLE_KILLPRIV_V2

static _Thread_local uint32_t last_write_flags;

/* Copies LEN bytes at OFFSET of a message of SIZE bytes, if it is that long. */
static bool peek(const void *message, size_t size, size_t offset, void *out, size_t len)
{
        if (size < offset || size - offset < len)
                return false;
        memcpy(out, (const char *)message + offset, len);
        return true;
}

static void see_request(struct fs *fs, const void *message, size_t size)
{
        struct fuse_in_header header;
        struct fuse_init_in init;
        struct fuse_write_in write_in;

        if (!peek(message, size, 0, &header, sizeof(header)))
                return;
        if (header.opcode == FUSE_WRITE) {
                last_write_flags = 0;
                if (peek(message, size, sizeof(header), &write_in, sizeof(write_in)))
                        last_write_flags = write_in.write_flags;
        } else if (header.opcode == FUSE_INIT) {
                /* the flags stand in what even the oldest kernels send */
                size_t len = offsetof(struct fuse_init_in, flags) + sizeof(init.flags);

                if (peek(message, size, sizeof(header), &init, len) &&
                    init.flags & FUSE_HANDLE_KILLPRIV_V2)
                        atomic_store(&fs->kernel_io.init_unique, header.unique);
        }
}

/* Adds KILLPRIV_V2 to what the answer to INIT accepts. */
static void accept_killpriv(struct fs *fs, const struct iovec *iov, int count)
{
        const struct fuse_out_header *header = iov[0].iov_base;
        struct fuse_init_out *init;

        if (count < 2 || iov[0].iov_len != sizeof(*header) ||
            iov[1].iov_len < offsetof(struct fuse_init_out, flags) + sizeof(init->flags) ||
            header->unique != atomic_load(&fs->kernel_io.init_unique) || header->error)
                return;
        init = iov[1].iov_base;
        init->flags |= FUSE_HANDLE_KILLPRIV_V2;
        atomic_store(&fs->kernel_io.init_unique, 0);
}

static void see_answer(struct fs *fs, struct iovec *iov, int count)
{
        if (atomic_load_explicit(&fs->kernel_io.init_unique, memory_order_relaxed))
                accept_killpriv(fs, iov, count);
}

bool fs_write_kills(fuse_req_t req)
{
        if (fs_of(req)->kernel_io.installed)
                return last_write_flags & FUSE_WRITE_KILL_SUIDGID;
        return fuse_req_ctx(req)->uid != 0;
}

#else

static void see_request(struct fs *fs, const void *message, size_t size)
{
}

static void see_answer(struct fs *fs, struct iovec *iov, int count)
{
}

/* libfuse drops the flag; the kernel sets it for those without CAP_FSETID. */
bool fs_write_kills(fuse_req_t req)
{
        return fuse_req_ctx(req)->uid != 0;
}

#endif

static ssize_t hook_read(int fd, void *buf, size_t buf_len, void *userdata)
{
        struct fs *fs = userdata;
        ssize_t n = read(fd, buf, buf_len);

        if (n >= 0) {
                see_request(fs, buf, (size_t)n);
                fs_requests_begin(fs->requests, buf, (size_t)n);
        }
        return n;
}

static ssize_t hook_writev(int fd, struct iovec *iov, int count, void *userdata)
{
        struct fs *fs = userdata;

        see_answer(fs, iov, count);
        /* before, so that whoever got an answer finds it counted */
        fs_requests_end(fs->requests, iov, count);
        return writev(fd, iov, count);
}

int fs_kernel_io_install(struct fs *fs, struct fuse_session *session)
{
        const struct fuse_custom_io io = {.read = hook_read, .writev = hook_writev};
        int result = fuse_session_custom_io(session, &io, fuse_session_fd(session));

        if (!result)
                fs->kernel_io.installed = true;
        return result;
}
