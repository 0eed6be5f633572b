/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <string.h>

const struct peer *const bench_peers[] = {
        &peer_bucketmap,
#ifdef HAVE_TKRZW
        &peer_tkrzw,
#endif
#ifdef HAVE_KYOTO
        &peer_kyoto,
#endif
#ifdef HAVE_LMDB
        &peer_lmdb,
#endif
#ifdef HAVE_ROCKSDB
        &peer_rocksdb,
#endif
#ifdef HAVE_GDBM
        &peer_gdbm,
#endif
#ifdef HAVE_BDB
        &peer_bdb,
#endif
#ifdef HAVE_SQLITE
        &peer_sqlite,
#endif
        /* no store */
        &peer_memory,
        NULL,
};

int peer_get_many(const struct peer *peer, void *session, const struct peer_key *keys, size_t n,
                  look_fn look, void *const *ctxs)
{
        if (peer->get_many)
                return peer->get_many(session, keys, n, look, ctxs);
        for (size_t i = 0; i < n; i++) {
                if (peer->get(session, keys[i].key, keys[i].len, look, ctxs[i]) != 1)
                        return -1;
        }
        return 0;
}

int peer_ref_many(const struct peer *peer, void *session, const struct peer_key *keys, size_t n)
{
        if (peer->ref_many)
                return peer->ref_many(session, keys, n);
        for (size_t i = 0; i < n; i++) {
                if (peer->ref(session, keys[i].key, keys[i].len) != 0)
                        return -1;
        }
        return 0;
}

size_t pack_count(void *buf, const void *value, size_t len, uint64_t count)
{
        memcpy(buf, &count, COUNT_BYTES);
        memcpy((char *)buf + COUNT_BYTES, value, len);
        return len + COUNT_BYTES;
}

void look_packed(look_fn look, void *ctx, const void *packed, size_t len)
{
        uint64_t count;

        memcpy(&count, packed, COUNT_BYTES);
        look(ctx, (const char *)packed + COUNT_BYTES, len - COUNT_BYTES, count);
}

void packed_ref(void *packed)
{
        uint64_t count;

        memcpy(&count, packed, COUNT_BYTES);
        count++;
        memcpy(packed, &count, COUNT_BYTES);
}
