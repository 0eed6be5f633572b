/* SPDX-License-Identifier: MIT */
/*
 * libbucketmap: a persistent hash map with reference counts.
 *
 * A store is a directory (plus further drives). It holds maps; a map takes a
 * key of 1 to 255 bytes (any byte but '/' and NUL) to a record: a value, a
 * reference count of 0 to BM_COUNT_MAX, opaque meta bytes of the caller's,
 * and a record id that is never used again. Several keys, of any maps, may be
 * names of one record (bm_link): what is read or changed through one is read
 * and changed for all, and the record goes with the last.
 *
 * Conventions that hold for every function here:
 *
 *  - It returns 0 for success, a negative errno for a failure that the caller
 *    can only pass on (-EIO, -ENOSPC, -ENOMEM, -EROFS ...), or a positive
 *    enum bm_error for an outcome that the direct caller deals with. Which of
 *    these a function can give stands with it; every one can also give
 *    -EIO (a damaged record or a failing disk), -ENOMEM and, when it changes
 *    something, -ENOSPC, -EROFS (opened read-only, or turned read-only by a
 *    failed sync) and -EINVAL (a key or size outside the limits).
 *  - All may be called from many threads at once, on one store and one map,
 *    unless a line says otherwise. Closing is the exception: no other call
 *    may be running on what is closed.
 *  - Strings and buffers handed in stay the caller's and are not kept after
 *    the call. Sizes are in bytes, times in nanoseconds since the epoch.
 *  - A change is there for every reader, and survives the end of the process
 *    (kill -9 too), as soon as the call returns. It survives a power cut once
 *    bm_sync returned, or the commit interval went by.
 *  - The first bm_create or bm_open of a process installs a handler of SIGBUS,
 *    by which a page of a store's file that cannot be read or written is an
 *    error of the call and not the end of the process. A SIGBUS of another
 *    origin goes to the handler that was there before. A program that installs
 *    its own later must pass on what it does not know to that which it finds;
 *    and no thread that calls the library may block SIGBUS.
 */
#ifndef BUCKETMAP_H
#define BUCKETMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BM_EXPORT  __attribute__((visibility("default")))
#define BM_CHECKED __attribute__((warn_unused_result))

struct bm_store;       /* an open store */
struct bm_map;         /* an open map of it: the first argument of every key operation */
struct bm_cursor;      /* a place in a listing */
struct bm_write_batch; /* changes that take effect together or not at all */
struct bm_ref;         /* names one record, see below */
struct bm_io;          /* the file operations beneath (io.h); NULL: the system's */

/* Limits */

#define BM_KEY_MAX            255u
#define BM_COUNT_MAX          ((UINT64_C(1) << 62) - 1)
#define BM_VALUE_MAX          ((UINT64_C(1) << 44) - 1) /* largest value, bytes */
#define BM_META_MAX           (UINT32_C(68) << 10)      /* largest meta, bytes */
#define BM_BATCH_MAX          (UINT32_C(128) << 10) /* keys, metas and values of one batch, bytes */
#define BM_DRIVES_MAX         64u
#define BM_LINKS_MAX          UINT32_MAX /* names of one record */
#define BM_MAX_SEARCH_DEFAULT 32u        /* slots that a probe looks at */
#define BM_BUCKETS_DEFAULT    16u        /* buckets of the root map */

/* Outcomes that a direct caller deals with */

enum bm_error {
        BM_E_NOT_FOUND = 1, /* no such key (or map) */
        BM_E_EXISTS,        /* the key is there already */
        BM_E_STALE,         /* the key is there, but another record id */
        BM_E_COUNT, /* the count is not what the call asked for, or would leave 0..BM_COUNT_MAX */
        BM_E_INDEX_NO_SPACE, /* bm_try_write: the probe window is full; grow the index */
        BM_E_DATA_NO_SPACE,  /* bm_try_write: the log segment is full; grow the data */
        BM_E_NOT_EMPTY,      /* the map still has keys */
        BM_E_IS_MAP,         /* the key names a map, the call wants a value */
        BM_E_NOT_MAP,        /* the key names a value, the call wants a map */
        BM_E_LOOP,           /* a map would come to lie within itself */
        BM_E_NOT_A_STORE,    /* no superblock of ours; nothing was changed */
        BM_E_NOT_EMPTY_DIR, /* bm_create: the directory holds something else; nothing was changed */
        BM_E_IN_USE,        /* another process has the store open */
        BM_E_NEWER_FORMAT,  /* the store wants a newer program */
        BM_E_DAMAGED,  /* a checksum or an invariant does not hold; bm_last_problem says where */
        BM_E_MISMATCH, /* a setting differs from the one chosen at creation, or a drive is missing
                          or foreign */
        BM_E_OLDER_FORMAT, /* the store wants the older program that made it */
};

/*
 * A short English sentence for either sort of result. Never NULL; static, or
 * valid until the next call in the same thread.
 */
BM_EXPORT const char *bm_strerror(int result);

