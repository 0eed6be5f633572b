/* SPDX-License-Identifier: MIT */
/*
 * Requests that take long, done bit by bit on one thread of their own: they
 * take turns, so that a long one delays the others little, and an interrupted
 * one is noticed when its turn comes. The workers stay free.
 */
#ifndef FS_CHORES_H
#define FS_CHORES_H

#include "fs.h"

struct fs_chores;

/* The first member of what a kind of chore needs. */
struct fs_chore {
        fuse_req_t req;
        /* Does a bit of it. True: the request was answered, and all is done. */
        bool (*step)(struct fs *fs, struct fs_chore *chore);
        /* What an interrupted one is answered; NULL: EINTR. */
        void (*interrupted)(struct fs *fs, struct fs_chore *chore);
        void (*free)(struct fs *fs, struct fs_chore *chore);
        struct fs_chore *prev, *next;
};

/* 0 or -ENOMEM. Starts no thread: the first chore does. */
BM_CHECKED int fs_chores_new(struct fs *fs, struct fs_chores **choresp);

/* Takes CHORE over, to answer its request and free it; also if there is no thread to be had. */
void fs_chores_start(struct fs_chores *chores, struct fs_chore *chore);

/* Ends what is waiting as if it were interrupted. NULL is allowed; returns NULL. */
struct fs_chores *fs_chores_free(struct fs_chores *chores);

#endif
