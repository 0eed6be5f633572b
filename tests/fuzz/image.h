/* SPDX-License-Identifier: MIT */
/*
 * A small store as bytes in memory, with a map of what stands where, so that
 * edits can be followed by right checksums: those of records, index blocks,
 * tables, manifests and of the pages that stand for themselves.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_FILES = 24, IMAGE_RECORDS = 1024 };

struct image_file {
        char name[320]; /* below the store */
        uint8_t *bytes;
        size_t len, used; /* behind USED there are only zeros */
};

struct image {
        struct image_file files[IMAGE_FILES];
        unsigned n_files;
        struct {
                unsigned file;
                uint32_t offset, length;
        } records[IMAGE_RECORDS];
        unsigned n_records;
};

/* All files of the store at PATH. Ends the process on failure, as all of these do. */
void image_load(struct image *image, const char *path);
void image_clone(struct image *to, const struct image *from);
void image_free(struct image *image);
/* Makes PATH, whose directories are there, be the store: no other file stays. */
void image_store(const struct image *image, const char *path);

/* Puts checksums right: of records; of index blocks, tables and manifests; of the pages. */
void image_fix_records(struct image *image);
void image_fix_tables(struct image *image);
void image_fix_pages(struct image *image);

#endif
