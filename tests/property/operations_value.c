/* SPDX-License-Identifier: MIT */
/* Random operations on one record's bytes: meta, parts of the value, its size. */
#include "model.h"

void op_set_meta(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        struct new_meta meta;
        struct named named;

        pick_ref(run, random, map, number, &named);
        pick_meta(random, &meta);
        meta.before = record && record->map ? NULL : record;
        if (run->store)
                expect(run, bm_set_meta(&named.ref, put_meta, &meta),
                       ref_results(record, &named) & ~RESULT(BM_E_IS_MAP));
        if (record && !named.wrong)
                model_set_meta(record, meta.bytes, meta.len);
}

/* At most two of them. */
static const struct random_bytes *pick_pieces(struct test_random *random, uint64_t left)
{
        size_t most = left < 2 * MODEL_PIECE ? left : 2 * MODEL_PIECE;
        if (left >= MODEL_PIECE && test_random_below(random, 2))
                return pick_bytes(random, MODEL_PIECE);
        return pick_bytes(random, most ? 1 + test_random_below(random, most) : 0);
}

void op_write_at(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        uint64_t end = record ? record->size : 0, offset, results;
        const struct random_bytes *value = pick_value(random, MODEL_SIZE_MAX / 2);
        bool with_meta = test_random_below(random, 2);
        struct new_meta meta;
        struct named named;
        size_t done = 0;

        pick_ref(run, random, map, number, &named);
        pick_meta(random, &meta);
        switch (test_random_below(random, 4)) {
        case 0: /* append, often little */
                offset = end;
                if (test_random_below(random, 2))
                        value = pick_pieces(random, 2 * MODEL_PIECE);
                break;
        case 2: /* pieces that a chunk has, or parts of them */
                offset = end ? test_random_below(random, end) / MODEL_PIECE * MODEL_PIECE : 0;
                value = pick_pieces(random, end - offset);
                break;
        case 1: /* within */
                offset = end ? test_random_below(random, end) : 0;
                break;
        default: /* often behind the end */
                offset = test_random_below(random, MODEL_SIZE_MAX);
                break;
        }
        if (value->len == 0 || offset + value->len > 2 * MODEL_SIZE_MAX)
                return;
        /* a long write is whole by chunks only */
        if (run->atomic_only && offset / MODEL_CHUNK != (offset + value->len - 1) / MODEL_CHUNK)
                return;
        /* of several chunks each is a step of its own, before which the callback is asked */
        if (offset + value->len <= MODEL_INLINE && end <= MODEL_INLINE)
                meta.before = record;
        results = ref_results(record, &named);
        if (run->store)
                expect(run,
                       bm_write_at(&named.ref, offset, value->bytes, value->len,
                                   with_meta ? put_meta : NULL, &meta, &done),
                       results);
        if (results)
                return;
        if (run->store)
                assert_int_equal(done, value->len);
        if (offset + value->len > end)
                model_resize(record, offset + value->len);
        memcpy(record->value + offset, value->bytes, value->len);
        if (with_meta)
                model_set_meta(record, meta.bytes, meta.len);
}

void op_truncate(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        uint64_t size = pick_size(random, MODEL_SIZE_MAX), results;
        bool with_meta = test_random_below(random, 2);
        struct new_meta meta;
        struct named named;

        pick_ref(run, random, map, number, &named);
        pick_meta(random, &meta);
        meta.before = record;
        results = ref_results(record, &named);
        if (run->store)
                expect(run, bm_truncate(&named.ref, size, with_meta ? put_meta : NULL, &meta),
                       results);
        if (results)
                return;
        model_resize(record, size);
        if (with_meta)
                model_set_meta(record, meta.bytes, meta.len);
}

void op_punch(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        uint64_t offset = pick_size(random, MODEL_SIZE_MAX),
                 len = pick_size(random, MODEL_SIZE_MAX);
        struct named named;

        pick_ref(run, random, map, number, &named);
        if (run->store)
                expect(run, bm_punch(&named.ref, offset, len, NULL, NULL),
                       ref_results(record, &named));
        if (ref_results(record, &named) || offset >= record->size)
                return;
        if (len > record->size - offset)
                len = record->size - offset;
        if (len)
                memset(record->value + offset, 0, len);
}

void op_allocate(struct run *run, struct test_random *random)
{
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        uint64_t offset = pick_size(random, MODEL_SIZE_MAX / 2), done = 0;
        uint64_t len = 1 + test_random_below(random, MODEL_SIZE_MAX / 2), end = offset + len;
        unsigned flags = (unsigned)test_random_below(random, 4);
        struct named named;

        pick_ref(run, random, map, number, &named);
        /* it goes chunk by chunk */
        if (run->atomic_only && offset / MODEL_CHUNK != (end - 1) / MODEL_CHUNK)
                return;
        if (run->store)
                expect(run, bm_allocate(&named.ref, offset, len, flags, NULL, NULL, &done),
                       ref_results(record, &named));
        if (ref_results(record, &named))
                return;
        if (run->store)
                assert_int_equal(done, len);
        if (flags & BM_ALLOCATE_KEEP_SIZE && end > record->size)
                end = record->size;
        if (end > record->size)
                model_resize(record, end);
        if (flags & BM_ALLOCATE_ZERO && end > offset)
                memset(record->value + offset, 0, end - offset);
}

/* A part of a value, or the whole record. */
void op_read(struct run *run, struct test_random *random)
{
        static unsigned char buf[MODEL_SIZE_MAX];
        struct model_map *map = pick_map(run, random);
        unsigned number = pick_number(random);
        struct model_record *record = model_find(map, number);
        uint64_t offset = test_random_below(random, MODEL_SIZE_MAX / 4);
        size_t len = pick_size(random, sizeof(buf)), done = 0, want;
        struct named named;
        struct bm_view view;

        pick_ref(run, random, map, number, &named);
        if (!run->store)
                return;
        expect(run, bm_read_at(&named.ref, offset, buf, len, &done), ref_results(record, &named));
        if (!ref_results(record, &named)) {
                want = offset < record->size ? record->size - offset : 0;
                want = want < len ? want : len;
                assert_int_equal(done, want);
                if (want)
                        assert_memory_equal(buf, record->value + offset, want);
        }
        expect(run, bm_read_ref(&named.ref, &view),
               ref_results(record, &named) & ~RESULT(BM_E_IS_MAP));
        if (record && !named.wrong) {
                run_verify_record(run, record, &named.ref, &view);
                bm_view_release(&view);
        }
}
