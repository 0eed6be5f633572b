/* SPDX-License-Identifier: MIT */
/*
 * The directories from the root to the entry at hand are open, and are given
 * their attributes when they are left: what is stored in one changes its times.
 */
#include "import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "export.h"

struct level {
        struct sink_dir *dir;
        char *name;
        bool made;        /* by this import */
        char *entry_path; /* of the entry that tells its attributes; NULL: none yet */
        struct tree_entry entry;
        uint8_t *xattrs;
};

struct import {
        struct archive_in *in;
        struct sink *sink;
        struct transfer *transfer;
        struct level *levels; /* the first is the root */
        size_t n_levels, levels_size;
        char value[SINK_VALUE_MAX];
};

uint8_t *sink_meta(const struct tree_entry *entry, size_t *len)
{
        uint8_t *meta = malloc(FS_ATTR_MAX + entry->xattrs_len);

        if (!meta)
                return NULL;
        *len = fs_attr_encode(&entry->attr, meta);
        if (entry->xattrs_len)
                memcpy(meta + *len, entry->xattrs, entry->xattrs_len);
        *len += entry->xattrs_len;
        return meta;
}

const char *sink_reason(const struct sink *sink, int result)
{
        if (result == BM_E_EXISTS || result == -EEXIST)
                return sink->mode == FS_PUT_REPLACE
                               ? "is there already as another type of file"
                               : "is there already (--keep leaves it, --replace replaces it)";
        if (result == BM_E_IS_MAP || result == -EISDIR)
                return "is there already as a directory";
        return transfer_reason(result);
}

static void failed(struct import *import, const char *path, int result)
{
        transfer_failed(import->transfer, path, sink_reason(import->sink, result));
}

/* Directories */

static void leave(struct import *import)
{
        struct level *level = &import->levels[--import->n_levels];

        if (level->entry_path) {
                int result = import->sink->set(import->sink, level->dir, &level->entry);

                if (result)
                        failed(import, level->entry_path, result);
        }
        import->sink->leave(import->sink, level->dir);
        free(level->entry_path);
        free(level->xattrs);
        free(level->name);
}

static int add_level(struct import *import, struct sink_dir *dir, const char *name, bool made)
{
        struct level *levels = import->levels;
        char *copy = strdup(name);

        if (copy && import->n_levels == import->levels_size) {
                import->levels_size = 2 * import->levels_size + 16;
                levels = realloc(levels, import->levels_size * sizeof(*levels));
                if (levels)
                        import->levels = levels;
        }
        if (!copy || !levels) {
                free(copy);
                import->sink->leave(import->sink, dir);
                return -ENOMEM;
        }
        levels[import->n_levels++] = (struct level){.dir = dir, .name = copy, .made = made};
        return 0;
}

/* Leaves all but the first N. */
static void leave_to(struct import *import, size_t n)
{
        while (import->n_levels > n)
                leave(import);
}

/* Makes NAME the level at DEPTH, below the one above it. */
static int enter(struct import *import, size_t depth, const char *name)
{
        struct sink_dir *dir;
        bool made;
        int result;

        if (depth < import->n_levels && !strcmp(import->levels[depth].name, name))
                return 0;
        leave_to(import, depth);
        result =
                import->sink->enter(import->sink, import->levels[depth - 1].dir, name, &dir, &made);
        return result ? result : add_level(import, dir, name, made);
}

/*
 * Enters the directories that PATH leads through. NAME gets the last part, ""
 * if PATH is the root, and *DEPTH the level where that would be. -EINVAL if it
 * leads out.
 */
static int go_to(struct import *import, const char *path, char name[BM_KEY_MAX + 1], size_t *depth)
{
        const char *part;
        int result = 0;
        size_t len;

        *name = '\0';
        *depth = 1;
        while (!result && (part = tree_path_next(&path, &len))) {
                if (*name)
                        result = enter(import, (*depth)++, name);
                if (len > BM_KEY_MAX)
                        return -ENAMETOOLONG;
                memcpy(name, part, len);
                name[len] = '\0';
                if (!strcmp(name, ".."))
                        return -EINVAL;
        }
        return result;
}

/* Keeps what ENTRY tells of a directory until it is left. */
static int note_entry(struct level *level, const struct tree_entry *entry)
{
        uint8_t *xattrs = malloc(entry->xattrs_len + 1);
        char *path = strdup(entry->path);

        if (!xattrs || !path) {
                free(xattrs);
                free(path);
                return -ENOMEM;
        }
        if (entry->xattrs_len)
                memcpy(xattrs, entry->xattrs, entry->xattrs_len);
        free(level->xattrs);
        free(level->entry_path);
        level->xattrs = xattrs;
        level->entry_path = path;
        level->entry = *entry;
        level->entry.path = path;
        level->entry.xattrs = xattrs;
        return 0;
}

