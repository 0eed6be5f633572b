/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/le.h"
#include "format.h"
#include "format_page.h"
#include "hash.h"
#include "index_private.h"
#include "test_record.h"

enum { BLOCK_CHECKSUM = offsetof(struct bm_disk_block, checksum) };

static void die(const char *what)
{
        perror(what);
        exit(99);
}

static void load_file(struct image *image, const char *path, const char *name)
{
        struct image_file *f = &image->files[image->n_files];
        char full[600];
        struct stat st;
        snprintf(full, sizeof(full), "%s/%s", path, name);
        int fd = open(full, O_RDONLY);
        if (fd < 0 || fstat(fd, &st) != 0)
                die(full);
        if (!S_ISREG(st.st_mode) || image->n_files == IMAGE_FILES) {
                close(fd);
                return;
        }
        snprintf(f->name, sizeof(f->name), "%s", name);
        f->len = (size_t)st.st_size;
        f->bytes = calloc(1, f->len + 1);
        if (!f->bytes || read(fd, f->bytes, f->len) != (ssize_t)f->len)
                die(full);
        close(fd);
        for (f->used = f->len; f->used > 0 && f->bytes[f->used - 1] == 0;)
                f->used--;
        image->n_files++;
}

static bool is_reserve(const char *name)
{
        return strcmp(name, "reserve") == 0; /* nothing is read of it */
}

static void load_dir(struct image *image, const char *path, const char *below)
{
        char full[500], name[320];
        snprintf(full, sizeof(full), "%s/%s", path, below);
        DIR *dir = opendir(full);
        if (!dir)
                die(full);
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                if (e->d_name[0] == '.' || is_reserve(e->d_name))
                        continue;
                snprintf(name, sizeof(name), "%s%s", below, e->d_name);
                load_file(image, path, name);
        }
        closedir(dir);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct image_file *)a)->name, ((const struct image_file *)b)->name);
}

static bool is_segment(const struct image_file *f, struct bm_segment_header *h)
{
        return f->len >= BM_SEGMENT_HEADER && strncmp(f->name, "segments/", 9) == 0 &&
               bm_segment_header_decode(h, f->bytes) == 0;
}

static void find_records(struct image *image, unsigned file)
{
        const struct image_file *f = &image->files[file];
        struct bm_segment_header h;
        struct bm_record r;
        if (!is_segment(f, &h) || h.kind == BM_SEGMENT_INDEX)
                return;
        for (uint32_t at = BM_SEGMENT_HEADER; at < f->len && image->n_records < IMAGE_RECORDS;) {
                if (bm_record_decode(&r, f->bytes + at, f->len - at, h.salt, at, h.base_time) != 0)
                        break;
                image->records[image->n_records].file = file;
                image->records[image->n_records].offset = at;
                image->records[image->n_records++].length = r.length;
                at += r.length;
        }
}

void image_load(struct image *image, const char *path)
{
        *image = (struct image){.n_files = 0};
        load_dir(image, path, "");
        load_dir(image, path, "segments/");
        qsort(image->files, image->n_files, sizeof(image->files[0]), by_name);
        for (unsigned i = 0; i < image->n_files; i++)
                find_records(image, i);
}

void image_clone(struct image *to, const struct image *from)
{
        *to = *from;
        for (unsigned i = 0; i < to->n_files; i++) {
                struct image_file *f = &to->files[i];
                f->bytes = malloc(f->len + 1);
                if (!f->bytes)
                        die("memory");
                memcpy(f->bytes, from->files[i].bytes, f->len + 1);
        }
}

void image_free(struct image *image)
{
        for (unsigned i = 0; i < image->n_files; i++)
                free(image->files[i].bytes);
}

static void empty_dir(const char *path)
{
        char full[600];
        DIR *dir = opendir(path);
        if (!dir)
                die(path);
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                snprintf(full, sizeof(full), "%s/%s", path, e->d_name);
                (void)unlink(full); /* what is no file stays */
        }
        closedir(dir);
}

void image_store(const struct image *image, const char *path)
{
        char full[600];
        empty_dir(path);
        snprintf(full, sizeof(full), "%s/segments", path);
        empty_dir(full);
        for (unsigned i = 0; i < image->n_files; i++) {
                const struct image_file *f = &image->files[i];
                snprintf(full, sizeof(full), "%s/%s", path, f->name);
                int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
                /* the zeros behind what is used are a hole */
                if (fd < 0 || write(fd, f->bytes, f->used) != (ssize_t)f->used ||
                    ftruncate(fd, (off_t)f->len) != 0)
                        die(full);
                close(fd);
        }
}

