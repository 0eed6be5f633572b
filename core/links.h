/* SPDX-License-Identifier: MIT */
/*
 * Records with several names. bm_link takes a record from its key to the
 * hidden map BM_MAP_INODES, under its id, and leaves a name in its place; the
 * other names are like it. The record says how many there are and is written
 * again whenever one comes, goes or changes. It stays by its id when one name
 * is left, and goes with the last.
 *
 * All from within a transaction's FILL, with the locks held. Where a result is
 * BM_E_AGAIN it is to be passed on.
 */
#ifndef BM_LINKS_H
#define BM_LINKS_H

#include "large.h"

/*
 * *RECORD becomes the step of the record that STEP's key names: STEP itself,
 * or that of the record by its id, for which its key is a name. STEP's key has
 * to be there. -EIO: the name leads nowhere.
 */
int bm_txn_record(struct bm_txn *txn, size_t step, size_t *record);

/* How many names the record of a step has by what was decided so far. */
uint32_t bm_links_of(const struct bm_step *record);

/*
 * The key of step STEP is about to lose its record, that of step RECORD. One
 * that is kept by its id gets one name less, and is deleted with the last. One
 * of the key's own goes by what the caller makes of STEP. Where bm_links_of
 * said 1 the chunks are the caller's to drop.
 */
void bm_drop_link(struct bm_txn *txn, size_t step, size_t record);

/* The key of STEP goes, its record with the last name, and then the chunks too: DROP is room for
 * that. */
int bm_delete_step(struct bm_txn *txn, size_t step, size_t record, struct bm_drop_step *drop);

/* A record that is kept by its id becomes a put of what it is, where it is not
 * one already: NEXT can then be changed. */
void bm_put_again(struct bm_step *record);

/* One of the names of the record of that id. */
struct bm_record bm_name_record(uint64_t record_id);

#endif