/*
 * What the calling thread's last failed bm_create/bm_open/bm_check found,
 * with the place: "drive 1 (/mnt/b): uuid differs", "process 812, mounted at
 * /mnt". Empty if there is nothing to add. Valid until the thread's next call.
 */
BM_EXPORT const char *bm_last_problem(void);

/* Opening and closing */

enum bm_log_level { BM_LOG_ERROR, BM_LOG_WARNING, BM_LOG_INFO };

struct bm_config {
        const char *const
                *drives; /* further directories, n_drives of them; at creation, else checked */
        size_t n_drives;
        unsigned n_buckets;  /* of the root map: power of two, 1..65536; 0: default / as stored */
        unsigned max_search; /* slots, a multiple of 4 from 4 to 1024; 0: default / as stored */
        uint64_t expected_keys;   /* of the root map: chooses n_buckets at creation, if that is
                                     0; while open, index blocks grow for so many. 0: unknown */
        unsigned commit_interval; /* seconds between syncs that nobody asked for; 0: 5 */
        bool read_only;           /* writes nothing, not even recovery, which is done in memory */
        bool stamp_times;         /* adding and removing keys sets the map's time (bm_map_info) */
        bool nomap; /* write by calls, not into mappings; by itself where the filesystem copies on
                       write or is not known to overwrite in place */
        bool no_background;     /* no compaction, checkpoint or commit by itself: for tests */
        const char *owner_note; /* kept beside the lock for BM_E_IN_USE, e.g. "mounted at /mnt" */
        void (*log)(void *ctx, enum bm_log_level level, const char *message);
        void *log_ctx;
        const struct bm_io *io;
};

#define BM_CONFIG_INIT ((struct bm_config){0})

/*
 * Makes a store in PATH, which must not exist (its parent must) or be an
 * empty directory, as must every drive; what a creation that was cut short
 * left there is no obstacle. It is durable when this returns, and not open. On
 * failure nothing is left behind.
 * Errors: BM_E_NOT_EMPTY_DIR, BM_E_IN_USE, -ENOENT, -EACCES, -EINVAL (bad setting), -ENOSPC.
 */
BM_EXPORT BM_CHECKED int bm_create(const char *path, const struct bm_config *config);

/*
 * Opens the store at PATH, alone unless read_only, where only another writer
 * is kept out. After a clean close nothing is replayed; after a crash the
 * log's tail is. Settings left 0 are taken from the store.
 * The store is the caller's, to be closed with bm_close.
 * Errors: BM_E_NOT_A_STORE, BM_E_IN_USE, BM_E_NEWER_FORMAT, BM_E_OLDER_FORMAT, BM_E_DAMAGED,
 * BM_E_MISMATCH, -ENOENT, -EACCES.
 */
BM_EXPORT BM_CHECKED int bm_open(const char *path, const struct bm_config *config,
                                 struct bm_store **storep);

/*
 * Syncs, writes a checkpoint, and frees the store; its maps, views, cursors
 * and batches must have been closed. The store is freed in any case; a
 * negative result says that the last sync or checkpoint failed, and then the
 * next open replays. NULL is allowed.
 */
BM_EXPORT int bm_close(struct bm_store *store);

/*
 * Path of drive I: 0 is the store itself, the further ones follow. NULL if it
 * has not as many. Lives as long as the store.
 */
BM_EXPORT const char *bm_drive_path(const struct bm_store *store, unsigned i);

/* Replaces the note that BM_E_IN_USE reports to others. */
BM_EXPORT int bm_set_owner_note(struct bm_store *store, const char *note);

/*
 * Makes everything that was done before the call durable; callers at the same
 * time share one flush of the disks. After a failed sync this and every later
 * sync is -EIO, and changes are -EROFS until the store is opened again.
 */
BM_EXPORT BM_CHECKED int bm_sync(struct bm_store *store);

/*
 * The same without waiting: DONE is called exactly once, with 0 or a negative
 * errno, from a thread of the store's (or from the caller's if there is
 * nothing to do). It must not call the store back.
 */
BM_EXPORT void bm_sync_start(struct bm_store *store, void (*done)(void *ctx, int result),
                             void *ctx);

/* Writes an index checkpoint now, which bounds what the next open replays. */
BM_EXPORT BM_CHECKED int bm_checkpoint(struct bm_store *store);

/*
 * Compacts until nothing more can be had, or nothing was gained. For tools
 * and tests: the background does this by itself as garbage gathers.
 */
BM_EXPORT BM_CHECKED int bm_compact(struct bm_store *store);

/* Maps */

/* The root map, open for as long as the store is; not to be closed. */
BM_EXPORT struct bm_map *bm_root(struct bm_store *store);

/*
 * Names the root map's own entry, whose record id is 1, for bm_read_ref and
 * bm_set_meta; what REF points to lives as long as the store.
 */
BM_EXPORT void bm_root_ref(struct bm_store *store, struct bm_ref *ref);

/* The store that MAP belongs to. */
BM_EXPORT struct bm_store *bm_map_store(struct bm_map *map);

