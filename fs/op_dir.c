/* SPDX-License-Identifier: MIT */
/*
 * Listing directories. Positions are the map's cookies, so that nothing is
 * kept between two requests; 1 and 2 stand behind "." and "..".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "ops.h"
#include "reply.h"

#define OFFSET_DOT     1
#define OFFSET_DOT_DOT 2

/* An answer that is being filled. */
struct listing {
        fuse_req_t req;
        struct fs *fs;
        struct fs_inode *dir;
        bool plus;
        char *buf;
        size_t size, used;
        /* of plus: what gained a lookup, to be taken back if the answer is lost */
        uint64_t *ids;
        size_t n_ids;
};

/* Appends an entry; false: it does not fit. */
static bool add(struct listing *l, const char *name, const struct fuse_entry_param *entry,
                off_t next)
{
        size_t left = l->size - l->used;
        size_t len;

        if (l->plus)
                len = fuse_add_direntry_plus(l->req, l->buf + l->used, left, name, entry, next);
        else
                len = fuse_add_direntry(l->req, l->buf + l->used, left, name, &entry->attr, next);
        if (len > left)
                return false;
        l->used += len;
        return true;
}

/* "." or ".."; neither gains a lookup. */
static bool add_dot(struct listing *l, const char *name, uint64_t id, off_t next)
{
        struct fuse_entry_param entry = {.ino = id,
                                         .attr = {.st_ino = id, .st_mode = S_IFDIR | 0755}};

        return add(l, name, &entry, next);
}

/*
 * Appends an item; false: it does not fit, and gained no lookup. One whose
 * attributes cannot be had is listed by name alone, and a look at it fails.
 */
static bool add_item(struct listing *l, const struct bm_item *item)
{
        struct fuse_entry_param entry = {.attr = {.st_ino = item->view.record_id}};
        char name[BM_KEY_MAX + 1];
        struct fs_attr attr;

        memcpy(name, item->key, item->key_len);
        name[item->key_len] = '\0';
        if (!l->plus) {
                if (fs_attr_of_view(&item->view, &l->fs->defaults, &attr) == 0)
                        entry.attr.st_mode = attr.mode;
                return add(l, name, &entry, (off_t)item->cookie);
        }
        if (fuse_add_direntry_plus(l->req, NULL, 0, name, NULL, 0) > l->size - l->used)
                return false;
        if (fs_entry_of_view(l->fs, l->dir, item->key, item->key_len, &item->view, &entry) == 0)
                l->ids[l->n_ids++] = entry.ino;
        else
                entry = (struct fuse_entry_param){.attr = {.st_ino = item->view.record_id}};
        return add(l, name, &entry, (off_t)item->cookie);
}

/*
 * Fills the answer from position FROM. A record that cannot be read at all
 * must not hide the others: it is left out, and the listing ends in EIO.
 */
static int fill(struct listing *l, struct bm_map *map, uint64_t from)
{
        const struct backend *b = &l->fs->backend;
        struct bm_cursor *cursor;
        struct bm_item item;
        int result = b->list_open(b->ctx, map, from, &cursor);

        if (result)
                return result;
        for (;;) {
                result = b->list_next(b->ctx, cursor, &item);
                if (result == -EIO)
                        fs_inode_set_damaged(l->fs->inodes, l->dir, true);
                else if (result || !add_item(l, &item))
                        break;
        }
        b->list_close(b->ctx, cursor);
        if (result != BM_E_NOT_FOUND)
                return result;
        return !l->used && fs_inode_damaged(l->fs->inodes, l->dir) ? -EIO : 0;
}

static int list(struct listing *l, off_t offset)
{
        struct bm_map *map;
        int result = fs_inode_map(l->fs->inodes, l->dir, &map);

        if (result)
                return result;
        if (offset == 0)
                fs_inode_set_damaged(l->fs->inodes, l->dir, false);
        if (offset < OFFSET_DOT && !add_dot(l, ".", fs_inode_id(l->dir), OFFSET_DOT))
                return 0;
        if (offset < OFFSET_DOT_DOT &&
            !add_dot(l, "..", fs_inode_parent_id(l->fs->inodes, l->dir), OFFSET_DOT_DOT))
                return 0;
        return fill(l, map, offset <= OFFSET_DOT_DOT ? 0 : (uint64_t)offset);
}

static void answer(struct listing *l, int result)
{
        /* what was found before a failure is an answer; the failure comes again */
        if (result && result != BM_E_NOT_FOUND && !l->used)
                fs_reply(l->req, result);
        else if (fuse_reply_buf(l->req, l->buf, l->used) < 0)
                for (size_t i = 0; i < l->n_ids; i++)
                        fs_inode_forget(l->fs->inodes, l->ids[i], 1);
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
        struct fs *fs = fs_of(req);
        struct listing l = {.req = req, .fs = fs, .size = size, .plus = plus};
        size_t max_ids = 0;

        l.dir = fs_inode_get(fs->inodes, ino);
        if (!l.dir) {
                fs_reply(req, -ESTALE);
                return;
        }
        if (plus) {
                fs_inode_telling(l.dir);
                max_ids = size / fuse_add_direntry_plus(req, NULL, 0, "x", NULL, 0) + 1;
        }
        l.ids = fs_thread_buffer(fs, max_ids * sizeof(*l.ids) + size);
        if (l.ids) {
                l.buf = (char *)(l.ids + max_ids);
                answer(&l, list(&l, offset));
        } else {
                fs_reply(req, -ENOMEM);
        }
        fs_inode_put(fs->inodes, l.dir);
}

void fs_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                   struct fuse_file_info *fi)
{
        read_dir(req, ino, size, offset, false);
}

void fs_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
        read_dir(req, ino, size, offset, true);
}

/* Answered, and not done without (ENOSYS): then the kernel caches all listings. */
void fs_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *dir = fs_inode_get(fs->inodes, ino);

        if (!dir) {
                fs_reply(req, -ESTALE);
                return;
        }
        fi->keep_cache = 1;
        fi->cache_readdir = fs_inode_start_caching(dir);
        fi->fh = fi->cache_readdir;
        /* of an open that was given up there is no release */
        if (fuse_reply_open(req, fi) < 0 && fi->fh)
                fs_inode_stop_caching(dir);
        fs_inode_put(fs->inodes, dir);
}

void fs_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct fs *fs = fs_of(req);
        struct fs_inode *dir = fi->fh ? fs_inode_get(fs->inodes, ino) : NULL;

        if (dir) {
                fs_inode_stop_caching(dir);
                fs_inode_put(fs->inodes, dir);
        }
        fs_reply(req, 0);
}
