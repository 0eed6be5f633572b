/* SPDX-License-Identifier: MIT */
/*
 * Records of the log: FORMAT.md, "Records". Reading is the hottest path of
 * the store and the one that meets damaged bytes, so it goes through the
 * record once, with a bound at each step.
 */
#include <assert.h>
#include <string.h>

#include "base/compiler.h"
#include "base/intmath.h"
#include "base/le.h"
#include "base/varint.h"
#include "bucketmap.h"
#include "format.h"
#include "hash.h"

/* Offsets of the fixed part. */
enum { AT_CHECK = 0, AT_WORD = 4, AT_KEY_LEN = 8, AT_FLAGS = 9 };

/* The length word. */
#define WORD_UNITS      ((UINT32_C(1) << 24) - 1)
#define WORD_PAD_SHIFT  24
#define WORD_PAD        UINT32_C(7)
#define WORD_MORE       (UINT32_C(1) << 27)
#define WORD_TYPE_SHIFT 28

/* The fixed part and three varints. */
enum { LENGTH_MIN = 16, N_TYPES = 16, VALUE_CHECK = 4 };

_Static_assert(BM_RECORD_FIXED == AT_FLAGS + 1, "fixed part");
_Static_assert(BM_RECORD_LENGTH_MAX / BM_UNIT <= WORD_UNITS, "any length fits the length word");
_Static_assert(BM_UNIT == 1 << BM_UNIT_LOG2 && BM_UNIT - 1 == WORD_PAD, "padding fits its bits");

/* What the records of each type may hold. */
struct shape {
        uint8_t known, key_min, key_max, flags; /* flags that must be there */
        uint32_t value_min, value_max;
};

static const struct shape shapes[N_TYPES] = {
        [BM_REC_PUT] = {1, 1, BM_KEY_MAX, 0, 0, BM_VALUE_INLINE},
        [BM_REC_DEL] = {1, 1, BM_KEY_MAX, 0, 0, 0},
        [BM_REC_COUNT] = {1, 8, 8, 0, 0, 0},
        [BM_REC_MAP] = {1, 1, BM_KEY_MAX, 0, BM_MAP_ENTRY_BYTES, BM_MAP_ENTRY_BYTES},
        [BM_REC_HEAD] = {1, 1, BM_KEY_MAX, 0, BM_HEAD_FIXED, BM_HEAD_BYTES_MAX},
        [BM_REC_CHUNK] = {1, BM_CHUNK_KEY, BM_CHUNK_KEY, 0, 0, BM_CHUNK},
        [BM_REC_PATCH] = {1, BM_CHUNK_KEY, BM_CHUNK_KEY, 0, 1, BM_PATCH},
        [BM_REC_NAME] = {1, 1, BM_KEY_MAX, 0, 0, 0},
        [BM_REC_INODE] = {1, 0, BM_KEY_MAX, 0, 0, BM_RECORD_LENGTH_MAX},
        [BM_REC_SYNC] = {1, 0, 0, BM_RECF_VERSION, 0, 0},
        [BM_REC_SEAL] = {1, 0, 0, 0, BM_SEAL_BYTES, BM_SEAL_BYTES},
        [BM_REC_PAD] = {1, 0, 0, 0, 0, BM_RECORD_LENGTH_MAX},
        [BM_REC_EXT] = {1, 0, BM_KEY_MAX, 0, 0, BM_RECORD_LENGTH_MAX},
};

/* Wraps at the ends of 64 bits, both ways alike. */
static uint64_t time_delta(int64_t time, int64_t base)
{
        return bm_zigzag((int64_t)((uint64_t)time - (uint64_t)base));
}

uint32_t bm_record_measure(struct bm_record *r, int64_t base_time)
{
        uint64_t n = BM_RECORD_FIXED;

        n += bm_varint_size(r->map_id) + bm_varint_size(r->record_id) + bm_varint_size(r->count);
        if (r->flags & BM_RECF_VERSION)
                n += bm_varint_size(r->version);
        if (r->flags & BM_RECF_DISC)
                n += 1;
        if (r->flags & BM_RECF_TIME)
                n += bm_varint_size(time_delta(r->time_ns, base_time));
        if (r->flags & BM_RECF_LINKS)
                n += bm_varint_size(r->links);
        if (r->flags & BM_RECF_META)
                n += bm_varint_size(r->meta_len) + (uint64_t)r->meta_len;
        n += r->key_len;
        r->flags &= (uint8_t)~BM_RECF_VALUE_CHECK;
        if (r->value_len >= BM_VALUE_CHECK_MIN) {
                r->flags |= BM_RECF_VALUE_CHECK;
                n += VALUE_CHECK;
        }
        r->checked = (uint32_t)n;
        n = bm_round_up(n + r->value_len, BM_UNIT);
        r->length = n <= BM_RECORD_LENGTH_MAX ? (uint32_t)n : 0;
        if (!(r->flags & BM_RECF_VALUE_CHECK))
                r->checked = r->length;
        return r->length;
}