/* Checksums */

void image_fix_records(struct image *image)
{
        for (unsigned i = 0; i < image->n_records; i++) {
                struct image_file *f = &image->files[image->records[i].file];
                uint32_t offset = image->records[i].offset, length = image->records[i].length;
                struct bm_segment_header h;
                if (f->len < offset + length || !is_segment(f, &h))
                        continue;
                uint32_t claimed = bm_record_length(f->bytes + offset, f->len - offset);
                test_record_seal(f->bytes + offset, claimed ? claimed : length, h.salt, offset);
        }
}

static struct image_file *file_of(struct image *image, uint32_t file_id, uint64_t offset,
                                  uint64_t len)
{
        char name[40];
        snprintf(name, sizeof(name), "segments/%08x", file_id);
        for (unsigned i = 0; i < image->n_files; i++) {
                struct image_file *f = &image->files[i];
                if (strcmp(f->name, name) == 0)
                        return offset <= f->len && len <= f->len - offset ? f : NULL;
        }
        return NULL;
}

static void fix_block(struct image *image, uint8_t *row_bytes)
{
        struct bm_block_row row;
        if (bm_block_row_decode(&row, row_bytes) != 0)
                return;
        uint64_t offset = (uint64_t)row.offset_units * BM_LINE_BYTES;
        size_t len = BM_BLOCK_HEADER + (size_t)row.lines * BM_LINE_BYTES;
        struct image_file *f = file_of(image, row.file_id, offset, len);
        if (!f)
                return;
        uint8_t *block = f->bytes + offset;
        bm_store_le64(block + BLOCK_CHECKSUM, 0);
        uint64_t checksum = bm_checksum(block, len);
        bm_store_le64(block + BLOCK_CHECKSUM, checksum);
        row.check = (uint16_t)checksum;
        bm_block_row_encode(&row, row_bytes);
}

static void fix_pages_table(struct image *image, uint8_t *bytes, uint64_t len)
{
        struct bm_bucket_row bucket;
        while (len >= BM_BUCKET_ROW && bm_bucket_row_decode(&bucket, bytes) == 0) {
                bytes += BM_BUCKET_ROW;
                len -= BM_BUCKET_ROW;
                for (uint32_t i = 0; i < bucket.n_blocks && len >= BM_BLOCK_ROW; i++) {
                        fix_block(image, bytes);
                        bytes += BM_BLOCK_ROW;
                        len -= BM_BLOCK_ROW;
                }
        }
}

static void fix_manifest(struct image *image, uint8_t *root)
{
        struct bm_manifest m;
        bm_page_seal(root, BM_MANIFEST_ROOT);
        if (bm_manifest_decode(&m, root) != 0)
                return;
        for (unsigned i = 0; i < BM_TABLES; i++) {
                struct bm_extent *e = &m.tables[i];
                struct image_file *f = file_of(image, e->file_id, e->offset, e->length);
                if (!f || e->length == 0)
                        continue;
                if (i == BM_TABLE_PAGES)
                        fix_pages_table(image, f->bytes + e->offset, e->length);
                e->checksum = bm_checksum(f->bytes + e->offset, e->length);
        }
        bm_manifest_encode(&m, root);
}

void image_fix_tables(struct image *image)
{
        for (unsigned i = 0; i < image->n_files; i++) {
                struct image_file *f = &image->files[i];
                if (strcmp(f->name, "manifest") != 0)
                        continue;
                for (size_t at = 0; at + BM_MANIFEST_ROOT <= f->len; at += BM_MANIFEST_ROOT) {
                        if (!bm_all_zero(f->bytes + at, BM_MANIFEST_ROOT))
                                fix_manifest(image, f->bytes + at);
                }
        }
}

void image_fix_pages(struct image *image)
{
        for (unsigned i = 0; i < image->n_files; i++) {
                struct image_file *f = &image->files[i];
                if (strncmp(f->name, "segments/", 9) == 0 && f->len >= BM_SEGMENT_HEADER)
                        bm_page_seal(f->bytes, BM_SEGMENT_HEADER);
                if (strcmp(f->name, "superblock") != 0)
                        continue;
                for (size_t at = 0; at + BM_SUPERBLOCK <= f->len; at += BM_SUPERBLOCK)
                        bm_page_seal(f->bytes + at, BM_SUPERBLOCK);
        }
}
