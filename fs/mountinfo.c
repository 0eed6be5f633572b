/* SPDX-License-Identifier: MIT */
#include "mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "path.h"

static bool is_octal(char c)
{
        return c >= '0' && c <= '7';
}

/* The kernel writes blanks, newlines, backslashes and '#' as three octal digits. */
static void unescape(char *text)
{
        char *to = text;

        for (const char *s = text; *s; s++) {
                if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
                        *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
                        s += 3;
                } else {
                        *to++ = *s;
                }
        }
        *to = '\0';
}

/*
 * id parent major:minor root DIR options [optional fields...] - TYPE SOURCE options
 * Fields in LINE are cut and unescaped in place. False: not such a line.
 */
static bool parse_line(char *line, struct mount *mount)
{
        char *fields[5], *save = NULL, *field = strtok_r(line, " \n", &save);

        for (int i = 0; i < 5; i++) {
                fields[i] = field;
                if (field)
                        field = strtok_r(NULL, " \n", &save);
        }
        *mount = (struct mount){.device = fields[2], .root = fields[3], .dir = fields[4]};
        while (field && strcmp(field, "-")) {
                sscanf(field, "shared:%d", &mount->peers);
                sscanf(field, "master:%d", &mount->master);
                /* behind it, if that group cannot be seen from here */
                sscanf(field, "propagate_from:%d", &mount->master);
                field = strtok_r(NULL, " \n", &save);
        }
        if (!field)
                return false;
        mount->id = atoi(fields[0]);
        mount->parent = atoi(fields[1]);
        mount->type = strtok_r(NULL, " \n", &save);
        mount->source = strtok_r(NULL, " \n", &save);
        if (!mount->type || !mount->source)
                return false;
        field = strtok_r(NULL, ", \n", &save);
        mount->read_only = field && !strcmp(field, "ro");
        unescape(mount->root);
        unescape(mount->dir);
        unescape(mount->source);
        return true;
}

static void mount_deinit(struct mount *mount)
{
        free(mount->device);
        free(mount->root);
        free(mount->dir);
        free(mount->type);
        free(mount->source);
}

static int table_append(struct mount_table *table, const struct mount *parsed)
{
        struct mount *mounts, *mount;

        mounts = reallocarray(table->mounts, table->n + 1, sizeof(*mounts));
        if (!mounts)
                return -ENOMEM;
        table->mounts = mounts;
        mount = &mounts[table->n];
        *mount = *parsed;
        mount->device = strdup(parsed->device);
        mount->root = strdup(parsed->root);
        mount->dir = strdup(parsed->dir);
        mount->type = strdup(parsed->type);
        mount->source = strdup(parsed->source);
        if (!mount->device || !mount->root || !mount->dir || !mount->type || !mount->source) {
                mount_deinit(mount);
                return -ENOMEM;
        }
        table->n++;
        return 0;
}

int mount_table_read(struct mount_table *table, FILE *file)
{
        char *line = NULL;
        size_t size = 0;
        int r = 0;

        *table = MOUNT_TABLE_INIT;
        while (!r && getline(&line, &size, file) > 0) {
                struct mount parsed;

                if (parse_line(line, &parsed))
                        r = table_append(table, &parsed);
        }
        if (!r && ferror(file))
                r = -EIO;
        free(line);
        if (r)
                mount_table_deinit(table);
        return r;
}

int mount_table_load(struct mount_table *table)
{
        FILE *file = fopen("/proc/self/mountinfo", "re");
        int r;

        *table = MOUNT_TABLE_INIT;
        if (!file)
                return -errno;
        r = mount_table_read(table, file);
        fclose(file);
        return r;
}

void mount_table_deinit(struct mount_table *table)
{
        for (size_t i = 0; i < table->n; i++)
                mount_deinit(&table->mounts[i]);
        free(table->mounts);
        *table = MOUNT_TABLE_INIT;
}

const struct mount *mount_at(const struct mount_table *table, const char *dir)
{
        for (size_t i = table->n; i-- > 0;) {
                if (!strcmp(table->mounts[i].dir, dir))
                        return &table->mounts[i];
        }
        return NULL;
}

