/* SPDX-License-Identifier: MIT */
/* bucketmap info [--json|--map] [-b] STORE|DIR */
#include <errno.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bucketmap.h"
#include "command.h"
#include "control.h"
#include "print.h"
#include "segment_map.h"

#define SLOTS_PER_LINE 4

struct request {
        const char *word;
        bool json, plain, map;
};

static const struct argp_option options[] = {
        {"json", 'j', NULL, 0, "For programs", 0},
        {"map", 'm', NULL, 0, "Draw the data segments by how much of each lives, too", 0},
        {"bytes", 'b', NULL, 0, "Plain bytes instead of units", 0},
        {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
        static const char *const names[] = {"STORE|DIR", NULL};
        struct request *request = state->input;

        switch (key) {
        case 'j':
                request->json = true;
                return 0;
        case 'm':
                request->map = true;
                return 0;
        case ARGP_KEY_SUCCESS:
                if (request->map && request->json)
                        command_usage(state, "--map is for people, --json for programs");
                return 0;
        case 'b':
                request->plain = true;
                return 0;
        default:
                return command_arguments(key, arg, state, names, &request->word);
        }
}

static double ratio(uint64_t part, uint64_t whole)
{
        return whole ? (double)part / (double)whole : 0;
}

static double longest_grow(const struct bm_stats *stats)
{
        uint64_t us = stats->index.longest_us;

        if (stats->data.longest_us > us)
                us = stats->data.longest_us;
        return (double)us / 1e6;
}

static void format_uuid(char *text, size_t size, const uint8_t *uuid)
{
        size_t len = 0;

        for (int i = 0; i < 16; i++) {
                bool dash = i == 4 || i == 6 || i == 8 || i == 10;

                len += (size_t)snprintf(text + len, size - len, "%s%02x", dash ? "-" : "", uuid[i]);
        }
}

static void format_time(char *text, size_t size, int64_t ns)
{
        time_t seconds = (time_t)(ns / 1000000000);
        struct tm tm;

        if (!gmtime_r(&seconds, &tm) || !strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm))
                snprintf(text, size, "unknown");
}

#define NUMBER(key, label, value)                                                                  \
        {                                                                                          \
                key, label, PRINT_NUMBER, value, 0, NULL, NULL                                     \
        }
#define BYTES(key, label, value)                                                                   \
        {                                                                                          \
                key, label, PRINT_BYTES, value, 0, NULL, NULL                                      \
        }
#define REAL(key, label, unit, value)                                                              \
        {                                                                                          \
                key, label, unit, 0, value, NULL, NULL                                             \
        }
#define TEXT(key, label, value)                                                                    \
        {                                                                                          \
                key, label, PRINT_TEXT, 0, 0, value, NULL                                          \
        }

