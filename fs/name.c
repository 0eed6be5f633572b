/* SPDX-License-Identifier: MIT */
#include "name.h"

#include <errno.h>
#include <string.h>

int fs_name_check(const char *name, size_t *len)
{
        size_t n = strlen(name);

        *len = n;
        if (n == 0)
                return -ENOENT;
        /* the kernel itself lets names of up to 1024 bytes through */
        if (n > BM_KEY_MAX)
                return -ENAMETOOLONG;
        if (memchr(name, '/', n) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return -EINVAL;
        return 0;
}