/* Opens the map with that id (bm_view.map_id). Errors: BM_E_NOT_FOUND. */
BM_EXPORT BM_CHECKED int bm_map_open(struct bm_store *store, uint64_t map_id, struct bm_map **mapp);

/* Lets go of it. NULL and the root are allowed. A map may be removed while
 * open; what is called on it then gives BM_E_NOT_FOUND. */
BM_EXPORT void bm_map_close(struct bm_map *map);

struct bm_map_info {
        uint64_t map_id;
        uint64_t parent_id;   /* map that holds the entry; of the root: its own id */
        uint64_t record_id;   /* of the entry in the parent */
        uint64_t n_keys;      /* maps among them included */
        uint64_t n_maps;      /* keys that are maps */
        int64_t changed_ns;   /* when a key was last added or removed; 0: unknown */
        uint64_t value_bytes; /* sum of the inline and large values' lengths */
};

BM_EXPORT BM_CHECKED int bm_map_info(struct bm_map *map, struct bm_map_info *info);

/*
 * Makes an empty map under KEY of PARENT. *MAP_ID and *RECORD_ID may be NULL.
 * Errors: BM_E_EXISTS, BM_E_NOT_FOUND (PARENT is gone).
 */
BM_EXPORT BM_CHECKED int bm_map_create(struct bm_map *parent, const void *key, size_t key_len,
                                       const void *meta, size_t meta_len, uint64_t *map_id,
                                       uint64_t *record_id);

/* Removes an empty map. Errors: BM_E_NOT_FOUND, BM_E_NOT_MAP, BM_E_NOT_EMPTY. */
BM_EXPORT BM_CHECKED int bm_map_remove(struct bm_map *parent, const void *key, size_t key_len);

/* Reading */

/*
 * What a record holds. Pointers lead into the store and stay good until
 * bm_view_release, whatever happens to the key meanwhile. Whatever happens to
 * the disk, reading through them does not end the process: bm_view_intact.
 */
struct bm_view {
        uint64_t record_id;
        uint64_t count;
        uint64_t size;      /* of the value, bytes */
        uint64_t allocated; /* bytes that the value takes on disk, holes left out */
        uint64_t map_id;    /* of the map that the key names; 0: it is a value */
        uint32_t links;     /* names that the record has; 0: an orphan */
        const void *value;  /* NULL if large or a map: bm_read_at; and of bm_read_attr */
        const void *meta;   /* NULL if meta_len is 0 */
        uint32_t meta_len;
        bool large; /* the value is kept in chunks */
        bool by_id; /* it has, or had, several names: bm_id_ref leads to it */
        void *pin_; /* the library's */
};

#define BM_VIEW_INIT ((struct bm_view){0})

/*
 * Finds KEY and shows its record. *VIEW need not be initialised; after
 * success it is to be released. Errors: BM_E_NOT_FOUND.
 */
BM_EXPORT BM_CHECKED int bm_read_value(struct bm_map *map, const void *key, size_t key_len,
                                       struct bm_view *view);

/*
 * The same for N keys of a map at once, each for itself: RESULTS[i] is what bm_read_value would
 * have given for KEYS[i], and VIEWS[i] its view. Where most of a store is not in the processor's
 * caches the waits for memory overlap, so that many keys take a fraction of the time that as many
 * calls do; from eight on.
 */
struct bm_key {
        const void *key;
        size_t key_len;
};

BM_EXPORT void bm_read_values(struct bm_map *map, const struct bm_key *keys, size_t n,
                              struct bm_view *views, int *results);

/*
 * Whether what was read through the view until now was what the store holds:
 * 0, or -EIO. A page that the medium stops giving (a bad sector, a file that
 * somebody cut) reads as zeros from then on, so whoever acts on what it read
 * asks this first. Costs next to nothing.
 */
BM_EXPORT int bm_view_intact(const struct bm_view *view);

/* Ends the view; one that was released or is all zero is allowed. Returns
 * what bm_view_intact would have. */
BM_EXPORT int bm_view_release(struct bm_view *view);

/*
 * Names one record: a key, and the id that the record under it must have
 * (0: any). With an id that does not match the call gives BM_E_STALE.
 */
struct bm_ref {
        struct bm_map *map;
        const void *key;
        size_t key_len;
        uint64_t record_id;
};

/* As bm_read_value. Errors: BM_E_NOT_FOUND, BM_E_STALE. */
BM_EXPORT BM_CHECKED int bm_read_ref(const struct bm_ref *ref, struct bm_view *view);

/*
 * The same without the value, which is neither read nor verified: VIEW->value is NULL. For whoever
 * wants to know only what a record says beside its value, which may be cold, or damaged.
 */
BM_EXPORT BM_CHECKED int bm_read_attr(const struct bm_ref *ref, struct bm_view *view);

/*
 * Copies up to LEN bytes from OFFSET of the value into BUF; *DONE says how
 * many: fewer only at the end of the value. Holes read as zeros. Of a value
 * that is written meanwhile each chunk is read whole, before or after.
 * Errors: BM_E_NOT_FOUND, BM_E_STALE, BM_E_IS_MAP.
 */
