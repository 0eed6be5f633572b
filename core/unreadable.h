/* SPDX-License-Identifier: MIT */
/* What the store's owner is told of a record that cannot be had: whose it is,
 * where it stands, and whether it is damaged or the medium does not give it. */
#ifndef BM_UNREADABLE_H
#define BM_UNREADABLE_H

#include "bucket.h"

/* A key in messages: in quotes, with what is not printable as \xNN. */
enum { BM_KEY_TEXT = 4 * 255 + 3 };
const char *bm_key_text(const void *key, size_t len, char out[BM_KEY_TEXT]);

/* RESULT is bm_segment_record's. WANTED: what was looked for, NULL if any. */
void bm_log_unreadable(struct bm_store *store, const struct bm_slot *slot, int result,
                       const struct bm_target *wanted);

#endif
