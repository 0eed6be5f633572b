/* SPDX-License-Identifier: MIT */
/* bucketmap refs [--json] FILE... */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "command.h"
#include "json.h"
#include "mountinfo.h"
#include "number.h"
#include "quote.h"
#include "xattr.h"

struct request {
        struct command_files files;
        bool json;
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "For programs: an object a line", 0},
        {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *request = state->input;

        switch (key) {
        case 'j':
                request->json = true;
                return 0;
        default:
                return command_files(key, state, &request->files);
        }
}

static int read_count(const char *file, uint64_t *count)
{
        char text[32];
        ssize_t len = getxattr(file, FS_XATTR_COUNT, text, sizeof(text) - 1);

        if (len < 0)
                return -errno;
        text[len] = '\0';
        return number_parse(text, NUMBER_COUNT, count);
}

/* A directory, a fifo or the like in a mounted store. */
static bool is_irregular(const char *file)
{
        struct mount_table table;
        const struct mount *mount;
        struct stat st;
        char *path;
        bool ours;

        if (stat(file, &st) || S_ISREG(st.st_mode))
                return false;
        path = realpath(file, NULL);
        if (!path)
                return false;
        if (mount_table_load(&table))
                table = MOUNT_TABLE_INIT;
        mount = mount_above(&table, path);
        ours = mount && mount_is_ours(mount);
        mount_table_deinit(&table);
        free(path);
        return ours;
}

static const char *reason(const char *file, int result)
{
        switch (result) {
        case -ENODATA:
        case -EOPNOTSUPP:
                return is_irregular(file) ? "has no count: not a regular file"
                                          : "has no count: not a file of a mounted store";
        case -EINVAL:
        case -ERANGE:
                return "its attribute " FS_XATTR_COUNT " is no count";
        default:
                return strerror(-result);
        }
}

static int print(const char *file, uint64_t count, bool json)
{
        char *name;
        int r;

        if (json)
                return json_line(stdout,
                                 json_pack("{s:o*, s:o*}", "name", json_name(file, strlen(file)),
                                           "count", json_count(count)));
        name = quote_shell(file, strlen(file));
        if (!name)
                return -ENOMEM;
        r = printf("%ju\t%s\n", (uintmax_t)count, name) < 0 ? -EIO : 0;
        free(name);
        return r;
}

int cmd_refs(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "FILE...",
                "Prints the reference counts of files in mounted stores: count, tab, name, the "
                "name as a shell takes it.\v"
                "Exit codes: 0 all printed, 1 some have no count or cannot be read, 2 usage or "
                "system error.",
                NULL,
                NULL,
                NULL};
        struct request request = {0};
        int code = COMMAND_FINE, r = 0;

        command_parse(&argp, argc, argv, &request);
        for (size_t i = 0; i < request.files.n && !r; i++) {
                const char *file = request.files.names[i];
                uint64_t count;
                int missing = read_count(file, &count);

                if (!missing) {
                        r = print(file, count, request.json);
                } else {
                        command_error(file, "%s", reason(file, missing));
                        code = COMMAND_SOME_NOT;
                }
        }
        if (!r && fflush(stdout))
                r = -errno;
        return r ? command_error("refs", "cannot print: %s", strerror(-r)) : code;
}