BM_EXPORT BM_CHECKED int bm_read_at(const struct bm_ref *ref, uint64_t offset, void *buf,
                                    size_t len, size_t *done);

/*
 * Where a key's own record stands in the index; a snapshot, for tools and
 * tests. A name of a linked record stands for itself there, with that
 * record's id and no count.
 */
struct bm_entry {
        uint64_t hash;
        uint64_t record_id;
        uint64_t count;
        uint32_t bucket;
        uint32_t block_depth; /* hash bits that chose the block, after the bucket's */
        uint32_t slot;        /* within the block */
        uint32_t probes;      /* lines looked at to find it */
        uint32_t file_id;     /* segment of the record */
        uint64_t offset;      /* in it, bytes */
};

/* Errors: BM_E_NOT_FOUND. */
BM_EXPORT BM_CHECKED int bm_find_entry(struct bm_map *map, const void *key, size_t key_len,
                                       struct bm_entry *entry);

/* Writing */

/*
 * Stores VALUE and COUNT under KEY, in place of what was there (which gives
 * up its value, count and meta but keeps its record id). The index and the
 * data grow as often as needed. Values of any length to BM_VALUE_MAX.
 * Errors: BM_E_IS_MAP, BM_E_COUNT (COUNT too large).
 */
BM_EXPORT BM_CHECKED int bm_insert(struct bm_map *map, const void *key, size_t key_len,
                                   const void *value, size_t value_len, uint64_t count);

/*
 * The same, but where there is no room it leaves no trace and says so:
 * BM_E_INDEX_NO_SPACE or BM_E_DATA_NO_SPACE, with in *CAPACITY (may be NULL)
 * what bm_grow_index or bm_grow_data wants to hear. VALUE is at most
 * 16 KiB (-EFBIG).
 */
BM_EXPORT BM_CHECKED int bm_try_write(struct bm_map *map, const void *key, size_t key_len,
                                      const void *value, size_t value_len, uint64_t count,
                                      uint64_t *capacity);

/*
 * Prepares a larger index for the part of MAP where KEY belongs, aside, while
 * readers go on; the next writer there installs it. CAPACITY is the number of
 * slots that the caller saw to be full: if it has changed since, or another
 * thread is at it, nothing is done (0).
 */
BM_EXPORT BM_CHECKED int bm_grow_index(struct bm_map *map, const void *key, size_t key_len,
                                       uint64_t capacity);

/*
 * Prepares the next log segment; the next writer that finds the present one
 * full goes on in it. CAPACITY is the segment number that was seen to be full.
 */
BM_EXPORT BM_CHECKED int bm_grow_data(struct bm_store *store, uint64_t capacity);

enum bm_verdict { BM_KEEP, BM_PUT, BM_DELETE };

/* What bm_update's callback wants stored; preset to what there is. */
struct bm_next {
        const void *value; /* at most 16 KiB, or the present one untouched */
        size_t value_len;
        const void *meta;
        size_t meta_len;
        uint64_t count;
};

/*
 * NOW is what is there, NULL if nothing is; large values have no NOW->value, and stay as they are
 * while NEXT->value is NULL.
 * Runs under the bucket's lock: it must not call the store, and may be called
 * more than once. What NEXT points to must stay until bm_update returns.
 */
typedef enum bm_verdict (*bm_update_fn)(void *ctx, const struct bm_view *now, struct bm_next *next);

/* Changes a record in one step. Errors: BM_E_IS_MAP, BM_E_COUNT, -EFBIG. */
BM_EXPORT BM_CHECKED int bm_update(struct bm_map *map, const void *key, size_t key_len,
                                   bm_update_fn fn, void *ctx);

/* Removes a key and its value. Errors: BM_E_NOT_FOUND, BM_E_IS_MAP. */
BM_EXPORT BM_CHECKED int bm_delete_key(struct bm_map *map, const void *key, size_t key_len);

/* Removes it if its count is COUNT. Errors: BM_E_NOT_FOUND, BM_E_IS_MAP, BM_E_COUNT. */
BM_EXPORT BM_CHECKED int bm_delete_if_count(struct bm_map *map, const void *key, size_t key_len,
                                            uint64_t count);

/*
 * Add one to the count, take one from it. *COUNT (may be NULL) gets the new
 * one. A count of 0 deletes nothing. Errors: BM_E_NOT_FOUND, BM_E_STALE,
 * BM_E_IS_MAP, BM_E_COUNT (it would leave 0..BM_COUNT_MAX; it stays).
 */
BM_EXPORT BM_CHECKED int bm_addref(struct bm_map *map, const void *key, size_t key_len,
                                   uint64_t *count);
BM_EXPORT BM_CHECKED int bm_unref(struct bm_map *map, const void *key, size_t key_len,
                                  uint64_t *count);

