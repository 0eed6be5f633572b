/* SPDX-License-Identifier: MIT */
/* SQLite: one table without row ids, WAL, a thousand writes a transaction unless each is synced. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

enum { TXN_OPS = 1000 };

enum statement { BEGIN, COMMIT, INSERT, GET, REF, DEL, SCAN, N_STATEMENTS };

static const char *const sql[N_STATEMENTS] = {
        [BEGIN] = "BEGIN IMMEDIATE",
        [COMMIT] = "COMMIT",
        [INSERT] = "REPLACE INTO kv VALUES (?1, ?2, ?3)",
        [GET] = "SELECT v, n FROM kv WHERE k = ?1",
        [REF] = "UPDATE kv SET n = n + 1 WHERE k = ?1",
        [DEL] = "DELETE FROM kv WHERE k = ?1",
        [SCAN] = "SELECT v, n FROM kv",
};

struct lite {
        char path[4096];
        enum durability durability;
};

struct lite_session {
        struct lite *lite;
        sqlite3 *db;
        sqlite3_stmt *stmt[N_STATEMENTS];
        unsigned n;
        bool in_txn;
};

static int lite_connect(const struct lite *lite, sqlite3 **db)
{
        const char *pragmas = lite->durability == UNSYNCED
                                      ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA "
                                        "busy_timeout=600000;"
                                        "PRAGMA cache_size=-262144; PRAGMA mmap_size=17179869184"
                                      : "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
                                        "busy_timeout=600000;"
                                        "PRAGMA cache_size=-262144; PRAGMA mmap_size=17179869184";

        return sqlite3_open(lite->path, db) == SQLITE_OK &&
                               sqlite3_exec(*db, pragmas, NULL, NULL, NULL) == SQLITE_OK
                       ? 0
                       : -1;
}

static void *lite_open(const struct setup *setup)
{
        struct lite *lite = calloc(1, sizeof(*lite));
        sqlite3 *db;

        lite->durability = setup->durability;
        snprintf(lite->path, sizeof(lite->path), "%s/store.sqlite", setup->dir);
        if (lite_connect(lite, &db) != 0 ||
            sqlite3_exec(db,
                         "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB, n INTEGER) "
                         "WITHOUT ROWID",
                         NULL, NULL, NULL) != SQLITE_OK ||
            sqlite3_close(db) != SQLITE_OK)
                return NULL;
        return lite;
}

static int lite_close(void *db)
{
        free(db);
        return 0;
}

static void *lite_attach(void *db)
{
        struct lite_session *s = calloc(1, sizeof(*s));

        s->lite = db;
        if (lite_connect(s->lite, &s->db) != 0)
                return NULL;
        for (int i = 0; i < N_STATEMENTS; i++) {
                if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[i],
                                       NULL) != SQLITE_OK)
                        return NULL;
        }
        return s;
}

static int lite_run(struct lite_session *s, enum statement which)
{
        int result = sqlite3_step(s->stmt[which]);

        sqlite3_reset(s->stmt[which]);
        return result == SQLITE_DONE ? 0 : -1;
}

static int lite_end(struct lite_session *s)
{
        s->n = 0;
        if (!s->in_txn)
                return 0;
        s->in_txn = false;
        return lite_run(s, COMMIT);
}

static int lite_detach(void *session)
{
        struct lite_session *s = session;
        int result = lite_end(s);

        for (int i = 0; i < N_STATEMENTS; i++)
                sqlite3_finalize(s->stmt[i]);
        result |= sqlite3_close(s->db);
        free(s);
        return result;
}

/* Runs a write within a transaction of the right size. */
static int lite_write(struct lite_session *s, enum statement which)
{
        if (!s->in_txn) {
                if (lite_run(s, BEGIN) != 0)
                        return -1;
                s->in_txn = true;
        }
        if (lite_run(s, which) != 0)
                return -1;
        return ++s->n == (s->lite->durability == EACH ? 1 : TXN_OPS) ? lite_end(s) : 0;
}

static int lite_insert(void *session, const void *key, size_t key_len, const void *value,
                       size_t len, uint64_t count)
{
        struct lite_session *s = session;
        sqlite3_stmt *stmt = s->stmt[INSERT];

        sqlite3_bind_blob(stmt, 1, key, (int)key_len, SQLITE_STATIC);
        sqlite3_bind_blob(stmt, 2, value, (int)len, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 3, (sqlite3_int64)count);
        return lite_write(s, INSERT);
}

static void lite_look(sqlite3_stmt *stmt, look_fn look, void *ctx)
{
        const void *value = sqlite3_column_blob(stmt, 0);

        look(ctx, value, (size_t)sqlite3_column_bytes(stmt, 0),
             (uint64_t)sqlite3_column_int64(stmt, 1));
}

static int lite_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct lite_session *s = session;
        sqlite3_stmt *stmt = s->stmt[GET];
        int result;

        sqlite3_bind_blob(stmt, 1, key, (int)key_len, SQLITE_STATIC);
        result = sqlite3_step(stmt);
        if (result == SQLITE_ROW)
                lite_look(stmt, look, ctx);
        sqlite3_reset(stmt);
        return result == SQLITE_ROW ? 1 : result == SQLITE_DONE ? 0 : -1;
}

static int lite_ref(void *session, const void *key, size_t key_len)
{
        struct lite_session *s = session;

        sqlite3_bind_blob(s->stmt[REF], 1, key, (int)key_len, SQLITE_STATIC);
        return lite_write(s, REF) == 0 && sqlite3_changes(s->db) == 1 ? 0 : -1;
}

static int lite_del(void *session, const void *key, size_t key_len)
{
        struct lite_session *s = session;

        sqlite3_bind_blob(s->stmt[DEL], 1, key, (int)key_len, SQLITE_STATIC);
        if (lite_write(s, DEL) != 0)
                return -1;
        return sqlite3_changes(s->db);
}

static int lite_scan(void *session, look_fn look, void *ctx)
{
        struct lite_session *s = session;
        int result;

        while ((result = sqlite3_step(s->stmt[SCAN])) == SQLITE_ROW)
                lite_look(s->stmt[SCAN], look, ctx);
        sqlite3_reset(s->stmt[SCAN]);
        return result == SQLITE_DONE ? 0 : -1;
}

/* With synchronous=FULL each commit was a sync. */
static int lite_sync(void *session)
{
        return lite_end(session);
}

const struct peer peer_sqlite = {
        .name = "sqlite",
        .settings =
                "WAL, WITHOUT ROWID, 256 MiB cache, mapped, prepared, 1000 writes a transaction (1 "
                "if each is synced), synchronous OFF if unsynced, else FULL",
        .threads = true,
        .open = lite_open,
        .close = lite_close,
        .attach = lite_attach,
        .detach = lite_detach,
        .insert = lite_insert,
        .get = lite_get,
        .ref = lite_ref,
        .del = lite_del,
        .scan = lite_scan,
        .sync = lite_sync,
};
