/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "command.h"
#include "mountinfo.h"
#include "path.h"

static int open_root(const struct mount *mount)
{
        int fd = open(mount->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int control_open(const char *word, char **store)
{
        struct mount_table table;
        const struct mount *mount;
        char *path;
        int fd, r;

        *store = NULL;
        r = path_resolve(word, &path);
        if (r)
                return r;
        r = mount_table_load(&table);
        if (r) {
                free(path);
                return r;
        }
        mount = mount_at(&table, path);
        if (mount && mount_is_ours(mount)) {
                *store = strdup(mount->source);
                fd = open_root(mount);
        } else {
                mount = mount_of_store(&table, path);
                *store = strdup(path);
                fd = mount ? open_root(mount) : -ENOENT;
        }
        mount_table_deinit(&table);
        free(path);
        return fd;
}

static void hint_private(void)
{
        command_hint("without -o allow_other only who mounted it gets in, not even root");
}

int control_closed(int fd, int code)
{
        if (fd == -EACCES && code == COMMAND_IN_USE)
                hint_private();
        return code;
}

int control_fail(const char *word, const char *store, const char *what, int result)
{
        int code;

        if (result == -ENOENT && store)
                return command_error(word, "no bucketmap store is mounted there");
        if (result == -EPERM)
                return command_error(word, "%s: only root and the owner of the mount may", what);
        code = command_error(word, "%s: %s", what, strerror(-result));
        if (result == -EACCES && store)
                hint_private();
        if (result == -ENOTCONN && store)
                command_hint("its daemon is dead; %s mount %s again", PROGRAM, store);
        return code;
}

static struct bm_grow_stats grow_stats(const struct fs_ioc_grow *grow)
{
        return (struct bm_grow_stats){
                .resizes = grow->resizes,
                .failed_resizes = grow->failed_resizes,
                .max_size = grow->max_size,
                .resize_us = grow->resize_us,
                .longest_us = grow->longest_us,
                .new_file_us = grow->new_file_us,
                .flush_file_us = grow->flush_file_us,
                .mmap_us = grow->mmap_us,
                .file_count = grow->file_count,
                .total_file_size = grow->total_file_size,
        };
}

int control_stats(int fd, struct bm_stats *stats)
{
        struct fs_ioc_info info;

        if (ioctl(fd, FS_IOC_INFO, &info))
                return -errno;
        *stats = (struct bm_stats){
                .format_major = info.format_major,
                .format_minor = info.format_minor,
                .created_ns = info.created_ns,
                .n_drives = info.n_drives,
                .n_buckets = info.n_buckets,
                .max_search = info.max_search,
                .keys = info.keys,
                .maps = info.maps,
                .value_bytes = info.value_bytes,
                .disk_bytes = info.disk_bytes,
                .reclaimable_bytes = info.reclaimable_bytes,
                .live_bytes = info.live_bytes,
                .segments = info.segments,
                .segment_bytes = info.segment_bytes,
                .index_bytes = info.index_bytes,
                .index_slots = info.index_slots,
                .index_used = info.index_used,
                .index_splits = info.index_splits,
                .index_grows = info.index_grows,
                .longest_probe = info.longest_probe,
                .find_entry_us = info.find_entry_us,
                .index = grow_stats(&info.index),
                .data = grow_stats(&info.data),
                .log_bytes = info.log_bytes,
                .syncs = info.syncs,
                .checkpoints = info.checkpoints,
                .compacted_bytes = info.compacted_bytes,
                .replayed_records = info.replayed_records,
                .replay_bytes = info.replay_bytes,
                .read_only = info.read_only,
                .nomap_drives = info.nomap_drives,
                .clean_open = info.clean_open,
        };
        memcpy(stats->uuid, info.uuid, sizeof(stats->uuid));
        return 0;
}

int control_requests(int fd, struct fs_ioc_requests *requests)
{
        if (ioctl(fd, FS_IOC_REQUESTS, requests))
                return -errno;
        return requests->n_kinds > FS_IOC_KINDS ? -EPROTO : 0;
}

int control_pid(int fd, pid_t *pid)
{
        struct fs_ioc_info info;

        if (ioctl(fd, FS_IOC_INFO, &info))
                return -errno;
        *pid = (pid_t)info.pid;
        return 0;
}

int control_sync(int fd)
{
        return ioctl(fd, FS_IOC_SYNC) ? -errno : 0;
}

int control_remove(int fd, struct fs_ioc_remove *remove)
{
        return ioctl(fd, FS_IOC_REMOVE, remove) ? -errno : 0;
}

static const char *kind_name(uint8_t kind)
{
        return kind == 0 ? "log" : kind == 1 ? "cold" : "index";
}

int control_segments(int fd, int (*fn)(void *ctx, const struct bm_segment_info *info), void *ctx)
{
        struct fs_ioc_segments page = {.from = 0};
        int r;

        do {
                if (ioctl(fd, FS_IOC_SEGMENTS, &page))
                        return -errno;
                for (uint32_t i = 0; i < page.n && i < FS_IOC_SEGMENTS_MAX; i++) {
                        const struct fs_ioc_segment *s = &page.segments[i];
                        const struct bm_segment_info info = {
                                .file_id = s->file_id,
                                .drive = s->drive,
                                .kind = kind_name(s->kind),
                                .number = s->number,
                                .size = s->size,
                                .used = s->used,
                                .live = s->live,
                        };

                        page.from = s->file_id + 1;
                        r = fn(ctx, &info);
                        if (r)
                                return r;
                }
        } while (page.n == FS_IOC_SEGMENTS_MAX);
        return 0;
}
