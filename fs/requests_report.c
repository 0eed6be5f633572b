/* SPDX-License-Identifier: MIT */
#include "requests_report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

#include "print.h"

#define CELL      48
#define BAR_WIDTH 40
#define LAST      (FS_IOC_BUCKETS - 1)

static void subtract(uint64_t *now, uint64_t before)
{
        *now -= *now < before ? *now : before;
}

void requests_since(struct fs_ioc_requests *now, const struct fs_ioc_requests *before)
{
        if (now->elapsed_ns < before->elapsed_ns)
                return;
        now->elapsed_ns -= before->elapsed_ns;
        for (uint32_t i = 0; i < now->n_kinds && i < before->n_kinds; i++) {
                struct fs_ioc_kind *kind = &now->kinds[i];
                const struct fs_ioc_kind *old = &before->kinds[i];

                subtract(&kind->requests, old->requests);
                subtract(&kind->errors, old->errors);
                subtract(&kind->bytes, old->bytes);
                subtract(&kind->total_ns, old->total_ns);
                for (unsigned b = 0; b < FS_IOC_BUCKETS; b++)
                        subtract(&kind->histogram[b], old->histogram[b]);
        }
}

static uint64_t n_answered(const struct fs_ioc_kind *kind)
{
        uint64_t n = 0;

        for (unsigned b = 0; b < FS_IOC_BUCKETS; b++)
                n += kind->histogram[b];
        return n;
}

uint64_t requests_quantile_us(const struct fs_ioc_kind *kind, double q)
{
        double wanted = q * (double)n_answered(kind);
        uint64_t n = 0;

        for (unsigned b = 0; b < FS_IOC_BUCKETS; b++) {
                n += kind->histogram[b];
                if (n && (double)n >= wanted)
                        return UINT64_C(1) << (b < LAST ? b : LAST - 1);
        }
        return 0;
}

static double mean_us(const struct fs_ioc_kind *kind)
{
        uint64_t n = n_answered(kind);

        return n ? (double)kind->total_ns / (double)n / 1000 : 0;
}

static double seconds_of(const struct fs_ioc_requests *requests)
{
        return (double)requests->elapsed_ns / 1e9;
}

/* "13.2 us", "1.5 ms" */
static void format_us(char *text, double us)
{
        if (us < 1000)
                snprintf(text, CELL, "%.*f us", us < 100 && us != (double)(unsigned)us, us);
        else if (us < 1e6)
                snprintf(text, CELL, "%.1f ms", us / 1e3);
        else
                snprintf(text, CELL, "%.1f s", us / 1e6);
}

static void format_end(char *text, uint64_t us)
{
        char end[CELL];

        format_us(end, (double)us);
        snprintf(text, CELL, "%s%.40s", us == UINT64_C(1) << (LAST - 1) ? ">" : "<", end);
}

static int set(struct libscols_line *line, size_t column, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static int set(struct libscols_line *line, size_t column, const char *format, ...)
{
        char text[CELL];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        return scols_line_set_data(line, column, text);
}

static int fill_line(struct libscols_line *line, const struct fs_ioc_kind *kind, double seconds,
                     bool plain)
{
        static const double quantiles[] = {0.5, 0.99, 1};
        char bytes[PRINT_BYTES_SIZE], text[CELL];
        int r = set(line, 0, "%.*s", (int)FS_IOC_KIND_NAME, kind->name);

        r |= set(line, 1, "%" PRIu64, kind->requests);
        r |= set(line, 2, "%.1f", seconds > 0 ? (double)kind->requests / seconds : 0);
        r |= set(line, 3, "%" PRIu64, kind->errors);
        r |= set(line, 4, "%s", kind->bytes ? print_bytes(bytes, kind->bytes, plain) : "");
        if (!n_answered(kind))
                return r;
        format_us(text, mean_us(kind));
        r |= set(line, 5, "%s", text);
        for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
                format_end(text, requests_quantile_us(kind, quantiles[i]));
                r |= set(line, 6 + i, "%s", text);
        }
        return r;
}

static struct libscols_table *new_table(FILE *out, const char *const *heads, size_t n_left)
{
        struct libscols_table *table = scols_new_table();

        if (!table)
                return NULL;
        scols_table_set_column_separator(table, "  ");
        scols_table_set_stream(table, out);
        for (size_t i = 0; heads[i]; i++) {
                if (!scols_table_new_column(table, heads[i], 0, i < n_left ? 0 : SCOLS_FL_RIGHT)) {
                        scols_unref_table(table);
                        return NULL;
                }
        }
        return table;
}

/* Libsmartcols prints nothing at all of a table without lines. */
static int finish_table(struct libscols_table *table, FILE *out, int r)
{
        if (!r && scols_table_is_empty(table))
                r = fputs("no requests\n", out) == EOF;
        else if (!r)
                r = scols_print_table(table);
        scols_unref_table(table);
        return r ? -EIO : 0;
}

