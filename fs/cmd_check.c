/* SPDX-License-Identifier: MIT */
/* bucketmap check [--json] [--progress=SECONDS] STORE */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bucketmap.h"
#include "check_report.h"
#include "command.h"
#include "control.h"
#include "number.h"

/* Of the process, like the signal that asks it. */
static struct check_report report;

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "For programs: an object a line, a summary as the last", 0},
        {"progress", 'p', "SECONDS", 0, "A line of progress so often; also on SIGUSR1", 0},
        {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", NULL};
        uint64_t seconds;

        switch (key) {
        case 'j':
                report.json = true;
                return 0;
        case 'p':
                if (number_parse(arg, NUMBER_SECONDS, &seconds))
                        command_usage(state, "--progress=%s: wants %s", arg,
                                      number_wanted(NUMBER_SECONDS));
                report.interval = (unsigned)seconds;
                return 0;
        default:
                return command_arguments(key, arg, state, names, state->input);
        }
}

static void on_signal(int signal)
{
        report.asked = 1;
}

static int check(const char *path)
{
        const struct bm_check_args args = {
                .finding = check_report_finding,
                .progress = check_report_progress,
                .ctx = &report,
        };
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        int r, code;

        config.read_only = true;
        r = bm_open(path, &config, &store);
        if (r)
                return command_fail(path, "cannot check", r);
        code = check_report_end(&report, bm_check(store, &args));
        bm_close(store);
        return code;
}

int cmd_check(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "STORE",
                "Verifies every checksum and invariant of a store that is not mounted. Changes "
                "nothing. Each damaged key is named on a line of stdout, as a shell takes it.",
                NULL,
                NULL,
                NULL};
        const struct sigaction ask = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        const char *word;
        char *path;
        int r, code;

        /* before anything that takes long: whoever asks must not end us */
        sigaction(SIGUSR1, &ask, NULL);
        command_parse(&argp, argc, argv, &word);
        /* of a mounted store its DIR is as good a name: it is in use then */
        r = control_open(word, &path);
        if (!path)
                return command_error(word, "cannot open: %s", strerror(-r));
        if (r >= 0)
                close(r);
        report.terminal = isatty(STDERR_FILENO);
        check_report_init(&report, path);
        code = check(path);
        free(path);
        return code;
}
