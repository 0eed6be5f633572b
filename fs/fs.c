/* SPDX-License-Identifier: MIT */
/* What the families of requests share: finding a record, showing it. */
#include "fs.h"

#include <errno.h>
#include <stdlib.h>

#include "name.h"
#include "reply.h"

/* Moves in a row that an operation follows before it gives up. */
#define MAX_MOVES 1000u

void fs_answer_due(struct fs *fs)
{
        pthread_mutex_lock(&fs->answers_lock);
        fs->n_answers_due++;
        pthread_mutex_unlock(&fs->answers_lock);
}

void fs_answer_given(struct fs *fs)
{
        pthread_mutex_lock(&fs->answers_lock);
        if (--fs->n_answers_due == 0)
                pthread_cond_broadcast(&fs->answers_done);
        pthread_mutex_unlock(&fs->answers_lock);
}

void fs_answers_wait(struct fs *fs)
{
        pthread_mutex_lock(&fs->answers_lock);
        while (fs->n_answers_due)
                pthread_cond_wait(&fs->answers_done, &fs->answers_lock);
        pthread_mutex_unlock(&fs->answers_lock);
}

struct thread_buffer {
        size_t size;
        char bytes[];
};

void *fs_thread_buffer(struct fs *fs, size_t size)
{
        struct thread_buffer *buffer = pthread_getspecific(fs->buffer_key);

        if (!buffer || buffer->size < size) {
                free(buffer);
                buffer = malloc(sizeof(*buffer) + size);
                if (buffer)
                        buffer->size = size;
                if (pthread_setspecific(fs->buffer_key, buffer)) {
                        free(buffer);
                        return NULL;
                }
        }
        return buffer ? buffer->bytes : NULL;
}

int fs_on_inode(struct fs *fs, struct fs_inode *inode, fs_record_fn fn, void *ctx)
{
        for (unsigned i = 0; i < MAX_MOVES; i++) {
                struct fs_place place;
                int result = fs_inode_place(fs->inodes, inode, &place);

                if (!result)
                        result = fn(fs, &place, ctx);
                fs_place_release(fs->inodes, &place);
                if (result != BM_E_NOT_FOUND && result != BM_E_STALE)
                        return result;
                if (!fs_inode_settle(fs->inodes, inode, &place))
                        break;
        }
        return -ESTALE;
}

int fs_on_record(struct fs *fs, fuse_ino_t ino, fs_record_fn fn, void *ctx)
{
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        int result;

        if (!inode)
                return -ESTALE;
        result = fs_on_inode(fs, inode, fn, ctx);
        fs_inode_put(fs->inodes, inode);
        return result;
}

struct view_ctx {
        int (*get)(void *ctx, const struct bm_ref *ref, struct bm_view *view,
                   struct backend_call *call);
        struct bm_view *view;
        int64_t removed_ns;
};

static int view_record(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct view_ctx *c = ctx;

        c->removed_ns = place->removed_ns;
        return c->get(fs->backend.ctx, &place->ref, c->view, NULL);
}

int fs_view(struct fs *fs, struct fs_inode *inode, struct bm_view *view, int64_t *removed_ns)
{
        struct view_ctx ctx = {.get = fs->backend.get_attr, .view = view};
        int result = fs_on_inode(fs, inode, view_record, &ctx);

        if (removed_ns)
                *removed_ns = ctx.removed_ns;
        return result;
}

int fs_view_value(struct fs *fs, struct fs_inode *inode, struct bm_view *view)
{
        struct view_ctx ctx = {.get = fs->backend.get, .view = view};

        return fs_on_inode(fs, inode, view_record, &ctx);
}

void fs_apply_map_time(struct fs_attr *attr, int64_t changed_ns)
{
        /* an entry came or went after the attributes were last set */
        if (changed_ns > attr->ctime)
                attr->ctime = attr->mtime = changed_ns;
}

bool fs_names_dir(struct fs *fs, fuse_ino_t ino)
{
        struct fs_inode *inode = fs_inode_get(fs->inodes, ino);
        bool is = inode && fs_inode_is_dir(inode);

        fs_inode_put(fs->inodes, inode);
        return is;
}