/* Adds DELTA (may be negative) to the count, or sets it, of one record. */
BM_EXPORT BM_CHECKED int bm_count_add(const struct bm_ref *ref, int64_t delta, uint64_t *count);
BM_EXPORT BM_CHECKED int bm_count_set(const struct bm_ref *ref, uint64_t count);

/* Records with meta: what a filesystem needs */

/*
 * Makes a record that must not be there yet, with count 1. VALUE is at most
 * 16 KiB. Errors: BM_E_EXISTS, BM_E_NOT_FOUND (the map is gone), -EFBIG.
 */
BM_EXPORT BM_CHECKED int bm_create_record(struct bm_map *map, const void *key, size_t key_len,
                                          const void *value, size_t value_len, const void *meta,
                                          size_t meta_len, uint64_t *record_id);

/*
 * Gives the new meta of a record: NOW is the record as it is before the
 * change, perhaps without its value, META has room for BM_META_MAX bytes, *META_LEN is preset to
 * the present length and META to the present bytes. Returns 0, or a negative errno that ends the
 * operation, which then changes nothing. Runs under the bucket's lock: it must not call the store,
 * and may be called more than once.
 */
typedef int (*bm_meta_fn)(void *ctx, const struct bm_view *now, void *meta, size_t *meta_len);

/* Rewrites the meta of a value or a map. Errors: BM_E_NOT_FOUND, BM_E_STALE. */
BM_EXPORT BM_CHECKED int bm_set_meta(const struct bm_ref *ref, bm_meta_fn fn, void *ctx);

/*
 * Writes LEN bytes (of 0 nothing is done, nor is REF looked for) at OFFSET of
 * the value, which grows if needed, and lets FN (may be NULL) change the meta
 * with it. A long write goes chunk by chunk (32 KiB), FN being called with
 * each: a crash may leave the first ones; each is there wholly or not. *DONE
 * says how many bytes were written, also after an error.
 * Errors: BM_E_NOT_FOUND, BM_E_STALE, BM_E_IS_MAP, -EFBIG (over BM_VALUE_MAX).
 */
BM_EXPORT BM_CHECKED int bm_write_at(const struct bm_ref *ref, uint64_t offset, const void *buf,
                                     size_t len, bm_meta_fn fn, void *ctx, size_t *done);

/* Cuts the value or extends it with a hole; FN as above. Errors: as bm_write_at. */
BM_EXPORT BM_CHECKED int bm_truncate(const struct bm_ref *ref, uint64_t size, bm_meta_fn fn,
                                     void *ctx);

/* Holes: parts of a large value that read as zeros and take no space. They
 * come in chunks of 32 KiB. */

/*
 * *FOUND gets the first byte from OFFSET on that has data, or that is in a
 * hole; the end of the value counts as one. Of a value that is written
 * meanwhile the answer was right at some moment. A walk through memory of 32
 * Ki chunks a GiB, holes too; where data is known to be everywhere, or
 * nowhere, none. Errors: -ENXIO (OFFSET is not below the size; only a hole
 * follows), BM_E_NOT_FOUND, BM_E_STALE, BM_E_IS_MAP.
 */
BM_EXPORT BM_CHECKED int bm_seek_data(const struct bm_ref *ref, uint64_t offset, uint64_t *found);
BM_EXPORT BM_CHECKED int bm_seek_hole(const struct bm_ref *ref, uint64_t offset, uint64_t *found);

/*
 * Makes LEN bytes from OFFSET zeros, and gives the space of whole chunks back,
 * what was allocated beyond the value's end included; the size stays. FN as in bm_write_at. Up to
 * 128 MiB it goes in steps of 2 MiB, of which a crash may leave the first ones; more is one step.
 * Errors: as bm_write_at.
 */
BM_EXPORT BM_CHECKED int bm_punch(const struct bm_ref *ref, uint64_t offset, uint64_t len,
                                  bm_meta_fn fn, void *ctx);

enum {
        BM_ALLOCATE_ZERO = 1,     /* what is there becomes zeros, too */
        BM_ALLOCATE_KEEP_SIZE = 2 /* the value does not grow: what is beyond its end waits there */
};

/*
 * Takes the space of LEN bytes from OFFSET: what is not there is written, as
 * zeros; the value grows if needed. That is no promise for later: a write there
 * needs room in the log before it frees what it replaces. What waits beyond the
 * end becomes part of the value when it grows, and is given back by bm_punch
 * and by bm_truncate to the value's size or less. Goes chunk by chunk
 * as bm_write_at does; *DONE says how far it came, also after an error.
 * Errors: as bm_write_at, -EINVAL (unknown flag).
 */
BM_EXPORT BM_CHECKED int bm_allocate(const struct bm_ref *ref, uint64_t offset, uint64_t len,
                                     unsigned flags, bm_meta_fn fn, void *ctx, uint64_t *done);

