/* SPDX-License-Identifier: MIT */
/* bucketmap rm --if-count=N [-f] FILE... */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "ioctl.h"
#include "number.h"
#include "quote.h"

struct request {
        struct command_files files;
        uint64_t count;
        bool have_count;
        bool force;
};

static const struct argp_option options[] = {
        {"if-count", 'c', "N", 0, "Remove a file only if its count is N", 0},
        {"force", 'f', NULL, 0, "Files that are not there are no error", 0},
        {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *request = state->input;

        switch (key) {
        case 'c':
                if (number_parse(arg, NUMBER_COUNT, &request->count))
                        command_usage(state, "--if-count=%s: wants %s", arg,
                                      number_wanted(NUMBER_COUNT));
                request->have_count = true;
                return 0;
        case 'f':
                request->force = true;
                return 0;
        case ARGP_KEY_SUCCESS:
                if (!request->have_count)
                        command_usage(state, "--if-count=N is missing; rm removes any file");
                return 0;
        default:
                return command_files(key, state, &request->files);
        }
}

/* Files of one directory, as many as fit, on their way to the daemon. */
struct batch {
        char **files;
        uint32_t n;
        char *dir; /* of all of them, "" for the working directory; NULL: not begun */
        struct fs_ioc_remove request;
};

/* Where the last part of FILE begins. */
static const char *name_of(const char *file)
{
        const char *slash = strrchr(file, '/');

        return slash ? slash + 1 : file;
}

/* Says what is wrong with FILE; a name that is not there may be no error. */
static int complain(const struct request *request, const char *file, int error)
{
        char *name;

        if (error == ENOENT && request->force)
                return COMMAND_FINE;
        name = quote_shell(file, strlen(file));
        if (error == ENOTTY)
                command_error(name ? name : file, "not in a mounted store");
        else if (error == EPERM)
                command_error(name ? name : file,
                              "cannot remove: only root and the owner of the mount may, by count");
        else
                command_error(name ? name : file, "cannot remove: %s", strerror(error));
        free(name);
        return COMMAND_ERROR;
}

/* Prints a file that was left. */
static int print_left(const char *file)
{
        char *name = quote_shell(file, strlen(file));
        int r = name && printf("%s\n", name) >= 0 ? 0 : -ENOMEM;

        free(name);
        return r ? command_error("rm", "cannot print: %s", strerror(-r)) : COMMAND_SOME_NOT;
}

/* The worse of two exit codes: an error outdoes what was left. */
static int worse(int a, int b)
{
        return a > b ? a : b;
}

/* Has what was gathered removed. */
static int send(const struct request *request, struct batch *batch)
{
        int fd, error = 0, code = COMMAND_FINE;

        if (!batch->n)
                return COMMAND_FINE;
        batch->request.count = request->count;
        batch->request.n_names = batch->n;
        fd = open(*batch->dir ? batch->dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                error = errno;
        else
                error = -control_remove(fd, &batch->request);
        if (fd >= 0)
                close(fd);
        for (uint32_t i = 0; i < batch->n; i++) {
                int one = error ? error : batch->request.names[i];

                if (!error && one == EBUSY)
                        code = worse(code, print_left(batch->files[i]));
                else if (one)
                        code = worse(code, complain(request, batch->files[i], one));
        }
        free(batch->dir);
        batch->dir = NULL;
        batch->n = batch->request.len = 0;
        return code;
}

static bool fits(const struct batch *batch, const char *file, const char *name)
{
        size_t dir_len = (size_t)(name - file);

        return strlen(batch->dir) == dir_len && !memcmp(batch->dir, file, dir_len) &&
               strlen(name) + 1 <= sizeof(batch->request.names) - batch->request.len;
}

/* "dir/" means a directory, which is not removed. */
static int error_of_no_name(const char *file)
{
        struct stat st;

        return stat(file, &st) ? errno : EISDIR;
}

/* Puts FILE, the i-th, into the batch, which is sent before if that does not fit. */
static int gather(const struct request *request, struct batch *batch, char **file)
{
        const char *name = name_of(*file);
        int code = COMMAND_FINE;

        /* a longer name could be none of a batch either */
        if (!*name || strlen(name) > BM_KEY_MAX) {
                int error = *name ? ENAMETOOLONG : error_of_no_name(*file);

                code = send(request, batch);
                return worse(code, complain(request, *file, error));
        }
        if (batch->dir && !fits(batch, *file, name))
                code = send(request, batch);
        if (!batch->dir) {
                batch->files = file;
                batch->dir = strndup(*file, (size_t)(name - *file));
                if (!batch->dir)
                        return command_error(*file, "out of memory");
        }
        strcpy((char *)batch->request.names + batch->request.len, name);
        batch->request.len += (uint32_t)strlen(name) + 1;
        batch->n++;
        return code;
}

int cmd_rm(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "--if-count=N FILE...",
                "Removes each file whose reference count is N at that moment; nobody's change of "
                "the count can come between. Prints the names of those that it left, as a shell "
                "takes them. For root and the owner of the mount.\v"
                "Exit codes: 0 all removed, 1 some left because of their count, 2 usage or system "
                "error, some may have been removed.",
                NULL,
                NULL,
                NULL};
        static struct batch batch;
        struct request request = {0};
        int code = COMMAND_FINE;

        command_parse(&argp, argc, argv, &request);
        for (size_t i = 0; i < request.files.n; i++)
                code = worse(code, gather(&request, &batch, &request.files.names[i]));
        code = worse(code, send(&request, &batch));
        if (fflush(stdout))
                code = command_error("rm", "cannot print: %s", strerror(errno));
        return code;
}