const struct mount *mount_above(const struct mount_table *table, const char *path)
{
        const struct mount *best = NULL;
        size_t best_len = 0;

        for (size_t i = 0; i < table->n; i++) {
                const struct mount *mount = &table->mounts[i];
                size_t len = strlen(mount->dir);
                bool root = len == 1;

                if (len < best_len || strncmp(path, mount->dir, len) ||
                    (!root && path[len] && path[len] != '/'))
                        continue;
                best = mount;
                best_len = len;
        }
        return best;
}

const struct mount *mount_of_store(const struct mount_table *table, const char *store)
{
        for (size_t i = table->n; i-- > 0;) {
                const struct mount *mount = &table->mounts[i];

                if (mount_is_ours(mount) && !strcmp(mount->source, store) && !mount_is_dead(mount))
                        return mount;
        }
        return NULL;
}

bool mount_is_there(const char *dir, const char *store)
{
        struct mount_table table;
        const struct mount *mount;
        bool there;

        if (mount_table_load(&table))
                return false;
        mount = mount_at(&table, dir);
        there = mount && mount_is_ours(mount) && !strcmp(mount->source, store);
        mount_table_deinit(&table);
        return there;
}

static const struct mount *by_id(const struct mount_table *table, int id)
{
        for (size_t i = 0; i < table->n; i++) {
                if (table->mounts[i].id == id)
                        return &table->mounts[i];
        }
        return NULL;
}

static const struct mount *by_peers(const struct mount_table *table, int peers)
{
        for (size_t i = 0; peers && i < table->n; i++) {
                if (table->mounts[i].peers == peers)
                        return &table->mounts[i];
        }
        return NULL;
}

/* Whether what is mounted in a mount of the group PEERS is mounted in MOUNT, too. */
static bool follows(const struct mount_table *table, const struct mount *mount, int peers)
{
        /* the table was not read in one step: its groups could go in circles */
        for (size_t i = 0; mount && i < table->n; i++) {
                if (mount->peers == peers || mount->master == peers)
                        return true;
                mount = by_peers(table, mount->master);
        }
        return false;
}

/* The path of MOUNT's mount point in the filesystem of PARENT, in two parts. */
static void place_in(const struct mount *mount, const struct mount *parent, const char *parts[2])
{
        size_t len = strlen(parent->dir);

        parts[0] = strcmp(parent->root, "/") ? parent->root : "";
        parts[1] =
                len > 1 && path_is_within(mount->dir, parent->dir) ? mount->dir + len : mount->dir;
}

static bool same_text(const char *const a[2], const char *const b[2])
{
        size_t len = strlen(a[0]), other_len = strlen(b[0]);

        if (len > other_len)
                return same_text(b, a);
        /* B's first part is A's and some of A's second */
        return !strncmp(a[0], b[0], len) && !strncmp(a[1], b[0] + len, other_len - len) &&
               !strcmp(a[1] + (other_len - len), b[1]);
}

/* The kernel made COPY because MOUNT was mounted where that is shared, and so it ends. */
static bool is_propagated(const struct mount_table *table, const struct mount *copy,
                          const struct mount *mount)
{
        const struct mount *from = by_id(table, mount->parent), *to = by_id(table, copy->parent);
        const char *place[2], *copy_place[2];

        if (!from || !to || from == to || !from->peers || !follows(table, to, from->peers))
                return false;
        place_in(mount, from, place);
        place_in(copy, to, copy_place);
        return same_text(place, copy_place);
}

const struct mount *mount_next_copy(const struct mount_table *table, const struct mount *mount,
                                    const struct mount *previous)
{
        for (size_t i = previous ? (size_t)(previous - table->mounts) + 1 : 0; i < table->n; i++) {
                const struct mount *copy = &table->mounts[i];

                if (copy != mount && !strcmp(copy->device, mount->device) &&
                    !is_propagated(table, copy, mount))
                        return copy;
        }
        return NULL;
}

bool mount_is_ours(const struct mount *mount)
{
        return !strcmp(mount->type, MOUNT_TYPE);
}

bool mount_is_dead(const struct mount *mount)
{
        struct statx stx;
        int r;

        /* without the flag the kernel may answer from its cache; a request that was
         * on its way when the daemon ended is aborted */
        do
                r = statx(AT_FDCWD, mount->dir, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT,
                          STATX_BASIC_STATS, &stx);
        while (r && errno == ECONNABORTED);
        return r && errno == ENOTCONN;
}
