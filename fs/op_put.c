/* SPDX-License-Identifier: MIT */
/*
 * Storing many records at once, for an import: see FS_IOC_PUT. A worker stores
 * them; the answer waits until the kernel has heard of each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "ioctl.h"
#include "notifier.h"
#include "ops.h"
#include "put.h"
#include "reply.h"

struct call {
        struct fs_notice notice; /* first: what DONE gets */
        struct fs *fs;
        fuse_req_t req;
        struct fs_put_who who;
        struct fs_ioc_put in, out;
        struct fs_stale stale[];
};

/* A record in the bytes of the call. */
struct record {
        struct fs_ioc_put_record head;
        const char *name;
        const uint8_t *meta, *value;
};

/* The record at *OFFSET, which moves behind it. -EINVAL if it is not as it should be. */
static int next_record(const struct fs_ioc_put *in, size_t *offset, struct record *record)
{
        const uint8_t *bytes = in->records + *offset;
        struct fs_ioc_put_record *head = &record->head;
        size_t left = in->len - *offset, need;

        if (left < sizeof(*head))
                return -EINVAL;
        memcpy(head, bytes, sizeof(*head));
        if (head->size > left || head->size % 8 || head->value_len > left)
                return -EINVAL;
        need = sizeof(*head) + head->name_len + 1 + head->meta_len + head->value_len;
        if (need > head->size)
                return -EINVAL;
        record->name = (const char *)bytes + sizeof(*head);
        record->meta = bytes + sizeof(*head) + head->name_len + 1;
        record->value = record->meta + head->meta_len;
        if (strnlen(record->name, head->name_len + 1u) != head->name_len)
                return -EINVAL;
        *offset += head->size;
        return 0;
}

static bool is_well_formed(const struct fs_ioc_put *in)
{
        struct record record;
        size_t offset = 0;

        if (in->len > sizeof(in->records) || in->mode > FS_PUT_REPLACE)
                return false;
        for (uint32_t i = 0; i < in->n_records; i++) {
                if (next_record(in, &offset, &record))
                        return false;
        }
        return offset == in->len;
}

/* Whoever has it open asks for its hash anew. */
static void note_written(struct fs *fs, uint64_t record_id)
{
        struct fs_inode *inode = fs_inode_get(fs->inodes, record_id);

        if (inode && !fs_inode_is_dir(inode))
                fs_inode_written(inode);
        fs_inode_put(fs->inodes, inode);
}

static int put_named(struct call *call, const struct record *record, const struct fs_name *name,
                     struct fs_put *put)
{
        uint8_t *meta = fs_thread_buffer(call->fs, FS_ATTR_MAX + (size_t)record->head.meta_len);
        int result;

        if (!meta)
                return -ENOMEM;
        *put = (struct fs_put){
                .map = name->map,
                .key = name->key,
                .key_len = name->key_len,
                .value = record->value,
                .value_len = record->head.value_len,
                .meta = meta,
                .has_count = record->head.has_count,
                .count = record->head.count,
                .mode = (enum fs_put_mode)call->in.mode,
        };
        result = fs_put_meta(&call->who, record->meta, record->head.meta_len, meta, &put->meta_len);
        if (!result)
                result = fs_put(&call->fs->backend, &call->fs->defaults, put);
        return result == BM_E_COUNT ? -EINVAL : result;
}

/* The kernel has to hear of NAME in DIR; NULL: that something is new in DIR. */
static void note_stale(struct call *call, fuse_ino_t dir, const char *name, uint64_t replaced_id)
{
        call->notice.stale = call->stale;
        if (name || !call->notice.n_stale)
                call->stale[call->notice.n_stale++] = (struct fs_stale){
                        .dir = dir, .name = name, .ino = replaced_id, .contents = true};
}

static uint8_t put_record(struct call *call, fuse_ino_t dir, const struct record *record)
{
        struct fs_put put = {0};
        struct fs_name name;
        bool cached = false;
        int result = fs_name_of(call->fs, dir, record->name, &name);

        if (!result) {
                result = put_named(call, record, &name, &put);
                cached = put.replaced_id || fs_inode_has_told(name.dir);
        }
        fs_name_release(call->fs, &name);
        if (result)
                return (uint8_t)fs_errno(result);
        if (put.kept)
                return FS_IOC_PUT_KEPT;
        if (put.replaced_id)
                note_written(call->fs, put.replaced_id);
        note_stale(call, dir, cached ? record->name : NULL, put.replaced_id);
        return 0;
}

static void told(struct fs_notice *notice)
{
        struct call *call = (struct call *)notice;
        struct fs *fs = call->fs;

        fuse_reply_ioctl(call->req, 0, &call->out, sizeof(call->out));
        free(call);
        fs_answer_given(fs);
}

static int call_new(fuse_req_t req, fuse_ino_t dir, const void *in, struct call **callp)
{
        struct fs *fs = fs_of(req);
        const struct fuse_ctx *caller = fuse_req_ctx(req);
        struct call *call;
        uint32_t n_records;
        int result;

        if (!fs_names_dir(fs, dir))
                return -ENOTTY;
        memcpy(&n_records, (const char *)in + offsetof(struct fs_ioc_put, n_records),
               sizeof(n_records));
        if (n_records > FS_IOC_PUT_BYTES / sizeof(struct fs_ioc_put_record))
                return -EINVAL;
        call = calloc(1, sizeof(*call) + n_records * sizeof(call->stale[0]));
        if (!call)
                return -ENOMEM;
        call->fs = fs;
        call->req = req;
        call->who = (struct fs_put_who){caller->uid, caller->gid};
        call->notice.done = told;
        memcpy(&call->in, in, sizeof(call->in));
        call->out.n_records = n_records;
        result = is_well_formed(&call->in) ? fs_notifier_start(fs->notifier) : -EINVAL;
        if (result)
                free(call);
        else
                *callp = call;
        return result;
}

void fs_ioctl_put(fuse_req_t req, fuse_ino_t dir, const void *in, size_t in_size, size_t out_size)
{
        struct record record;
        struct call *call = NULL;
        size_t offset = 0;
        int result = -EINVAL;

        if (in_size >= sizeof(call->in) && out_size >= sizeof(call->out))
                result = call_new(req, dir, in, &call);
        if (result) {
                fs_reply(req, result);
                return;
        }
        for (uint32_t i = 0; i < call->in.n_records; i++) {
                if (next_record(&call->in, &offset, &record))
                        break;
                call->out.records[i] = put_record(call, dir, &record);
        }
        fs_answer_due(call->fs);
        fs_notifier_post(call->fs->notifier, &call->notice);
}
