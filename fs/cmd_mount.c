/* SPDX-License-Identifier: MIT */
/* bucketmap mount [OPTION...] STORE DIR */
#include <errno.h>

#include "command.h"
#include "mount_store.h"

static const struct argp_option options[] = {
        {NULL, 'o', "OPT[,OPT]...", 0, "Mount options, see below", 0},
        {NULL, 'f', NULL, 0, "Stay in the foreground, messages to stderr", 0},
        {NULL, 's', NULL, 0, "Serve with a single thread", 0},
        {NULL, 'd', NULL, 0, "Show every request; implies -f", 0},
        {0},
};

static const char doc[] =
        "Shows the store STORE as the directory DIR: each key a file. A store that does not exist "
        "yet is created.\v"
        "Mount options:\n"
        "  ro                   change nothing\n"
        "  nocreate             do not create a store\n"
        "  allow_other          let other users in; the kernel checks permissions\n"
        "  nopermcheck          no permission checks on a private mount\n"
        "  unlink=delete|guard  guard: a file with a count above 1 stays (EBUSY)\n"
        "  list_counts          listxattr shows user.bucketmap.refcount\n"
        "  security_xattrs      keep security.* attributes: file capabilities ...\n"
        "  commit=SECONDS       longest time until a change is durable (5)\n"
        "  nomap                write by calls, not into mappings; by itself\n"
        "                       on copy-on-write filesystems\n"
        "  buckets=N            at creation: buckets of the root map (16)\n"
        "  max_search=N         at creation: slots that a probe looks at (32)\n"
        "  drive=DIR            at creation: on this directory, too; repeatable\n"
        "and those of FUSE and of mount(8): allow_root, auto_unmount, noexec, nofail";

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", "DIR", NULL};
        struct mount_request *request = state->input;

        switch (key) {
        case 'o':
                if (mount_options_add(&request->options, arg))
                        return ENOMEM;
                return 0;
        case 'f':
                request->foreground = true;
                return 0;
        case 's':
                request->options.fs.single_threaded = true;
                return 0;
        case 'd':
                request->foreground = true;
                return mount_options_add(&request->options, "debug") ? ENOMEM : 0;
        case ARGP_KEY_SUCCESS: {
                char why[256];
                int r = mount_options_finish(&request->options, why, sizeof(why));

                if (r == -EINVAL)
                        command_usage(state, "%s", why);
                return -r;
        }
        default:
                return command_arguments(key, arg, state, names, request->words);
        }
}

int cmd_mount(int argc, char **argv)
{
        static const struct argp argp = {options, parse, "STORE DIR", doc, NULL, NULL, NULL};
        struct mount_request request;
        int code = COMMAND_ERROR;

        if (!mount_request_init(&request)) {
                command_parse(&argp, argc, argv, &request);
                code = mount_store(&request);
        }
        mount_request_deinit(&request);
        return code;
}
