/* SPDX-License-Identifier: MIT */
/* What a check tells while it runs: findings on stdout, progress on stderr. */
#ifndef FS_CHECK_REPORT_H
#define FS_CHECK_REPORT_H

#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "bucketmap.h"

struct check_report {
        const char *store;
        bool json;         /* findings as lines of JSON, with a summary as the last */
        bool terminal;     /* progress is shown all the time, on one line */
        unsigned interval; /* seconds between lines of progress; 0: none */
        /* set by a signal: a line of progress now */
        volatile sig_atomic_t asked;
        /* likewise: enough */
        volatile sig_atomic_t interrupted;

        uint64_t n_findings;
        uint64_t done_bytes, total_bytes;
        int percent; /* on the terminal; -1: nothing stands there */
        struct timespec last;
        int failed; /* a negative errno: a finding could not be printed */
};

/* To be called when the check begins. */
void check_report_init(struct check_report *report, const char *store);

/* For bm_check_args, with the report as context. */
void check_report_finding(void *ctx, const struct bm_finding *finding);
int check_report_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes);

/* RESULT is bm_check's. Prints the summary. Returns an exit code, after a message. */
int check_report_end(struct check_report *report, int result);

#endif
