/* SPDX-License-Identifier: MIT */
/*
 * Requests in flight stand in a table of slots, claimed by the thread that
 * reads the message and cleared by the one that answers. More in flight than
 * there are slots are not counted; the kernel lets far fewer wait.
 */
#include "requests.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/fuse.h>

#define N_SLOTS      1024u
#define CACHE_LINE   64
#define NS_PER_US    1000
#define ID_STEP      2u /* from one request's number to the next */
#define SLOT_IS_FREE 0u /* no request has this number: notifications have */

enum kind {
        KIND_LOOKUP,
        KIND_FORGET,
        KIND_GETATTR,
        KIND_SETATTR,
        KIND_READ,
        KIND_WRITE,
        KIND_CREATE,
        KIND_MKDIR,
        KIND_SYMLINK,
        KIND_LINK,
        KIND_UNLINK,
        KIND_RMDIR,
        KIND_RENAME,
        KIND_READLINK,
        KIND_READDIR,
        KIND_FSYNC,
        KIND_GETXATTR,
        KIND_SETXATTR,
        KIND_LISTXATTR,
        KIND_REMOVEXATTR,
        KIND_STATFS,
        KIND_FALLOCATE,
        KIND_LSEEK,
        KIND_COPY,
        KIND_IOCTL,
        KIND_OTHER,
        N_KINDS,
};

_Static_assert(N_KINDS <= FS_IOC_KINDS, "all of them can be told");

static const char names[N_KINDS][FS_IOC_KIND_NAME] = {
        [KIND_LOOKUP] = "lookup",       [KIND_FORGET] = "forget",
        [KIND_GETATTR] = "getattr",     [KIND_SETATTR] = "setattr",
        [KIND_READ] = "read",           [KIND_WRITE] = "write",
        [KIND_CREATE] = "create",       [KIND_MKDIR] = "mkdir",
        [KIND_SYMLINK] = "symlink",     [KIND_LINK] = "link",
        [KIND_UNLINK] = "unlink",       [KIND_RMDIR] = "rmdir",
        [KIND_RENAME] = "rename",       [KIND_READLINK] = "readlink",
        [KIND_READDIR] = "readdir",     [KIND_FSYNC] = "fsync",
        [KIND_GETXATTR] = "getxattr",   [KIND_SETXATTR] = "setxattr",
        [KIND_LISTXATTR] = "listxattr", [KIND_REMOVEXATTR] = "removexattr",
        [KIND_STATFS] = "statfs",       [KIND_FALLOCATE] = "fallocate",
        [KIND_LSEEK] = "lseek",         [KIND_COPY] = "copy",
        [KIND_IOCTL] = "ioctl",         [KIND_OTHER] = "other",
};

/* An opcode that is not here is of the other kind, and so is 0, which none has. */
static const uint8_t kinds[] = {
        [0] = KIND_OTHER,
        [FUSE_LOOKUP] = KIND_LOOKUP + 1,
        [FUSE_FORGET] = KIND_FORGET + 1,
        [FUSE_BATCH_FORGET] = KIND_FORGET + 1,
        [FUSE_GETATTR] = KIND_GETATTR + 1,
        [FUSE_SETATTR] = KIND_SETATTR + 1,
        [FUSE_READ] = KIND_READ + 1,
        [FUSE_WRITE] = KIND_WRITE + 1,
        [FUSE_MKNOD] = KIND_CREATE + 1,
        [FUSE_CREATE] = KIND_CREATE + 1,
        [FUSE_MKDIR] = KIND_MKDIR + 1,
        [FUSE_SYMLINK] = KIND_SYMLINK + 1,
        [FUSE_LINK] = KIND_LINK + 1,
        [FUSE_UNLINK] = KIND_UNLINK + 1,
        [FUSE_RMDIR] = KIND_RMDIR + 1,
        [FUSE_RENAME] = KIND_RENAME + 1,
        [FUSE_RENAME2] = KIND_RENAME + 1,
        [FUSE_READLINK] = KIND_READLINK + 1,
        [FUSE_READDIR] = KIND_READDIR + 1,
        [FUSE_READDIRPLUS] = KIND_READDIR + 1,
        [FUSE_FSYNC] = KIND_FSYNC + 1,
        [FUSE_FSYNCDIR] = KIND_FSYNC + 1,
        [FUSE_GETXATTR] = KIND_GETXATTR + 1,
        [FUSE_SETXATTR] = KIND_SETXATTR + 1,
        [FUSE_LISTXATTR] = KIND_LISTXATTR + 1,
        [FUSE_REMOVEXATTR] = KIND_REMOVEXATTR + 1,
        [FUSE_STATFS] = KIND_STATFS + 1,
        [FUSE_FALLOCATE] = KIND_FALLOCATE + 1,
        [FUSE_LSEEK] = KIND_LSEEK + 1,
        [FUSE_COPY_FILE_RANGE] = KIND_COPY + 1,
        [FUSE_IOCTL] = KIND_IOCTL + 1,
};

