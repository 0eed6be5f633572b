/* SPDX-License-Identifier: MIT */
/* bucketmap umount [--lazy] [--timeout=SECONDS] DIR */
#include "command.h"
#include "number.h"
#include "umount_store.h"

static const struct argp_option options[] = {
        {"lazy", 'l', NULL, 0, "Take it from the tree now; it ends when its last user leaves", 0},
        {"timeout", 't', "SECONDS", 0,
         "Wait so long for its users to leave, and so long for the store to be closed", 0},
        {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"DIR", NULL};
        struct umount_request *request = state->input;
        uint64_t seconds;

        switch (key) {
        case 'l':
                request->lazy = true;
                return 0;
        case 't':
                if (number_parse(arg, NUMBER_SECONDS, &seconds))
                        command_usage(state, "--timeout=%s: wants %s", arg,
                                      number_wanted(NUMBER_SECONDS));
                request->timeout = (unsigned)seconds;
                return 0;
        default:
                return command_arguments(key, arg, state, names, &request->dir);
        }
}

int cmd_umount(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "DIR",
                "Ends a mount, and returns when everything is on disk and the store is released. "
                "A mount that is in use stays as it is (exit code 2), and who uses it is named.\v"
                "With --lazy it returns at once, or with --timeout too when the store is released. "
                "Exit code 3: unmounted, but not released in time.",
                NULL,
                NULL,
                NULL};
        struct umount_request request = {0};

        command_parse(&argp, argc, argv, &request);
        return umount_store(&request);
}
