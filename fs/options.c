/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

enum {
        WORD_READ_ONLY,
        WORD_READ_WRITE,
        WORD_NO_CREATE,
        WORD_ALLOW_OTHER,
        WORD_NO_PERM_CHECK,
        WORD_UNLINK,
        WORD_LIST_COUNTS,
        WORD_SECURITY_XATTRS,
        WORD_CLONE_FD,
        WORD_NO_CLONE_FD,
        WORD_NO_MAP,
        WORD_COMMIT,
        WORD_BUCKETS,
        WORD_MAX_SEARCH,
        WORD_DRIVE,
        WORD_MAX_READ,
        WORD_OURS_TO_SET,
        WORD_REMOUNT,
        WORD_FUSE,   /* for libfuse or the kernel, as it stands */
        WORD_IGNORED /* means something to mount(8) only */
};

/* clang-format off */
static const struct fuse_opt words[] = {
        FUSE_OPT_KEY("ro", WORD_READ_ONLY),
        FUSE_OPT_KEY("rw", WORD_READ_WRITE),
        FUSE_OPT_KEY("nocreate", WORD_NO_CREATE),
        FUSE_OPT_KEY("allow_other", WORD_ALLOW_OTHER),
        FUSE_OPT_KEY("nopermcheck", WORD_NO_PERM_CHECK),
        FUSE_OPT_KEY("unlink=", WORD_UNLINK),
        FUSE_OPT_KEY("list_counts", WORD_LIST_COUNTS),
        FUSE_OPT_KEY("security_xattrs", WORD_SECURITY_XATTRS),
        FUSE_OPT_KEY("clone_fd", WORD_CLONE_FD),
        FUSE_OPT_KEY("noclone_fd", WORD_NO_CLONE_FD),
        FUSE_OPT_KEY("nomap", WORD_NO_MAP),
        FUSE_OPT_KEY("commit=", WORD_COMMIT),
        FUSE_OPT_KEY("buckets=", WORD_BUCKETS),
        FUSE_OPT_KEY("max_search=", WORD_MAX_SEARCH),
        FUSE_OPT_KEY("drive=", WORD_DRIVE),

        FUSE_OPT_KEY("fsname=", WORD_OURS_TO_SET),
        FUSE_OPT_KEY("subtype=", WORD_OURS_TO_SET),
        FUSE_OPT_KEY("remount", WORD_REMOUNT),

        FUSE_OPT_KEY("allow_root", WORD_FUSE),
        FUSE_OPT_KEY("auto_unmount", WORD_FUSE),
        FUSE_OPT_KEY("default_permissions", WORD_FUSE),
        FUSE_OPT_KEY("debug", WORD_FUSE),
        FUSE_OPT_KEY("max_read=", WORD_MAX_READ),
        FUSE_OPT_KEY("context=", WORD_FUSE),
        FUSE_OPT_KEY("fscontext=", WORD_FUSE),
        FUSE_OPT_KEY("defcontext=", WORD_FUSE),
        FUSE_OPT_KEY("rootcontext=", WORD_FUSE),
        FUSE_OPT_KEY("suid", WORD_FUSE),
        FUSE_OPT_KEY("nosuid", WORD_FUSE),
        FUSE_OPT_KEY("dev", WORD_FUSE),
        FUSE_OPT_KEY("nodev", WORD_FUSE),
        FUSE_OPT_KEY("exec", WORD_FUSE),
        FUSE_OPT_KEY("noexec", WORD_FUSE),
        FUSE_OPT_KEY("async", WORD_FUSE),
        FUSE_OPT_KEY("sync", WORD_FUSE),
        FUSE_OPT_KEY("dirsync", WORD_FUSE),
        FUSE_OPT_KEY("atime", WORD_FUSE),
        FUSE_OPT_KEY("noatime", WORD_FUSE),

        FUSE_OPT_KEY("defaults", WORD_IGNORED),
        FUSE_OPT_KEY("auto", WORD_IGNORED),
        FUSE_OPT_KEY("noauto", WORD_IGNORED),
        FUSE_OPT_KEY("nofail", WORD_IGNORED),
        FUSE_OPT_KEY("_netdev", WORD_IGNORED),
        FUSE_OPT_KEY("user", WORD_IGNORED),
        FUSE_OPT_KEY("user=", WORD_IGNORED),
        FUSE_OPT_KEY("nouser", WORD_IGNORED),
        FUSE_OPT_KEY("users", WORD_IGNORED),
        FUSE_OPT_KEY("nousers", WORD_IGNORED),
        FUSE_OPT_KEY("owner", WORD_IGNORED),
        FUSE_OPT_KEY("group", WORD_IGNORED),
        FUSE_OPT_KEY("comment=", WORD_IGNORED),
        FUSE_OPT_KEY("relatime", WORD_IGNORED),
        FUSE_OPT_KEY("diratime", WORD_IGNORED),
        FUSE_OPT_KEY("nodiratime", WORD_IGNORED),
        FUSE_OPT_END,
};
/* clang-format on */

struct parse {
        struct mount_options *options;
        char *why;
        size_t why_size;
};

static int refuse(struct parse *parse, const char *word, const char *reason)
{
        snprintf(parse->why, parse->why_size, "option '%s': %s", word, reason);
        return -1;
}

