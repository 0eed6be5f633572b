/* SPDX-License-Identifier: MIT */
/* Following a check that the daemon runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "control.h"

/* Between two looks, when there was nothing new. */
static const struct timespec pause = {.tv_nsec = 50000000};

/* Hands on the findings of a page, whose lengths are the daemon's word only. */
static int hand_on(const struct fs_ioc_check *page, const struct bm_check_args *args)
{
        uint32_t at = 0;

        if (page->len > sizeof(page->findings))
                return -EPROTO;
        for (uint32_t i = 0; i < page->n_findings; i++) {
                char text[FS_IOC_CHECK_BYTES], *path, *message;
                struct bm_finding finding;
                struct fs_ioc_finding f;
                const uint8_t *bytes;

                if (page->len - at < sizeof(f))
                        return -EPROTO;
                memcpy(&f, page->findings + at, sizeof(f));
                if (f.size > page->len - at || f.size % 8 != 0 ||
                    sizeof(f) + f.key_len + f.path_len + f.message_len > f.size)
                        return -EPROTO;
                bytes = page->findings + at + sizeof(f);
                path = text;
                memcpy(path, bytes + f.key_len, f.path_len);
                path[f.path_len] = 0;
                message = path + f.path_len + 1;
                memcpy(message, bytes + f.key_len + f.path_len, f.message_len);
                message[f.message_len] = 0;
                finding = (struct bm_finding){
                        .kind = (enum bm_check_kind)f.kind,
                        .map_id = f.map_id,
                        .key = f.key_len ? bytes : NULL,
                        .key_len = f.key_len,
                        .path = path,
                        .message = message,
                };
                args->finding(args->ctx, &finding);
                at += f.size;
        }
        return 0;
}

/* One that was cancelled has to end first. */
static int start(int fd, uint64_t *id, const struct bm_check_args *args)
{
        while (ioctl(fd, FS_IOC_CHECK_START, id)) {
                int r = errno == EAGAIN ? 0 : -errno;

                if (!r && args->progress)
                        r = args->progress(args->ctx, 0, 0);
                if (r)
                        return r;
                nanosleep(&pause, NULL);
        }
        return 0;
}

static int follow(int fd, struct fs_ioc_check *page, const struct bm_check_args *args)
{
        int r;

        for (;;) {
                if (ioctl(fd, FS_IOC_CHECK_POLL, page))
                        return -errno;
                r = hand_on(page, args);
                if (!r && args->progress)
                        r = args->progress(args->ctx, page->done_bytes, page->total_bytes);
                if (r || page->finished)
                        return r ? r : page->result;
                if (page->n_findings == 0)
                        nanosleep(&pause, NULL);
        }
}

int control_check(int fd, const struct bm_check_args *args)
{
        struct fs_ioc_check *page = calloc(1, sizeof(*page));
        uint64_t id;
        int r;

        if (!page)
                return -ENOMEM;
        r = start(fd, &id, args);
        if (!r) {
                page->id = id;
                r = follow(fd, page, args);
                /* whatever it was that ended it: nobody listens any more */
                if (!page->finished)
                        (void)ioctl(fd, FS_IOC_CHECK_CANCEL, &id);
        }
        free(page);
        return r;
}
