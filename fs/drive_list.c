/* SPDX-License-Identifier: MIT */
#include "drive_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "path.h"

int drive_list_add(struct drive_list *list, const char *path)
{
        if (!*path)
                return -EINVAL;
        /* the store's own directory is one of them */
        if (list->n + 1 >= BM_DRIVES_MAX)
                return -E2BIG;
        list->paths[list->n] = strdup(path);
        if (!list->paths[list->n])
                return -ENOMEM;
        list->n++;
        return 0;
}

static int apart(const char *a, const char *b)
{
        if (!strcmp(a, b))
                return command_error(a, "named twice; nothing changed");
        if (path_is_within(a, b))
                return command_error(a, "lies in %s; nothing changed", b);
        if (path_is_within(b, a))
                return command_error(b, "lies in %s; nothing changed", a);
        return COMMAND_FINE;
}

int drive_list_resolve(struct drive_list *list, const char *store)
{
        for (size_t i = 0; i < list->n; i++) {
                char *absolute;
                int r = path_resolve(list->paths[i], &absolute);
                int code;

                if (r)
                        return command_error(list->paths[i], "no place for a drive: %s",
                                             strerror(-r));
                free(list->paths[i]);
                list->paths[i] = absolute;
                code = apart(absolute, store);
                for (size_t k = 0; k < i && !code; k++)
                        code = apart(absolute, list->paths[k]);
                if (code)
                        return code;
        }
        return COMMAND_FINE;
}

void drive_list_deinit(struct drive_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                free(list->paths[i]);
        list->n = 0;
}

int drive_check_place(const char *what, const char *place, const char *dir)
{
        if (path_is_within(place, dir))
                return command_error(
                        place, "lies below %s, its own mount would hide it; nothing changed", dir);
        if (path_is_within(dir, place))
                return command_error(dir, "lies in the %s %s; nothing changed", what, place);
        return COMMAND_FINE;
}
