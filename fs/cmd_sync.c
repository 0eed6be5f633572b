/* SPDX-License-Identifier: MIT */
/* bucketmap sync DIR */
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "control.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"DIR", NULL};

        return command_arguments(key, arg, state, names, state->input);
}

int cmd_sync(int argc, char **argv)
{
        static const struct argp argp = {
                NULL,
                parse,
                "DIR",
                "Returns when everything that was written to the store mounted at DIR before is "
                "safe from a power cut.",
                NULL,
                NULL,
                NULL};
        const char *word;
        char *store;
        int fd, r, code = COMMAND_FINE;

        command_parse(&argp, argc, argv, &word);
        fd = control_open(word, &store);
        r = fd < 0 ? fd : control_sync(fd);
        if (r)
                code = control_fail(word, store, "cannot sync", r);
        if (fd >= 0)
                close(fd);
        free(store);
        return code;
}
