/* SPDX-License-Identifier: MIT */
/*
 * The drives of a store and the segments on them: which directories belong,
 * where a new segment goes, and the table from file id to segment.
 */
#ifndef BM_DRIVES_H
#define BM_DRIVES_H

#include <pthread.h>

#include "bucketmap.h"
#include "index.h"
#include "segment.h"
#include "spares.h"

struct bm_drive {
        char *path;
        int dir;      /* descriptor of the drive's directory */
        int segments; /* of its segments directory */
        bool nomap;   /* segments are written by calls */
        bool in_memory;
        uint8_t uuid[BM_UUID];
};

struct bm_drives {
        /* constant after opening */
        const struct bm_io *io;
        struct bm_superblock superblock;
        struct bm_drive drives[BM_DRIVES_MAX];
        unsigned n_drives;
        bool nomap; /* asked for; a drive's own says whether it is so */
        /* by file id; a slot is set once and cleared when its segment is
         * freed; acquire/release, so that who finds it finds it whole */
        struct bm_segment *_Atomic *table;
        _Atomic bool small_pages; /* for new log segments; relaxed, a hint (log.h) */
        /* guarded by lock */
        pthread_mutex_t lock;
        uint32_t next_file_id; /* where the search for a free one starts */
        unsigned next_drive;
        uint32_t highest_file_id; /* in use at any time so far */
        uint32_t n_segments;      /* in the table */
        struct bm_spares spares;
};

/* Writes superblocks and directories of a new store (create.c). PATHS[0] is the store.
 * Leaves nothing behind on failure. See bm_create for errors. */
int bm_drives_create(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                     const struct bm_config *config);

/* It has been opened and closed: a creation that begins from here on is another's. */
int bm_drives_created(const struct bm_io *io, const char *path);

/* Takes such a store back, after a creation that failed later. Directories
 * that were THERE before stay, empty. */
void bm_drives_destroy(const struct bm_io *io, const char *const *paths, unsigned n_paths,
                       const bool *there);

/*
 * Opens the store at PATH and its further drives, and verifies that they
 * belong together. Takes no lock. The result is deinitialised by the caller,
 * also after a failure.
 */
int bm_drives_open(struct bm_drives *drives, const struct bm_io *io, const char *path,
                   const struct bm_config *config);
void bm_drives_deinit(struct bm_drives *drives);

/* The segment with that file id, or NULL. */
static inline struct bm_segment *bm_drives_segment(const struct bm_drives *drives, uint32_t file_id)
{
        if (file_id > BM_FILE_ID_MAX)
                return NULL;
        return atomic_load_explicit(&drives->table[file_id], memory_order_acquire);
}

/* Makes a segment of the next free file id on the next drive, or one for the log of a spare file,
 * and enters it. SIZE in bytes; a power of two but for an index segment. */
int bm_drives_make(struct bm_drives *drives, enum bm_segment_kind kind, uint64_t size,
                   uint64_t number, uint64_t epoch, uint64_t durable, struct bm_segment **segmentp);

/* The same on the first drive, where the reserve is. */
int bm_drives_make_first(struct bm_drives *drives, enum bm_segment_kind kind, uint64_t size,
                         uint64_t number, uint64_t epoch, uint64_t durable,
                         struct bm_segment **segmentp);

/* Opens every segment file of every drive into the table. Files with a wiped
 * or damaged header, or of another store, are left out and reported to FN. */
int bm_drives_scan(struct bm_drives *drives, bool writable,
                   void (*bad)(void *ctx, unsigned drive, uint32_t file_id, int result), void *ctx);

/* Makes durable what names there are, and what names are gone. */
int bm_drives_sync_names(const struct bm_drives *drives);

/* Takes it from the table, removes the file durably and frees it. */
int bm_drives_remove(struct bm_drives *drives, struct bm_segment *segment);
/* The same for N of them, with one sync of each directory. */
int bm_drives_remove_all(struct bm_drives *drives, struct bm_segment *const *list, size_t n);
/* Locked. Takes it from the table. */
void bm_drives_leave(struct bm_drives *drives, const struct bm_segment *segment);
/* Takes it from the table and frees it; the file stays. */
void bm_drives_forget(struct bm_drives *drives, struct bm_segment *segment);

/* FN for each segment in the table; it returns 0 to go on. It runs under the
 * table's lock, which keeps them from being freed, and must not make or
 * remove one. */
int bm_drives_each(struct bm_drives *drives, int (*fn)(void *ctx, struct bm_segment *segment),
                   void *ctx);

/* All that are in the table now, in *LIST (malloc'd, the caller's). They stay
 * as long as nothing frees them: the holder of the checkpoint lock, or who is
 * alone. */
int bm_drives_list(struct bm_drives *drives, struct bm_segment ***list, size_t *n);

/*
 * The first data segment with an id above *FILE_ID that is in use, pinned
 * (bm_segment_unpin), and its id in *FILE_ID; NULL behind the last. For a
 * walk that takes longer than the table may be locked.
 */
struct bm_segment *bm_drives_pin_next(struct bm_drives *drives, uint32_t *file_id);

/* Disks under the drives, each device once. */
int bm_drives_space(const struct bm_drives *drives, struct bm_io_space *space);

/* Where on which drive something is, for messages: "segment 0000002a on /mnt/a". */
const char *bm_drives_place(const struct bm_drives *drives, const struct bm_segment *segment,
                            char *buf, size_t len);

#endif