/* NULL stands for zeros. */
static uint8_t *put_bytes(uint8_t *p, const void *src, size_t len)
{
        /* a compiler that knows a key to be short copies it by "rep movs", at 20 ns a start */
        __asm__("" : "+r"(len));
        if (src)
                memcpy(p, src, len);
        else
                memset(p, 0, len);
        return p + len;
}

static uint32_t value_check(const uint8_t *value, uint32_t len)
{
        return bm_checksum_seeded(value, len, 0);
}

void bm_record_encode(const struct bm_record *r, int64_t base_time, uint8_t *out)
{
        uint8_t *p = out + BM_RECORD_FIXED;
        uint32_t pad;

        assert(r->length >= LENGTH_MIN && r->length % BM_UNIT == 0);
        assert(r->type < N_TYPES && shapes[r->type].known && !(r->flags & ~BM_RECF_KNOWN));

        /* the padding is among these, and one store of fixed size is cheaper than it alone */
        bm_store_le64(out + r->length - 8, 0);

        p = bm_varint_put(p, r->map_id);
        p = bm_varint_put(p, r->record_id);
        p = bm_varint_put(p, r->count);
        if (r->flags & BM_RECF_VERSION)
                p = bm_varint_put(p, r->version);
        if (r->flags & BM_RECF_DISC)
                *p++ = r->disc;
        if (r->flags & BM_RECF_TIME)
                p = bm_varint_put(p, time_delta(r->time_ns, base_time));
        if (r->flags & BM_RECF_LINKS)
                p = bm_varint_put(p, r->links);
        if (r->flags & BM_RECF_META) {
                p = bm_varint_put(p, r->meta_len);
                p = put_bytes(p, r->meta, r->meta_len);
        }
        if (r->flags & BM_RECF_VALUE_CHECK)
                p += VALUE_CHECK;
        p = put_bytes(p, r->key, r->key_len);
        p = put_bytes(p, r->value, r->value_len);
        if (r->flags & BM_RECF_VALUE_CHECK) /* of what was copied, which is at hand */
                bm_store_le32(p - r->value_len - r->key_len - VALUE_CHECK,
                              value_check(p - r->value_len, r->value_len));

        pad = r->length - (uint32_t)(p - out);
        assert(pad <= WORD_PAD);

        bm_store_le32(out + AT_CHECK, 0);
        bm_store_le32(out + AT_WORD, r->length >> BM_UNIT_LOG2 | pad << WORD_PAD_SHIFT |
                                             (r->more ? WORD_MORE : 0) |
                                             (uint32_t)r->type << WORD_TYPE_SHIFT);
        out[AT_KEY_LEN] = r->key_len;
        out[AT_FLAGS] = r->flags;
}

static uint32_t check_of(const uint8_t *rec, uint32_t checked, uint64_t salt, uint64_t offset)
{
        return bm_checksum_seeded(rec + AT_WORD, checked - AT_WORD, salt + offset);
}

void bm_record_seal(uint8_t *rec, uint32_t checked, uint64_t salt, uint64_t offset)
{
        bm_store_le32(rec + AT_CHECK, check_of(rec, checked, salt, offset));
}

uint32_t bm_record_length(const uint8_t *in, size_t avail)
{
        uint32_t word, length;

        if (bm_unlikely(avail < LENGTH_MIN))
                return 0;
        word = bm_load_le32(in + AT_WORD);
        length = (word & WORD_UNITS) << BM_UNIT_LOG2;
        if (bm_unlikely(length < LENGTH_MIN || length > BM_RECORD_LENGTH_MAX || length > avail ||
                        !shapes[word >> WORD_TYPE_SHIFT].known))
                return 0;
        return length;
}

/* What is kept by its id says how many names lead to it, and nothing else does; names stand in
 * the user's maps, patches in their own. */
static bool fits_map(const struct bm_record *r)
{
        if ((r->type == BM_REC_PATCH) != (r->map_id == BM_MAP_PATCHES) && r->type != BM_REC_DEL)
                return false;
        switch (r->type) {
        case BM_REC_PUT:
        case BM_REC_HEAD:
                return (r->links != 0) == (r->map_id == BM_MAP_INODES);
        case BM_REC_NAME:
                return !r->links && (r->map_id == BM_MAP_ROOT || r->map_id >= BM_MAP_FIRST);
        case BM_REC_MAP:
        case BM_REC_CHUNK:
                return !r->links && r->map_id != BM_MAP_INODES;
        default:
                return !r->links;
        }
}

/* The record's last 8 bytes, little-endian: the padding is on top. */
static bool padding_is_zero(const uint8_t *end, uint32_t pad)
{
        return pad == 0 || bm_load_le64(end - 8) >> (64 - 8 * pad) == 0;
}

