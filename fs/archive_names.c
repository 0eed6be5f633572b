/* SPDX-License-Identifier: MIT */
#include "archive_names.h"

#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pax.h"
#include "xattr.h"

/* An attribute with its name as it shall be written, and one of that length of which libarchive
 * changes nothing. */
struct named {
        struct fs_xattr xattr;
        char name[3 * UINT8_MAX + 1], stand_in[3 * UINT8_MAX + 1];
        size_t len;
};

static void fill_names(struct named *named, const char *name)
{
        named->len = pax_encode_name(name, named->name);
        for (size_t i = 0; i <= named->len; i++) {
                char c = named->name[i];

                named->stand_in[i] = c && (c < '!' || c > '~' || c == '%') ? '_' : c;
        }
}

/* Not what a machine's security module says, which means nothing elsewhere, nor
 * what has no name, which a mount does not show. */
static bool is_written(const char *name)
{
        enum fs_xattr_kind kind = fs_xattr_kind(name);

        return kind != FS_XATTR_KIND_SECURITY && kind != FS_XATTR_KIND_NAMELESS;
}

/* The next one that is written, from *OFFSET of the list on. */
static bool next_named(const struct tree_entry *entry, size_t *offset, struct named *named)
{
        while (fs_xattr_next(entry->xattrs, entry->xattrs_len, offset, &named->xattr) == 0) {
                char name[UINT8_MAX + 1] = "";

                memcpy(name, named->xattr.name, named->xattr.name_len);
                if (is_written(name)) {
                        fill_names(named, name);
                        return true;
                }
        }
        return false;
}

void archive_names_add(struct archive_entry *to, const struct tree_entry *entry)
{
        struct named named;
        size_t offset = 0;
        char text[24];

        while (next_named(entry, &offset, &named))
                archive_entry_xattr_add_entry(to, named.stand_in, named.xattr.value,
                                              named.xattr.value_len);
        if (entry->has_count) {
                int len = snprintf(text, sizeof(text), "%" PRIu64, entry->count);

                archive_entry_xattr_add_entry(to, FS_XATTR_COUNT, text, (size_t)len);
        }
}

/* Stand-ins may be the same; of those with one value, too, it does not matter which is which. */
static bool is_stand_in(const struct named *named, const struct pax_record *record)
{
        const struct fs_xattr *xattr = &named->xattr;
        size_t prefix_len = strlen(PAX_XATTR);

        return record->key_len == prefix_len + named->len &&
               !memcmp(record->key, PAX_XATTR, prefix_len) &&
               !memcmp(record->key + prefix_len, named->stand_in, named->len) &&
               record->value_len == xattr->value_len &&
               (!xattr->value_len || !memcmp(record->value, xattr->value, xattr->value_len));
}

static int put_name(char *body, size_t len, const struct named *named)
{
        struct pax_record record;
        size_t offset = 0;

        while (pax_next(body, len, &offset, &record) == 0) {
                if (is_stand_in(named, &record)) {
                        memcpy(record.key + strlen(PAX_XATTR), named->name, named->len);
                        return 0;
                }
        }
        return -EIO;
}

int archive_names_put(char *header, size_t len, const struct tree_entry *entry)
{
        struct named named;
        size_t offset = 0;
        int result = 0;

        while (!result && next_named(entry, &offset, &named)) {
                uint64_t body_len;

                if (!strcmp(named.name, named.stand_in))
                        continue;
                if (len < PAX_BLOCK || pax_type(header) != 'x' || pax_size(header, &body_len) ||
                    body_len > len - PAX_BLOCK)
                        return -EIO;
                result = put_name(header + PAX_BLOCK, body_len, &named);
        }
        return result;
}
