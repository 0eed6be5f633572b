/* SPDX-License-Identifier: MIT */
/* bucketmap export STORE|DIR [KEY...] */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_out.h"
#include "bucketmap.h"
#include "command.h"
#include "control.h"
#include "export.h"
#include "transfer.h"

struct request {
        const char *word;
        const char *const *keys; /* NULL at the end */
        struct transfer transfer;
        struct archive_out *out;
};

static const char help[] =
        "Writes the keys of a store, mounted or not, to standard output as a tar archive: all of "
        "them, or each KEY (a path from the root of the store) with what is below it. Changes "
        "nothing."
        "\vThe archive is a pax archive, which any tar reads; values, modes, owners, times, "
        "extended attributes and holes are in it, and each count as the extended attribute "
        "user.bucketmap.refcount. It is written as it is read, in bounded memory; compress it "
        "as you like:\n"
        "  bucketmap export STORE | zstd >backup.tar.zst\n\n"
        "A store that is not mounted is opened for reading. While a mounted one is exported it "
        "may change: each value is as it was when it was read, a long one perhaps a mixture.\n\n"
        "Each key that could not be read is named, and so is each socket, which no archive has a "
        "place for. Exit codes: 0 fine, 1 some could not be "
        "read, 2 usage or system error, 3 in use.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct request *request = state->input;

        switch (key) {
        case ARGP_KEY_ARG:
                if (!*arg)
                        command_usage(state, "%s is empty", state->arg_num ? "KEY" : "STORE|DIR");
                if (state->arg_num > 0)
                        return ARGP_ERR_UNKNOWN;
                request->word = arg;
                return 0;
        case ARGP_KEY_ARGS:
                request->keys = (const char *const *)state->argv + state->next;
                return 0;
        case ARGP_KEY_END:
                if (!request->word)
                        command_usage(state, "STORE|DIR is missing");
                if (isatty(STDOUT_FILENO))
                        command_usage(state, "the archive goes to standard output, not a terminal");
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

static int add(void *ctx, const struct tree_entry *entry, const struct tree_value *value)
{
        struct request *request = ctx;
        uint64_t n_bytes;
        int result;

        /* no archive has a place for one, and nobody misses it: who listens makes it anew */
        if (S_ISSOCK(entry->attr.mode)) {
                transfer_note(&request->transfer, entry->path, "socket ignored");
                return 0;
        }
        result = archive_out_add(request->out, entry, value, &n_bytes);
        transfer_step(&request->transfer, 1, n_bytes);
        return result;
}

static void report_failed(void *ctx, const char *path, const char *reason)
{
        struct request *request = ctx;

        transfer_failed(&request->transfer, path, reason);
}

static int export_closed(const char *path, const struct export *export, int *code)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        int result;

        config.read_only = true;
        result = bm_open(path, &config, &store);
        if (result) {
                *code = command_fail(path, "cannot open", result);
                return 0;
        }
        result = export_store(store, export);
        bm_close(store);
        return result;
}

static int run(struct request *request, const char *store, int fd)
{
        static const char *const all[] = {NULL};
        const struct export export = {.entry = add,
                                      .failed = report_failed,
                                      .ctx = request,
                                      .keys = request->keys ? request->keys : all};
        int code = COMMAND_FINE, ended;
        int result = fd >= 0 ? export_mount(fd, &export) : export_closed(store, &export, &code);

        if (code)
                return code;
        if (!result)
                result = archive_out_finish(request->out);
        ended = transfer_end(&request->transfer);
        if (result)
                return command_error(request->word, "cannot export: %s", strerror(-result));
        return ended;
}

int cmd_export(int argc, char **argv)
{
        static const struct argp argp = {NULL, parse, "STORE|DIR [KEY...]", help, NULL, NULL, NULL};
        struct request request = {0};
        char *store;
        int fd, result, code;

        command_parse(&argp, argc, argv, &request);
        transfer_set_locale();
        transfer_init(&request.transfer);
        fd = control_open(request.word, &store);
        result = archive_out_new(STDOUT_FILENO, report_failed, &request, &request.out);
        if (result)
                code = command_error(request.word, "cannot export: %s", strerror(-result));
        else if (store && fd != -ENOTCONN)
                code = control_closed(fd, run(&request, store, fd));
        else
                code = control_fail(request.word, store, "cannot open", fd);
        archive_out_free(request.out);
        if (fd >= 0)
                close(fd);
        free(store);
        return code;
}
