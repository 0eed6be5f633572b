/* SPDX-License-Identifier: MIT */
#include "print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

#define VALUE_SIZE 256

const char *print_bytes(char *text, uint64_t bytes, bool plain)
{
        static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)bytes / 1024;
        size_t i = 0;

        if (plain) {
                snprintf(text, PRINT_BYTES_SIZE, "%" PRIu64, bytes);
        } else if (bytes < 1024) {
                snprintf(text, PRINT_BYTES_SIZE, "%" PRIu64 " bytes", bytes);
        } else {
                /* what would be rounded to 1024.0 belongs to the next unit */
                for (; value >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
                        value /= 1024;
                snprintf(text, PRINT_BYTES_SIZE, "%.1f %s", value, units[i]);
        }
        return text;
}

static void format_value(char *text, const struct print_figure *figure, bool plain)
{
        switch (figure->unit) {
        case PRINT_NUMBER:
                snprintf(text, VALUE_SIZE, "%" PRIu64, figure->number);
                break;
        case PRINT_BYTES:
                print_bytes(text, figure->number, plain);
                break;
        case PRINT_SECONDS:
                snprintf(text, VALUE_SIZE, "%.6f s", figure->real);
                break;
        case PRINT_PERCENT:
                snprintf(text, VALUE_SIZE, "%.1f %%", figure->real * 100);
                break;
        case PRINT_REAL:
                snprintf(text, VALUE_SIZE, "%.1f", figure->real);
                break;
        case PRINT_BOOL:
                snprintf(text, VALUE_SIZE, "%s", figure->number ? "yes" : "no");
                break;
        case PRINT_TEXT:
        default:
                snprintf(text, VALUE_SIZE, "%s", figure->text);
        }
        if (figure->note) {
                size_t len = strlen(text);

                snprintf(text + len, VALUE_SIZE - len, " %s", figure->note);
        }
}

static int fill_table(struct libscols_table *table, const struct print_figure *figures, size_t n,
                      bool plain)
{
        if (!scols_table_new_column(table, "", 0, 0) || !scols_table_new_column(table, "", 0, 0))
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                char value[VALUE_SIZE];
                struct libscols_line *line;

                if (!figures[i].label)
                        continue;
                line = scols_table_new_line(table, NULL);
                format_value(value, &figures[i], plain);
                if (!line || scols_line_set_data(line, 0, figures[i].label) ||
                    scols_line_set_data(line, 1, value))
                        return -ENOMEM;
        }
        return scols_print_table(table) ? -EIO : 0;
}

int print_table(FILE *out, const struct print_figure *figures, size_t n, bool plain)
{
        struct libscols_table *table = scols_new_table();
        int r;

        if (!table)
                return -ENOMEM;
        scols_table_enable_noheadings(table, 1);
        scols_table_set_column_separator(table, "  ");
        scols_table_set_stream(table, out);
        r = fill_table(table, figures, n, plain);
        scols_unref_table(table);
        return r;
}

static json_t *json_value(const struct print_figure *figure)
{
        switch (figure->unit) {
        case PRINT_NUMBER:
        case PRINT_BYTES:
                return json_integer((json_int_t)figure->number);
        case PRINT_SECONDS:
        case PRINT_PERCENT:
        case PRINT_REAL:
                return json_real(figure->real);
        case PRINT_BOOL:
                return json_boolean(figure->number);
        case PRINT_TEXT:
        default: {
                json_t *text = json_string(figure->text);

                /* a path need not be UTF-8, which JSON's strings are */
                return text ? text : json_null();
        }
        }
}

int print_json(FILE *out, const struct print_figure *figures, size_t n)
{
        json_t *object = json_object();
        int r = object ? 0 : -ENOMEM;

        for (size_t i = 0; i < n && !r; i++) {
                if (figures[i].key &&
                    json_object_set_new(object, figures[i].key, json_value(&figures[i])))
                        r = -ENOMEM;
        }
        if (!r && (json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) ||
                   fputc('\n', out) == EOF))
                r = -EIO;
        json_decref(object);
        return r;
}