/* LENGTH bytes at IN are there, and the type is known. */
static int take_apart(struct bm_record *r, const uint8_t *in, uint32_t length, int64_t base_time)
{
        const uint32_t word = bm_load_le32(in + AT_WORD);
        const uint32_t pad = word >> WORD_PAD_SHIFT & WORD_PAD;
        const uint8_t *p = in + BM_RECORD_FIXED, *end = in + length - pad;
        const struct shape *shape;
        uint64_t n;

        r->type = (uint8_t)(word >> WORD_TYPE_SHIFT);
        r->more = word & WORD_MORE;
        r->key_len = in[AT_KEY_LEN];
        r->flags = in[AT_FLAGS];
        r->length = length;
        /* what flags may leave out; one by one, for clearing the whole costs as much as the rest */
        r->version = 0;
        r->disc = 0;
        r->links = 0;
        r->time_ns = 0;
        r->meta = NULL;
        r->meta_len = 0;
        shape = &shapes[r->type];
        if ((r->flags & ~BM_RECF_KNOWN) || (r->flags & shape->flags) != shape->flags)
                return BM_E_DAMAGED;
        /* behind a value with a check of its own it is looked at with the value */
        if (!(r->flags & BM_RECF_VALUE_CHECK) && !padding_is_zero(in + length, pad))
                return BM_E_DAMAGED;

        p = bm_varint_get(p, end, &r->map_id);
        if (p)
                p = bm_varint_get(p, end, &r->record_id);
        if (p)
                p = bm_varint_get(p, end, &r->count);
        if (p && (r->flags & BM_RECF_VERSION))
                p = bm_varint_get(p, end, &r->version);
        if (!p || r->count > BM_COUNT_MAX)
                return BM_E_DAMAGED;
        if (r->flags & BM_RECF_DISC) {
                if (p == end)
                        return BM_E_DAMAGED;
                r->disc = *p++;
        }
        if (r->flags & BM_RECF_TIME) {
                p = bm_varint_get(p, end, &n);
                if (!p)
                        return BM_E_DAMAGED;
                r->time_ns = (int64_t)((uint64_t)base_time + (uint64_t)bm_unzigzag(n));
        }
        if (r->flags & BM_RECF_LINKS) {
                p = bm_varint_get(p, end, &n);
                if (!p || n == 0 || n > UINT32_MAX)
                        return BM_E_DAMAGED;
                r->links = (uint32_t)n;
        }
        if (bm_unlikely(!fits_map(r)))
                return BM_E_DAMAGED;
        if (r->flags & BM_RECF_META) {
                p = bm_varint_get(p, end, &n);
                if (!p || n > BM_META_MAX || n > (size_t)(end - p))
                        return BM_E_DAMAGED;
                r->meta = p;
                r->meta_len = (uint32_t)n;
                p += n;
        }
        if (r->flags & BM_RECF_VALUE_CHECK) {
                if (end - p < VALUE_CHECK)
                        return BM_E_DAMAGED;
                r->value_check = bm_load_le32(p);
                p += VALUE_CHECK;
        }
        if (r->key_len > end - p || r->key_len < shape->key_min || r->key_len > shape->key_max)
                return BM_E_DAMAGED;
        r->key = p;
        r->value = p + r->key_len;
        r->value_len = (uint32_t)(end - r->value);
        if (r->value_len < shape->value_min || r->value_len > shape->value_max)
                return BM_E_DAMAGED;
        if (r->flags & BM_RECF_VALUE_CHECK) {
                r->checked = (uint32_t)(r->value - in);
                return r->value_len >= BM_VALUE_CHECK_MIN ? 0 : BM_E_DAMAGED;
        }
        r->checked = length;
        return r->value_len < BM_VALUE_CHECK_MIN ? 0 : BM_E_DAMAGED;
}

int bm_record_parse(struct bm_record *r, const uint8_t *in, size_t avail, int64_t base_time)
{
        uint32_t length = bm_record_length(in, avail);

        return length ? take_apart(r, in, length, base_time) : BM_E_DAMAGED;
}

int bm_record_decode_head(struct bm_record *r, const uint8_t *in, size_t avail, uint64_t salt,
                          uint64_t offset, int64_t base_time)
{
        uint32_t length = bm_record_length(in, avail);
        int result;

        if (bm_unlikely(!length))
                return BM_E_DAMAGED;
        result = take_apart(r, in, length, base_time);
        if (bm_unlikely(result == 0 &&
                        bm_load_le32(in + AT_CHECK) != check_of(in, r->checked, salt, offset)))
                return BM_E_DAMAGED;
        return result;
}

bool bm_record_value_verified(const struct bm_record *r)
{
        const uint32_t pad = r->length - r->checked - r->value_len;

        if (!(r->flags & BM_RECF_VALUE_CHECK))
                return true;
        return padding_is_zero(r->value + r->value_len + pad, pad) &&
               r->value_check == value_check(r->value, r->value_len);
}

int bm_record_decode(struct bm_record *r, const uint8_t *in, size_t avail, uint64_t salt,
                     uint64_t offset, int64_t base_time)
{
        int result = bm_record_decode_head(r, in, avail, salt, offset, base_time);

        return result == 0 && bm_unlikely(!bm_record_value_verified(r)) ? BM_E_DAMAGED : result;
}
