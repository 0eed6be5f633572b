/* SPDX-License-Identifier: MIT */
/*
 * One thread hashes all files that are asked for, one block of each in turn,
 * so that a long one delays the others little, and an interrupted one is
 * noticed when its turn comes.
 */
#include "content_hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>
#include <xxhash.h>

#include "reply.h"

#define BLOCK_BYTES (1u << 20)
/* times that a file is begun again because it was written */
#define MAX_PASSES 8u

struct job {
        fuse_req_t req;
        struct fs_inode *inode; /* referenced */
        size_t reply_size;
        uint64_t offset;
        uint32_t n_writes; /* of the inode when this pass began */
        unsigned n_passes;
        XXH3_state_t *state;
        struct job *prev, *next;
};

struct fs_hasher {
        /* constant */
        struct fs *fs;
        char *block;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        /* guarded by lock */
        struct job *jobs;
        bool stop;
        bool running;
        pthread_t thread;
};

void fs_reply_hash(fuse_req_t req, uint64_t hash, size_t size)
{
        char text[FS_HASH_TEXT + 1];

        snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
        fs_reply_xattr(req, text, FS_HASH_TEXT, size);
}

static struct job *job_free(struct fs_hasher *hasher, struct job *job)
{
        XXH3_freeState(job->state);
        fs_inode_put(hasher->fs->inodes, job->inode);
        free(job);
        return NULL;
}

static void job_begin(struct job *job)
{
        job->offset = 0;
        job->n_passes++;
        job->n_writes = fs_inode_writes(job->inode);
        XXH3_64bits_reset(job->state);
}

struct read_block {
        struct job *job;
        char *buf;
        size_t done;
};

static int read_block(struct fs *fs, const struct fs_place *place, void *ctx)
{
        struct read_block *r = ctx;

        return fs->backend.read(fs->backend.ctx, &place->ref, r->job->offset, r->buf, BLOCK_BYTES,
                                &r->done, NULL);
}

/* The next block of JOB; true when it was answered. */
static bool job_step(struct fs_hasher *hasher, struct job *job)
{
        struct fs *fs = hasher->fs;
        struct read_block block = {.job = job, .buf = hasher->block};
        uint64_t hash;
        int result;

        if (fuse_req_interrupted(job->req)) {
                fs_reply(job->req, -EINTR);
                return true;
        }
        result = fs_on_inode(fs, job->inode, read_block, &block);
        if (result) {
                fs_reply(job->req, result);
                return true;
        }
        XXH3_64bits_update(job->state, block.buf, block.done);
        job->offset += block.done;
        if (block.done == BLOCK_BYTES)
                return false;
        hash = XXH3_64bits_digest(job->state);
        if (fs_inode_keep_hash(fs->inodes, job->inode, hash, job->n_writes)) {
                fs_reply_hash(job->req, hash, job->reply_size);
                return true;
        }
        if (job->n_passes == MAX_PASSES) {
                fs_reply(job->req, -EAGAIN);
                return true;
        }
        job_begin(job);
        return false;
}

static void *run(void *ctx)
{
        struct fs_hasher *hasher = ctx;

        pthread_mutex_lock(&hasher->lock);
        for (;;) {
                struct job *job = hasher->jobs;
                bool answered;

                if (hasher->stop)
                        break;
                if (!job) {
                        pthread_cond_wait(&hasher->wake, &hasher->lock);
                        continue;
                }
                DL_DELETE(hasher->jobs, job);
                pthread_mutex_unlock(&hasher->lock);
                answered = job_step(hasher, job);
                if (answered)
                        job_free(hasher, job);
                pthread_mutex_lock(&hasher->lock);
                if (!answered)
                        DL_APPEND(hasher->jobs, job);
        }
        pthread_mutex_unlock(&hasher->lock);
        return NULL;
}

int fs_hasher_new(struct fs *fs, struct fs_hasher **hasherp)
{
        struct fs_hasher *hasher = calloc(1, sizeof(*hasher));

        if (!hasher)
                return -ENOMEM;
        hasher->block = malloc(BLOCK_BYTES);
        if (!hasher->block) {
                free(hasher);
                return -ENOMEM;
        }
        hasher->fs = fs;
        pthread_mutex_init(&hasher->lock, NULL);
        pthread_cond_init(&hasher->wake, NULL);
        *hasherp = hasher;
        return 0;
}

static int enqueue(struct fs_hasher *hasher, struct job *job)
{
        int result = 0;

        pthread_mutex_lock(&hasher->lock);
        if (!hasher->running) {
                result = -pthread_create(&hasher->thread, NULL, run, hasher);
                hasher->running = !result;
        }
        if (!result) {
                DL_APPEND(hasher->jobs, job);
                pthread_cond_signal(&hasher->wake);
        }
        pthread_mutex_unlock(&hasher->lock);
        return result;
}

void fs_hasher_start(struct fs_hasher *hasher, fuse_req_t req, struct fs_inode *inode, size_t size)
{
        struct job *job = calloc(1, sizeof(*job));
        int result = -ENOMEM;

        if (job) {
                *job = (struct job){.req = req, .reply_size = size, .state = XXH3_createState()};
                job->inode = fs_inode_get(hasher->fs->inodes, fs_inode_id(inode));
        }
        if (job && !job->inode)
                result = -ESTALE;
        else if (job && job->state) {
                job_begin(job);
                result = enqueue(hasher, job);
        }
        if (!result)
                return;
        fs_reply(req, result);
        if (job)
                job_free(hasher, job);
}

struct fs_hasher *fs_hasher_free(struct fs_hasher *hasher)
{
        struct job *job, *next;

        if (!hasher)
                return NULL;
        pthread_mutex_lock(&hasher->lock);
        hasher->stop = true;
        pthread_cond_signal(&hasher->wake);
        pthread_mutex_unlock(&hasher->lock);
        if (hasher->running)
                pthread_join(hasher->thread, NULL);
        DL_FOREACH_SAFE(hasher->jobs, job, next)
        {
                fs_reply(job->req, -EINTR);
                job_free(hasher, job);
        }
        pthread_cond_destroy(&hasher->wake);
        pthread_mutex_destroy(&hasher->lock);
        free(hasher->block);
        free(hasher);
        return NULL;
}
