/* SPDX-License-Identifier: MIT */
/*
 * Berkeley DB: a hash database. Unsynced without an environment of
 * transactions, which is its fastest way; else with a log and a transaction a
 * write, which is its only durable one.
 */
#include <db.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct bdb {
        DB_ENV *env;
        DB *db;
        enum durability durability;
};

static void *bdb_open(const struct setup *setup)
{
        struct bdb *b = calloc(1, sizeof(*b));
        bool logged = setup->durability != UNSYNCED;
        u_int32_t flags = DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE | DB_THREAD | DB_INIT_LOCK;
        u_int32_t ratio = 4096 / (u_int32_t)(setup->value_max / 2 + 44);

        b->durability = setup->durability;
        if (logged)
                flags |= DB_INIT_LOG | DB_INIT_TXN;
        if (db_env_create(&b->env, 0) != 0)
                abort();
        b->env->set_cachesize(b->env, 1, 0, 1);
        b->env->set_lk_detect(b->env, DB_LOCK_DEFAULT);
        if (logged) {
                b->env->log_set_config(b->env, DB_LOG_AUTO_REMOVE, 1);
                b->env->set_lg_bsize(b->env, 8 << 20);
                if (setup->durability == GROUPED)
                        b->env->set_flags(b->env, DB_TXN_WRITE_NOSYNC, 1);
        }
        if (b->env->open(b->env, setup->dir, flags, 0644) != 0 || db_create(&b->db, b->env, 0) != 0)
                return NULL;
        b->db->set_pagesize(b->db, 4096);
        b->db->set_h_ffactor(b->db, ratio > 1 ? ratio : 1);
        b->db->set_h_nelem(b->db, (u_int32_t)setup->n_keys);
        if (b->db->open(b->db, NULL, "store.db", NULL, DB_HASH,
                        DB_CREATE | DB_THREAD | (logged ? DB_AUTO_COMMIT : 0), 0644) != 0)
                return NULL;
        return b;
}

static int bdb_close(void *handle)
{
        struct bdb *b = handle;
        int result = b->db->close(b->db, 0);

        if (b->durability != UNSYNCED)
                result |= b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE);
        result |= b->env->close(b->env, 0);
        free(b);
        return result;
}

static void *bdb_attach(void *db)
{
        return db;
}

static int bdb_detach(void *session)
{
        return 0;
}

static int bdb_put(struct bdb *b, const void *key, size_t key_len, void *value, size_t len)
{
        DBT k = {.data = (void *)key, .size = (u_int32_t)key_len};
        DBT v = {.data = value, .size = (u_int32_t)len};

        return b->db->put(b->db, NULL, &k, &v, 0);
}

static int bdb_insert(void *session, const void *key, size_t key_len, const void *value, size_t len,
                      uint64_t count)
{
        static _Thread_local char buf[PACKED_MAX];

        len = pack_count(buf, value, len, count);
        return bdb_put(session, key, key_len, buf, len);
}

/* Fetches into BUF of PACKED_MAX bytes; *LEN is what came. */
static int bdb_fetch(struct bdb *b, const void *key, size_t key_len, void *buf, size_t *len)
{
        DBT k = {.data = (void *)key, .size = (u_int32_t)key_len};
        DBT v = {.data = buf, .ulen = PACKED_MAX, .flags = DB_DBT_USERMEM};
        int result = b->db->get(b->db, NULL, &k, &v, 0);

        if (result != 0)
                return result == DB_NOTFOUND ? 0 : -1;
        *len = v.size;
        return 1;
}

static int bdb_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        static _Thread_local char buf[PACKED_MAX];
        size_t len;
        int result = bdb_fetch(session, key, key_len, buf, &len);

        if (result == 1)
                look_packed(look, ctx, buf, len);
        return result;
}

static int bdb_ref(void *session, const void *key, size_t key_len)
{
        static _Thread_local char buf[PACKED_MAX];
        size_t len;

        if (bdb_fetch(session, key, key_len, buf, &len) != 1)
                return -1;
        packed_ref(buf);
        return bdb_put(session, key, key_len, buf, len);
}

static int bdb_del(void *session, const void *key, size_t key_len)
{
        struct bdb *b = session;
        DBT k = {.data = (void *)key, .size = (u_int32_t)key_len};
        int result = b->db->del(b->db, NULL, &k, 0);

        return result == 0 ? 1 : result == DB_NOTFOUND ? 0 : -1;
}

static int bdb_scan(void *session, look_fn look, void *ctx)
{
        static _Thread_local char key[1024], buf[PACKED_MAX];
        struct bdb *b = session;
        DBC *cursor;
        int result;

        if (b->db->cursor(b->db, NULL, &cursor, 0) != 0)
                return -1;
        for (;;) {
                DBT k = {.data = key, .ulen = sizeof(key), .flags = DB_DBT_USERMEM};
                DBT v = {.data = buf, .ulen = sizeof(buf), .flags = DB_DBT_USERMEM};

                result = cursor->get(cursor, &k, &v, DB_NEXT);
                if (result != 0)
                        break;
                look_packed(look, ctx, buf, v.size);
        }
        cursor->close(cursor);
        return result == DB_NOTFOUND ? 0 : -1;
}

static int bdb_sync(void *session)
{
        struct bdb *b = session;

        if (b->durability == UNSYNCED)
                return b->db->sync(b->db, 0);
        /* a commit is durable by itself where each write is */
        return b->durability == EACH ? 0 : b->env->log_flush(b->env, NULL);
}

const struct peer peer_bdb = {
        .name = "berkeleydb",
        .settings = "hash, sized before, 1 GiB cache; unsynced without a log, else a transaction a "
                    "write",
        .threads = true,
        .open = bdb_open,
        .close = bdb_close,
        .attach = bdb_attach,
        .detach = bdb_detach,
        .insert = bdb_insert,
        .get = bdb_get,
        .ref = bdb_ref,
        .del = bdb_del,
        .scan = bdb_scan,
        .sync = bdb_sync,
};
