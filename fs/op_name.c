/* SPDX-License-Identifier: MIT */
/*
 * Names that go or change. What loses its last name while the kernel knows it
 * may be open still: without OPEN and RELEASE, FORGET is the only sign that it
 * is not. It is kept until then.
 */
#include <errno.h>
#include <linux/fs.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"

/* How often a name is looked up again that had another record a moment later. */
#define MAX_TRIES 16

/* What a name stands for. */
struct named {
        uint64_t record_id; /* 0: nothing */
        bool is_map;
        struct fs_inode *inode; /* referenced; NULL: the kernel does not know it */
        bool looked_up;         /* it is remembered for as long as this */
        int64_t changed_ns;     /* of a map */
        struct stat last;       /* of a map that will go: what stat shows then */
};

/*
 * Looks NAME up; BM_E_NOT_FOUND if there is nothing. Anything but a map is
 * remembered as if the kernel had looked it up: so what becomes of it in the
 * end stays in order if the kernel, by another name or at this moment, does.
 */
static int find_named(struct fs *fs, const struct fs_name *name, struct named *named)
{
        struct bm_ref ref = fs_name_ref(name);
        struct bm_map_info info;
        struct bm_map *map;
        struct bm_view view;
        int result = fs->backend.get_attr(fs->backend.ctx, &ref, &view, NULL);

        *named = (struct named){0};
        if (result)
                return result;
        named->record_id = view.record_id;
        named->is_map = view.map_id;
        if (!named->is_map) {
                const struct fs_found found = {.dir = name->dir,
                                               .key = name->key,
                                               .key_len = name->key_len,
                                               .record_id = view.record_id,
                                               .by_id = view.by_id};

                named->inode = fs_inode_remember(fs->inodes, &found);
                named->looked_up = named->inode;
        }
        (void)!bm_view_release(&view);
        if (!named->is_map)
                return named->inode ? 0 : -ENOMEM;
        named->inode = fs_inode_get(fs->inodes, named->record_id);
        if (!named->inode)
                return 0;
        result = fs_stat(fs, named->inode, &named->last);
        named->last.st_nlink = 0;
        if (!result)
                result = fs_inode_map(fs->inodes, named->inode, &map);
        if (!result)
                result = fs->backend.map_info(fs->backend.ctx, map, &info);
        if (!result)
                named->changed_ns = info.changed_ns;
        return result;
}

static void named_release(struct fs *fs, struct named *named)
{
        if (named->looked_up)
                fs_inode_forget(fs->inodes, named->record_id, 1);
        fs_inode_put(fs->inodes, named->inode);
}

/* The change of names is a change of the inode: its ctime. */
struct restamp {
        struct fs *fs;
        int64_t now;
        const struct named *named[2]; /* NULL: none */
};

static int restamp(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len)
{
        const struct restamp *r = ctx;
        struct fs_attr attr;
        int result = fs_attr_of_view(now, &r->fs->defaults, &attr);

        if (result)
                return result;
        for (int i = 0; i < 2; i++)
                if (r->named[i] && r->named[i]->record_id == now->record_id)
                        fs_apply_map_time(&attr, r->named[i]->changed_ns);
        attr.ctime = r->now;
        return fs_attr_replace(&attr, meta, meta_len);
}

/* Removing */

static int unlink_named(struct fs *fs, const struct fs_name *name, struct named *victim,
                        const uint64_t *if_count)
{
        struct restamp stamp = {.fs = fs, .now = fs_time_now()};
        uint32_t left = 0;
        /* no meta_fn: an orphan whose meta changed would be logged with all of its value */
        struct bm_remove_args args = {.orphan = true,
                                      .linked_fn = restamp,
                                      .meta_ctx = &stamp,
                                      .links = &left,
                                      .guard = fs->options.unlink_guard && !if_count,
                                      .if_count = if_count,
                                      .count = if_count ? *if_count : 0};
        struct bm_ref ref = fs_name_ref(name);
        struct fs_move move;
        int result = fs_move_begin(fs->inodes, &move, victim->inode, 0);

        ref.record_id = victim->record_id;
        if (!result)
                result = fs->backend.remove(fs->backend.ctx, &ref, &args, NULL);
        if (!result && left > 0)
                fs_moved_to_id(fs->inodes, &move, fs_time_now());
        else if (!result)
                fs_moved_to_orphans(fs->inodes, &move, stamp.now);
        fs_move_end(fs->inodes, &move);
        return result;
}

static int rmdir_named(struct fs *fs, const struct fs_name *name, struct named *victim)
{
        struct fs_move move;
        int result = fs_move_begin(fs->inodes, &move, victim->inode, 0);

        if (!result)
                result = fs->backend.remove_map(fs->backend.ctx, name->map, name->key,
                                                name->key_len, NULL);
        if (!result)
                fs_moved_away(fs->inodes, &move, &victim->last);
        fs_move_end(fs->inodes, &move);
        return result;
}

