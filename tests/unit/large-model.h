/* SPDX-License-Identifier: MIT */
/* A large value beside a plain array of bytes that says what it has to be. */
#ifndef LARGE_MODEL_H
#define LARGE_MODEL_H

#include "large_change.h"
#include "store-fixture.h"

enum { MODEL = 20 * BM_CHUNK };

struct model {
        struct fixture *f;
        struct bm_ref ref;
        size_t size, reach; /* allocated up to there, beyond the size perhaps */
        uint8_t bytes[MODEL], back[MODEL + 1];
        uint64_t random;
};

static inline uint64_t random_below(struct model *m, uint64_t below)
{
        m->random = m->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (m->random >> 33) % below;
}

static inline struct model *model_new(struct fixture *f)
{
        struct model *m = calloc(1, sizeof(*m));
        assert_non_null(m);
        m->f = f;
        m->random = 42;
        m->ref = (struct bm_ref){.map = f->root, .key = "k", .key_len = 1};
        put(f, "k", "", 0);
        return m;
}

static inline void verify(struct model *m)
{
        struct bm_view view;
        size_t done;
        assert_int_equal(bm_read_ref(&m->ref, &view), 0);
        assert_int_equal(view.size, m->size);
        assert_true(view.large ? m->size > BM_WRITE_INLINE || m->reach > m->size
                               : m->size <= BM_VALUE_INLINE);
        bm_view_release(&view);
        assert_int_equal(bm_read_at(&m->ref, 0, m->back, sizeof(m->back), &done), 0);
        assert_int_equal(done, m->size);
        assert_memory_equal(m->back, m->bytes, m->size);
}

static inline void set_size(struct model *m, size_t size)
{
        if (size > m->size)
                memset(m->bytes + m->size, 0, size - m->size);
        if (size <= m->size)
                m->reach = 0;
        m->size = size;
        assert_int_equal(bm_truncate(&m->ref, size, NULL, NULL), 0);
}

static inline void write_some(struct model *m, size_t at, size_t len)
{
        static uint8_t data[MODEL];
        size_t done;
        for (size_t i = 0; i < len; i++)
                data[i] = (uint8_t)(1 + random_below(m, 255));
        if (at > m->size)
                memset(m->bytes + m->size, 0, at - m->size);
        memcpy(m->bytes + at, data, len);
        if (at + len > m->size)
                m->size = at + len;
        assert_int_equal(bm_write_at(&m->ref, at, data, len, NULL, NULL, &done), 0);
        assert_int_equal(done, len);
}

/* What nobody needs is all swept, nothing else. */
static inline void verify_chunks(struct model *m)
{
        size_t end = m->size > m->reach ? m->size : m->reach;
        uint64_t most = end > BM_WRITE_INLINE || m->reach ? (end + BM_CHUNK - 1) / BM_CHUNK : 0;
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        assert_int_equal(bm_map_sums(m->f->store->drops).n_keys, 0);
        assert_true(bm_map_sums(m->f->store->chunks).n_keys <= most);
        verify(m);
        assert_sound(m->f);
}

#endif
