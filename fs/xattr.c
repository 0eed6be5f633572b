/* SPDX-License-Identifier: MIT */
#include "xattr.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "attr.h"

#define NAME_LEN_BYTES  1u
#define VALUE_LEN_BYTES 4u
#define NAME_MAX_BYTES  255u

static bool has_prefix(const char *name, const char *prefix)
{
        return strncmp(name, prefix, strlen(prefix)) == 0;
}

enum fs_xattr_kind fs_xattr_kind(const char *name)
{
        if (strcmp(name, FS_XATTR_COUNT) == 0)
                return FS_XATTR_KIND_REFCOUNT;
        if (strcmp(name, FS_XATTR_XXH3) == 0)
                return FS_XATTR_KIND_HASH;
        if (has_prefix(name, FS_XATTR_OURS))
                return FS_XATTR_KIND_RESERVED;
        if (!strcmp(name, "user.") || !strcmp(name, "trusted.") || !strcmp(name, "security."))
                return FS_XATTR_KIND_NAMELESS;
        if (has_prefix(name, "security."))
                return FS_XATTR_KIND_SECURITY;
        if (has_prefix(name, "user."))
                return FS_XATTR_KIND_USER;
        if (has_prefix(name, "trusted."))
                return FS_XATTR_KIND_TRUSTED;
        return FS_XATTR_KIND_OTHER;
}

int fs_xattr_next(const void *list, size_t list_len, size_t *offset, struct fs_xattr *xattr)
{
        const uint8_t *bytes = list;
        size_t left = list_len - *offset;
        const uint8_t *entry;
        size_t name_len, value_len = 0;

        if (left == 0)
                return 1;
        entry = bytes + *offset;
        name_len = entry[0];
        if (name_len == 0 || left < NAME_LEN_BYTES + name_len + VALUE_LEN_BYTES)
                return -EIO;
        for (unsigned i = 0; i < VALUE_LEN_BYTES; i++)
                value_len |= (size_t)entry[NAME_LEN_BYTES + name_len + i] << (8 * i);
        if (value_len > left - NAME_LEN_BYTES - name_len - VALUE_LEN_BYTES)
                return -EIO;
        *xattr = (struct fs_xattr){
                .name = (const char *)entry + NAME_LEN_BYTES,
                .name_len = name_len,
                .value = entry + NAME_LEN_BYTES + name_len + VALUE_LEN_BYTES,
                .value_len = value_len,
        };
        *offset += NAME_LEN_BYTES + name_len + VALUE_LEN_BYTES + value_len;
        return 0;
}

int fs_xattr_find(const void *list, size_t list_len, const char *name, struct fs_xattr *xattr)
{
        size_t name_len = strlen(name), offset = 0;
        int result;

        while ((result = fs_xattr_next(list, list_len, &offset, xattr)) == 0)
                if (xattr->name_len == name_len && memcmp(xattr->name, name, name_len) == 0)
                        return 0;
        return result < 0 ? result : -ENODATA;
}

/* Cuts the entry out that XATTR shows. */
static void cut(uint8_t *list, size_t *list_len, const struct fs_xattr *xattr)
{
        size_t start = (size_t)((const uint8_t *)xattr->name - list) - NAME_LEN_BYTES;
        size_t end = (size_t)((const uint8_t *)xattr->value - list) + xattr->value_len;

        memmove(list + start, list + end, *list_len - end);
        *list_len -= end - start;
}

int fs_xattr_set(void *list, size_t *list_len, const char *name, const void *value,
                 size_t value_len, int flags)
{
        size_t name_len = strlen(name), freed = 0, entry_len;
        struct fs_xattr old;
        uint8_t *next;
        int found = fs_xattr_find(list, *list_len, name, &old);

        if (found && found != -ENODATA)
                return found;
        if (!found && (flags & XATTR_CREATE))
                return -EEXIST;
        if (found && (flags & XATTR_REPLACE))
                return -ENODATA;
        if (name_len == 0 || name_len > NAME_MAX_BYTES)
                return -ERANGE;
        if (value_len > FS_XATTR_LIST_MAX)
                return -ENOSPC;
        entry_len = NAME_LEN_BYTES + name_len + VALUE_LEN_BYTES + value_len;
        if (!found)
                freed = NAME_LEN_BYTES + name_len + VALUE_LEN_BYTES + old.value_len;
        if (*list_len - freed + entry_len > FS_XATTR_LIST_MAX)
                return -ENOSPC;
        if (!found)
                cut(list, list_len, &old);
        next = (uint8_t *)list + *list_len;
        *next++ = (uint8_t)name_len;
        memcpy(next, name, name_len);
        next += name_len;
        for (unsigned i = 0; i < VALUE_LEN_BYTES; i++)
                *next++ = (uint8_t)(value_len >> (8 * i));
        if (value_len)
                memcpy(next, value, value_len);
        *list_len += entry_len;
        return 0;
}

int fs_xattr_remove(void *list, size_t *list_len, const char *name)
{
        struct fs_xattr old;
        int result = fs_xattr_find(list, *list_len, name, &old);

        if (!result)
                cut(list, list_len, &old);
        return result;
}

int fs_xattr_drop(void *meta, size_t *meta_len, const char *name)
{
        struct fs_attr attr;
        size_t used, list_len;
        int result;

        if (!*meta_len)
                return 0;
        result = fs_attr_decode(meta, *meta_len, &attr, &used);
        if (result || used == *meta_len)
                return result;
        list_len = *meta_len - used;
        result = fs_xattr_remove((uint8_t *)meta + used, &list_len, name);
        *meta_len = used + list_len;
        return result == -ENODATA ? 0 : result;
}

int fs_count_parse(const char *text, size_t len, struct fs_count_change *change)
{
        uint64_t count = 0;

        *change = (struct fs_count_change){0};
        if (len == 2 && (text[0] == '+' || text[0] == '-') && text[1] == '1') {
                change->relative = true;
                change->delta = text[0] == '+' ? 1 : -1;
                return 0;
        }
        if (len == 0 || (text[0] == '0' && len > 1))
                return -EINVAL;
        for (size_t i = 0; i < len; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                /* ten times BM_COUNT_MAX does not fit */
                if (count > BM_COUNT_MAX / 10)
                        return -EINVAL;
                count = count * 10 + (uint64_t)(text[i] - '0');
        }
        if (count > BM_COUNT_MAX)
                return -EINVAL;
        change->count = count;
        return 0;
}
