/* SPDX-License-Identifier: MIT */
/*
 * What import reads from the headers of a tar archive by itself: the input is the
 * body of a pax header, whose block and checksum are put right, before a file
 * with a value and before one without. The first byte chooses the kind of
 * header, the second how much longer its block says that it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive_in.h"
#include "fuzz.h"
#include "pax.h"
#include "xattr.h"

enum { BODY_MAX = 4096, VALUE = 700 };

#define check(condition) ((condition) ? (void)0 : fail(#condition))

static void fail(const char *what)
{
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
}

static void put(int fd, const void *bytes, size_t len)
{
        static const char zeros[PAX_BLOCK];
        size_t rest = len % PAX_BLOCK ? PAX_BLOCK - len % PAX_BLOCK : 0;

        check(write(fd, bytes, len) == (ssize_t)len);
        check(write(fd, zeros, rest) == (ssize_t)rest);
}

static void put_header(int fd, char type, const char *name, size_t size)
{
        char block[PAX_BLOCK] = "", sum[8];
        unsigned total = 0;

        snprintf(block, 100, "%s", name);
        memcpy(block + 100, "0000644", 8);
        memcpy(block + 108, "0000000", 8);
        memcpy(block + 116, "0000000", 8);
        snprintf(block + 124, 12, "%011zo", size);
        memcpy(block + 136, "00000000000", 12);
        memset(block + 148, ' ', 8);
        block[156] = type;
        memcpy(block + 257, "ustar\00000", 8);
        for (size_t i = 0; i < sizeof(block); i++)
                total += (unsigned char)block[i];
        snprintf(sum, sizeof(sum), "%06o", total);
        memcpy(block + 148, sum, 7);
        put(fd, block, sizeof(block));
}

static void ignore(void *ctx, const char *path, const char *reason)
{
        check(path && reason);
}

static void look(const struct tree_entry *entry)
{
        struct fs_xattr xattr;
        size_t offset = 0;

        while (fs_xattr_next(entry->xattrs, entry->xattrs_len, &offset, &xattr) == 0) {
                check(xattr.name_len > 0 && !memchr(xattr.name, 0, xattr.name_len));
                check(!memcmp(xattr.name, "user.", 5) || !memcmp(xattr.name, "trusted.", 8));
        }
        check(offset == entry->xattrs_len);
}

static void read_all(int fd)
{
        struct archive_in *in = NULL;
        struct tree_entry entry;
        const char *problem;
        int r = archive_in_new(fd, ignore, NULL, &in);

        while (r >= 0 && (r = archive_in_next(in, &entry, &problem)) == 1) {
                const void *bytes;
                uint64_t offset;
                size_t len;

                if (problem)
                        continue;
                look(&entry);
                while (archive_in_block(in, &bytes, &len, &offset) == 1)
                        ;
        }
        archive_in_free(in);
}

/* Encoded in either way it is the same again. */
static void try_name(const uint8_t *bytes, size_t len)
{
        char name[256] = "", encoded[3 * sizeof(name)], decoded[sizeof(name)];
        size_t encoded_len;

        memcpy(name, bytes, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
        encoded_len = pax_encode_name(name, encoded);
        check(encoded_len == strlen(encoded) && !strchr(encoded, '='));
        check(pax_decode_name(encoded, encoded_len, decoded, sizeof(decoded)) == 0);
        check(strcmp(decoded, name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
        static const char types[] = "xxxxXgLK";
        char type;
        size_t longer;
        int fd;

        if (len < 2 || len > BODY_MAX)
                return 0;
        type = types[bytes[0] % 8];
        longer = bytes[1] < 240 ? 0 : (size_t)(bytes[1] - 239) * 100;
        bytes += 2;
        len -= 2;
        try_name(bytes, len);
        fd = memfd_create("archive", MFD_CLOEXEC);
        check(fd >= 0);
        for (unsigned i = 0; i < 2; i++) {
                static const char value[VALUE];

                put_header(fd, type, "header", len + longer);
                put(fd, bytes, len);
                put_header(fd, '0', "file", i ? 0 : VALUE);
                put(fd, value, i ? 0 : VALUE);
        }
        put(fd, (const char[2 * PAX_BLOCK]){0}, (size_t)(2 * PAX_BLOCK));
        check(lseek(fd, 0, SEEK_SET) == 0);
        read_all(fd);
        close(fd);
        return 0;
}