/* Sums that depend on nothing else: every access is relaxed. */
struct counter {
        alignas(CACHE_LINE) atomic_uint_least64_t requests;
        atomic_uint_least64_t errors;
        atomic_uint_least64_t bytes;
        atomic_uint_least64_t total_ns;
        atomic_uint_least64_t histogram[FS_IOC_BUCKETS];
};

struct slot {
        /* Claimed with acquire, freed with release, so that the fields of one
         * request are not written while those of the one before are read. That
         * the answering thread sees the fields comes from how it got the request. */
        atomic_uint_least64_t unique;
        int64_t started_ns;
        uint32_t bytes;
        enum kind kind;
};

struct fs_requests {
        struct counter counters[N_KINDS];
        int64_t since_ns;
        struct slot slots[N_SLOTS];
};

static int64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void add(atomic_uint_least64_t *sum, uint64_t n)
{
        atomic_fetch_add_explicit(sum, n, memory_order_relaxed);
}

int fs_requests_new(struct fs_requests **requestsp)
{
        struct fs_requests *requests = aligned_alloc(CACHE_LINE, sizeof(*requests));

        if (!requests)
                return -ENOMEM;
        memset(requests, 0, sizeof(*requests));
        requests->since_ns = now_ns();
        *requestsp = requests;
        return 0;
}

struct fs_requests *fs_requests_free(struct fs_requests *requests)
{
        free(requests);
        return NULL;
}

unsigned fs_requests_bucket(int64_t ns)
{
        uint64_t us = ns > 0 ? (uint64_t)ns / NS_PER_US : 0;
        unsigned bucket = us ? 64 - (unsigned)__builtin_clzll(us) : 0;

        return bucket < FS_IOC_BUCKETS ? bucket : FS_IOC_BUCKETS - 1;
}

static enum kind kind_of(uint32_t opcode)
{
        if (opcode >= sizeof(kinds) || !kinds[opcode])
                return KIND_OTHER;
        return (enum kind)(kinds[opcode] - 1);
}

