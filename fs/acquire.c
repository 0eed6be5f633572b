/* SPDX-License-Identifier: MIT */
#include "acquire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "create.h"
#include "mountinfo.h"
#include "storelock.h"

/* How long a daemon may take to close before we tell why nothing happens. */
#define PATIENCE_SECONDS 1

struct wait {
        const char *path;
        bool read_only;
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

/* Whether the mount that the holder speaks of is there: the store may be known
 * to it by another path, through a bind mount. */
static bool is_where_it_says(const struct mount_table *table, const char *note)
{
        const struct mount *mount;

        if (!starts_with(note, NOTE_MOUNTED))
                return false;
        mount = mount_at(table, note + strlen(NOTE_MOUNTED));
        return mount && mount_is_ours(mount) && !mount_is_dead(mount);
}

/*
 * Only a daemon that is on its way up or down is worth waiting for. One that
 * has just taken the lock, or is about to let go of it, is not named yet or
 * no longer; so are readers, for good.
 */
static int worth_waiting(void *ctx, unsigned seconds)
{
        struct wait *wait = ctx;
        struct store_holder holder;
        struct mount_table table;
        bool mounted;
        int r;

        store_lock_holder(wait->fd, &holder);
        r = load_mounts_of(holder.pid, &table);
        if (r)
                return r;
        mounted = mount_of_store(&table, wait->path) || is_where_it_says(&table, holder.note);
        mount_table_deinit(&table);
        if (mounted)
                return BM_E_IN_USE;
        if (!holder.pid && !seconds)
                return 0;
        if (!starts_with(holder.note, NOTE_MOUNTED) && !starts_with(holder.note, NOTE_CLOSING))
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
        r = store_lock_wait(wait->fd, !wait->read_only, worth_waiting, wait);
        close(wait->fd);
        return r;
}

static int make_if_missing(const char *path, const struct bm_config *config)
{
        bool created;
        int r = create_store(path, config, true, &created);

        if (!r && created)
                command_error(path, "created");
        return r;
}

static int open_when_free(const char *path, const struct bm_config *config,
                          struct bm_store **storep)
{
        struct wait wait = {.path = path, .read_only = config->read_only};

        for (;;) {
                int waited, r = bm_open(path, config, storep);

                if (r != BM_E_IN_USE)
                        return r;
                waited = wait_for_holder(&wait);
                if (waited)
                        return waited;
        }
}

int acquire_store(const char *path, const struct bm_config *config, bool may_create,
                  struct bm_store **storep)
{
        const char *what = "cannot create";
        int code, r = may_create ? make_if_missing(path, config) : 0;

        if (!r) {
                what = "cannot open";
                r = open_when_free(path, config, storep);
        }
        if (!r)
                return COMMAND_FINE;
        code = command_fail(path, what, r);
        if (r == BM_E_DAMAGED)
                command_hint("%s check tells what is; mount it with -o ro to save the rest",
                             PROGRAM);
        return code;
}
