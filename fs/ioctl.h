/* SPDX-License-Identifier: MIT */
/*
 * What the command asks of a running daemon: ioctls on the root directory of
 * the mount, or on a directory in it where that is said. Any other file
 * answers ENOTTY, anyone but root and the owner of the daemon gets EPERM.
 *
 * A request's number contains the size of its struct, so that a command and a
 * daemon of different age give ENOTTY, never misread bytes; a field is added by
 * taking it from `reserved`. All integers are in the machine's byte order. A
 * string ends in NUL.
 *
 * Numbers 1 to 15 are for figures and control, 16 to 31 for the online check
 * (a start, a poll that returns findings page by page, a cancel), 32 to 63
 * for operations on many keys (a struct of at most 16 KiB holds as many packed
 * keys as fit; its answer has one result a key).
 */
#ifndef FS_IOCTL_H
#define FS_IOCTL_H

#include <linux/ioctl.h>
#include <stdint.h>

#define FS_IOC_MAGIC 0xBBu

/* bm_grow_stats with fixed widths */
struct fs_ioc_grow {
        uint64_t resizes;
        uint64_t failed_resizes;
        uint64_t max_size;
        uint64_t resize_us;
        uint64_t longest_us;
        uint64_t new_file_us;
        uint64_t flush_file_us;
        uint64_t mmap_us;
        uint64_t file_count;
        uint64_t total_file_size;
        uint64_t reserved[2];
};

#define FS_IOC_PATH_MAX 4096u

#define FS_IOC_NAMES_BYTES 8160u

/* bm_stats with fixed widths, and which process serves which store */
struct fs_ioc_info {
        uint32_t format_major, format_minor;
        uint8_t uuid[16];
        int64_t created_ns;
        uint32_t n_drives;
        uint32_t n_buckets;
        uint32_t max_search;
        uint32_t pid; /* of the daemon, in its own namespace */
        uint64_t keys;
        uint64_t maps;
        uint64_t value_bytes;
        uint64_t disk_bytes;
        uint64_t reclaimable_bytes;
        uint64_t live_bytes;
        uint64_t segments;
        uint64_t segment_bytes;
        uint64_t index_bytes;
        uint64_t index_slots;
        uint64_t index_used;
        uint64_t index_splits;
        uint64_t index_grows;
        uint64_t longest_probe;
        uint64_t find_entry_us;
        struct fs_ioc_grow index, data;
        uint64_t log_bytes;
        uint64_t syncs;
        uint64_t checkpoints;
        uint64_t compacted_bytes;
        uint64_t replayed_records;
        uint64_t replay_bytes;
        uint64_t n_inodes; /* that the kernel knows, the root included */
        uint8_t read_only;
        uint8_t clean_open;
        uint8_t nomap_drives;
        uint8_t pad[5];
        uint64_t reserved[8];
        char store_path[FS_IOC_PATH_MAX]; /* absolute; "" if unknown */
};

_Static_assert(sizeof(struct fs_ioc_grow) == 96, "the same on every machine");
_Static_assert(sizeof(struct fs_ioc_info) == 4584, "the same on every machine");

#define FS_IOC_KINDS     32u
#define FS_IOC_KIND_NAME 16u
/* Of a histogram: the first counts what took less than a microsecond, the one
 * at I what took at least 2^(I-1) and less than 2^I, the last all that took longer. */
#define FS_IOC_BUCKETS 27u

/* Requests of one kind since the mount. */
struct fs_ioc_kind {
        char name[FS_IOC_KIND_NAME];
        uint64_t requests;
        uint64_t errors; /* ENODATA, ENOSYS and EOPNOTSUPP are answers, no errors */
        uint64_t bytes;  /* read or written */
        uint64_t total_ns;
        uint64_t histogram[FS_IOC_BUCKETS]; /* of those that are answered */
};

struct fs_ioc_requests {
        uint64_t elapsed_ns; /* since the mount */
        uint32_t n_kinds;
        uint32_t pad;
        uint64_t reserved[6];
        struct fs_ioc_kind kinds[FS_IOC_KINDS];
};

_Static_assert(sizeof(struct fs_ioc_kind) == 264, "the same on every machine");
_Static_assert(sizeof(struct fs_ioc_requests) == 8512, "the same on every machine");

/* The store's figures. Does not wait for disks. */
#define FS_IOC_INFO _IOR(FS_IOC_MAGIC, 1, struct fs_ioc_info)

/* As bm_sync: returns when everything done before it is durable; EIO if that failed. */
#define FS_IOC_SYNC _IO(FS_IOC_MAGIC, 2)

/* What the kernel asked since the mount. */
#define FS_IOC_REQUESTS _IOR(FS_IOC_MAGIC, 3, struct fs_ioc_requests)

#define FS_IOC_SEGMENTS_MAX 32u

