/* SPDX-License-Identifier: MIT */
/* Where the daemon's messages go: to stderr at first and with -f, else to syslog. */
#ifndef FS_LOG_H
#define FS_LOG_H

#include <stdarg.h>
#include <stdbool.h>

#include "bucketmap.h"
#include "fuse_api.h"

/*
 * STORE stands in every message and must stay for good. CHATTY shows
 * BM_LOG_INFO on stderr too. Call it before there are threads.
 */
void log_init(const char *store, bool chatty);

/* From now on to syslog; may be called while others log. */
void log_to_syslog(void);

/*
 * One fact, without a newline. A warning or error that was logged within the
 * last minute is not repeated. Thread-safe, as all here.
 */
void log_message(enum bm_log_level level, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* bm_config.log */
void log_core(void *ctx, enum bm_log_level level, const char *message);

/* For fuse_set_log_func. */
void log_fuse(enum fuse_log_level level, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

#endif
