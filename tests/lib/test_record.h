/* SPDX-License-Identifier: MIT */
/* Checks for records that were made wrong on purpose. */
#ifndef TEST_RECORD_H
#define TEST_RECORD_H

#include "base/le.h"
#include "format.h"
#include "hash.h"

/* Gives LEN bytes that claim to be a record the checks that they should have at OFFSET, so that
 * whatever else is wrong with them is what decides. */
static inline void test_record_seal(uint8_t *rec, uint32_t len, uint64_t salt, uint64_t offset)
{
        struct bm_record r;
        uint32_t checked = len;

        if (bm_record_parse(&r, rec, len, 0) == 0) {
                checked = r.checked;
                if (r.flags & BM_RECF_VALUE_CHECK) /* it stands before the key */
                        bm_store_le32(rec + (r.key - rec) - 4,
                                      bm_checksum_seeded(r.value, r.value_len, 0));
        }
        bm_record_seal(rec, checked, salt, offset);
}

#endif