static int take_number(struct parse *parse, const char *word, enum number_kind kind, unsigned *to)
{
        uint64_t number;

        if (number_parse(strchr(word, '=') + 1, kind, &number)) {
                char reason[128];

                snprintf(reason, sizeof(reason), "wants %s", number_wanted(kind));
                return refuse(parse, word, reason);
        }
        *to = (unsigned)number;
        return 0;
}

static int take_unlink(struct parse *parse, const char *word)
{
        const char *value = strchr(word, '=') + 1;

        if (strcmp(value, "delete") && strcmp(value, "guard"))
                return refuse(parse, word, "wants delete or guard");
        parse->options->fs.unlink_guard = !strcmp(value, "guard");
        return 0;
}

static int take_drive(struct parse *parse, const char *word)
{
        int r = drive_list_add(&parse->options->drives, strchr(word, '=') + 1);

        if (r == -EINVAL)
                return refuse(parse, word, "wants a directory");
        if (r == -E2BIG)
                return refuse(parse, word, "too many drives");
        return r ? -1 : 0;
}

/* An unknown word, which may be a known one without its value. */
static int refuse_unknown(struct parse *parse, const char *word)
{
        size_t len = strlen(word);

        for (size_t i = 0; words[i].templ; i++) {
                if (!strncmp(words[i].templ, word, len) && !strcmp(words[i].templ + len, "="))
                        return refuse(parse, word, "wants a value");
        }
        return refuse(parse, word, "unknown");
}

/* fuse_opt's callback: -1 error, 0 drop the word, 1 keep it for libfuse. */
static int take_word(void *ctx, const char *word, int key, struct fuse_args *out)
{
        struct parse *parse = ctx;
        struct mount_options *options = parse->options;

        switch (key) {
        case WORD_READ_ONLY:
        case WORD_READ_WRITE:
                options->fs.read_only = key == WORD_READ_ONLY;
                return 0;
        case WORD_NO_CREATE:
                options->no_create = true;
                return 0;
        case WORD_ALLOW_OTHER:
                options->fs.allow_other = true;
                return 0;
        case WORD_NO_PERM_CHECK:
                options->fs.nopermcheck = true;
                return 0;
        case WORD_LIST_COUNTS:
                options->fs.list_counts = true;
                return 0;
        case WORD_SECURITY_XATTRS:
                options->fs.security_xattrs = true;
                return 0;
        case WORD_CLONE_FD:
        case WORD_NO_CLONE_FD:
                options->fs.clone_fd = key == WORD_CLONE_FD;
                return 0;
        case WORD_UNLINK:
                return take_unlink(parse, word);
        case WORD_NO_MAP:
                options->nomap = true;
                return 0;
        case WORD_COMMIT:
                return take_number(parse, word, NUMBER_SECONDS, &options->commit_interval);
        case WORD_BUCKETS:
                return take_number(parse, word, NUMBER_BUCKETS, &options->n_buckets);
        case WORD_MAX_SEARCH:
                return take_number(parse, word, NUMBER_MAX_SEARCH, &options->max_search);
        case WORD_MAX_READ:
                if (take_number(parse, word, NUMBER_READ_BYTES, &options->fs.max_read_bytes))
                        return -1;
                /* libfuse's, which wants to hear it again when the mount starts */
                return 1;
        case WORD_DRIVE:
                return take_drive(parse, word);
        case WORD_OURS_TO_SET:
                return refuse(parse, word, "is set by bucketmap itself");
        case WORD_REMOUNT: /* also of the sloppy: it would be mounted once more */
                return refuse(parse, word,
                              "a bucketmap mount cannot be changed; unmount it and mount it again");
        case WORD_FUSE:
                return 1;
        case WORD_IGNORED:
        case FUSE_OPT_KEY_NONOPT: /* the program's name */
                return key == FUSE_OPT_KEY_NONOPT;
        default:
                /* x-... is the namespace of mount(8)'s and systemd's words */
                if (!*word || !strncmp(word, "x-", 2) || !strncmp(word, "X-", 2))
                        return 0;
                return options->sloppy ? 0 : refuse_unknown(parse, word);
        }
}

int mount_options_init(struct mount_options *options)
{
        *options = (struct mount_options){.fs.clone_fd = true};
        return fuse_opt_add_arg(&options->fuse, "bucketmap") ? -ENOMEM : 0;
}

void mount_options_deinit(struct mount_options *options)
{
        fuse_opt_free_args(&options->fuse);
        drive_list_deinit(&options->drives);
}

int mount_options_add(struct mount_options *options, const char *text)
{
        if (fuse_opt_add_arg(&options->fuse, "-o") || fuse_opt_add_arg(&options->fuse, text))
                return -ENOMEM;
        return 0;
}

int mount_options_finish(struct mount_options *options, char *why, size_t why_size)
{
        struct parse parse = {options, why, why_size};

        *why = '\0';
        if (!fuse_opt_parse(&options->fuse, &parse, words, take_word))
                return 0;
        return *why ? -EINVAL : -ENOMEM;
}

int mount_options_name(struct mount_options *options, const char *store)
{
        char *word = NULL, *words_ = NULL;
        int r = -ENOMEM;

        if (asprintf(&word, "fsname=%s", store) < 0)
                return -ENOMEM;
        /* commas and backslashes of the path would split it otherwise */
        if (!fuse_opt_add_opt(&words_, "subtype=bucketmap") &&
            !fuse_opt_add_opt_escaped(&words_, word))
                r = mount_options_add(options, words_);
        free(words_);
        free(word);
        return r;
}
