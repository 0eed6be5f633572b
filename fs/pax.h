/* SPDX-License-Identifier: MIT */
/*
 * The records of a pax header that libarchive does not hand on as they are.
 * An extended attribute stands in one or both of
 *   SCHILY.xattr.NAME=VALUE      '%' and '=' of the name as %25 and %3D (GNU tar; bucketmap), or
 *                                all that is no graphic ASCII in that way (libarchive)
 *   LIBARCHIVE.xattr.NAME=VALUE  the latter, and the value in base 64
 * of which libarchive decodes the second alone, and writes names only in its own way.
 */
#ifndef FS_PAX_H
#define FS_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucketmap.h"

#define PAX_BLOCK      512u /* of a tar archive */
#define PAX_XATTR      "SCHILY.xattr."
#define PAX_XATTR_ALSO "LIBARCHIVE.xattr."

/* Of the header at BLOCK. */
char pax_type(const char *block);
/* How many bytes follow it, without what fills the last block. */
BM_CHECKED int pax_size(const char *block, uint64_t *size);

struct pax_record {
        char *key; /* not terminated */
        size_t key_len;
        char *value;
        size_t value_len;
};

/* Reads the record at *OFFSET of BODY and moves it behind. 0; 1 at the end; -EIO. */
BM_CHECKED int pax_next(char *body, size_t len, size_t *offset, struct pax_record *record);

/* NAME as GNU tar writes it, to OUT with room for three times its length and a NUL. */
size_t pax_encode_name(const char *name, char *out);

/* A name written in either way, as a string. -ERANGE: longer than OUT, or a NUL is in it. */
BM_CHECKED int pax_decode_name(const char *name, size_t len, char *out, size_t out_size);

/* Decodes base 64 where it stands; returns the length. */
size_t pax_decode_value(char *value, size_t len);

#endif
