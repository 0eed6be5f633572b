/* SPDX-License-Identifier: MIT */
/* What the command asks of the daemon; see ioctl.h. */
#include "ioctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "online_check.h"
#include "ops.h"
#include "reply.h"
#include "requests.h"

static struct fs_ioc_grow grow_info(const struct bm_grow_stats *stats)
{
        return (struct fs_ioc_grow){
                .resizes = stats->resizes,
                .failed_resizes = stats->failed_resizes,
                .max_size = stats->max_size,
                .resize_us = stats->resize_us,
                .longest_us = stats->longest_us,
                .new_file_us = stats->new_file_us,
                .flush_file_us = stats->flush_file_us,
                .mmap_us = stats->mmap_us,
                .file_count = stats->file_count,
                .total_file_size = stats->total_file_size,
        };
}

static void fill_info(struct fs *fs, const struct bm_stats *stats, struct fs_ioc_info *info)
{
        *info = (struct fs_ioc_info){
                .format_major = stats->format_major,
                .format_minor = stats->format_minor,
                .created_ns = stats->created_ns,
                .n_drives = stats->n_drives,
                .n_buckets = stats->n_buckets,
                .max_search = stats->max_search,
                .pid = (uint32_t)getpid(),
                .keys = stats->keys,
                .maps = stats->maps,
                .value_bytes = stats->value_bytes,
                .disk_bytes = stats->disk_bytes,
                .reclaimable_bytes = stats->reclaimable_bytes,
                .live_bytes = stats->live_bytes,
                .segments = stats->segments,
                .segment_bytes = stats->segment_bytes,
                .index_bytes = stats->index_bytes,
                .index_slots = stats->index_slots,
                .index_used = stats->index_used,
                .index_splits = stats->index_splits,
                .index_grows = stats->index_grows,
                .longest_probe = stats->longest_probe,
                .find_entry_us = stats->find_entry_us,
                .index = grow_info(&stats->index),
                .data = grow_info(&stats->data),
                .log_bytes = stats->log_bytes,
                .syncs = stats->syncs,
                .checkpoints = stats->checkpoints,
                .compacted_bytes = stats->compacted_bytes,
                .replayed_records = stats->replayed_records,
                .replay_bytes = stats->replay_bytes,
                .n_inodes = fs_inodes_count(fs->inodes),
                .read_only = stats->read_only,
                .clean_open = stats->clean_open,
                .nomap_drives = (uint8_t)stats->nomap_drives,
        };
        memcpy(info->uuid, stats->uuid, sizeof(info->uuid));
        if (fs->store_path && strlen(fs->store_path) < sizeof(info->store_path))
                strcpy(info->store_path, fs->store_path);
}

static void reply_info(fuse_req_t req, size_t out_size)
{
        struct fs *fs = fs_of(req);
        struct fs_ioc_info info;
        struct bm_stats stats;
        int result = out_size < sizeof(info) ? -EINVAL : 0;

        if (!result)
                result = fs->backend.stats(fs->backend.ctx, &stats);
        if (result) {
                fs_reply(req, result);
                return;
        }
        fill_info(fs, &stats, &info);
        fuse_reply_ioctl(req, 0, &info, sizeof(info));
}

#define ENOUGH 1 /* segments for one answer */

static int take_segment(void *ctx, const struct bm_segment_info *info)
{
        struct fs_ioc_segments *segments = ctx;

        if (info->file_id < segments->from)
                return 0;
        if (segments->n == FS_IOC_SEGMENTS_MAX)
                return ENOUGH;
        segments->segments[segments->n++] = (struct fs_ioc_segment){
                .file_id = info->file_id,
                .drive = (uint16_t)info->drive,
                .kind = !strcmp(info->kind, "log")    ? 0
                        : !strcmp(info->kind, "cold") ? 1
                                                      : 2,
                .number = info->number,
                .size = info->size,
                .used = info->used,
                .live = info->live,
        };
        return 0;
}

static void reply_segments(fuse_req_t req, const void *in, size_t in_size, size_t out_size)
{
        struct fs *fs = fs_of(req);
        struct fs_ioc_segments *segments = NULL;
        int result = -EINVAL;

        if (in_size >= sizeof(*segments) && out_size >= sizeof(*segments)) {
                segments = calloc(1, sizeof(*segments));
                result = segments ? 0 : -ENOMEM;
        }
        if (!result) {
                memcpy(&segments->from, in, sizeof(segments->from));
                result = fs->backend.segments(fs->backend.ctx, take_segment, segments);
                result = result == ENOUGH ? 0 : result;
        }
        if (result)
                fs_reply(req, result);
        else
                fuse_reply_ioctl(req, 0, segments, sizeof(*segments));
        free(segments);
}

