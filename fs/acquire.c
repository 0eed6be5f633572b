/* SPDX-License-Identifier: MIT */
#include "acquire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "mountinfo.h"
#include "storelock.h"

/* How long a daemon may take to close before we tell why nothing happens. */
#define PATIENCE_SECONDS 1

struct wait {
        const char *path;
        int fd;
        bool told;
};

/* Mounts as the process PID sees them, which may live in a mount namespace of its own. */
static int load_mounts_of(pid_t pid, struct mount_table *table)
{
        char name[64];
        FILE *file;
        int r;

        snprintf(name, sizeof(name), "/proc/%d/mountinfo", (int)pid);
        file = fopen(name, "re");
        if (!file)
                return mount_table_load(table);
        r = mount_table_read(table, file);
        fclose(file);
        return r;
}

static bool starts_with(const char *text, const char *start)
{
        return !strncmp(text, start, strlen(start));
}

/* Only a daemon that is on its way up or down is worth waiting for. */
static int worth_waiting(void *ctx, unsigned seconds)
{
        struct wait *wait = ctx;
        struct store_holder holder;
        struct mount_table table;
        bool mounted;
        int r;

        store_lock_holder(wait->fd, &holder);
        if (!starts_with(holder.note, NOTE_MOUNTED) && !starts_with(holder.note, NOTE_CLOSING))
                return BM_E_IN_USE;
        r = load_mounts_of(holder.pid, &table);
        if (r)
                return r;
        mounted = mount_of_store(&table, wait->path);
        mount_table_deinit(&table);
        if (mounted)
                return BM_E_IN_USE;
        if (seconds >= PATIENCE_SECONDS && !wait->told) {
                command_error(wait->path, "waiting for process %d to finish (%s)", (int)holder.pid,
                              holder.note);
                wait->told = true;
        }
        return 0;
}

static int wait_for_holder(struct wait *wait)
{
        int r;

        wait->fd = store_lock_open(wait->path);
        if (wait->fd < 0)
                return BM_E_IN_USE;
        r = store_lock_wait(wait->fd, worth_waiting, wait);
        close(wait->fd);
        return r;
}

static bool nothing_there(int result)
{
        return result == -ENOENT || result == BM_E_NOT_A_STORE;
}

/* Whether a store is there now, free or not. */
static bool made_meanwhile(const char *path, const struct bm_config *config)
{
        struct bm_config reader = *config;
        struct bm_store *store;
        int r;

        reader.read_only = true;
        reader.log = NULL;
        r = bm_open(path, &reader, &store);
        if (!r)
                bm_close(store);
        return !nothing_there(r);
}

int acquire_store(const char *path, const struct bm_config *config, bool may_create,
                  struct bm_store **storep)
{
        struct wait wait = {.path = path};
        const char *what = "cannot open";
        int r;

        for (;;) {
                r = bm_open(path, config, storep);
                if (r == BM_E_IN_USE) {
                        int waited = wait_for_holder(&wait);

                        if (!waited)
                                continue;
                        /* for the message the place of the failed open is wanted again */
                        if (waited == BM_E_IN_USE)
                                r = bm_open(path, config, storep);
                        else
                                r = waited;
                        break;
                }
                if (!may_create || !nothing_there(r))
                        break;
                may_create = false;
                r = bm_create(path, config);
                /* it may be that somebody else has made it just now */
                if (r == BM_E_NOT_EMPTY_DIR && made_meanwhile(path, config))
                        continue;
                if (r) {
                        what = "cannot create";
                        break;
                }
                command_error(path, "created");
        }
        if (!r)
                return COMMAND_FINE;
        command_fail(path, what, r);
        if (r == BM_E_DAMAGED)
                command_hint("%s check tells what is; mount it with -o ro to save the rest",
                             PROGRAM);
        return r == BM_E_IN_USE    ? COMMAND_IN_USE
               : r == BM_E_DAMAGED ? COMMAND_DAMAGE
                                   : COMMAND_ERROR;
}
