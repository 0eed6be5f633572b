/* SPDX-License-Identifier: MIT */
/*
 * Where an import goes: into a store through the library, or through the
 * daemon that has it mounted. Results are 0, a negative errno or an enum
 * bm_error. For one thread.
 */
#ifndef FS_SINK_H
#define FS_SINK_H

#include "put.h"
#include "tree.h"

/* What may be handed to put at once; longer values are written in pieces. */
#define SINK_VALUE_MAX (12u << 10)
#define SINK_KEPT      1000 /* an outcome: the key was there and stays as it is */

struct sink_dir; /* a directory that is open */

struct sink {
        /* The root; *EMPTY: nothing is in it. */
        int (*root)(struct sink *sink, struct sink_dir **dir, bool *empty);
        /* Opens a directory in PARENT, which is made if need be (*MADE). */
        int (*enter)(struct sink *sink, struct sink_dir *parent, const char *name,
                     struct sink_dir **dir, bool *made);
        /* Gives it the attributes of ENTRY. */
        int (*set)(struct sink *sink, struct sink_dir *dir, const struct tree_entry *entry);
        void (*leave)(struct sink *sink, struct sink_dir *dir);

        /*
         * Stores a file or symbolic link with a value of at most SINK_VALUE_MAX
         * bytes. May be done later: then a failure goes to FAILED.
         */
        int (*put)(struct sink *sink, struct sink_dir *dir, const char *name,
                   const struct tree_entry *entry, const void *value, size_t len);

        /* A longer value: begin (or SINK_KEPT), write in any order, and end in any case. */
        int (*begin)(struct sink *sink, struct sink_dir *dir, const char *name,
                     const struct tree_entry *entry);
        int (*write)(struct sink *sink, uint64_t offset, const void *bytes, size_t len);
        int (*end)(struct sink *sink, const struct tree_entry *entry, bool complete);

        /*
         * Makes NAME one more name of what stands at FIRST, a path from the root. One
         * that is there is replaced, or stays (SINK_KEPT), by the mode.
         */
        int (*link)(struct sink *sink, struct sink_dir *dir, const char *name, const char *first);

        /* All that was put is stored, and durable. */
        int (*finish)(struct sink *sink);
        void (*free)(struct sink *sink);

        enum fs_put_mode mode;
        tree_failed_fn failed;
        void *failed_ctx;
};

/* Frees nothing of the caller's: STORE stays open, ROOT too. 0 or -ENOMEM. */
int sink_store_new(struct bm_store *store, struct sink **sinkp);
int sink_mount_new(int root, struct sink **sinkp);

/* ENTRY's meta in memory that the caller frees; NULL: no memory. */
uint8_t *sink_meta(const struct tree_entry *entry, size_t *len);

/* Why a key could not be stored, in words. */
const char *sink_reason(const struct sink *sink, int result);

#endif