/* DAEMON: its process id; 0: the store is not mounted. */
static int print(const struct request *request, const char *store, pid_t daemon,
                 const struct bm_stats *stats)
{
        char by[32], uuid[40], created[32], format[32], probe[64], alive[64], written[64],
                live[PRINT_BYTES_SIZE];
        uint64_t used = stats->index_used;

        if (stats->nomap_drives == 0)
                snprintf(written, sizeof(written), "through mappings");
        else if (stats->nomap_drives == stats->n_drives)
                snprintf(written, sizeof(written), "by calls (nomap)");
        else
                snprintf(written, sizeof(written), "by calls (nomap) on %u of them",
                         stats->nomap_drives);
        snprintf(by, sizeof(by), "(process %d)", (int)daemon);
        format_uuid(uuid, sizeof(uuid), stats->uuid);
        format_time(created, sizeof(created), stats->created_ns);
        snprintf(format, sizeof(format), "%u.%u", stats->format_major, stats->format_minor);
        snprintf(probe, sizeof(probe), "lines of %d slots (max_search is %u slots)", SLOTS_PER_LINE,
                 stats->max_search);
        snprintf(alive, sizeof(alive), "(%s live, %.0f %%)",
                 print_bytes(live, stats->live_bytes, request->plain),
                 100 * ratio(stats->live_bytes, stats->segment_bytes));

        const struct print_figure figures[] = {
                TEXT("store", "store", store),
                {"mounted", "mounted", PRINT_BOOL, daemon != 0, 0, NULL, daemon ? by : NULL},
                NUMBER("daemon", NULL, (uint64_t)daemon),
                TEXT("uuid", "uuid", uuid),
                TEXT("created", "created", created),
                NUMBER("format_version", NULL, stats->format_major),
                NUMBER("format_minor", NULL, stats->format_minor),
                TEXT(NULL, "format", format),
                {"clean", "closed cleanly", PRINT_BOOL, stats->clean_open, 0, NULL, NULL},
                {"read_only", NULL, PRINT_BOOL, stats->read_only, 0, NULL, NULL},
                NUMBER("drives", "drives", stats->n_drives),
                NUMBER("nomap_drives", NULL, stats->nomap_drives),
                TEXT(NULL, "written", written),
                NUMBER("keys", "keys", stats->keys),
                NUMBER("maps", "maps", stats->maps),
                BYTES("value_bytes", "values", stats->value_bytes),
                BYTES("disk_bytes", "on disk", stats->disk_bytes),
                BYTES("reclaimable_bytes", "reclaimable", stats->reclaimable_bytes),
                {"segments", "segments", PRINT_NUMBER, stats->segments, 0, NULL, NULL},
                {"segment_bytes", "segments hold", PRINT_BYTES, stats->segment_bytes, 0, NULL,
                 alive},
                BYTES("live_bytes", NULL, stats->live_bytes),
                NUMBER("buckets", "buckets of the root", stats->n_buckets),
                NUMBER("max_search", NULL, stats->max_search),
                BYTES("index_bytes", "index", stats->index_bytes),
                REAL("index_fill", "index fill", PRINT_PERCENT, ratio(used, stats->index_slots)),
                REAL("index_bytes_per_key", "index bytes a key", PRINT_REAL,
                     ratio(stats->index_bytes, used)),
                NUMBER("index_slots", NULL, stats->index_slots),
                NUMBER("index_used", NULL, used),
                NUMBER("index_splits", "index splits", stats->index_splits),
                NUMBER("index_grows", "index grows", stats->index_grows),
                NUMBER("data_segments_added", "data segments added", stats->data.resizes),
                NUMBER("failed_grows", "failed grows",
                       stats->index.failed_resizes + stats->data.failed_resizes),
                {"longest_probe", "longest probe", PRINT_NUMBER, stats->longest_probe, 0, NULL,
                 probe},
                TEXT("longest_probe_unit", NULL, "lines"),
                REAL("longest_grow_seconds", "longest grow", PRINT_SECONDS, longest_grow(stats)),
                BYTES("replay_bytes", "to replay after a crash", stats->replay_bytes),
                /* since it was opened */
                NUMBER("checkpoints", NULL, stats->checkpoints),
                BYTES("compacted_bytes", NULL, stats->compacted_bytes),
        };
        size_t n = sizeof(figures) / sizeof(figures[0]);
        int r = request->json ? print_json(stdout, figures, n)
                              : print_table(stdout, figures, n, request->plain);

        if (!r && fflush(stdout))
                r = -errno;
        return r ? command_error(store, "cannot print: %s", strerror(-r)) : COMMAND_FINE;
}

/* The segments of OPENED, or, if that is NULL, of the daemon behind FD. */
static int print_map(const struct request *request, const char *store, struct bm_store *opened,
                     int fd)
{
        bool ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
        struct segment_list list = {0};
        int r = opened ? bm_segments(opened, segment_list_add, &list)
                       : control_segments(fd, segment_list_add, &list);

        putchar('\n');
        if (!r)
                r = segment_map_print(stdout, &list, ascii, request->plain);
        segment_list_deinit(&list);
        if (!r && fflush(stdout))
                r = -errno;
        return r ? command_error(store, "cannot draw its segments: %s", strerror(-r))
                 : COMMAND_FINE;
}

/* A store that nobody serves: opened for reading, which changes nothing on disk. */
static int print_closed(const struct request *request, const char *store)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_store *opened;
        struct bm_stats stats;
        int r, code;

        config.read_only = true;
        r = bm_open(store, &config, &opened);
        if (r)
                return command_fail(store, "cannot open", r);
        r = bm_stats(opened, &stats);
        code = r ? command_fail(store, "cannot read its figures", r)
                 : print(request, store, 0, &stats);
        if (!code && request->map)
                code = print_map(request, store, opened, -1);
        bm_close(opened);
        return code;
}

static int print_mounted(const struct request *request, const char *store, int fd)
{
        struct bm_stats stats;
        pid_t daemon = 0;
        int r = control_pid(fd, &daemon), code;

        if (!r)
                r = control_stats(fd, &stats);
        if (r)
                return control_fail(request->word, store, "cannot ask the daemon", r);
        code = print(request, store, daemon, &stats);
        if (!code && request->map)
                code = print_map(request, store, NULL, fd);
        return code;
}

int cmd_info(int argc, char **argv)
{
        static const struct argp argp = {
                options,
                parse,
                "STORE|DIR",
                "Tells how much is in a store and how well it fits, mounted or not. Changes "
                "nothing.",
                NULL,
                NULL,
                NULL};
        struct request request = {0};
        char *store;
        int fd, code;

        command_parse(&argp, argc, argv, &request);
        fd = control_open(request.word, &store);
        if (fd >= 0) {
                code = print_mounted(&request, store, fd);
                close(fd);
        } else if (store && fd != -ENOTCONN) {
                /* -EACCES: another user's private mount; then the store is in use for us */
                code = control_closed(fd, print_closed(&request, store));
        } else {
                code = control_fail(request.word, store, "cannot open", fd);
        }
        free(store);
        return code;
}
