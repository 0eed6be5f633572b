/* SPDX-License-Identifier: MIT */
#include "pax.h"

#include <errno.h>
#include <string.h>

#define SIZE_AT    124u
#define SIZE_BYTES 12u
#define TYPE_AT    156u
#define BINARY     0x80u

char pax_type(const char *block)
{
        return block[TYPE_AT];
}

/* In bytes, the highest first, behind one that says so; what does not fit is none. */
static int binary_size(const uint8_t *bytes, uint64_t *size)
{
        for (size_t i = 1; i < SIZE_BYTES; i++) {
                if (*size >> 56)
                        return -EIO;
                *size = *size << 8 | bytes[i];
        }
        return bytes[0] == BINARY ? 0 : -EIO;
}

int pax_size(const char *block, uint64_t *size)
{
        const char *digit = block + SIZE_AT, *end = digit + SIZE_BYTES;

        *size = 0;
        if (*digit & BINARY)
                return binary_size((const uint8_t *)digit, size);
        while (digit < end && *digit == ' ')
                digit++;
        for (; digit < end && *digit >= '0' && *digit <= '7'; digit++)
                *size = *size << 3 | (uint64_t)(*digit - '0');
        return digit == end || !*digit || *digit == ' ' ? 0 : -EIO;
}

int pax_next(char *body, size_t len, size_t *offset, struct pax_record *record)
{
        size_t left = len - *offset, at = 0, record_len = 0;
        char *start = body + *offset, *equals;

        if (!left)
                return 1;
        for (; at < left && start[at] >= '0' && start[at] <= '9' && record_len <= left; at++)
                record_len = record_len * 10 + (size_t)(start[at] - '0');
        /* at least the space and the end of the line */
        if (at == left || start[at] != ' ' || record_len > left || record_len < at + 2 ||
            start[record_len - 1] != '\n')
                return -EIO;
        record->key = start + at + 1;
        equals = memchr(record->key, '=', record_len - at - 2);
        if (!equals)
                return -EIO;
        record->key_len = (size_t)(equals - record->key);
        record->value = equals + 1;
        record->value_len = record_len - at - 3 - record->key_len;
        *offset += record_len;
        return 0;
}

size_t pax_encode_name(const char *name, char *out)
{
        char *to = out;

        for (; *name; name++) {
                if (*name == '%' || *name == '=') {
                        memcpy(to, *name == '%' ? "%25" : "%3D", 3);
                        to += 3;
                } else {
                        *to++ = *name;
                }
        }
        *to = '\0';
        return (size_t)(to - out);
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int pax_decode_name(const char *name, size_t len, char *out, size_t out_size)
{
        size_t out_len = 0;

        if (memchr(name, '\0', len))
                return -ERANGE;
        for (size_t i = 0; i < len; i++) {
                int high = i + 2 < len && name[i] == '%' ? hex_digit(name[i + 1]) : -1;
                int low = high >= 0 ? hex_digit(name[i + 2]) : -1;
                char c = name[i];

                /* others leave a '%' alone, and then what follows need be no code */
                if (low >= 0 && (high || low)) {
                        c = (char)(high << 4 | low);
                        i += 2;
                }
                if (out_len + 1 >= out_size)
                        return -ERANGE;
                out[out_len++] = c;
        }
        out[out_len] = '\0';
        return 0;
}

static int base64_digit(char c)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *found = c ? strchr(digits, c) : NULL;

        return found ? (int)(found - digits) : -1;
}

size_t pax_decode_value(char *value, size_t len)
{
        size_t out_len = 0;
        unsigned bits = 0, n_bits = 0;

        for (size_t i = 0; i < len && value[i] != '='; i++) {
                int digit = base64_digit(value[i]);

                if (digit < 0)
                        continue;
                bits = (bits << 6 | (unsigned)digit) & 0xfff;
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        value[out_len++] = (char)(bits >> n_bits);
                }
        }
        return out_len;
}
