/* SPDX-License-Identifier: MIT */
/* bucketmap create [OPTION...] STORE */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"
#include "command.h"
#include "create.h"
#include "drive_list.h"
#include "number.h"
#include "path.h"
#include "root.h"

struct request {
        const char *store;
        struct bm_config config;
        struct drive_list drives;
};

static const struct argp_option options[] = {
        {"buckets", 'b', "N", 0, "Buckets of the root map, a power of two (16)", 0},
        {"max-search", 'm', "N", 0, "Slots that a probe looks at, a multiple of 4 (32)", 0},
        {"drive", 'd', "DIR", 0, "Spread it over this directory, too; repeatable", 0},
        {"keys", 'k', "N", 0, "How many keys to expect: chooses the buckets, unless -b does", 0},
        {0},
};

static uint64_t number(const struct argp_state *state, const char *option, const char *text,
                       enum number_kind kind)
{
        uint64_t n;

        if (number_parse(text, kind, &n))
                command_usage(state, "--%s=%s: wants %s", option, text, number_wanted(kind));
        return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", NULL};
        struct request *request = state->input;

        switch (key) {
        case 'b':
                request->config.n_buckets = (unsigned)number(state, "buckets", arg, NUMBER_BUCKETS);
                return 0;
        case 'm':
                request->config.max_search =
                        (unsigned)number(state, "max-search", arg, NUMBER_MAX_SEARCH);
                return 0;
        case 'd':
                switch (drive_list_add(&request->drives, arg)) {
                case 0:
                        return 0;
                case -ENOMEM:
                        return ENOMEM;
                case -E2BIG:
                        command_usage(state, "--drive=%s: too many drives", arg);
                default:
                        command_usage(state, "--drive=%s: wants a directory", arg);
                }
        case 'k':
                request->config.expected_keys = number(state, "keys", arg, NUMBER_KEYS);
                return 0;
        default:
                return command_arguments(key, arg, state, names, &request->store);
        }
}

/* The root's mode and owner are the creator's, not those of whoever mounts it first. */
static int own(const char *path)
{
        struct bm_config as_stored = BM_CONFIG_INIT;
        struct bm_store *store;
        int r, closed;

        as_stored.no_background = true;
        r = bm_open(path, &as_stored, &store);
        if (r)
                return r;
        r = fs_init_root(store);
        closed = bm_close(store);
        return r ? r : closed;
}

static int create(const char *path, const struct bm_config *config)
{
        bool created;
        int r = create_store(path, config, false, &created);

        if (r)
                return command_fail(path, "cannot create", r);
        r = own(path);
        return r ? command_fail(path, "created, but cannot be used", r) : COMMAND_FINE;
}

int cmd_create(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "STORE",
                "Makes an empty store in the directory STORE, which must be empty or not exist, as "
                "must every drive.",
                NULL,
                NULL,
                NULL};
        struct request request = {.config = BM_CONFIG_INIT};
        char *path;
        int r, code = COMMAND_FINE;

        command_parse(&argp, argc, argv, &request);
        request.config.drives = (const char *const *)request.drives.paths;
        request.config.n_drives = request.drives.n;
        r = path_resolve(request.store, &path);
        if (r)
                return command_error(request.store, "cannot create: %s", strerror(-r));
        code = drive_list_resolve(&request.drives, path);
        if (!code)
                code = create(path, &request.config);
        drive_list_deinit(&request.drives);
        free(path);
        return code;
}
