/* SPDX-License-Identifier: MIT */
/* A daemon's counts of requests, for people and for programs. */
#ifndef FS_REQUESTS_REPORT_H
#define FS_REQUESTS_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bucketmap.h"
#include "ioctl.h"

/* Leaves in NOW what came since BEFORE, unless that is of an earlier mount. */
void requests_since(struct fs_ioc_requests *now, const struct fs_ioc_requests *before);

/*
 * What at least the share Q, above 0 and at most 1, of a kind's requests was
 * answered in: microseconds, the upper end of a part of the histogram. 0: none
 * was. Of the last part, which has no end, the beginning.
 */
uint64_t requests_quantile_us(const struct fs_ioc_kind *kind, double q);

/* The kinds that were asked for, in a table each. 0 or a negative errno. */
int requests_print_table(FILE *out, const struct fs_ioc_requests *requests, bool plain);
int requests_print_histogram(FILE *out, const struct fs_ioc_requests *requests);

/* One object in one line, with the histograms or without. 0 or a negative errno. */
int requests_print_json(FILE *out, const struct fs_ioc_requests *requests, bool histogram);

/*
 * The text format of Prometheus, with the figures of STATS; each sample names
 * STORE. 0 or a negative errno.
 */
int requests_print_prometheus(FILE *out, const char *store, const struct fs_ioc_requests *requests,
                              const struct bm_stats *stats);

#endif
