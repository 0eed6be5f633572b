/* SPDX-License-Identifier: MIT */
#include "dead_mount.h"

#include <stdbool.h>
#include <string.h>

#include "command.h"
#include "mountinfo.h"
#include "unmount.h"

int detach_dead(const char *store, const char *dir)
{
        char why[UNMOUNT_WHY_SIZE];
        bool failed = false;

        for (;;) {
                struct mount_table table;
                const struct mount *mount;
                bool same = false, dead;
                int r = mount_table_load(&table);

                if (r)
                        return command_error(dir, "cannot tell what is mounted: %s", strerror(-r));
                mount = mount_at(&table, dir);
                dead = mount && mount_is_ours(mount) && mount_is_dead(mount);
                if (dead)
                        same = !strcmp(mount->source, store);
                mount_table_deinit(&table);
                if (!dead)
                        return COMMAND_FINE;
                if (!same) {
                        command_error(dir, "the dead mount of another store is there");
                        command_hint("%s umount %s takes it away", PROGRAM, dir);
                        return COMMAND_ERROR;
                }
                if (failed)
                        return command_error(dir, "cannot detach the dead mount there: %s", why);
                /* another command may be faster: then it is gone at the next look */
                failed = unmount_dir(dir, true, why) != 0;
                if (!failed)
                        command_error(dir, "detached a dead mount of the same store");
        }
}
