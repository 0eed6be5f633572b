/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* RFC 4648, with padding. Freed by the caller; NULL: no memory. */
static char *base64(const uint8_t *bytes, size_t len)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *text = malloc((len + 2) / 3 * 4 + 1), *to = text;

        if (!text)
                return NULL;
        for (size_t i = 0; i < len; i += 3) {
                size_t n = len - i < 3 ? len - i : 3;
                uint32_t bits = (uint32_t)bytes[i] << 16;

                if (n > 1)
                        bits |= (uint32_t)bytes[i + 1] << 8;
                if (n > 2)
                        bits |= bytes[i + 2];
                *to++ = digits[bits >> 18];
                *to++ = digits[bits >> 12 & 63];
                *to++ = n > 1 ? digits[bits >> 6 & 63] : '=';
                *to++ = n > 2 ? digits[bits & 63] : '=';
        }
        *to = '\0';
        return text;
}

json_t *json_name(const void *bytes, size_t len)
{
        json_t *text = json_stringn(bytes, len), *name;
        char *encoded;

        if (text)
                return json_pack("{s:o}", "text", text);
        encoded = base64(bytes, len);
        name = encoded ? json_pack("{s:s}", "bytes", encoded) : NULL;
        free(encoded);
        return name;
}

json_t *json_text(const char *text, size_t len)
{
        json_t *string = json_stringn(text, len);
        char *copy;

        if (string)
                return string;
        copy = malloc(len + 1);
        if (!copy)
                return NULL;
        for (size_t i = 0; i < len; i++)
                copy[i] = text[i] & 0x80 ? '?' : text[i];
        string = json_stringn(copy, len);
        free(copy);
        return string;
}

json_t *json_count(uint64_t count)
{
        return json_sprintf("%" PRIu64, count);
}

int json_line(FILE *out, json_t *value)
{
        int r = 0;

        if (!value)
                return -ENOMEM;
        if (json_dumpf(value, out, JSON_COMPACT) || fputc('\n', out) == EOF)
                r = -EIO;
        json_decref(value);
        return r;
}
