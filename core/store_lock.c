/* SPDX-License-Identifier: MIT */
/* The lock file says who has the store open, for others to report. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "space.h"
#include "store.h"
#include "superblock.h"

enum { NOTE_MAX = 4096 + 64 };

int bm_store_not_plain(const struct bm_store *store, const char *name, int fd)
{
        if (fd != -EMEDIUMTYPE)
                return fd;
        bm_problem_set("%s/%s is no plain file", store->drives.drives[0].path, name);
        return BM_E_DAMAGED;
}

static int write_note(struct bm_store *store, const char *note)
{
        char text[NOTE_MAX];
        int len = snprintf(text, sizeof(text), "%ld %s\n", (long)getpid(), note ? note : "");
        if (len >= (int)sizeof(text))
                return -ENAMETOOLONG;
        /* written over and then cut: who reads meanwhile finds our number and a line's end */
        int r;
        do
                r = bm_io_call(store->io, pwrite, store->lock_fd, text, (size_t)len, 0);
        while (bm_space_helps(store, r));
        return r < 0 ? r : bm_io_call(store->io, truncate, store->lock_fd, (uint64_t)len);
}

static void report_owner(const struct bm_io *io, int fd)
{
        char text[NOTE_MAX] = "";
        struct bm_io_file file;
        if (bm_io_call(io, stat, fd, &file) == 0 && file.size_bytes < sizeof(text))
                (void)bm_io_call(io, pread, fd, text, file.size_bytes, 0);
        text[strcspn(text, "\n")] = 0;
        char *note = strchr(text, ' ');
        if (note)
                *note++ = 0;
        if (text[0])
                bm_problem_set("process %s%s%s", text, note && note[0] ? ", " : "",
                               note ? note : "");
}

int bm_store_lock(struct bm_store *store)
{
        const bool alone = !store->read_only || (store->salvage && store->salvage->writable);
        int flags = alone ? O_RDWR | O_CREAT : O_RDONLY;
        store->lock_fd = bm_io_call(store->io, open_at, store->drives.drives[0].dir, BM_FILE_LOCK,
                                    flags, 0600);
        /* who only reads makes none: it would not be the owner's */
        if (store->lock_fd == -ENOENT)
                bm_problem_set("%s/%s, which a mount makes anew", store->drives.drives[0].path,
                               BM_FILE_LOCK);
        if (store->lock_fd < 0)
                return bm_store_not_plain(store, BM_FILE_LOCK, store->lock_fd);
        int r = bm_io_call(store->io, lock, store->lock_fd, alone);
        if (r == -EWOULDBLOCK) {
                report_owner(store->io, store->lock_fd);
                return BM_E_IN_USE;
        }
        return r;
}

int bm_set_owner_note(struct bm_store *store, const char *note)
{
        return store->read_only ? 0 : write_note(store, note);
}
