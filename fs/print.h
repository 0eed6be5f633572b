/* SPDX-License-Identifier: MIT */
/* Figures for people (a table with units) and for programs (JSON). */
#ifndef FS_PRINT_H
#define FS_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum print_unit {
        PRINT_NUMBER,  /* number */
        PRINT_BYTES,   /* number, bytes */
        PRINT_SECONDS, /* real */
        PRINT_PERCENT, /* real, of 1 */
        PRINT_REAL,    /* real */
        PRINT_BOOL,    /* number */
        PRINT_TEXT,    /* text */
};

struct print_figure {
        const char *key;   /* in JSON; NULL: for people only */
        const char *label; /* in the table; NULL: for programs only */
        enum print_unit unit;
        uint64_t number;
        double real;
        const char *text;
        const char *note; /* behind the value in the table; may be NULL */
};

#define PRINT_BYTES_SIZE 32

/* "1.2 MiB", or "1258291" if PLAIN, into TEXT of PRINT_BYTES_SIZE bytes, which is returned. */
const char *print_bytes(char *text, uint64_t bytes, bool plain);

/* A table of two columns. PLAIN: bytes without units. 0 or a negative errno. */
int print_table(FILE *out, const struct print_figure *figures, size_t n, bool plain);

/* One object, a member a line, in the order of FIGURES. 0 or a negative errno. */
int print_json(FILE *out, const struct print_figure *figures, size_t n);

#endif
