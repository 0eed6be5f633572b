/* SPDX-License-Identifier: MIT */
/* The bucketmap command: finds the subcommand and runs it. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "command.h"

static const struct command {
        const char *name;
        int (*run)(int argc, char **argv);
        const char *summary;
} commands[] = {
        {"mount", cmd_mount, "show a store as a directory"},
        {"umount", cmd_umount, "end that, and wait until everything is on disk"},
        {"create", cmd_create, "make an empty store"},
        {"sync", cmd_sync, "make everything written to a mounted store durable"},
        {"info", cmd_info, "figures about a store"},
        {"stats", cmd_stats, "what the kernel asks of a mounted store, and how long it takes"},
        {"export", cmd_export, "write a store's keys as a tar archive"},
        {"import", cmd_import, "store what is in a tar archive"},
        {"check", cmd_check, "verify every checksum of a store"},
        {"refs", cmd_refs, "print the counts of files"},
        {"rm", cmd_rm, "remove files whose count is as given"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
        printf("Usage: %s COMMAND [OPTION...] ...\n"
               "A persistent hash map with reference counts, mounted as a directory.\n\n",
               PROGRAM);
        for (size_t i = 0; i < N_COMMANDS; i++)
                printf("  %-8s %s\n", commands[i].name, commands[i].summary);
        printf("\n%s COMMAND --help tells more about one.\n"
               "Exit codes: 0 fine, 1 damage, 2 usage or system error, 3 in use.\n",
               PROGRAM);
        return COMMAND_FINE;
}

static int run(const struct command *command, int argc, char **argv)
{
        char name[64];

        snprintf(name, sizeof(name), "%s %s", PROGRAM, command->name);
        argv[0] = name;
        return command->run(argc, argv);
}

/* Opening a large store opens every segment once. */
static void allow_many_files(void)
{
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
}

/*
 * With one of the first three descriptors closed, a file of the store would
 * take its number, and a message go into it.
 */
static int fill_standard_descriptors(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd < 0)
                return -1;
        return close(fd);
}

/* Links to the program that mount(8) and umount(8) look for. */
static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
} helpers[] = {
        {"mount.bucketmap", cmd_mount_helper},
        {"mount.fuse.bucketmap", cmd_mount_helper},
        {"umount.bucketmap", cmd_umount_helper},
        {"umount.fuse.bucketmap", cmd_umount_helper},
};

static const char *last_part(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
        const char *name = argc ? last_part(argv[0]) : "";
        const char *word = argc > 1 ? argv[1] : "";

        if (fill_standard_descriptors())
                return COMMAND_ERROR;
        setlocale(LC_ALL, "");
        for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++) {
                if (!strcmp(name, helpers[i].name))
                        return helpers[i].run(argc, argv);
        }
        allow_many_files();
        if (!strcmp(word, "--help") || !strcmp(word, "-h"))
                return help();
        if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
                command_version();
                return COMMAND_FINE;
        }
        for (size_t i = 0; i < N_COMMANDS; i++) {
                if (!strcmp(word, commands[i].name))
                        return run(&commands[i], argc - 1, argv + 1);
        }
        /* what mount.fuse3 calls for a line of fstab: STORE DIR -o OPTIONS */
        if (*word == '/')
                return run(&commands[0], argc, argv);
        if (*word)
                fprintf(stderr, "%s: unknown %s '%s' (see %s --help)\n", PROGRAM,
                        *word == '-' ? "option" : "command", word, PROGRAM);
        else
                fprintf(stderr, "%s: a command is missing (see %s --help)\n", PROGRAM, PROGRAM);
        return COMMAND_ERROR;
}
