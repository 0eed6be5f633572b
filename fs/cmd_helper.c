/* SPDX-License-Identifier: MIT */
/*
 * What mount(8) and umount(8) call for a line of fstab:
 *   mount.fuse.bucketmap STORE DIR [-sfnv] [-o OPTIONS] [-t TYPE]
 *   umount.fuse.bucketmap DIR [-flnrv] [-t TYPE]
 * Exit codes are theirs.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "command.h"
#include "mount_store.h"
#include "umount_store.h"

enum mount_exit {
        MOUNT_USAGE = 1,
        MOUNT_SYSTEM = 2,
        MOUNT_FAILURE = 32,
};

#define IGNORED "(for mount(8); no effect)"

static const struct argp_option mount_words[] = {
        {NULL, 'o', "OPT[,OPT]...", 0, "Mount options, see bucketmap mount --help", 0},
        {NULL, 's', NULL, 0, "Ignore unknown mount options", 0},
        {NULL, 'f', NULL, 0, "Check the options, mount nothing", 0},
        {NULL, 'n', NULL, 0, IGNORED, 0},
        {NULL, 'v', NULL, 0, IGNORED, 0},
        {NULL, 't', "TYPE", 0, IGNORED, 0},
        {0},
};

struct mounting {
        struct mount_request request;
        bool fake;
};

static error_t parse_mount(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", "DIR", NULL};
        struct mounting *mounting = state->input;
        struct mount_options *options = &mounting->request.options;

        switch (key) {
        case 'o':
                return mount_options_add(options, arg) ? ENOMEM : 0;
        case 's':
                options->sloppy = true;
                return 0;
        case 'f':
                mounting->fake = true;
                return 0;
        case 'n':
        case 'v':
        case 't':
                return 0;
        case ARGP_KEY_SUCCESS: {
                char why[256];
                int r = mount_options_finish(options, why, sizeof(why));

                if (r == -EINVAL)
                        command_usage(state, "%s", why);
                return -r;
        }
        default:
                return command_arguments(key, arg, state, names, mounting->request.words);
        }
}

int cmd_mount_helper(int argc, char **argv)
{
        static const struct argp argp = {
                mount_words,
                parse_mount,
                "STORE DIR",
                "Called by mount(8): mounts a store that is there already.\v"
                "Exit codes: 0 mounted, 1 usage, 2 system error, 32 not mounted.",
                NULL,
                NULL,
                NULL};
        struct mounting mounting = {.fake = false};
        int code = MOUNT_SYSTEM;

        command_set_usage_exit(MOUNT_USAGE);
        if (!mount_request_init(&mounting.request)) {
                command_parse(&argp, argc, argv, &mounting);
                /* a disk that is not there today must not be answered with an empty store */
                mounting.request.options.no_create = true;
                code = mounting.fake ? COMMAND_FINE : mount_store(&mounting.request);
                if (code)
                        code = MOUNT_FAILURE;
        }
        mount_request_deinit(&mounting.request);
        return code;
}

static const struct argp_option umount_words[] = {
        {NULL, 'l', NULL, 0, "Take it from the tree now; it ends when its last user leaves", 0},
        {NULL, 'f', NULL, 0, IGNORED, 0},
        {NULL, 'n', NULL, 0, IGNORED, 0},
        {NULL, 'r', NULL, 0, IGNORED, 0},
        {NULL, 'v', NULL, 0, IGNORED, 0},
        {NULL, 't', "TYPE", 0, IGNORED, 0},
        {0},
};

static error_t parse_umount(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"DIR", NULL};
        struct umount_request *request = state->input;

        switch (key) {
        case 'l':
                request->lazy = true;
                return 0;
        case 'f': /* the mount of a dead daemon is taken away in any case */
        case 'r': /* nothing is remounted; that it failed is told */
        case 'n':
        case 'v':
        case 't':
                return 0;
        default:
                return command_arguments(key, arg, state, names, &request->dir);
        }
}

int cmd_umount_helper(int argc, char **argv)
{
        static const struct argp argp = {
                umount_words,
                parse_umount,
                "DIR",
                "Called by umount(8): unmounts, and returns when the store is released.\v"
                "Exit codes: 0 unmounted, 1 usage, 2 system error, 32 not unmounted.",
                NULL,
                NULL,
                NULL};
        struct umount_request request = {0};

        command_set_usage_exit(MOUNT_USAGE);
        command_parse(&argp, argc, argv, &request);
        return umount_store(&request) ? MOUNT_FAILURE : COMMAND_FINE;
}