static int remove_name(struct fs *fs, const struct fs_name *name, bool want_map,
                       const uint64_t *if_count, uint64_t *record_id)
{
        int result = BM_E_STALE;

        for (int i = 0; result == BM_E_STALE && i < MAX_TRIES; i++) {
                struct named victim;

                result = find_named(fs, name, &victim);
                if (!result && victim.is_map && !want_map)
                        result = BM_E_IS_MAP;
                else if (!result && !victim.is_map && want_map)
                        result = BM_E_NOT_MAP;
                if (!result)
                        result = want_map ? rmdir_named(fs, name, &victim)
                                          : unlink_named(fs, name, &victim, if_count);
                *record_id = victim.record_id;
                named_release(fs, &victim);
        }
        return result;
}

static void remove_and_reply(fuse_req_t req, fuse_ino_t parent, const char *text, bool want_map)
{
        struct fs *fs = fs_of(req);
        struct fs_name name;
        uint64_t record_id;
        int result = fs_name_of(fs, parent, text, &name);

        if (!result)
                result = remove_name(fs, &name, want_map, NULL, &record_id);
        fs_reply(req, result);
        fs_name_release(fs, &name);
}

int fs_remove_if_count(struct fs *fs, const struct fs_name *name, uint64_t count,
                       uint64_t *record_id)
{
        return remove_name(fs, name, false, &count, record_id);
}

void fs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        remove_and_reply(req, parent, name, false);
}

void fs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        remove_and_reply(req, parent, name, true);
}

/* Renaming */

/* A rename on its way. */
struct renaming {
        struct fs_name from, to;
        struct named source, target;
        struct bm_rename_args args;
};

/* The inodes follow what the backend has done. */
static void follow(struct fs *fs, struct renaming *r, struct fs_move *source,
                   struct fs_move *target)
{
        fs_moved(fs->inodes, source, r->to.dir, r->to.key, r->to.key_len);
        if (r->args.exchange)
                fs_moved(fs->inodes, target, r->from.dir, r->from.key, r->from.key_len);
        else if (r->target.is_map)
                fs_moved_away(fs->inodes, target, &r->target.last);
        else if (r->args.victim_links > 0)
                fs_moved_to_id(fs->inodes, target, fs_time_now());
        else if (r->args.orphan_victim && r->args.victim_id == r->target.record_id)
                fs_moved_to_orphans(fs->inodes, target, fs_time_now());
        else if (r->args.orphan_victim && r->args.victim_id)
                /* another one, put there behind the kernel's back a moment ago */
                (void)!fs->backend.orphan_release(fs->backend.ctx, r->args.victim_id);
}

static int rename_named(struct fs *fs, struct renaming *r)
{
        struct restamp stamp = {.fs = fs, .now = fs_time_now(), .named = {&r->source, &r->target}};
        struct bm_ref from = fs_name_ref(&r->from);
        struct fs_move source = {0}, target = {0};
        int result = 0;

        from.record_id = r->source.record_id;
        r->args.orphan_victim = !r->args.exchange && r->target.record_id && !r->target.is_map;
        r->args.moved_fn = restamp;
        r->args.meta_ctx = &stamp;
        /* in the order of their ids, as fs_move_begin wants it */
        if (r->target.record_id < r->source.record_id)
                result = fs_move_begin(fs->inodes, &target, r->target.inode, r->from.key_len);
        if (!result)
                result = fs_move_begin(fs->inodes, &source, r->source.inode, r->to.key_len);
        if (!result && r->target.record_id > r->source.record_id)
                result = fs_move_begin(fs->inodes, &target, r->target.inode, r->from.key_len);
        if (!result)
                result = fs->backend.rename(fs->backend.ctx, &from, r->to.map, r->to.key,
                                            r->to.key_len, &r->args, NULL);
        if (!result)
                follow(fs, r, &source, &target);
        fs_move_end(fs->inodes, &target);
        fs_move_end(fs->inodes, &source);
        return result;
}

static int rename_once(struct fs *fs, struct renaming *r)
{
        int result = find_named(fs, &r->from, &r->source);

        if (result)
                return result;
        result = find_named(fs, &r->to, &r->target);
        if (result == BM_E_NOT_FOUND && !r->args.exchange)
                result = 0;
        if (!result && r->target.record_id && r->args.no_replace)
                result = BM_E_EXISTS;
        /* two names of one record: nothing to be done, says POSIX */
        if (result || r->source.record_id == r->target.record_id)
                return result;
        return rename_named(fs, r);
}

static int rename_retrying(struct fs *fs, struct renaming *r)
{
        int result = BM_E_STALE;

        for (int i = 0; result == BM_E_STALE && i < MAX_TRIES; i++) {
                result = rename_once(fs, r);
                named_release(fs, &r->source);
                named_release(fs, &r->target);
                r->source = r->target = (struct named){0};
        }
        return result;
}

void fs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned flags)
{
        struct fs *fs = fs_of(req);
        struct renaming r = {.args = {.no_replace = flags & RENAME_NOREPLACE,
                                      .exchange = flags & RENAME_EXCHANGE,
                                      .guard = fs->options.unlink_guard}};
        int result = 0;

        if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
            (r.args.no_replace && r.args.exchange))
                result = -EINVAL;
        if (!result)
                result = fs_name_of(fs, parent, name, &r.from);
        if (!result)
                result = fs_name_of(fs, new_parent, new_name, &r.to);
        if (!result)
                result = rename_retrying(fs, &r);
        fs_reply(req, result);
        fs_name_release(fs, &r.from);
        fs_name_release(fs, &r.to);
}
