/* SPDX-License-Identifier: MIT */
/* bucketmap check STORE */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bucketmap.h"
#include "command.h"
#include "control.h"
#include "print.h"
#include "quote.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", NULL};

        return command_arguments(key, arg, state, names, state->input);
}

struct report {
        const char *store;
        uint64_t n_findings;
        bool terminal; /* progress is shown */
        int percent;   /* shown last; -1: none */
};

static void clear_progress(struct report *report)
{
        if (report->percent >= 0)
                fputs("\r\033[K", stderr);
        report->percent = -1;
}

/* The key with the maps that it is in, as a path below the mount. */
static char *quoted_path(const struct bm_finding *finding)
{
        size_t path_len = finding->path ? strlen(finding->path) : 0;
        char *path = malloc(path_len + 1 + finding->key_len), *quoted;
        size_t len = path_len;

        if (!path)
                return NULL;
        if (path_len) {
                memcpy(path, finding->path, path_len);
                if (path[len - 1] != '/')
                        path[len++] = '/';
        }
        memcpy(path + len, finding->key, finding->key_len);
        quoted = quote_shell(path, len + finding->key_len);
        free(path);
        return quoted;
}

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct report *report = ctx;
        char *name = finding->key ? quoted_path(finding) : NULL;

        clear_progress(report);
        report->n_findings++;
        if (name)
                printf("%s: %s\n", name, finding->message);
        else if (finding->map_id)
                printf("(map %ju): %s\n", (uintmax_t)finding->map_id, finding->message);
        else
                printf("(no key): %s\n", finding->message);
        free(name);
}

static void on_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes)
{
        struct report *report = ctx;
        char done[PRINT_BYTES_SIZE], total[PRINT_BYTES_SIZE];
        int percent;

        if (!report->terminal || !total_bytes)
                return;
        percent = (int)(100.0 * (double)done_bytes / (double)total_bytes);
        if (percent == report->percent)
                return;
        fprintf(stderr, "\r%s: %3d %% of %s, %s checked\033[K", report->store, percent,
                print_bytes(total, total_bytes, false), print_bytes(done, done_bytes, false));
        report->percent = percent;
}

static int check(struct bm_store *store, struct report *report)
{
        const struct bm_check_args args = {
                .finding = on_finding,
                .progress = on_progress,
                .ctx = report,
        };
        int r = bm_check(store, &args), code = COMMAND_FINE;

        clear_progress(report);
        /* a list that did not get through must not look complete */
        if (fflush(stdout))
                return command_error(report->store, "cannot print: %s", strerror(errno));
        if (r == BM_E_DAMAGED && report->n_findings) {
                command_error(report->store, "damaged in %ju place%s",
                              (uintmax_t)report->n_findings, report->n_findings == 1 ? "" : "s");
                return COMMAND_DAMAGE;
        }
        if (r)
                code = command_fail(report->store, "cannot check", r);
        return code;
}

int cmd_check(int argc, char **argv)
{
        static const struct argp argp = {
                NULL,
                parse,
                "STORE",
                "Verifies every checksum and invariant of a store that is not mounted. Changes "
                "nothing. Each damaged key is named on a line of stdout, as a shell takes it.",
                NULL,
                NULL,
                NULL};
        struct bm_config config = BM_CONFIG_INIT;
        struct report report = {.terminal = isatty(STDERR_FILENO), .percent = -1};
        struct bm_store *store;
        const char *word;
        char *path;
        int r, code;

        command_parse(&argp, argc, argv, &word);
        /* of a mounted store its DIR is as good a name: it is in use then */
        r = control_open(word, &path);
        if (!path)
                return command_error(word, "cannot open: %s", strerror(-r));
        if (r >= 0)
                close(r);
        report.store = path;
        config.read_only = true;
        r = bm_open(path, &config, &store);
        if (r) {
                code = command_fail(path, "cannot check", r);
        } else {
                code = check(store, &report);
                bm_close(store);
        }
        free(path);
        return code;
}
