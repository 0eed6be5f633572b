/* SPDX-License-Identifier: MIT */
/* What the subcommands share: their entries, exit codes and messages. */
#ifndef FS_COMMAND_H
#define FS_COMMAND_H

#include <argp.h>

#define PROGRAM "bucketmap"

enum command_exit {
        COMMAND_FINE = 0,
        COMMAND_DAMAGE = 1,   /* the store's contents are damaged */
        COMMAND_SOME_NOT = 1, /* of several files some were not to be had, or left */
        COMMAND_ERROR = 2,    /* wrong usage, a system error, or not a store */
        COMMAND_IN_USE = 3,   /* another process has the store */
};

/* Each takes its own part of the command line, argv[0] being its name, and
 * returns an exit code. */
int cmd_mount(int argc, char **argv);
int cmd_mount_helper(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_umount_helper(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_sync(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_refs(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_import(int argc, char **argv);

/*
 * Parses with ARGP plus --help, -h and --version, which print to stdout and
 * exit 0. Anything wrong is one line on stderr and ends the process with
 * COMMAND_ERROR. INPUT reaches the parser as state->input.
 */
void command_parse(const struct argp *argp, int argc, char **argv, void *input);

/* The exit code of wrong usage, if it is to be another than COMMAND_ERROR. */
void command_set_usage_exit(int code);

/* For a parser: says what is wrong with the usage and ends the process. */
void command_usage(const struct argp_state *state, const char *format, ...)
        __attribute__((format(printf, 2, 3), noreturn));

/*
 * For a parser whose arguments are NAMES, in that order, filled into SLOTS:
 * handles ARGP_KEY_ARG and ARGP_KEY_END, complains about too many and too
 * few. NAMES ends with NULL. Other keys give ARGP_ERR_UNKNOWN.
 */
int command_arguments(int key, char *arg, struct argp_state *state, const char *const *names,
                      const char **slots);

struct command_files {
        char **names; /* the process's arguments */
        size_t n;
};

/* The same for FILE...: one or more. */
int command_files(int key, struct argp_state *state, struct command_files *files);

void command_version(void);

/*
 * Says on stderr that WHAT could not be done with the store at PATH because
 * of RESULT, a failed bm_ call's with bm_last_problem still standing, or a
 * negative errno. Returns the exit code that belongs to it.
 */
int command_fail(const char *path, const char *what, int result);

/* The same in our own words; returns COMMAND_ERROR. */
int command_error(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line of advice below a message. */
void command_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