static void reply_requests(fuse_req_t req, size_t out_size)
{
        struct fs_ioc_requests requests;

        if (out_size < sizeof(requests)) {
                fs_reply(req, -EINVAL);
                return;
        }
        fs_requests_read(fs_of(req)->requests, &requests);
        fuse_reply_ioctl(req, 0, &requests, sizeof(requests));
}

struct sync_call {
        struct backend_call call;
        struct fs *fs;
        fuse_req_t req;
};

static void synced(struct backend_call *call, int result)
{
        struct sync_call *sync = (struct sync_call *)call;
        struct fs *fs = sync->fs;

        if (result)
                fs_reply(sync->req, result);
        else
                fuse_reply_ioctl(sync->req, 0, NULL, 0);
        free(sync);
        fs_answer_given(fs);
}

static void start_sync(fuse_req_t req)
{
        struct fs *fs = fs_of(req);
        struct sync_call *sync = malloc(sizeof(*sync));
        int result;

        if (!sync) {
                fs_reply(req, -ENOMEM);
                return;
        }
        *sync = (struct sync_call){.call.done = synced, .fs = fs, .req = req};
        fs_answer_due(fs);
        result = fs->backend.flush(fs->backend.ctx, &sync->call);
        if (result != BACKEND_LATER)
                synced(&sync->call, result);
}

static void start_check(fuse_req_t req, size_t out_size)
{
        uint64_t id;
        int result = out_size < sizeof(id) ? -EINVAL : fs_checker_start(fs_of(req)->checker, &id);

        if (result)
                fs_reply(req, result);
        else
                fuse_reply_ioctl(req, 0, &id, sizeof(id));
}

static void poll_check(fuse_req_t req, const void *in, size_t in_size, size_t out_size)
{
        struct fs_ioc_check *page = NULL;
        int result = -EINVAL;

        if (in_size >= sizeof(page->id) && out_size >= sizeof(*page)) {
                page = calloc(1, sizeof(*page));
                result = page ? 0 : -ENOMEM;
        }
        if (!result) {
                memcpy(&page->id, in, sizeof(page->id));
                result = fs_checker_poll(fs_of(req)->checker, page);
        }
        if (result)
                fs_reply(req, result);
        else
                fuse_reply_ioctl(req, 0, page, sizeof(*page));
        free(page);
}

static void cancel_check(fuse_req_t req, const void *in, size_t in_size)
{
        uint64_t id = 0;
        int result = -EINVAL;

        if (in_size >= sizeof(id)) {
                memcpy(&id, in, sizeof(id));
                result = fs_checker_cancel(fs_of(req)->checker, id);
        }
        if (result)
                fs_reply(req, result);
        else
                fuse_reply_ioctl(req, 0, NULL, 0);
}

static bool is_of_root(unsigned cmd)
{
        return cmd == FS_IOC_INFO || cmd == FS_IOC_SYNC || cmd == FS_IOC_REQUESTS ||
               cmd == FS_IOC_SEGMENTS || cmd == FS_IOC_CHECK_START || cmd == FS_IOC_CHECK_POLL ||
               cmd == FS_IOC_CHECK_CANCEL;
}

void fs_op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
                 unsigned flags, const void *in, size_t in_size, size_t out_size)
{
        uid_t caller = fuse_req_ctx(req)->uid;

        if (cmd != FS_IOC_REMOVE && cmd != FS_IOC_PUT && (ino != FS_ROOT_ID || !is_of_root(cmd)))
                fs_reply(req, -ENOTTY);
        else if (caller != 0 && caller != fs_of(req)->owner)
                fs_reply(req, -EPERM);
        else if (cmd == FS_IOC_INFO)
                reply_info(req, out_size);
        else if (cmd == FS_IOC_REQUESTS)
                reply_requests(req, out_size);
        else if (cmd == FS_IOC_SEGMENTS)
                reply_segments(req, in, in_size, out_size);
        else if (cmd == FS_IOC_CHECK_START)
                start_check(req, out_size);
        else if (cmd == FS_IOC_CHECK_POLL)
                poll_check(req, in, in_size, out_size);
        else if (cmd == FS_IOC_CHECK_CANCEL)
                cancel_check(req, in, in_size);
        else if (cmd == FS_IOC_REMOVE)
                fs_ioctl_remove(req, ino, in, in_size, out_size);
        else if (cmd == FS_IOC_PUT)
                fs_ioctl_put(req, ino, in, in_size, out_size);
        else
                start_sync(req);
}
