/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bucketmap.h"
#include "mountinfo.h"
#include "storelock.h"

/* Of the process: it parses one command line. */
static int usage_exit = COMMAND_ERROR;

void command_set_usage_exit(int code)
{
        usage_exit = code;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
        switch (key) {
        case ARGP_KEY_INIT:
                /* argp would add a second line to each complaint */
                state->err_stream = NULL;
                state->child_inputs[0] = state->input;
                return 0;
        case 'h':
                argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
                return 0;
        case 'V':
                command_version();
                exit(COMMAND_FINE);
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

void command_parse(const struct argp *argp, int argc, char **argv, void *input)
{
        static const struct argp_option options[] = {
                {"help", 'h', NULL, 0, "Show this help", -1},
                {"version", 'V', NULL, 0, "Show the version", -1},
                {0},
        };
        const struct argp_child children[] = {{argp, 0, NULL, 0}, {0}};
        const struct argp common = {
                .options = options,
                .parser = parse_common,
                .children = children,
        };

        /* the library's own messages, about unknown options, end up here */
        if (argp_parse(&common, argc, argv, ARGP_NO_HELP, NULL, input))
                exit(usage_exit);
}

void command_usage(const struct argp_state *state, const char *format, ...)
{
        va_list args;

        fprintf(stderr, "%s: ", state->name);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fprintf(stderr, " (see %s --help)\n", state->name);
        exit(usage_exit);
}

int command_arguments(int key, char *arg, struct argp_state *state, const char *const *names,
                      const char **slots)
{
        unsigned n = state->arg_num;

        switch (key) {
        case ARGP_KEY_ARG:
                if (!names[n])
                        command_usage(state, "one argument too many: '%s'", arg);
                if (!*arg)
                        command_usage(state, "%s is empty", names[n]);
                slots[n] = arg;
                return 0;
        case ARGP_KEY_END:
                if (names[n])
                        command_usage(state, "%s is missing", names[n]);
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

int command_files(int key, struct argp_state *state, struct command_files *files)
{
        switch (key) {
        case ARGP_KEY_ARGS:
                files->names = state->argv + state->next;
                files->n = (size_t)(state->argc - state->next);
                return 0;
        case ARGP_KEY_NO_ARGS:
                command_usage(state, "FILE is missing");
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

void command_version(void)
{
        printf("%s %s\n", PROGRAM, BUCKETMAP_VERSION);
}

int command_error(const char *path, const char *format, ...)
{
        va_list args;

        fprintf(stderr, "%s: %s: ", PROGRAM, path);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        return COMMAND_ERROR;
}

void command_hint(const char *format, ...)
{
        va_list args;

        fputs("  ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
}

/* By whom: a writer says so in the lock file, a reader that is mounted is seen there. */
static void in_use(const char *path)
{
        struct store_holder holder = {0};
        struct mount_table table;
        const struct mount *mount;
        int fd = store_lock_open(path);

        if (fd >= 0) {
                store_lock_holder(fd, &holder);
                close(fd);
        }
        if (holder.pid) {
                command_error(path, "in use by process %d%s%s", (int)holder.pid,
                              *holder.note ? ", " : "", holder.note);
                return;
        }
        if (mount_table_load(&table))
                table = MOUNT_TABLE_INIT;
        mount = mount_of_store(&table, path);
        if (mount)
                command_error(path, "in use, mounted at %s", mount->dir);
        else
                command_error(path, "in use");
        mount_table_deinit(&table);
}

static bool has(const char *dir, const char *name)
{
        struct stat st;
        char *file;
        bool there;

        if (asprintf(&file, "%s/%s", dir, name) < 0)
                return false;
        there = !stat(file, &st);
        free(file);
        return there;
}

/* Of a place for a store or a drive. Each drive has the first two, the first has the third. */
static void not_empty(const char *path)
{
        if (!has(path, "superblock") || !has(path, "segments"))
                command_error(path, "not a bucketmap store, and not empty; nothing changed");
        else if (has(path, "manifest"))
                command_error(path, "is a bucketmap store already; nothing changed");
        else
                command_error(path, "is a drive of a bucketmap store already; nothing changed");
}

int command_fail(const char *path, const char *what, int result)
{
        /* the calls below would replace it */
        char *problem = strdup(bm_last_problem());
        const char *place = problem && *problem ? problem : bm_strerror(result);
        int code = COMMAND_ERROR;

        switch (result) {
        case BM_E_IN_USE:
                in_use(path);
                code = COMMAND_IN_USE;
                break;
        case BM_E_NOT_A_STORE:
                command_error(path, "not a bucketmap store");
                break;
        case BM_E_NOT_EMPTY_DIR:
                /* a drive perhaps */
                not_empty(place == problem ? problem : path);
                break;
        case BM_E_NEWER_FORMAT:
                command_error(path, "%s: made by a newer bucketmap: %s", what, place);
                break;
        case BM_E_OLDER_FORMAT:
                command_error(path, "%s: made by an older bucketmap, which can still export it: %s",
                              what, place);
                break;
        case BM_E_DAMAGED:
                command_error(path, "%s: damaged: %s", what, place);
                code = COMMAND_DAMAGE;
                break;
        default:
                if (place == problem && result < 0 && strcmp(problem, path) != 0)
                        command_error(path, "%s: %s: %s", what, problem, strerror(-result));
                else
                        command_error(path, "%s: %s", what, result < 0 ? strerror(-result) : place);
        }
        free(problem);
        return code;
}