struct bm_remove_args {
        bool orphan;   /* keep the record until bm_orphan_release: it is still open */
        bool guard;    /* BM_E_COUNT if this is the last name and the count is above 1 */
        bool if_count; /* BM_E_COUNT unless the count is COUNT */
        uint64_t count;
        bm_meta_fn meta_fn;   /* with orphan: changes the meta of what stays; may be NULL */
        bm_meta_fn linked_fn; /* that of a record that keeps other names; may be NULL */
        void *meta_ctx;
        uint32_t *links; /* out: names that are left; may be NULL */
};

/*
 * Removes a name, and with the last one its value: guard and orphan are about
 * that. A condition on the count is one on the record's, whichever name goes.
 * On a full disk it has room unless the meta of what stays grows by more than 64 bytes.
 * Errors: BM_E_NOT_FOUND, BM_E_STALE, BM_E_IS_MAP, BM_E_COUNT.
 */
BM_EXPORT BM_CHECKED int bm_remove(const struct bm_ref *ref, const struct bm_remove_args *args);

/*
 * How to name a removed record that was kept: fills REF so that bm_read_ref,
 * bm_read_at, bm_write_at, bm_truncate, bm_set_meta and bm_count_* work on
 * it. KEY is 8 bytes of the caller's that REF points to. Orphans do not
 * survive the process.
 */
BM_EXPORT void bm_orphan_ref(struct bm_store *store, uint64_t record_id, uint8_t key[8],
                             struct bm_ref *ref);

/* Frees a kept record. BM_E_NOT_FOUND if there is none. */
BM_EXPORT BM_CHECKED int bm_orphan_release(struct bm_store *store, uint64_t record_id);

struct bm_rename_args {
        bool no_replace;      /* BM_E_EXISTS if the target is there */
        bool exchange;        /* swap the two names; counts stay with their records */
        bool orphan_victim;   /* keep what is replaced until bm_orphan_release */
        bool guard;           /* unused names: see bm_remove_args; an overwrite is never refused */
        bm_meta_fn moved_fn;  /* changes the meta of a record that gets a new name, or that loses
                                 one of several; may be NULL */
        bm_meta_fn victim_fn; /* that of a kept victim; may be NULL */
        void *meta_ctx;
        uint64_t victim_id;    /* out: record id of what was replaced or exchanged; 0: none */
        uint32_t victim_links; /* out: names that are left to what was replaced */
};

/*
 * Moves a record, or a map with all in it, to another name, in one step also
 * across a crash. What is replaced goes (an empty map, or a value); the
 * result has the source's count if that is not 1, else the victim's. A victim
 * that has other names keeps them, its value and its count.
 * Errors: BM_E_NOT_FOUND (source, or target's map), BM_E_STALE (source),
 * BM_E_EXISTS, BM_E_IS_MAP (a value onto a map), BM_E_NOT_MAP (a map onto a
 * value), BM_E_NOT_EMPTY, BM_E_LOOP. Renaming to itself, or to another name of
 * the same record, does nothing: both names stay.
 */
BM_EXPORT BM_CHECKED int bm_rename(const struct bm_ref *from, struct bm_map *to_map,
                                   const void *to_key, size_t to_key_len,
                                   struct bm_rename_args *args);

/* Links */

/*
 * Gives the record that FROM names one more name, in this map or another, in
 * one step also across a crash; FN (may be NULL) changes its meta. From then
 * on every operation on one of the names is one on the record: value, meta,
 * count and record id are the same. Removing a name leaves the others.
 * Maps cannot be linked, nor orphans, whose last name is gone.
 * Errors: BM_E_NOT_FOUND (source, or target's map), BM_E_STALE, BM_E_EXISTS,
 * BM_E_IS_MAP, -EMLINK (over BM_LINKS_MAX).
 */
BM_EXPORT BM_CHECKED int bm_link(const struct bm_ref *from, struct bm_map *to_map,
                                 const void *to_key, size_t to_key_len, bm_meta_fn fn, void *ctx);

/*
 * How to name a record that has, or had, several names (bm_view.by_id),
 * whatever becomes of each: fills REF so that bm_read_ref, bm_read_at,
 * bm_write_at, bm_truncate, bm_set_meta, bm_count_* and bm_link work on it
 * until its last name goes. KEY is 8 bytes of the caller's that REF points to.
 */
BM_EXPORT void bm_id_ref(struct bm_store *store, uint64_t record_id, uint8_t key[8],
                         struct bm_ref *ref);

/* Batches */

/*
 * Not atomic: inserts keys that are not there, with count 1; one that is there
 * stays as it is and is reported. Of equal keys within the batch the last
 * wins and the others are reported, with the winner's value.
 */
struct bm_batch_item {
        const void *key;
        size_t key_len;
        const void *value; /* at most 16 KiB */
        size_t value_len;
};

/* DUPLICATE is called for each item that was not inserted: its place in the
 * batch and what is there instead. It must not call the store. */
BM_EXPORT BM_CHECKED int
bm_batch_insert(struct bm_map *map, const struct bm_batch_item *items, size_t n_items,
                void (*duplicate)(void *ctx, size_t item, const struct bm_view *existing),
                void *ctx);

