/* SPDX-License-Identifier: MIT */
#include "service.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int service_tell(const char *state)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t len;
        int fd, r = 0;

        if (!path || !*path)
                return 0;
        len = strlen(path);
        if ((*path != '/' && *path != '@') || len >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, path, len);
        /* a name without a file begins with a NUL, and has none behind it */
        if (*path == '@')
                address.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
                r = -errno;
        close(fd);
        return r;
}
