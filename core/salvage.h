/* SPDX-License-Identifier: MIT */
/*
 * Opening a damaged store for its repair: in memory, past whatever an ordinary
 * open refuses. Slots whose records cannot be read are taken out of the index
 * and remembered here, and so is that something was skipped.
 */
#ifndef BM_SALVAGE_H
#define BM_SALVAGE_H

#include "format.h"
#include "segment.h"

struct bm_store;

/* Log segments that a repair makes are of an epoch so much higher: where one
 * was interrupted they are nobody's, and claim nothing. */
#define BM_SALVAGE_EPOCHS (UINT64_C(1) << 32)

struct bm_loss {
        uint64_t map_id;
        uint64_t hash, mask; /* of the key, and which bits of it are known */
        uint8_t key_len;     /* 0: the key is not known */
        bool back;           /* the key is there, by a later record */
        bool change; /* a damaged record of the log says this; what the index had is intact */
        uint8_t key[255];
};

struct bm_salvage {
        bool writable;     /* it is to be repaired, not only looked at */
        bool rebuilt;      /* the index was made anew: what was removed may be back */
        bool skipped;      /* the log has a hole: changes are lost */
        bool data_damaged; /* anything in data segments, needed or not */
        struct bm_loss *losses;
        size_t n, cap;
};

void bm_salvage_free(struct bm_salvage *salvage);

/* The next place behind AT, before END, with a whole record; END if there is none. */
uint64_t bm_salvage_next(const struct bm_segment *s, uint64_t at, uint64_t end);

/* What stands at AT of a log segment is damaged: the key that it says it is of. */
int bm_salvage_note(struct bm_store *store, const struct bm_segment *s, uint64_t at);

/* Takes out of the index what leads to no record. BM_E_DAMAGED: part of the index itself cannot
 * be read. */
int bm_salvage_index(struct bm_store *store);

#endif
