/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <xxhash.h>

#include "command.h"

/* Who reads a damaged file again and again shall not fill the log. */
#define QUIET_SECONDS 60
#define N_RECENT      32

/* Of the process, like stderr and syslog themselves. */
static struct {
        const char *store;
        bool chatty;
        atomic_bool syslog; /* relaxed: a line more on stderr does no harm */
} destination = {.store = ""};

/* What was logged lately, in turn. */
static struct {
        pthread_mutex_t lock;
        struct {
                XXH64_hash_t hash;
                time_t when; /* monotonic */
        } lines[N_RECENT];
        unsigned next;
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool was_said_lately(const char *message)
{
        XXH64_hash_t hash = XXH3_64bits(message, strlen(message));
        struct timespec now;
        bool found = false;

        clock_gettime(CLOCK_MONOTONIC, &now);
        pthread_mutex_lock(&recent.lock);
        for (unsigned i = 0; i < N_RECENT && !found; i++)
                found = recent.lines[i].hash == hash && recent.lines[i].when &&
                        now.tv_sec - recent.lines[i].when < QUIET_SECONDS;
        if (!found) {
                recent.lines[recent.next].hash = hash;
                recent.lines[recent.next].when = now.tv_sec;
                recent.next = (recent.next + 1) % N_RECENT;
        }
        pthread_mutex_unlock(&recent.lock);
        return found;
}

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
        /* figures are asked for, start and stop come once */
        if (level != BM_LOG_INFO && was_said_lately(message))
                return;
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
