/* SPDX-License-Identifier: MIT */
#include "quote.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define PLAIN                                                                                      \
        "abcdefghijklmnopqrstuvwxyz"                                                               \
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                               \
        "0123456789-_./+,:@%"

/*
 * How many bytes the character at BYTES takes if it can be shown, 0 if not.
 * The store's names are bytes; UTF-8 is assumed whatever the locale is.
 */
static size_t shown(const char *bytes, size_t len)
{
        mbstate_t state = {0};
        wchar_t c;
        size_t n = mbrtowc(&c, bytes, len, &state);

        if (n == 0 || n == (size_t)-1 || n == (size_t)-2 || !iswprint((wint_t)c))
                return 0;
        return n;
}

static bool all_shown(const char *bytes, size_t len)
{
        for (size_t i = 0, n; i < len; i += n) {
                n = shown(bytes + i, len - i);
                if (!n)
                        return false;
        }
        return true;
}

static void put_single(FILE *out, const char *bytes, size_t len)
{
        fputc('\'', out);
        for (size_t i = 0; i < len; i++) {
                if (bytes[i] == '\'')
                        fputs("'\\''", out);
                else
                        fputc(bytes[i], out);
        }
        fputc('\'', out);
}

static void put_dollar(FILE *out, const char *bytes, size_t len)
{
        size_t n;

        fputs("$'", out);
        for (size_t i = 0; i < len; i += n) {
                n = shown(bytes + i, len - i);
                if (!n) {
                        fprintf(out, "\\%03o", (unsigned char)bytes[i]);
                        n = 1;
                } else if (bytes[i] == '\'' || bytes[i] == '\\') {
                        fprintf(out, "\\%c", bytes[i]);
                } else {
                        fwrite(bytes + i, 1, n, out);
                }
        }
        fputc('\'', out);
}

static bool is_plain(const char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (!bytes[i] || !strchr(PLAIN, bytes[i]))
                        return false;
        }
        return len > 0;
}

char *quote_shell(const void *bytes, size_t len)
{
        locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
        locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        bool failed;

        if (out) {
                if (is_plain(bytes, len))
                        fwrite(bytes, 1, len, out);
                else if (all_shown(bytes, len))
                        put_single(out, bytes, len);
                else
                        put_dollar(out, bytes, len);
                failed = ferror(out);
                if (fclose(out) || failed) {
                        free(text);
                        text = NULL;
                }
        }
        if (utf8) {
                uselocale(before);
                freelocale(utf8);
        }
        return text;
}
