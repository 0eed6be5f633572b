/* SPDX-License-Identifier: MIT */
/* See put_batch.h. */
#include "put_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define ALIGN 8u

_Static_assert(sizeof(struct fs_ioc_put_record) + BM_KEY_MAX + 1 + PUT_BATCH_META_MAX +
                               SINK_VALUE_MAX + ALIGN <=
                       FS_IOC_PUT_BYTES,
               "a record fits");

static struct put_batch *gathered(struct put_batches *b)
{
        return &b->batches[b->gathering];
}

static void *send_batch(void *ctx)
{
        struct put_batch *batch = ctx;

        batch->result = ioctl(batch->fd, FS_IOC_PUT, &batch->put) ? -errno : 0;
        return NULL;
}

/* Reports what came of a batch, and empties it. A failure of the whole is one of each record. */
static void settle(struct put_batches *b, struct put_batch *batch)
{
        /* the answer has a byte for each in their place */
        for (uint32_t i = 0; i < batch->put.n_records; i++) {
                uint8_t one = batch->result ? (uint8_t)-batch->result : batch->put.records[i];

                b->last_result = one;
                if (one && one != FS_IOC_PUT_KEPT)
                        b->sink->failed(b->sink->failed_ctx, batch->paths[i],
                                        sink_reason(b->sink, -one));
                free(batch->paths[i]);
        }
        batch->put.n_records = batch->put.len = 0;
}

/* Waits for the batch that is on its way. */
static void collect(struct put_batches *b)
{
        if (!b->sending)
                return;
        pthread_join(b->sender, NULL);
        b->sending = false;
        settle(b, &b->batches[!b->gathering]);
}

/* Sends what has gathered, one batch at a time. */
static void send_gathered(struct put_batches *b)
{
        struct put_batch *batch = gathered(b);

        if (!batch->put.n_records)
                return;
        collect(b);
        batch->put.mode = b->sink->mode;
        if (pthread_create(&b->sender, NULL, send_batch, batch)) {
                send_batch(batch);
                settle(b, batch);
                return;
        }
        b->sending = true;
        b->gathering = !b->gathering;
}

void put_batches_flush(struct put_batches *b)
{
        send_gathered(b);
        collect(b);
}

static int note_path(struct put_batch *batch, const char *path)
{
        if (batch->put.n_records == batch->paths_size) {
                size_t size = batch->paths_size ? 2 * batch->paths_size : 64;
                char **paths = realloc(batch->paths, size * sizeof(*paths));

                if (!paths)
                        return -ENOMEM;
                batch->paths = paths;
                batch->paths_size = size;
        }
        batch->paths[batch->put.n_records] = strdup(path);
        return batch->paths[batch->put.n_records] ? 0 : -ENOMEM;
}

int put_batches_add(struct put_batches *b, int fd, const char *name, const struct tree_entry *entry,
                    const uint8_t *meta, size_t meta_len, const void *value, size_t len)
{
        struct fs_ioc_put_record head = {.value_len = (uint32_t)len,
                                         .meta_len = (uint16_t)meta_len,
                                         .name_len = (uint8_t)strlen(name),
                                         .has_count = entry->has_count,
                                         .count = entry->count};
        size_t size = sizeof(head) + head.name_len + 1 + meta_len + len;
        struct put_batch *batch = gathered(b);
        uint8_t *out;

        size = (size + ALIGN - 1) / ALIGN * ALIGN;
        head.size = (uint32_t)size;
        if (batch->fd != fd || batch->put.len + size > sizeof(batch->put.records)) {
                send_gathered(b);
                batch = gathered(b);
        }
        if (note_path(batch, entry->path))
                return -ENOMEM;
        batch->fd = fd;
        out = batch->put.records + batch->put.len;
        memcpy(out, &head, sizeof(head));
        memcpy(out + sizeof(head), name, head.name_len + 1u);
        memcpy(out + sizeof(head) + head.name_len + 1, meta, meta_len);
        memcpy(out + sizeof(head) + head.name_len + 1 + meta_len, value, len);
        batch->put.len += (uint32_t)size;
        batch->put.n_records++;
        return 0;
}

void put_batches_init(struct put_batches *b, const struct sink *sink)
{
        b->sink = sink;
        b->batches[0].fd = b->batches[1].fd = -1;
}

void put_batches_deinit(struct put_batches *b)
{
        put_batches_flush(b);
        free(b->batches[0].paths);
        free(b->batches[1].paths);
}
