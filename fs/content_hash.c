/* SPDX-License-Identifier: MIT */
#include "content_hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef BM_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* with the widest vectors of this processor */
#else
#include <xxhash.h>
#endif

#include "chores.h"
#include "reply.h"

#define BLOCK_BYTES (1u << 20)
/* times that a file is begun again because it was written */
#define MAX_PASSES 8u

struct hashing {
        struct fs_chore chore;
        struct fs_inode *inode; /* referenced */
        size_t reply_size;
        uint64_t offset;
        uint32_t n_writes; /* of the inode when this pass began */
        unsigned n_passes;
        XXH3_state_t *state;
};

void fs_reply_hash(fuse_req_t req, uint64_t hash, size_t size)
{
        char text[FS_HASH_TEXT + 1];

        snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
        fs_reply_xattr(req, text, FS_HASH_TEXT, size);
}

static void hashing_free(struct fs *fs, struct fs_chore *chore)
{
        struct hashing *h = (struct hashing *)chore;

        XXH3_freeState(h->state);
        fs_inode_put(fs->inodes, h->inode);
        free(h);
}

static void begin(struct hashing *h)
{
        h->offset = 0;
        h->n_passes++;
        h->n_writes = fs_inode_writes(h->inode);
        XXH3_64bits_reset(h->state);
}

struct read_block {
        uint64_t offset;
        char *buf;
        size_t done;
};

static int read_block(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct read_block *r = ctx;

        return fs->backend.read(fs->backend.ctx, &place->ref, r->offset, r->buf, BLOCK_BYTES,
                                &r->done, NULL);
}

/* The next block. */
static bool hash_block(struct fs *fs, struct fs_chore *chore)
{
        struct hashing *h = (struct hashing *)chore;
        struct read_block block = {.offset = h->offset, .buf = fs_thread_buffer(fs, BLOCK_BYTES)};
        uint64_t hash;
        int result = block.buf ? fs_on_inode(fs, h->inode, read_block, &block) : -ENOMEM;

        if (result) {
                fs_reply(chore->req, result);
                return true;
        }
        XXH3_64bits_update(h->state, block.buf, block.done);
        h->offset += block.done;
        if (block.done == BLOCK_BYTES)
                return false;
        hash = XXH3_64bits_digest(h->state);
        if (fs_inode_keep_hash(fs->inodes, h->inode, hash, h->n_writes)) {
                fs_reply_hash(chore->req, hash, h->reply_size);
                return true;
        }
        if (h->n_passes == MAX_PASSES) {
                fs_reply(chore->req, -EAGAIN);
                return true;
        }
        begin(h);
        return false;
}

void fs_hash_start(struct fs *fs, fuse_req_t req, struct fs_inode *inode, size_t size)
{
        struct hashing *h = calloc(1, sizeof(*h));

        if (h)
                *h = (struct hashing){
                        .chore = {.req = req, .step = hash_block, .free = hashing_free},
                        .inode = fs_inode_get(fs->inodes, fs_inode_id(inode)),
                        .reply_size = size,
                        .state = XXH3_createState()};
        if (!h || !h->inode || !h->state) {
                fs_reply(req, h && !h->inode ? -ESTALE : -ENOMEM);
                if (h)
                        hashing_free(fs, &h->chore);
                return;
        }
        begin(h);
        fs_chores_start(fs->chores, &h->chore);
}
