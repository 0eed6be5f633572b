/* SPDX-License-Identifier: MIT */
/* bucketmap import [--keep|--replace] STORE|DIR */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bucketmap.h"
#include "command.h"
#include "control.h"
#include "import.h"
#include "root.h"

struct request {
        const char *word;
        bool keep, replace;
};

static const struct argp_option options[] = {
        {"keep", 'k', NULL, 0, "Leave keys alone that are there already", 0},
        {"replace", 'r', NULL, 0, "Replace them", 0},
        {0},
};

static const char help[] =
        "Stores what is in the tar archive on standard input in a store, mounted or not; names "
        "are taken from the root of the store. Of a key that is there already it says so and "
        "leaves it, which counts as a failure; --keep and --replace say otherwise. "
        "Directories are merged."
        "\vTakes what bucketmap export writes and any other tar archive, also one compressed with "
        "gzip, bzip2, xz, zstd or lz4. Files of every type are stored with "
        "their modes, times and extended attributes, and with their owners if you are root; the "
        "extended attribute user.bucketmap.refcount is the count, else a new key has 1 and a "
        "replaced one keeps its own. Hard links refer to what came before in the archive. Devices "
        "take root. Names with "
        "\"..\" are refused.\n\n"
        "A key that is replaced keeps its inode and, if it is short, goes from old to new in one "
        "step. In a mounted store the keys are stored by the daemon, many at once, and every "
        "cache of the kernel's knows of them. All is durable when the command ends.\n\n"
        "A store that is not mounted must be there (see bucketmap create). Each key that could "
        "not be stored is named. Exit codes: 0 fine, 1 some could not be stored, 2 usage or "
        "system error, or the archive is damaged, 3 in use.";

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE|DIR", NULL};
        struct request *request = state->input;

        switch (key) {
        case 'k':
                request->keep = true;
                return 0;
        case 'r':
                request->replace = true;
                return 0;
        case ARGP_KEY_SUCCESS:
                if (request->keep && request->replace)
                        command_usage(state, "either --keep or --replace");
                if (isatty(STDIN_FILENO))
                        command_usage(state,
                                      "the archive comes from standard input, not a terminal");
                return 0;
        default:
                return command_arguments(key, arg, state, names, &request->word);
        }
}

/* SINK is freed. */
static int run(const struct request *request, struct sink *sink)
{
        const char *problem = NULL;
        struct archive_in *in = NULL;
        struct transfer transfer;
        int result, code;

        transfer_init(&transfer);
        sink->mode = request->keep ? FS_PUT_KEEP : request->replace ? FS_PUT_REPLACE : FS_PUT_NEW;
        sink->failed = transfer_failed;
        sink->failed_ctx = &transfer;
        result = archive_in_new(STDIN_FILENO, transfer_failed, &transfer, &in);
        if (result)
                problem = archive_in_problem(in);
        else
                result = import_all(in, sink, &transfer, &problem);
        code = transfer_end(&transfer);
        if (result && problem)
                code = command_error("standard input", "cannot read the archive: %s", problem);
        else if (result)
                code = command_error(request->word, "cannot import: %s", strerror(-result));
        archive_in_free(in);
        sink->free(sink);
        return code;
}

static int cannot_import(const char *word, int result)
{
        return command_error(word, "cannot import: %s", strerror(-result));
}

static int import_closed(const struct request *request, const char *path)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        struct sink *sink;
        int result, code;

        config.stamp_times = true;
        config.owner_note = "import";
        result = bm_open(path, &config, &store);
        if (result)
                return command_fail(path, "cannot open", result);
        result = fs_init_root(store);
        if (!result)
                result = sink_store_new(store, &sink);
        code = result ? cannot_import(path, result) : run(request, sink);
        result = bm_close(store);
        if (result && !code)
                code = command_fail(path, "the last sync failed", result);
        return code;
}

static int import_mounted(const struct request *request, int fd)
{
        struct statvfs fs;
        struct sink *sink;
        int result = fstatvfs(fd, &fs) ? -errno : 0;

        /* said once, not of each file */
        if (!result && fs.f_flag & ST_RDONLY)
                result = -EROFS;
        if (!result)
                result = sink_mount_new(fd, &sink);
        return result ? cannot_import(request->word, result) : run(request, sink);
}

int cmd_import(int argc, char **argv)
{
        static const struct argp argp = {options, parse, "STORE|DIR", help, NULL, NULL, NULL};
        struct request request = {0};
        char *store;
        int fd, code;

        command_parse(&argp, argc, argv, &request);
        transfer_set_locale();
        fd = control_open(request.word, &store);
        if (fd >= 0)
                code = import_mounted(&request, fd);
        else if (store && fd != -ENOTCONN)
                code = control_closed(fd, import_closed(&request, store));
        else
                code = control_fail(request.word, store, "cannot open", fd);
        if (fd >= 0)
                close(fd);
        free(store);
        return code;
}