static int import_dir(struct import *import, const char *name, size_t depth,
                      const struct tree_entry *entry)
{
        struct level *level;
        int result = *name ? enter(import, depth, name) : 0;

        if (result)
                return result;
        leave_to(import, *name ? depth + 1 : 1);
        level = &import->levels[import->n_levels - 1];
        if (!level->made && import->sink->mode != FS_PUT_REPLACE)
                return 0;
        return note_entry(level, entry);
}

/* Values */

/* The whole of a short value, with its holes, in import->value. */
static int read_short(struct import *import, const struct tree_entry *entry)
{
        const void *bytes;
        uint64_t offset;
        size_t len;
        int status;

        memset(import->value, 0, entry->size);
        while ((status = archive_in_block(import->in, &bytes, &len, &offset)) > 0) {
                if (offset > entry->size || len > entry->size - offset)
                        return -EIO;
                memcpy(import->value + offset, bytes, len);
        }
        return status;
}

/* *RESULT is of storing; what is returned, of reading. */
static int copy_long(struct import *import, const struct tree_entry *entry, int *result)
{
        const void *bytes;
        uint64_t offset;
        size_t len;
        int status;

        while ((status = archive_in_block(import->in, &bytes, &len, &offset)) > 0) {
                *result = import->sink->write(import->sink, offset, bytes, len);
                if (*result)
                        return 0;
                transfer_step(import->transfer, 0, len);
        }
        return status;
}

static int import_long(struct import *import, const char *name, const struct tree_entry *entry,
                       int *result)
{
        struct sink *sink = import->sink;
        int status, ended;

        *result = sink->begin(sink, import->levels[import->n_levels - 1].dir, name, entry);
        if (*result)
                return 0;
        status = copy_long(import, entry, result);
        ended = sink->end(sink, entry, !status && !*result);
        if (!*result)
                *result = status ? status : ended;
        return status;
}

static int import_short(struct import *import, const char *name, const struct tree_entry *entry,
                        int *result)
{
        struct sink *sink = import->sink;
        int status = entry->target ? 0 : read_short(import, entry);

        if (status)
                *result = status;
        else
                *result = sink->put(sink, import->levels[import->n_levels - 1].dir, name, entry,
                                    entry->target ? entry->target : import->value,
                                    entry->target ? strlen(entry->target) : entry->size);
        return status;
}

/* One more name of what came before. */
static int import_link(struct import *import, const char *name, const struct tree_entry *entry)
{
        struct sink *sink = import->sink;

        return sink->link(sink, import->levels[import->n_levels - 1].dir, name, entry->first);
}

/* 0, or why the archive cannot be read on. */
static int import_entry(struct import *import, const struct tree_entry *entry)
{
        char name[BM_KEY_MAX + 1];
        size_t depth;
        int status = 0, result = go_to(import, entry->path, name, &depth);

        if (!result && !*name && !S_ISDIR(entry->attr.mode))
                result = BM_E_IS_MAP;
        if (!result && !S_ISDIR(entry->attr.mode))
                leave_to(import, depth);
        if (result)
                ;
        else if (entry->first)
                result = import_link(import, name, entry);
        else if (S_ISDIR(entry->attr.mode))
                result = import_dir(import, name, depth, entry);
        else if (entry->size > SINK_VALUE_MAX)
                status = import_long(import, name, entry, &result);
        else
                status = import_short(import, name, entry, &result);
        if (status)
                transfer_failed(import->transfer, entry->path,
                                entry->size > SINK_VALUE_MAX ? "stored in part" : "not stored");
        else if (result && result != SINK_KEPT)
                failed(import, entry->path, result);
        else
                transfer_step(import->transfer, 1, entry->size > SINK_VALUE_MAX ? 0 : entry->size);
        return status;
}

static int import_entries(struct import *import, const char **problem)
{
        struct tree_entry entry;
        int status;

        while ((status = archive_in_next(import->in, &entry, problem)) > 0) {
                if (*problem) {
                        transfer_failed(import->transfer, entry.path, *problem);
                        continue;
                }
                status = import_entry(import, &entry);
                if (status)
                        break;
        }
        *problem = status ? archive_in_problem(import->in) : NULL;
        return status;
}

/* A descriptor may be open for each directory on the way down. */
static void raise_limit(void)
{
        struct rlimit limit;

        if (!getrlimit(RLIMIT_NOFILE, &limit)) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int import_all(struct archive_in *in, struct sink *sink, struct transfer *transfer,
               const char **problem)
{
        struct import *import = calloc(1, sizeof(*import));
        struct sink_dir *root;
        bool empty;
        int result = import ? 0 : -ENOMEM, synced;

        *problem = NULL;
        if (result)
                return result;
        import->in = in;
        import->sink = sink;
        import->transfer = transfer;
        raise_limit();
        result = sink->root(sink, &root, &empty);
        if (!result)
                result = add_level(import, root, "", empty);
        if (!result) {
                result = import_entries(import, problem);
                leave_to(import, 0);
                synced = sink->finish(sink);
                if (!result)
                        result = synced;
        }
        free(import->levels);
        free(import);
        return result > 0 ? -EIO : result;
}