int requests_print_table(FILE *out, const struct fs_ioc_requests *requests, bool plain)
{
        static const char *const heads[] = {"REQUEST", "COUNT", "PER SECOND", "ERRORS", "BYTES",
                                            "MEAN",    "50 %",  "99 %",       "ALL",    NULL};
        struct libscols_table *table = new_table(out, heads, 1);
        int r = 0;

        if (!table)
                return -ENOMEM;
        for (uint32_t i = 0; i < requests->n_kinds && !r; i++) {
                struct libscols_line *line;

                if (!requests->kinds[i].requests)
                        continue;
                line = scols_table_new_line(table, NULL);
                r = !line || fill_line(line, &requests->kinds[i], seconds_of(requests), plain);
        }
        return finish_table(table, out, r);
}

static int fill_bar(struct libscols_line *line, const struct fs_ioc_kind *kind, unsigned bucket,
                    uint64_t largest)
{
        char end[CELL], bar[BAR_WIDTH + 1];
        uint64_t n = kind->histogram[bucket];
        size_t width = (size_t)((double)n / (double)largest * BAR_WIDTH + 0.5);
        int r = set(line, 0, "%.*s", (int)FS_IOC_KIND_NAME, kind->name);

        format_us(end, (double)(UINT64_C(1) << (bucket < LAST ? bucket : LAST - 1)));
        memset(bar, '#', width);
        bar[width] = '\0';
        r |= set(line, 1, "%s %s", bucket < LAST ? "<" : ">=", end);
        r |= set(line, 2, "%s", bar);
        return r | set(line, 3, "%" PRIu64, n);
}

static int fill_bars(struct libscols_table *table, const struct fs_ioc_kind *kind)
{
        uint64_t largest = 0;
        int r = 0;

        for (unsigned b = 0; b < FS_IOC_BUCKETS; b++) {
                if (kind->histogram[b] > largest)
                        largest = kind->histogram[b];
        }
        for (unsigned b = 0; b < FS_IOC_BUCKETS && !r; b++) {
                struct libscols_line *line;

                if (!kind->histogram[b])
                        continue;
                line = scols_table_new_line(table, NULL);
                r = !line || fill_bar(line, kind, b, largest);
        }
        return r;
}

int requests_print_histogram(FILE *out, const struct fs_ioc_requests *requests)
{
        static const char *const heads[] = {"REQUEST", "ANSWERED IN", "", "COUNT", NULL};
        struct libscols_table *table = new_table(out, heads, 3);
        int r = 0;

        if (!table)
                return -ENOMEM;
        for (uint32_t i = 0; i < requests->n_kinds && !r; i++)
                r = fill_bars(table, &requests->kinds[i]);
        return finish_table(table, out, r);
}

static json_t *json_histogram(const struct fs_ioc_kind *kind)
{
        json_t *array = json_array();

        for (unsigned b = 0; b < FS_IOC_BUCKETS; b++)
                json_array_append_new(array, json_integer((json_int_t)kind->histogram[b]));
        return array;
}

static json_t *json_kind(const struct fs_ioc_kind *kind, bool histogram)
{
        json_t *object = json_pack("{s:I, s:I, s:I, s:f, s:I, s:I, s:I}", "requests",
                                   (json_int_t)kind->requests, "errors", (json_int_t)kind->errors,
                                   "bytes", (json_int_t)kind->bytes, "mean_us", mean_us(kind),
                                   "p50_us", (json_int_t)requests_quantile_us(kind, 0.5), "p99_us",
                                   (json_int_t)requests_quantile_us(kind, 0.99), "all_us",
                                   (json_int_t)requests_quantile_us(kind, 1));

        if (object && histogram)
                json_object_set_new(object, "histogram_log2_us", json_histogram(kind));
        return object;
}

int requests_print_json(FILE *out, const struct fs_ioc_requests *requests, bool histogram)
{
        json_t *by_kind = json_object(), *object;
        int r = by_kind ? 0 : -ENOMEM;

        for (uint32_t i = 0; i < requests->n_kinds && !r; i++) {
                char name[FS_IOC_KIND_NAME + 1] = "";

                memcpy(name, requests->kinds[i].name, FS_IOC_KIND_NAME);
                if (json_object_set_new(by_kind, name, json_kind(&requests->kinds[i], histogram)))
                        r = -ENOMEM;
        }
        object = json_pack("{s:f, s:o}", "seconds", seconds_of(requests), "requests", by_kind);
        if (!object)
                return -ENOMEM;
        if (!r && (json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) ||
                   fputc('\n', out) == EOF))
                r = -EIO;
        json_decref(object);
        return r;
}
