/* SPDX-License-Identifier: MIT */
/*
 * The text format of Prometheus, as node_exporter's textfile collector takes
 * it: a type and its help once, then its samples.
 */
#include "requests_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The length of the UTF-8 character at TEXT; 0: it is none. */
static size_t utf8_len(const unsigned char *text)
{
        size_t len = *text < 0x80                     ? 1
                     : *text >= 0xc2 && *text <= 0xdf ? 2
                     : *text >= 0xe0 && *text <= 0xef ? 3
                     : *text >= 0xf0 && *text <= 0xf4 ? 4
                                                      : 0;

        for (size_t i = 1; i < len; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
        }
        return len;
}

/* A label's value, which is UTF-8: what is not becomes '?'. NULL: no memory. */
static char *escape(const char *text)
{
        char *escaped = malloc(2 * strlen(text) + 1), *out = escaped;

        for (const char *in = text; escaped && *in;) {
                size_t len = utf8_len((const unsigned char *)in);

                if (*in == '\\' || *in == '"' || *in == '\n')
                        *out++ = '\\';
                if (len == 0)
                        *out++ = '?';
                else if (*in == '\n')
                        *out++ = 'n';
                else
                        out = (char *)memcpy(out, in, len) + len;
                in += len ? len : 1;
        }
        if (escaped)
                *out = '\0';
        return escaped;
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void figure(FILE *out, const char *store, const char *name, const char *type,
                   const char *help, uint64_t value)
{
        head(out, name, type, help);
        fprintf(out, "%s{store=\"%s\"} %" PRIu64 "\n", name, store, value);
}

static void figures(FILE *out, const char *store, const struct bm_stats *stats)
{
        figure(out, store, "bucketmap_keys", "gauge", "Keys in the store, maps not counted.",
               stats->keys);
        figure(out, store, "bucketmap_maps", "gauge", "Maps (directories), the root included.",
               stats->maps);
        figure(out, store, "bucketmap_value_bytes", "gauge", "Sum of the values' lengths.",
               stats->value_bytes);
        figure(out, store, "bucketmap_disk_bytes", "gauge", "Allocated for the store's files.",
               stats->disk_bytes);
        figure(out, store, "bucketmap_reclaimable_bytes", "gauge", "Dead bytes in full segments.",
               stats->reclaimable_bytes);
        figure(out, store, "bucketmap_index_bytes", "gauge", "Size of the index.",
               stats->index_bytes);
        figure(out, store, "bucketmap_log_bytes_total", "counter", "Written to the log.",
               stats->log_bytes);
        figure(out, store, "bucketmap_syncs_total", "counter", "Flushes of the disks.",
               stats->syncs);
        figure(out, store, "bucketmap_read_only", "gauge",
               "1 if opened so, or turned so by a failed sync.", stats->read_only);
}

static void sums(FILE *out, const char *store, const struct fs_ioc_requests *requests,
                 const char *name, const char *help, size_t offset)
{
        head(out, name, "counter", help);
        for (uint32_t i = 0; i < requests->n_kinds; i++) {
                const struct fs_ioc_kind *kind = &requests->kinds[i];
                uint64_t value;

                memcpy(&value, (const char *)kind + offset, sizeof(value));
                fprintf(out, "%s{store=\"%s\",kind=\"%.*s\"} %" PRIu64 "\n", name, store,
                        (int)FS_IOC_KIND_NAME, kind->name, value);
        }
}

static void histogram(FILE *out, const char *store, const struct fs_ioc_kind *kind)
{
        static const char name[] = "bucketmap_request_seconds";
        uint64_t n = 0;

        for (unsigned b = 0; b + 1 < FS_IOC_BUCKETS; b++) {
                n += kind->histogram[b];
                fprintf(out, "%s_bucket{store=\"%s\",kind=\"%.*s\",le=\"%g\"} %" PRIu64 "\n", name,
                        store, (int)FS_IOC_KIND_NAME, kind->name, (double)(UINT64_C(1) << b) / 1e6,
                        n);
        }
        n += kind->histogram[FS_IOC_BUCKETS - 1];
        fprintf(out, "%s_bucket{store=\"%s\",kind=\"%.*s\",le=\"+Inf\"} %" PRIu64 "\n", name, store,
                (int)FS_IOC_KIND_NAME, kind->name, n);
        fprintf(out, "%s_sum{store=\"%s\",kind=\"%.*s\"} %.9f\n", name, store,
                (int)FS_IOC_KIND_NAME, kind->name, (double)kind->total_ns / 1e9);
        fprintf(out, "%s_count{store=\"%s\",kind=\"%.*s\"} %" PRIu64 "\n", name, store,
                (int)FS_IOC_KIND_NAME, kind->name, n);
}

int requests_print_prometheus(FILE *out, const char *store, const struct fs_ioc_requests *requests,
                              const struct bm_stats *stats)
{
        char *label = escape(store);

        if (!label)
                return -ENOMEM;
        figures(out, label, stats);
        head(out, "bucketmap_mounted_seconds", "gauge", "Since the mount.");
        fprintf(out, "bucketmap_mounted_seconds{store=\"%s\"} %.3f\n", label,
                (double)requests->elapsed_ns / 1e9);
        sums(out, label, requests, "bucketmap_requests_total", "Requests of the kernel.",
             offsetof(struct fs_ioc_kind, requests));
        sums(out, label, requests, "bucketmap_request_errors_total",
             "Requests answered with an error.", offsetof(struct fs_ioc_kind, errors));
        sums(out, label, requests, "bucketmap_request_bytes_total", "Bytes read or written.",
             offsetof(struct fs_ioc_kind, bytes));
        head(out, "bucketmap_request_seconds", "histogram", "From a request to its answer.");
        for (uint32_t i = 0; i < requests->n_kinds; i++) {
                if (requests->kinds[i].requests)
                        histogram(out, label, &requests->kinds[i]);
        }
        free(label);
        return ferror(out) ? -EIO : 0;
}
