/* SPDX-License-Identifier: MIT */
/*
 * JSON as every subcommand writes it. Names are bytes, strings of JSON are
 * not: a name is {"text": "..."} if it is UTF-8, else {"bytes": "..."} in
 * base64. Counts have 62 bits, numbers of JSON readers 53: a count is a
 * string of decimal digits.
 */
#ifndef FS_JSON_H
#define FS_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* New values; NULL: no memory. */
json_t *json_name(const void *bytes, size_t len);
json_t *json_count(uint64_t count);
/* A message: a plain string, in which bytes that are no UTF-8 became '?'. */
json_t *json_text(const char *text, size_t len);

/* VALUE, which may be NULL and is let go of, on a line of its own. 0, -ENOMEM or -EIO. */
int json_line(FILE *out, json_t *value);

#endif
