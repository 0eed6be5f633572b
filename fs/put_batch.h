/* SPDX-License-Identifier: MIT */
/*
 * Small files and links on their way to a daemon, by FS_IOC_PUT: while one
 * batch is sent by a thread of its own, the caller gathers the next. Only the
 * caller looks at what came of it. For one thread.
 */
#ifndef FS_PUT_BATCH_H
#define FS_PUT_BATCH_H

#include <pthread.h>

#include "ioctl.h"
#include "sink.h"

/* Bytes of a record's meta; a record with more is not for a batch. */
#define PUT_BATCH_META_MAX 2048u

struct put_batch {
        int fd; /* of the directory that it is for */
        struct fs_ioc_put put;
        char **paths; /* of the records */
        size_t paths_size;
        int result; /* of the whole */
};

struct put_batches {
        const struct sink *sink; /* its mode, and who is told of a failure */
        struct put_batch batches[2];
        unsigned gathering; /* which of them; the other may be on its way */
        bool sending;
        pthread_t sender;
        uint8_t last_result; /* of the last record that was sent */
};

/* SINK must outlive it. */
void put_batches_init(struct put_batches *b, const struct sink *sink);

/*
 * Adds NAME in the directory FD, which stays open until the next flush, with
 * what ENTRY and META say, and a value of at most SINK_VALUE_MAX bytes. 0, or
 * -ENOMEM; what fails later is told to the sink's FAILED.
 */
int put_batches_add(struct put_batches *b, int fd, const char *name, const struct tree_entry *entry,
                    const uint8_t *meta, size_t meta_len, const void *value, size_t len);

/* Sends what has gathered, and waits for all that was sent. */
void put_batches_flush(struct put_batches *b);

/* Flushes, and frees what B holds. */
void put_batches_deinit(struct put_batches *b);

#endif