/* Hint of how many keys MAP will hold: the next growths go there in larger steps. */
BM_EXPORT void bm_set_anticipated_count(struct bm_map *map, uint64_t n_keys);

/*
 * Atomic: after a crash all of the batch is there or nothing of it, and no
 * reader sees a part. Bytes handed in are copied. A value is at most 16 KiB; at most BM_BATCH_MAX
 * bytes in all, and 240 KiB with 56 more for each change (-EFBIG). A batch belongs to one thread.
 * Errors of commit: those of the single operations, for the first item that fails; then nothing is
 * done. Also -EFBIG: names go whose records keep others, and all of these, which are written again,
 * come to more than 240 KiB.
 */
BM_EXPORT BM_CHECKED int bm_write_batch_new(struct bm_store *store, struct bm_write_batch **batchp);
BM_EXPORT struct bm_write_batch *bm_write_batch_free(struct bm_write_batch *batch);
BM_EXPORT BM_CHECKED int bm_write_batch_insert(struct bm_write_batch *batch, struct bm_map *map,
                                               const void *key, size_t key_len, const void *value,
                                               size_t value_len, uint64_t count);
/* Deleting an absent key is no error in a batch. One that does nothing else, and comes to at most
 * 32 KiB with 56 bytes more for each, has room on a full disk, too. */
BM_EXPORT BM_CHECKED int bm_write_batch_delete(struct bm_write_batch *batch, struct bm_map *map,
                                               const void *key, size_t key_len);
/* Sets the count of a key that must be there (BM_E_NOT_FOUND at commit, or now if the batch deletes
 * it). */
BM_EXPORT BM_CHECKED int bm_write_batch_count(struct bm_write_batch *batch, struct bm_map *map,
                                              const void *key, size_t key_len, uint64_t count);
/* Adds DELTA, which may be negative, to the count of a key that must be there, likewise.
 * BM_E_COUNT, now or at commit: the sum would leave 0..BM_COUNT_MAX. */
BM_EXPORT BM_CHECKED int bm_write_batch_addref(struct bm_write_batch *batch, struct bm_map *map,
                                               const void *key, size_t key_len, int64_t delta);
/* Carries it out and empties the batch. */
BM_EXPORT BM_CHECKED int bm_write_batch_commit(struct bm_write_batch *batch);

/* Listing */

/*
 * A listing goes through a map in the order of the keys' hashes, in bounded
 * memory, while the map changes: a key that is there all the time is returned
 * exactly once, one that comes or goes meanwhile once or not at all. A
 * position is a cookie of 63 bits, greater than 2, that stays good for ever:
 * listing on from it gives what lies behind it. A cursor belongs to one thread.
 */
struct bm_item {
        const void *key; /* good until the next call on the cursor */
        size_t key_len;
        uint64_t cookie; /* position behind this item */
        struct bm_view view;
};

/* FROM: a cookie, 0 for the start. The map must stay open. */
BM_EXPORT BM_CHECKED int bm_cursor_open(struct bm_map *map, uint64_t from,
                                        struct bm_cursor **cursorp);

/* The same, for items without values: their views are as bm_read_attr gives them. */
BM_EXPORT BM_CHECKED int bm_cursor_open_attr(struct bm_map *map, uint64_t from,
                                             struct bm_cursor **cursorp);

/*
 * The next item; BM_E_NOT_FOUND at the end. The view is the cursor's, good
 * until its next call. An item that cannot be read gives -EIO, and the next
 * call goes on behind it.
 */
BM_EXPORT BM_CHECKED int bm_cursor_next(struct bm_cursor *cursor, struct bm_item *item);

/* NULL is allowed; returns NULL. */
BM_EXPORT struct bm_cursor *bm_cursor_close(struct bm_cursor *cursor);

/* FN returns 0 to go on; anything else ends the walk and is returned. */
typedef int (*bm_item_fn)(void *ctx, const struct bm_item *item);

/* Every key of the map, in bounded memory. FN may call the store. */
BM_EXPORT BM_CHECKED int bm_keys(struct bm_map *map, bm_item_fn fn, void *ctx);

/*
 * Every key whose hash is in [FIRST, LAST]: ranges that tile 0..UINT64_MAX
 * share a scan among threads.
 */
BM_EXPORT BM_CHECKED int bm_items_in_range(struct bm_map *map, uint64_t first, uint64_t last,
                                           bm_item_fn fn, void *ctx);

/* Figures */

struct bm_grow_stats {
        uint64_t resizes;        /* installed */
        uint64_t failed_resizes; /* prepared in vain, or not to be had */
        uint64_t max_size;       /* largest ever: slots of a block, bytes of a segment */
        uint64_t resize_us;      /* time spent preparing */
        uint64_t longest_us;     /* of one */
        uint64_t new_file_us;
        uint64_t flush_file_us;
        uint64_t mmap_us;
        uint64_t file_count;
        uint64_t total_file_size; /* bytes */
};

