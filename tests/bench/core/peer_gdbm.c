/* SPDX-License-Identifier: MIT */
#include <gdbm.h>
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

static void *gd_open(const struct setup *setup)
{
        char path[4096];
        size_t map = SIZE_MAX;
        int cache = 65536;
        GDBM_FILE db;

        snprintf(path, sizeof(path), "%s/store.gdbm", setup->dir);
        db = gdbm_open(path, 4096, GDBM_WRCREAT | GDBM_NOLOCK, 0644, NULL);
        if (!db)
                return NULL;
        gdbm_setopt(db, GDBM_SETMAXMAPSIZE, &map, sizeof(map));
        gdbm_setopt(db, GDBM_SETCACHESIZE, &cache, sizeof(cache));
        return db;
}

static int gd_close(void *db)
{
        return gdbm_close(db);
}

static void *gd_attach(void *db)
{
        return db;
}

static int gd_detach(void *session)
{
        return 0;
}

static int gd_store(GDBM_FILE db, datum key, void *value, size_t len)
{
        return gdbm_store(db, key, (datum){value, (int)len}, GDBM_REPLACE);
}

static int gd_insert(void *session, const void *key, size_t key_len, const void *value, size_t len,
                     uint64_t count)
{
        static char buf[PACKED_MAX];

        len = pack_count(buf, value, len, count);
        return gd_store(session, (datum){(char *)key, (int)key_len}, buf, len);
}

static int gd_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        datum value = gdbm_fetch(session, (datum){(char *)key, (int)key_len});

        if (!value.dptr)
                return gdbm_errno == GDBM_ITEM_NOT_FOUND ? 0 : -1;
        look_packed(look, ctx, value.dptr, (size_t)value.dsize);
        free(value.dptr);
        return 1;
}

static int gd_ref(void *session, const void *key, size_t key_len)
{
        datum k = {(char *)key, (int)key_len}, value = gdbm_fetch(session, k);
        int result;

        if (!value.dptr)
                return -1;
        packed_ref(value.dptr);
        result = gd_store(session, k, value.dptr, (size_t)value.dsize);
        free(value.dptr);
        return result;
}

static int gd_del(void *session, const void *key, size_t key_len)
{
        return gdbm_delete(session, (datum){(char *)key, (int)key_len}) == 0 ? 1 : 0;
}

static int gd_scan(void *session, look_fn look, void *ctx)
{
        datum key = gdbm_firstkey(session);

        while (key.dptr) {
                datum next = gdbm_nextkey(session, key);
                int result = gd_get(session, key.dptr, (size_t)key.dsize, look, ctx);

                free(key.dptr);
                if (result != 1) {
                        free(next.dptr);
                        return -1;
                }
                key = next;
        }
        return 0;
}

static int gd_sync(void *session)
{
        return gdbm_sync(session);
}

const struct peer peer_gdbm = {
        .name = "gdbm",
        .settings = "4 KiB blocks, 64 Ki blocks cached, whole file mapped; one thread",
        .open = gd_open,
        .close = gd_close,
        .attach = gd_attach,
        .detach = gd_detach,
        .insert = gd_insert,
        .get = gd_get,
        .ref = gd_ref,
        .del = gd_del,
        .scan = gd_scan,
        .sync = gd_sync,
};
