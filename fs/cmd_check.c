/* SPDX-License-Identifier: MIT */
/* bucketmap check [--json] [--progress=SECONDS] [--repair [--dry-run]] STORE | --online DIR */
#include <errno.h>
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

struct request {
        const char *word;
        bool online, repair, dry_run;
};

static const struct argp_option options[] = {
        {"online", 'o', NULL, 0, "Check the store mounted at DIR while it is in use", 0},
        {"repair", 'r', NULL, 0, "Make a damaged store whole again", 0},
        {"dry-run", 'n', NULL, 0, "With --repair: tell what it would do, write nothing", 0},
        {"json", 'j', NULL, 0, "For programs: an object a line, a summary as the last", 0},
        {"progress", 'p', "SECONDS", 0, "A line of progress so often; also on SIGUSR1", 0},
        {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE", NULL};
        struct request *request = state->input;
        uint64_t seconds;

        switch (key) {
        case 'o':
                request->online = true;
                return 0;
        case 'r':
                request->repair = true;
                return 0;
        case 'n':
                request->dry_run = true;
                return 0;
        case ARGP_KEY_SUCCESS:
                if (request->online && request->repair)
                        command_usage(state, "--repair wants a store that is not mounted");
                if (request->dry_run && !request->repair)
                        command_usage(state, "--dry-run is of --repair");
                return 0;
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
                return command_arguments(key, arg, state, names, &request->word);
        }
}

static void on_signal(int signal)
{
        report.asked = 1;
}

static void on_interrupt(int signal)
{
        report.interrupted = 1;
}

static const struct bm_check_args args = {
        .finding = check_report_finding,
        .progress = check_report_progress,
        .ctx = &report,
};

/* By the daemon, which is told when we are interrupted. */
static int check_online(const char *path, int fd)
{
        const struct sigaction stop = {.sa_handler = on_interrupt};
        int r;

        sigaction(SIGINT, &stop, NULL);
        sigaction(SIGTERM, &stop, NULL);
        r = control_check(fd, &args);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        if (r == -EBUSY)
                return command_error(path, "another check of it is running");
        if (r == -EPERM)
                return control_fail(path, NULL, "cannot check", r);
        if (r == -ESRCH)
                return command_error(path, "the daemon ended the check");
        if (report.interrupted)
                raise(SIGINT);
        return check_report_end(&report, r);
}

static int check(const char *path, bool mounted)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *store;
        int r, code;

        config.read_only = true;
        r = bm_open(path, &config, &store);
        if (r) {
                code = command_fail(path, "cannot check", r);
                if (r == BM_E_IN_USE && mounted)
                        command_hint(PROGRAM " check --online checks a mounted store");
                return code;
        }
        code = check_report_end(&report, bm_check(store, &args));
        bm_close(store);
        return code;
}

/* What came of it stands in the report; whether it is whole now, only a look can tell. */
static int repair(const char *path, bool dry_run)
{
        const struct bm_repair_args repair_args = {
                .dry_run = dry_run,
                .finding = check_report_finding,
                .progress = check_report_progress,
                .ctx = &report,
        };
        const struct bm_config config = BM_CONFIG_INIT;
        int r, code;

        r = bm_repair(path, &config, &repair_args);
        if (r && r != BM_E_DAMAGED)
                return command_fail(path, "cannot repair", r);
        if (r && !report.n_findings) /* the index was made anew, and nothing is lost */
                report.n_findings = 1;
        code = check_report_end(&report, r);
        if (r && !dry_run)
                command_hint("it is repaired; " PROGRAM " check %s tells whether it is whole",
                             path);
        return code;
}

int cmd_check(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "STORE\n--online DIR",
                "Verifies every checksum and invariant of a store: of one that is not mounted, or "
                "with --online of one that is. Changes nothing but with --repair. Each damaged key "
                "is named on a "
                "line of stdout, as a shell takes it.",
                NULL,
                NULL,
                NULL};
        const struct sigaction ask = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        struct request request = {0};
        char *path;
        int r, code;

        /* before anything that takes long: whoever asks must not end us */
        sigaction(SIGUSR1, &ask, NULL);
        command_parse(&argp, argc, argv, &request);
        /* of a mounted store its DIR is as good a name: it is in use then */
        r = control_open(request.word, &path);
        if (!path)
                return command_error(request.word, "cannot open: %s", strerror(-r));
        report.terminal = isatty(STDERR_FILENO);
        check_report_init(&report, path);
        if (request.repair)
                code = repair(path, request.dry_run);
        else if (!request.online)
                code = check(path, r != -ENOENT);
        else if (r < 0)
                code = control_fail(request.word, path, "cannot open", r);
        else
                code = check_online(path, r);
        if (r >= 0)
                close(r);
        free(path);
        return code;
}