/* Neither is answered. */
static bool has_no_answer(uint32_t opcode)
{
        return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static struct slot *slot_at(struct fs_requests *requests, uint64_t unique, unsigned step)
{
        return &requests->slots[(unique / ID_STEP + step) % N_SLOTS];
}

static struct slot *claim_slot(struct fs_requests *requests, uint64_t unique)
{
        for (unsigned i = 0; i < N_SLOTS; i++) {
                struct slot *slot = slot_at(requests, unique, i);
                uint64_t is_free = SLOT_IS_FREE;

                if (atomic_compare_exchange_strong_explicit(&slot->unique, &is_free, unique,
                                                            memory_order_acquire,
                                                            memory_order_relaxed))
                        return slot;
        }
        return NULL;
}

static struct slot *find_slot(struct fs_requests *requests, uint64_t unique)
{
        for (unsigned i = 0; i < N_SLOTS; i++) {
                struct slot *slot = slot_at(requests, unique, i);

                if (atomic_load_explicit(&slot->unique, memory_order_relaxed) == unique)
                        return slot;
        }
        return NULL;
}

void fs_requests_begin(struct fs_requests *requests, const void *message, size_t len)
{
        struct fuse_in_header header;
        struct fuse_write_in write_in;
        struct slot *slot;

        if (len < sizeof(header))
                return;
        memcpy(&header, message, sizeof(header));
        if (has_no_answer(header.opcode)) {
                add(&requests->counters[kind_of(header.opcode)].requests, 1);
                return;
        }
        slot = header.unique == SLOT_IS_FREE ? NULL : claim_slot(requests, header.unique);
        if (!slot)
                return;
        slot->kind = kind_of(header.opcode);
        slot->bytes = 0;
        if (header.opcode == FUSE_WRITE && len >= sizeof(header) + sizeof(write_in)) {
                memcpy(&write_in, (const char *)message + sizeof(header), sizeof(write_in));
                slot->bytes = write_in.size;
        }
        slot->started_ns = now_ns();
}

/* "No" is an answer like another: there is no such attribute, or operation. */
static bool is_failure(int32_t error)
{
        return error && error != -ENODATA && error != -ENOSYS && error != -EOPNOTSUPP;
}

/* What the kernel was told not to ask again comes in another form at once: a
 * CREATE as MKNOD. */
static enum kind answered_kind(const struct slot *slot, int32_t error)
{
        return error == -ENOSYS ? KIND_OTHER : slot->kind;
}

void fs_requests_end(struct fs_requests *requests, const struct iovec *iov, int count)
{
        struct fuse_out_header header;
        struct counter *counter;
        struct slot *slot;
        int64_t ns;

        if (count < 1 || iov[0].iov_len < sizeof(header))
                return;
        memcpy(&header, iov[0].iov_base, sizeof(header));
        slot = header.unique == SLOT_IS_FREE ? NULL : find_slot(requests, header.unique);
        if (!slot)
                return;
        ns = now_ns() - slot->started_ns;
        counter = &requests->counters[answered_kind(slot, header.error)];
        add(&counter->requests, 1);
        add(&counter->total_ns, (uint64_t)ns);
        add(&counter->histogram[fs_requests_bucket(ns)], 1);
        if (is_failure(header.error))
                add(&counter->errors, 1);
        else if (slot->kind == KIND_READ)
                add(&counter->bytes, header.len - sizeof(header));
        else if (slot->bytes)
                add(&counter->bytes, slot->bytes);
        atomic_store_explicit(&slot->unique, SLOT_IS_FREE, memory_order_release);
}

static uint64_t read_sum(atomic_uint_least64_t *sum)
{
        return atomic_load_explicit(sum, memory_order_relaxed);
}

void fs_requests_read(struct fs_requests *requests, struct fs_ioc_requests *out)
{
        memset(out, 0, sizeof(*out));
        out->elapsed_ns = (uint64_t)(now_ns() - requests->since_ns);
        out->n_kinds = N_KINDS;
        for (unsigned i = 0; i < N_KINDS; i++) {
                struct counter *counter = &requests->counters[i];
                struct fs_ioc_kind *kind = &out->kinds[i];

                memcpy(kind->name, names[i], sizeof(kind->name));
                kind->requests = read_sum(&counter->requests);
                kind->errors = read_sum(&counter->errors);
                kind->bytes = read_sum(&counter->bytes);
                kind->total_ns = read_sum(&counter->total_ns);
                for (unsigned b = 0; b < FS_IOC_BUCKETS; b++)
                        kind->histogram[b] = read_sum(&counter->histogram[b]);
        }
}
