/* SPDX-License-Identifier: MIT */
/*
 * A bucket: one shard of a map, with its index; and how a key leads to its
 * record in it. What is called "locked" here needs the bucket's stripe
 * (store.h), shared for looking, exclusive for changing.
 */
#ifndef BM_BUCKET_H
#define BM_BUCKET_H

#include <pthread.h>

#include "index.h"
#include "segment.h"

struct bm_map;
struct bm_store;

/* All guarded by the bucket's stripe; the figures may be read without it. */
struct bm_bucket {
        struct bm_index index;
        _Atomic uint64_t value_bytes; /* of its records */
        _Atomic uint64_t n_maps;      /* records that are maps */
        /* what the two changed by for keys that the checkpoint under way had copied by then */
        uint64_t late_bytes, late_maps;
        uint64_t applied; /* after a crash: log position that the loaded index includes, at least */
};

/* What is believed of a record before its checksum is verified. */
enum bm_trust {
        BM_TRUST_NOTHING,
        BM_TRUST_VALUE,   /* that its value is what was stored: nobody looks at it */
        BM_TRUST_KEY,     /* that it is the key's: what it says beyond is for bm_found_verify */
        BM_TRUST_PATCHED, /* the same of a chunk that has patches, of others nothing */
        BM_TRUST_ALL,     /* it goes, whatever it says: so nothing but its key matters */
};

/* A key on its way: where it belongs. */
struct bm_target {
        struct bm_map *map;
        const uint8_t *key; /* NULL: the 8 bytes of by_record */
        size_t key_len;
        uint64_t hash;
        uint64_t by_record; /* not 0: the record of that id is meant, whatever its key */
        enum bm_trust trust;
        struct bm_bucket *bucket;
        unsigned stripe;
};

/* What is there under a key. Pointers in RECORD are good as long as the lock
 * is held, or SEGMENT pinned. */
struct bm_found {
        bool there;
        struct bm_place place;
        struct bm_slot slot;
        struct bm_segment *segment;
        struct bm_record record;
        uint64_t count;
        uint32_t links;         /* names of the record; 0: an orphan */
        bool by_id;             /* it is kept under its id, in BM_MAP_INODES */
        enum bm_trust trust;    /* what of it was believed, and is not verified */
        uint64_t used_discs[4]; /* bit set: discriminators that equal hashes have */
};

/* The stripe that guards bucket number BUCKET of a map. */
unsigned bm_stripe_of(uint64_t map_id, uint64_t bucket);

/* Locks a stripe exclusively; for reading. 0 */
int bm_stripe_lock(pthread_rwlock_t *stripe);
int bm_stripe_lock_shared(pthread_rwlock_t *stripe);

/* KEY must outlive the target. -EINVAL for a key outside the limits. */
int bm_target_init(struct bm_target *target, struct bm_map *map, const void *key, size_t key_len);

/* The same for the record of that id in a hidden map that goes by ids (BM_MAP_INODES,
 * BM_MAP_ORPHANS); there is no key then. */
void bm_target_init_id(struct bm_target *target, struct bm_map *map, uint64_t record_id);

/* The same for the record of an id whose key's hash is known. */
int bm_target_init_record(struct bm_target *target, struct bm_map *map, uint64_t hash,
                          uint64_t record_id);

/* Locked (shared). 0 with FOUND->there true or false; -EIO if what may be the
 * key's record is damaged; -ENOMEM. */
int bm_target_find(const struct bm_target *target, struct bm_found *found);

/* Locked (shared). For who is about to find several: the first begins to fetch the index line, the
 * second, a little later, what the line leads to, so that all wait for memory at the same time. */
void bm_target_fetch_line(const struct bm_target *target);
void bm_target_fetch_record(const struct bm_target *target);

/* Verifies a record of which something was believed; others it leaves as they are. -EIO. */
int bm_found_verify(const struct bm_target *target, struct bm_found *found);

/* A discriminator that no equal hash has; negative errno if there is none left. */
int bm_found_free_disc(const struct bm_target *target, const struct bm_found *found);

/* Position in a listing: greater than 2, unique in the map, for ever the same. */
uint64_t bm_cookie(uint64_t hash, uint8_t disc);
/* The smallest hash whose cookie may be greater than COOKIE. */
uint64_t bm_cookie_hash(uint64_t cookie);

/* Value length of a record, bytes: what a head says for a large one. */
uint64_t bm_record_value_size(const struct bm_record *record);
/* The slot kind that a record type has; BM_SLOT_EMPTY for those without a slot. */
enum bm_slot_kind bm_record_slot_kind(uint8_t type);
/* Has the record that a slot leads to, or its beginning, fetched into the processor's cache. */
void bm_slot_prefetch(const struct bm_store *store, const struct bm_slot *slot);

/* Reads the record that a slot of STORE leads to, and verifies it but for what TRUST says; WANTED
 * (may be NULL) is what was looked for. -EIO, with a log line. */
int bm_slot_record(struct bm_store *store, const struct bm_slot *slot,
                   const struct bm_target *wanted, enum bm_trust trust, struct bm_segment **segment,
                   struct bm_record *record);

#endif
