/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "command.h"

/* Of the process, like stderr and syslog themselves. */
static struct {
        const char *store;
        bool chatty;
        atomic_bool syslog; /* relaxed: a line more on stderr does no harm */
} destination = {.store = ""};

void log_init(const char *store, bool chatty)
{
        destination.store = store;
        destination.chatty = chatty;
}

void log_to_syslog(void)
{
        openlog(PROGRAM, LOG_PID, LOG_DAEMON);
        atomic_store_explicit(&destination.syslog, true, memory_order_relaxed);
}

static int syslog_level(enum bm_log_level level)
{
        switch (level) {
        case BM_LOG_ERROR:
                return LOG_ERR;
        case BM_LOG_WARNING:
                return LOG_WARNING;
        case BM_LOG_INFO:
        default:
                return LOG_INFO;
        }
}

void log_core(void *ctx, enum bm_log_level level, const char *message)
{
        if (atomic_load_explicit(&destination.syslog, memory_order_relaxed))
                syslog(syslog_level(level), "%s: %s", destination.store, message);
        else if (level != BM_LOG_INFO || destination.chatty)
                fprintf(stderr, "%s: %s: %s\n", PROGRAM, destination.store, message);
}

void log_message(enum bm_log_level level, const char *format, ...)
{
        char message[1024];
        va_list args;

        va_start(args, format);
        vsnprintf(message, sizeof(message), format, args);
        va_end(args);
        log_core(NULL, level, message);
}

void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
        char message[1024];
        size_t len;

        if (level >= FUSE_LOG_INFO) {
                /* -d: a line of its requests may come in several pieces */
                vfprintf(stderr, format, args);
                return;
        }
        vsnprintf(message, sizeof(message), format, args);
        len = strlen(message);
        while (len && message[len - 1] == '\n')
                message[--len] = '\0';
        log_core(NULL, level >= FUSE_LOG_WARNING ? BM_LOG_WARNING : BM_LOG_ERROR, message);
}
