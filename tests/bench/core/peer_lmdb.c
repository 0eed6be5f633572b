/* SPDX-License-Identifier: MIT */
/*
 * LMDB pays by the transaction: a thousand operations share one, unless each
 * write is to be durable. Readers keep one transaction open.
 */
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum { TXN_OPS = 1000 };

struct lm_db {
        MDB_env *env;
        MDB_dbi dbi;
        enum durability durability;
};

struct lm_session {
        struct lm_db *db;
        MDB_txn *txn;
        bool writes;
        unsigned n;
};

static void *lm_open(const struct setup *setup)
{
        struct lm_db *db = calloc(1, sizeof(*db));
        unsigned flags = MDB_WRITEMAP | MDB_NOTLS | MDB_NORDAHEAD;
        MDB_txn *txn;

        db->durability = setup->durability;
        if (setup->durability == UNSYNCED)
                flags |= MDB_NOSYNC | MDB_MAPASYNC;
        else if (setup->durability == GROUPED)
                flags |= MDB_NOSYNC;
        if (mdb_env_create(&db->env) != 0)
                abort();
        mdb_env_set_mapsize(db->env, 256UL << 30);
        if (mdb_env_open(db->env, setup->dir, flags, 0644) != 0 ||
            mdb_txn_begin(db->env, NULL, 0, &txn) != 0 ||
            mdb_dbi_open(txn, NULL, 0, &db->dbi) != 0 || mdb_txn_commit(txn) != 0)
                return NULL;
        return db;
}

static int lm_close(void *handle)
{
        struct lm_db *db = handle;
        int result = mdb_env_sync(db->env, 1);

        mdb_env_close(db->env);
        free(db);
        return result ? -1 : 0;
}

static void *lm_attach(void *db)
{
        struct lm_session *s = calloc(1, sizeof(*s));

        s->db = db;
        return s;
}

static int lm_end(struct lm_session *s)
{
        MDB_txn *txn = s->txn;

        s->txn = NULL;
        s->n = 0;
        if (!txn)
                return 0;
        if (s->writes)
                return mdb_txn_commit(txn) ? -1 : 0;
        mdb_txn_abort(txn);
        return 0;
}

static int lm_detach(void *session)
{
        int result = lm_end(session);

        free(session);
        return result;
}

static int lm_begin(struct lm_session *s, bool writes)
{
        if (s->txn && s->writes != writes && lm_end(s) != 0)
                return -1;
        if (s->txn)
                return 0;
        s->writes = writes;
        return mdb_txn_begin(s->db->env, NULL, writes ? 0 : MDB_RDONLY, &s->txn) ? -1 : 0;
}

/* A write was done: ends the transaction when it is full. */
static int lm_wrote(struct lm_session *s)
{
        return ++s->n == (s->db->durability == EACH ? 1 : TXN_OPS) ? lm_end(s) : 0;
}

static int lm_insert(void *session, const void *key, size_t key_len, const void *value, size_t len,
                     uint64_t count)
{
        struct lm_session *s = session;
        MDB_val k = {key_len, (void *)key}, v = {len + COUNT_BYTES, NULL};

        /* written in place, no copy before it */
        if (lm_begin(s, true) != 0 || mdb_put(s->txn, s->db->dbi, &k, &v, MDB_RESERVE) != 0)
                return -1;
        pack_count(v.mv_data, value, len, count);
        return lm_wrote(s);
}

static int lm_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct lm_session *s = session;
        MDB_val k = {key_len, (void *)key}, v;
        int result;

        if (lm_begin(s, false) != 0)
                return -1;
        result = mdb_get(s->txn, s->db->dbi, &k, &v);
        if (result != 0)
                return result == MDB_NOTFOUND ? 0 : -1;
        look_packed(look, ctx, v.mv_data, v.mv_size);
        return 1;
}

static int lm_ref(void *session, const void *key, size_t key_len)
{
        static _Thread_local char buf[PACKED_MAX];
        struct lm_session *s = session;
        MDB_val k = {key_len, (void *)key}, v;

        if (lm_begin(s, true) != 0 || mdb_get(s->txn, s->db->dbi, &k, &v) != 0)
                return -1;
        memcpy(buf, v.mv_data, v.mv_size);
        packed_ref(buf);
        v.mv_data = buf;
        return mdb_put(s->txn, s->db->dbi, &k, &v, 0) == 0 ? lm_wrote(s) : -1;
}

static int lm_del(void *session, const void *key, size_t key_len)
{
        struct lm_session *s = session;
        MDB_val k = {key_len, (void *)key};
        int result;

        if (lm_begin(s, true) != 0)
                return -1;
        result = mdb_del(s->txn, s->db->dbi, &k, NULL);
        if (result != 0)
                return result == MDB_NOTFOUND ? 0 : -1;
        return lm_wrote(s) == 0 ? 1 : -1;
}

static int lm_scan(void *session, look_fn look, void *ctx)
{
        struct lm_session *s = session;
        MDB_cursor *cursor;
        MDB_val k, v;
        int result;

        if (lm_begin(s, false) != 0 || mdb_cursor_open(s->txn, s->db->dbi, &cursor) != 0)
                return -1;
        while ((result = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
                look_packed(look, ctx, v.mv_data, v.mv_size);
        mdb_cursor_close(cursor);
        return result == MDB_NOTFOUND ? 0 : -1;
}

static int lm_sync(void *session)
{
        struct lm_session *s = session;

        /* a commit is durable by itself where each write is */
        if (lm_end(s) != 0)
                return -1;
        return s->db->durability == EACH || mdb_env_sync(s->db->env, 1) == 0 ? 0 : -1;
}

const struct peer peer_lmdb = {
        .name = "lmdb",
        .settings =
                "WRITEMAP, 1000 writes a transaction (1 if each is synced); NOSYNC and MAPASYNC "
                "if unsynced",
        .threads = true,
        .open = lm_open,
        .close = lm_close,
        .attach = lm_attach,
        .detach = lm_detach,
        .insert = lm_insert,
        .get = lm_get,
        .ref = lm_ref,
        .del = lm_del,
        .scan = lm_scan,
        .sync = lm_sync,
};