int fs_stat_of_view(struct fs *fs, struct fs_inode *inode, const struct bm_view *view,
                    int64_t removed_ns, struct stat *st)
{
        struct bm_map_info info;
        struct bm_map *map;
        struct fs_attr attr;
        int result = fs_attr_of_view(view, &fs->defaults, &attr);

        if (result)
                return result;
        if (!fs_inode_is_dir(inode)) {
                /* what a damaged or foreign meta says must not change the type */
                if (S_ISDIR(attr.mode))
                        return -EIO;
                /* losing the name changed it; that is not worth a record */
                if (removed_ns > attr.ctime)
                        attr.ctime = removed_ns;
                fs_attr_stat(&attr, view->size, view->allocated, st);
                st->st_nlink = removed_ns ? 0 : view->links;
                st->st_ino = view->record_id;
                return 0;
        }
        if (!S_ISDIR(attr.mode))
                return -EIO;
        result = fs_inode_map(fs->inodes, inode, &map);
        if (!result)
                result = fs->backend.map_info(fs->backend.ctx, map, &info);
        if (result)
                return result;
        fs_inode_set_group(fs->inodes, inode, attr.mode & S_ISGID, attr.gid);
        fs_apply_map_time(&attr, info.changed_ns);
        fs_attr_stat(&attr, info.n_keys, 0, st);
        st->st_nlink = (nlink_t)(2 + info.n_maps);
        st->st_ino = fs_inode_id(inode);
        return 0;
}

int fs_stat(struct fs *fs, struct fs_inode *inode, struct stat *st)
{
        struct bm_view view;
        int64_t removed_ns;
        int result;

        if (fs_inode_is_dir(inode) && fs_inode_is_gone(fs->inodes, inode, st))
                return 0;
        result = fs_view(fs, inode, &view, &removed_ns);
        if (result)
                return result;
        result = fs_stat_of_view(fs, inode, &view, removed_ns, st);
        bm_view_release(&view);
        return result;
}

double fs_attr_timeout(struct fs *fs, struct fs_inode *inode)
{
        return fs_inode_is_losing(fs->inodes, inode, fs_time_now()) ? 0 : FS_FOREVER;
}

int fs_name_of(struct fs *fs, fuse_ino_t parent, const char *text, struct fs_name *name)
{
        int result = fs_name_check(text, &name->key_len);

        name->dir = NULL;
        if (result)
                return result;
        name->key = text;
        name->dir = fs_inode_get(fs->inodes, parent);
        if (!name->dir)
                return -ESTALE;
        return fs_inode_map(fs->inodes, name->dir, &name->map);
}

void fs_name_release(struct fs *fs, struct fs_name *name)
{
        fs_inode_put(fs->inodes, name->dir);
}

struct bm_ref fs_name_ref(const struct fs_name *name)
{
        return (struct bm_ref){.map = name->map, .key = name->key, .key_len = name->key_len};
}

int fs_entry_of_view(struct fs *fs, struct fs_inode *dir, const void *key, size_t key_len,
                     const struct bm_view *view, struct fuse_entry_param *entry)
{
        struct fs_found found = {.dir = dir,
                                 .key = key,
                                 .key_len = key_len,
                                 .record_id = view->record_id,
                                 .map_id = view->map_id,
                                 .by_id = view->by_id};
        struct fs_inode *inode = fs_inode_remember(fs->inodes, &found);
        int result;

        if (!inode)
                return -ENOMEM;
        *entry = (struct fuse_entry_param){
                .ino = view->record_id,
                .attr_timeout = view->by_id ? fs_attr_timeout(fs, inode) : FS_FOREVER,
                .entry_timeout = FS_FOREVER,
        };
        result = fs_stat_of_view(fs, inode, view, 0, &entry->attr);
        if (result)
                fs_inode_forget(fs->inodes, view->record_id, 1);
        fs_inode_put(fs->inodes, inode);
        return result;
}

void fs_reply_entry(fuse_req_t req, int result, const struct fuse_entry_param *entry)
{
        struct fs *fs = fs_of(req);

        if (result)
                fs_reply(req, result);
        else if (fuse_reply_entry(req, entry) < 0)
                /* the caller was interrupted and the kernel never heard of it */
                fs_inode_forget(fs->inodes, entry->ino, 1);
}
