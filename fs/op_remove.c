/* SPDX-License-Identifier: MIT */
/*
 * Removing names by the count of their records, for the command: see
 * FS_IOC_REMOVE. The answer waits until the kernel has forgotten the names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "ioctl.h"
#include "notifier.h"
#include "ops.h"
#include "reply.h"

struct removal {
        struct fs_notice notice; /* first: what DONE gets */
        struct fs *fs;
        fuse_req_t req;
        struct fs_ioc_remove in, out;
        struct fs_stale stale[];
};

/* Calls FN for each name; false if they are not packed as they should be. */
static bool each_name(struct removal *r,
                      void (*fn)(struct removal *r, uint32_t i, const char *name, fuse_ino_t dir),
                      fuse_ino_t dir)
{
        const char *name = (const char *)r->in.names;
        size_t left = r->in.len;

        if (left > sizeof(r->in.names))
                return false;
        for (uint32_t i = 0; i < r->in.n_names; i++) {
                const char *end = memchr(name, '\0', left);

                if (!end)
                        return false;
                if (fn)
                        fn(r, i, name, dir);
                left -= (size_t)(end + 1 - name);
                name = end + 1;
        }
        return left == 0;
}

static void remove_one(struct removal *r, uint32_t i, const char *text, fuse_ino_t dir)
{
        struct fs_name name;
        uint64_t record_id = 0;
        int result = fs_name_of(r->fs, dir, text, &name);

        if (!result)
                result = fs_remove_if_count(r->fs, &name, r->in.count, &record_id);
        fs_name_release(r->fs, &name);
        if (!result)
                r->stale[r->notice.n_stale++] =
                        (struct fs_stale){.dir = dir, .name = text, .ino = record_id};
        r->out.names[i] = (uint8_t)fs_errno(result);
}

static void told(struct fs_notice *notice)
{
        struct removal *r = (struct removal *)notice;
        struct fs *fs = r->fs;

        fuse_reply_ioctl(r->req, 0, &r->out, sizeof(r->out));
        free(r);
        fs_answer_given(fs);
}

/* What the kernel handed in, as it should be; NULL: answered with the reason. */
static struct removal *removal_new(fuse_req_t req, fuse_ino_t dir, const void *in, size_t in_size,
                                   size_t out_size)
{
        struct fs *fs = fs_of(req);
        struct removal *r = NULL;
        struct fs_ioc_remove copy;
        int result = -EINVAL;

        if (!fs_names_dir(fs, dir)) {
                result = -ENOTTY;
        } else if (in_size >= sizeof(copy) && out_size >= sizeof(copy)) {
                memcpy(&copy, in, sizeof(copy));
                /* a name takes two bytes or more */
                if (copy.n_names <= sizeof(copy.names) / 2) {
                        r = calloc(1, sizeof(*r) + copy.n_names * sizeof(r->stale[0]));
                        result = -ENOMEM;
                }
        }
        if (r) {
                *r = (struct removal){.fs = fs, .req = req, .in = copy};
                r->out = (struct fs_ioc_remove){.count = copy.count, .n_names = copy.n_names};
                result = each_name(r, NULL, dir) ? fs_notifier_start(fs->notifier) : -EINVAL;
        }
        if (!result)
                return r;
        fs_reply(req, result);
        free(r);
        return NULL;
}

void fs_ioctl_remove(fuse_req_t req, fuse_ino_t dir, const void *in, size_t in_size,
                     size_t out_size)
{
        struct removal *r = removal_new(req, dir, in, in_size, out_size);

        if (!r)
                return;
        each_name(r, remove_one, dir);
        r->notice.stale = r->stale;
        r->notice.done = told;
        fs_answer_due(r->fs);
        fs_notifier_post(r->fs->notifier, &r->notice);
}