/* Some of bm_segments */
struct fs_ioc_segments {
        uint32_t from; /* in: the smallest file id that is wanted */
        uint32_t n;    /* out: how many follow; fewer than fit: that was all */
        uint64_t reserved;
        struct fs_ioc_segment {
                uint32_t file_id;
                uint16_t drive;
                uint8_t kind; /* 0 log, 1 cold, 2 index */
                uint8_t pad;
                uint64_t number;
                uint64_t size, used, live; /* bytes */
        } segments[FS_IOC_SEGMENTS_MAX];
};

_Static_assert(sizeof(struct fs_ioc_segments) == 1296, "the same on every machine");

/* The segments, in the order of their file ids. */
#define FS_IOC_SEGMENTS _IOWR(FS_IOC_MAGIC, 4, struct fs_ioc_segments)

#define FS_IOC_CHECK_BYTES 16320u

/* Begins a finding of a check; behind it key, path and message, none with a NUL. */
struct fs_ioc_finding {
        uint32_t size; /* of all, a multiple of 8 */
        uint16_t path_len, message_len;
        uint64_t map_id; /* as bm_finding has it */
        uint8_t kind;    /* likewise */
        uint8_t key_len; /* 0: no key */
        uint8_t pad[6];
};

/* How far a check is, and what it found since the last look. */
struct fs_ioc_check {
        uint64_t id; /* in: which one */
        uint64_t done_bytes, total_bytes;
        int32_t result;   /* bm_check's, once it is finished */
        uint8_t finished; /* nothing follows */
        uint8_t pad[3];
        uint32_t n_findings;
        uint32_t len; /* bytes of FINDINGS in use */
        uint64_t reserved;
        uint8_t findings[FS_IOC_CHECK_BYTES];
};

_Static_assert(sizeof(struct fs_ioc_finding) == 24, "the same on every machine");
_Static_assert(sizeof(struct fs_ioc_check) == 48 + FS_IOC_CHECK_BYTES, "the same on every machine");

/* Begins a check of the mounted store and gives its id; EBUSY: there is one;
 * EAGAIN: one that is about to end. */
#define FS_IOC_CHECK_START _IOR(FS_IOC_MAGIC, 16, uint64_t)

/* Looks at it. ESRCH: it was cancelled, or nobody had looked for a minute. */
#define FS_IOC_CHECK_POLL _IOWR(FS_IOC_MAGIC, 17, struct fs_ioc_check)

/* Ends the check of that id. */
#define FS_IOC_CHECK_CANCEL _IOW(FS_IOC_MAGIC, 18, uint64_t)

/* Names in a directory to be removed if the count of each is COUNT */
struct fs_ioc_remove {
        uint64_t count;
        uint32_t n_names;
        uint32_t len; /* bytes of NAMES in use */
        uint64_t reserved[2];
        /* in: the names, each with its NUL; out: a byte a name, in their order:
         * 0 removed, EBUSY another count, ENOENT, EISDIR or another errno */
        uint8_t names[FS_IOC_NAMES_BYTES];
};

_Static_assert(sizeof(struct fs_ioc_remove) == 32 + FS_IOC_NAMES_BYTES,
               "the same on every machine");

/*
 * To the names' directory itself, which must be one that the caller has open.
 * Each removal is atomic, all together are not. When it returns, no cache of
 * the kernel's knows the names any more.
 */
#define FS_IOC_REMOVE _IOWR(FS_IOC_MAGIC, 32, struct fs_ioc_remove)

#define FS_IOC_PUT_BYTES 16320u

/* Files and symbolic links to be stored in a directory. */
struct fs_ioc_put {
        uint32_t n_records;
        uint32_t len;  /* bytes of RECORDS in use */
        uint32_t mode; /* enum fs_put_mode */
        uint32_t pad;
        uint64_t reserved[2];
        /* in: the records; out: a byte a record, in their order: 0 stored,
         * FS_IOC_PUT_KEPT, EEXIST or another errno */
        uint8_t records[FS_IOC_PUT_BYTES];
};

#define FS_IOC_PUT_KEPT 255u

/*
 * Begins a record; behind it the name with its NUL, the meta (attr.h, the owner is
 * for root to choose), the value. The next begins at a multiple of 8.
 */
struct fs_ioc_put_record {
        uint32_t size; /* of all, a multiple of 8 */
        uint32_t value_len;
        uint16_t meta_len;
        uint8_t name_len; /* without the NUL */
        uint8_t has_count;
        uint32_t pad;
        uint64_t count;
};

_Static_assert(sizeof(struct fs_ioc_put) == 32 + FS_IOC_PUT_BYTES, "the same on every machine");
_Static_assert(sizeof(struct fs_ioc_put_record) == 24, "the same on every machine");

/*
 * To the directory itself, as FS_IOC_REMOVE: each record is stored in one
 * step, and when it returns the kernel's caches tell of all of them.
 */
#define FS_IOC_PUT _IOWR(FS_IOC_MAGIC, 33, struct fs_ioc_put)

#endif