struct bm_stats {
        uint32_t format_major, format_minor;
        uint8_t uuid[16];
        int64_t created_ns;
        uint32_t n_drives;
        uint32_t nomap_drives; /* of them, written by calls: bm_config.nomap */
        uint32_t n_buckets;    /* of the root map */
        uint32_t max_search;   /* slots */
        uint64_t keys;         /* in all maps, maps not counted */
        uint64_t maps;         /* the root included */
        uint64_t value_bytes;
        uint64_t disk_bytes; /* allocated for the store's files, reserve and prepared space included
                              */
        uint64_t reclaimable_bytes; /* in sealed segments, dead */
        uint64_t live_bytes;        /* of records */
        uint64_t segments;
        uint64_t segment_bytes;
        uint64_t index_bytes; /* in memory, or on disk where not loaded */
        uint64_t index_slots;
        uint64_t index_used; /* slots */
        uint64_t index_splits, index_grows;
        uint64_t longest_probe; /* lines */
        uint64_t find_entry_us; /* 0 unless sampled */
        struct bm_grow_stats index, data;
        uint64_t log_bytes; /* written since open */
        uint64_t syncs;
        uint64_t checkpoints;
        uint64_t compacted_bytes;  /* read */
        uint64_t replayed_records; /* by this open */
        uint64_t replay_bytes;     /* what an open after a crash now would read */
        bool read_only;            /* opened so, or turned so by a failed sync */
        bool clean_open;           /* nothing was replayed */
};

BM_EXPORT BM_CHECKED int bm_stats(struct bm_store *store, struct bm_stats *stats);

/* What statfs wants to know, in O(1). */
struct bm_space {
        uint64_t total_bytes;     /* of the disks under the drives, each counted once */
        uint64_t free_bytes;      /* free on them, and what files kept to be written again have */
        uint64_t available_bytes; /* of that, for an ordinary user; 0 while changes are refused */
        uint64_t keys;
};

BM_EXPORT BM_CHECKED int bm_space(struct bm_store *store, struct bm_space *space);

/* One segment, for bm_segments: how full and how much of it lives. */
struct bm_segment_info {
        uint32_t file_id;
        uint32_t drive;
        const char *kind; /* "log", "cold", "index" */
        uint64_t number;
        uint64_t size, used, live; /* bytes */
};

BM_EXPORT BM_CHECKED int bm_segments(struct bm_store *store,
                                     int (*fn)(void *ctx, const struct bm_segment_info *info),
                                     void *ctx);

/* Checking */

enum bm_check_kind {
        BM_CHECK_RECORD,   /* a record that a key needs is damaged */
        BM_CHECK_DEAD,     /* a damaged record that nobody needs */
        BM_CHECK_INDEX,    /* an index block, manifest or table is damaged */
        BM_CHECK_STRUCTURE /* an invariant does not hold */
};

struct bm_finding {
        enum bm_check_kind kind;
        uint64_t map_id; /* 0: unknown */
        const void *key; /* NULL: unknown or none */
        size_t key_len;
        const char *path;    /* names of the maps above, '/' behind each, shell-unsafe bytes as they
                                are; "" in the root map, but "./" without a key */
        const char *message; /* what is wrong, and where */
};

struct bm_check_args {
        void (*finding)(void *ctx, const struct bm_finding *finding);
        /* May be NULL. Called every 16 KiB or so. Not 0: ends the check, which returns it. */
        int (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
        void *ctx;
};

/*
 * Verifies every checksum and invariant of an open store. Writes nothing, and
 * holds up nobody for longer than a look at one block of the index: others may
 * read, write, move and remove meanwhile, and nothing that they do is taken for
 * damage. Memory: 16 bytes for each large value, the index, and what is found.
 * A second check waits for the first. BM_E_DAMAGED if there was a finding; a
 * negative errno if something could not be read at all.
 */
BM_EXPORT BM_CHECKED int bm_check(struct bm_store *store, const struct bm_check_args *args);

struct bm_repair_args {
        bool dry_run; /* says what it would do, and writes nothing */
        /* What is damaged, what is lost and what becomes of the rest; and as in bm_check_args. */
        void (*finding)(void *ctx, const struct bm_finding *finding);
        int (*progress)(void *ctx, uint64_t done_bytes, uint64_t total_bytes);
        void *ctx;
};

/*
 * Makes a damaged store whole. What is intact stays; each key that is lost is
 * a finding. What is intact and has lost its place goes to the map
 * "lost+found" of the root: maps and values without a name, and large values
 * that have lost some of their bytes, which would read as zeros under the name
 * that programs know. A value keeps its count. Nothing of the old store is
 * overwritten or removed before the new state is durable: that needs room for
 * a copy of all that lives.
 * 0: nothing was damaged, nothing is written. BM_E_DAMAGED: it was; all is
 * said. Errors: as bm_open, but -EIO where too little is left to begin with:
 * no superblock is whole, say. BM_E_MISMATCH for a missing or foreign drive.
 */
BM_EXPORT BM_CHECKED int bm_repair(const char *path, const struct bm_config *config,
                                   const struct bm_repair_args *args);

#ifdef __cplusplus
}
#endif
#endif
