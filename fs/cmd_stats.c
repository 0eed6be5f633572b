/* SPDX-License-Identifier: MIT */
/* bucketmap stats [-i SECONDS] [-c N] [--histogram] [--json|--prometheus] [-b] DIR */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "number.h"
#include "requests_report.h"

struct request {
        const char *word;
        uint64_t interval, n_reports; /* 0: not given */
        bool histogram, json, prometheus, plain;
};

static const struct argp_option options[] = {
        {"interval", 'i', "SECONDS", 0,
         "Report every SECONDS what came in that time, until interrupted", 0},
        {"count", 'c', "N", 0, "End after N reports (every second without -i)", 0},
        {"histogram", 'H', NULL, 0, "How many were answered in which time, by powers of two", 0},
        {"json", 'j', NULL, 0, "For programs: an object a line", 0},
        {"prometheus", 'p', NULL, 0, "For node_exporter's textfile collector", 0},
        {"bytes", 'b', NULL, 0, "Plain bytes instead of units", 0},
        {0},
};

static const char help[] =
        "Tells what the kernel asked of the daemon that serves DIR: how many requests of each "
        "kind, how many of them failed, how many bytes were read and written, and how long "
        "the daemon took. Without -i: since the mount. What the kernel answers from its caches "
        "never reaches the daemon and is not counted."
        "\vERRORS counts answers with an error number, \"no such attribute\" and \"not supported\" "
        "apart. Times are from a request to its answer, inside the daemon; the columns 50 %, 99 % "
        "and ALL tell within which time that share was answered, rounded up to a power of two "
        "microseconds. create is the making of files; readdir includes readdirplus; fsync that of "
        "directories.\n\n"
        "For Prometheus, replace the file in one step:\n"
        "  bucketmap stats --prometheus DIR >x.prom.new && mv x.prom.new x.prom\n\n"
        "For root and the owner of the mount. Exit codes: 0 fine, 2 usage or system error.";

static void parse_number(const struct argp_state *state, const char *option, const char *text,
                         enum number_kind kind, uint64_t *number)
{
        if (number_parse(text, kind, number))
                command_usage(state, "--%s=%s: wants %s", option, text, number_wanted(kind));
}

static void check(const struct argp_state *state, struct request *request)
{
        if (request->json && request->prometheus)
                command_usage(state, "either --json or --prometheus");
        if (request->prometheus && (request->interval || request->n_reports))
                command_usage(state, "--prometheus counts since the mount: without -i and -c");
        if (request->n_reports && !request->interval)
                request->interval = 1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"DIR", NULL};
        struct request *request = state->input;

        switch (key) {
        case 'i':
                parse_number(state, "interval", arg, NUMBER_SECONDS, &request->interval);
                return 0;
        case 'c':
                parse_number(state, "count", arg, NUMBER_KEYS, &request->n_reports);
                return 0;
        case 'H':
                request->histogram = true;
                return 0;
        case 'j':
                request->json = true;
                return 0;
        case 'p':
                request->prometheus = true;
                return 0;
        case 'b':
                request->plain = true;
                return 0;
        case ARGP_KEY_SUCCESS:
                check(state, request);
                return 0;
        default:
                return command_arguments(key, arg, state, names, &request->word);
        }
}

/* Opens the mount anew for each report: kept open it could not be unmounted. */
static int ask(const struct request *request, struct fs_ioc_requests *requests,
               struct bm_stats *stats, char **store)
{
        int fd = control_open(request->word, store);
        int r = fd < 0 ? fd : control_requests(fd, requests);

        if (!r && stats)
                r = control_stats(fd, stats);
        if (fd >= 0)
                close(fd);
        return r ? control_fail(request->word, *store, "cannot ask the daemon", r) : COMMAND_FINE;
}

static int say(const struct request *request, int result)
{
        if (!result && fflush(stdout))
                result = -errno;
        if (result)
                return command_error(request->word, "cannot print: %s", strerror(-result));
        return COMMAND_FINE;
}

static int report(const struct request *request, const struct fs_ioc_requests *requests)
{
        if (request->json)
                return say(request, requests_print_json(stdout, requests, request->histogram));
        if (request->histogram)
                return say(request, requests_print_histogram(stdout, requests));
        return say(request, requests_print_table(stdout, requests, request->plain));
}

static int report_since_mount(const struct request *request)
{
        struct fs_ioc_requests requests;
        struct bm_stats stats;
        char *store = NULL;
        int code = ask(request, &requests, request->prometheus ? &stats : NULL, &store);

        if (!code && request->prometheus)
                code = say(request, requests_print_prometheus(stdout, store, &requests, &stats));
        else if (!code)
                code = report(request, &requests);
        free(store);
        return code;
}

static int report_by_interval(const struct request *request)
{
        struct fs_ioc_requests before, now, change;
        struct timespec next;
        char *store = NULL;
        int code = ask(request, &before, NULL, &store);

        clock_gettime(CLOCK_MONOTONIC, &next);
        for (uint64_t n = 0; !code && (!request->n_reports || n < request->n_reports); n++) {
                next.tv_sec += (time_t)request->interval;
                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
                        ;
                free(store);
                code = ask(request, &now, NULL, &store);
                if (code)
                        break;
                change = now;
                requests_since(&change, &before);
                before = now;
                if (n && !request->json)
                        putchar('\n');
                code = report(request, &change);
        }
        free(store);
        return code;
}

int cmd_stats(int argc, char **argv)
{
        static const struct argp argp = {options, parse, "DIR", help, NULL, NULL, NULL};
        struct request request = {0};

        command_parse(&argp, argc, argv, &request);
        return request.interval ? report_by_interval(&request) : report_since_mount(&request);
}
