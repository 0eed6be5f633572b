/* SPDX-License-Identifier: MIT */
#include "check_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#include "print.h"
#include "quote.h"

static void clear_progress(struct check_report *report)
{
        if (report->percent >= 0)
                fputs("\r\033[K", stderr);
        report->percent = -1;
}

/* Findings */

/* The key with the maps that it is in, as a path below the mount; its length in *LEN. Of a record
 * whose key is not known the map alone. */
static char *full_path(const struct bm_finding *finding, size_t *len)
{
        size_t path_len = finding->path ? strlen(finding->path) : 0;
        char *path = malloc(path_len + 1 + finding->key_len);

        if (!path)
                return NULL;
        *len = path_len;
        if (path_len) {
                memcpy(path, finding->path, path_len);
                if (path[path_len - 1] != '/')
                        path[(*len)++] = '/';
        }
        if (finding->key) {
                memcpy(path + *len, finding->key, finding->key_len);
                *len += finding->key_len;
        }
        return path;
}

/* What is in no map that somebody sees has neither. */
static bool has_path(const struct bm_finding *finding)
{
        return finding->key || (finding->path && finding->path[0]);
}

static const char *kind_name(enum bm_check_kind kind)
{
        switch (kind) {
        case BM_CHECK_RECORD:
                return "record";
        case BM_CHECK_DEAD:
                return "dead record";
        case BM_CHECK_INDEX:
                return "index";
        case BM_CHECK_STRUCTURE:
                return "structure";
        }
        return "other";
}

/* PATH may be NULL. */
static int print_json_finding(const struct bm_finding *finding, const char *path, size_t path_len)
{
        json_t *line =
                json_pack("{s:s, s:s, s:o*}", "type", "finding", "kind", kind_name(finding->kind),
                          "message", json_text(finding->message, strlen(finding->message)));

        if (path)
                json_object_set_new(line, "name", json_name(path, path_len));
        if (finding->key)
                json_object_set_new(line, "key", json_name(finding->key, finding->key_len));
        if (finding->map_id)
                json_object_set_new(line, "map", json_count(finding->map_id));
        return json_line(stdout, line);
}

static int print_text_finding(const struct bm_finding *finding, const char *path, size_t path_len)
{
        char *name = path ? quote_shell(path, path_len) : NULL;
        int n;

        if (path && !name)
                return -ENOMEM;
        if (name)
                n = printf("%s: %s\n", name, finding->message);
        else if (finding->map_id)
                n = printf("(map %ju): %s\n", (uintmax_t)finding->map_id, finding->message);
        else
                n = printf("(no key): %s\n", finding->message);
        free(name);
        return n < 0 ? -EIO : 0;
}

void check_report_finding(void *ctx, const struct bm_finding *finding)
{
        struct check_report *report = ctx;
        size_t path_len = 0;
        char *path = has_path(finding) ? full_path(finding, &path_len) : NULL;
        int r;

        /* or we would wait for a reader that takes no more */
        if (report->failed || report->interrupted)
                return;
        clear_progress(report);
        report->n_findings++;
        if (has_path(finding) && !path)
                r = -ENOMEM;
        else if (report->json)
                r = print_json_finding(finding, path, path_len);
        else
                r = print_text_finding(finding, path, path_len);
        if (r && !report->failed)
                report->failed = r;
        free(path);
}

/* Progress */

static int percent_done(const struct check_report *report)
{
        if (!report->total_bytes)
                return 0;
        return (int)(100.0 * (double)report->done_bytes / (double)report->total_bytes);
}

static void print_progress(const struct check_report *report, const char *start, const char *end)
{
        char done[PRINT_BYTES_SIZE], total[PRINT_BYTES_SIZE];

        fprintf(stderr, "%s%s: %3d %% of %s, %s checked%s", start, report->store,
                percent_done(report), print_bytes(total, report->total_bytes, false),
                print_bytes(done, report->done_bytes, false), end);
}

static bool is_due(struct check_report *report)
{
        struct timespec now;

        if (report->asked) {
                report->asked = 0;
                return true;
        }
        if (!report->interval)
                return false;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - report->last.tv_sec < (time_t)report->interval)
                return false;
        report->last = now;
        return true;
}

int check_report_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes)
{
        struct check_report *report = ctx;
        int percent;

        report->done_bytes = done_bytes;
        report->total_bytes = total_bytes;
        if (is_due(report)) {
                clear_progress(report);
                print_progress(report, "", "\n");
        }
        percent = percent_done(report);
        if (report->terminal && total_bytes && percent != report->percent) {
                print_progress(report, "\r", "\033[K");
                report->percent = percent;
        }
        /* nobody would see the rest of the list */
        return report->failed ? report->failed : report->interrupted ? -EINTR : 0;
}

/* The beginning and the end */

void check_report_init(struct check_report *report, const char *store)
{
        report->store = store;
        report->percent = -1;
        clock_gettime(CLOCK_MONOTONIC, &report->last);
}

static int print_summary(const struct check_report *report, int result)
{
        const char *word = !result ? "clean" : result == BM_E_DAMAGED ? "damaged" : "not checked";

        return json_line(stdout,
                         json_pack("{s:s, s:o*, s:s, s:I, s:I}", "type", "summary", "store",
                                   json_name(report->store, strlen(report->store)), "result", word,
                                   "findings", (json_int_t)report->n_findings, "checked_bytes",
                                   (json_int_t)report->done_bytes));
}

int check_report_end(struct check_report *report, int result)
{
        clear_progress(report);
        if (report->json && !report->failed)
                report->failed = print_summary(report, result);
        if (fflush(stdout) && !report->failed)
                report->failed = -errno;
        /* a list that did not get through must not look complete */
        if (report->failed)
                return command_error(report->store, "cannot print: %s", strerror(-report->failed));
        if (result == BM_E_DAMAGED && report->n_findings) {
                command_error(report->store, "damaged in %ju place%s",
                              (uintmax_t)report->n_findings, report->n_findings == 1 ? "" : "s");
                return COMMAND_DAMAGE;
        }
        return result ? command_fail(report->store, "cannot check", result) : COMMAND_FINE;
}
