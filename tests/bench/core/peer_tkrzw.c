/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <tkrzw_langc.h>

#include "peer.h"

static void *tk_open(const struct setup *setup)
{
        char path[4096], params[256];

        snprintf(path, sizeof(path), "%s/store.tkh", setup->dir);
        snprintf(params, sizeof(params),
                 "dbm=HashDBM,num_buckets=%llu,offset_width=5,align_pow=3,restore_mode=RESTORE_"
                 "DEFAULT,"
                 "file=MemoryMapParallelFile",
                 (unsigned long long)setup->n_keys);
        return tkrzw_dbm_open(path, true, params);
}

static int tk_close(void *db)
{
        return tkrzw_dbm_close(db) ? 0 : -1;
}

static void *tk_attach(void *db)
{
        return db;
}

static int tk_detach(void *session)
{
        return 0;
}

static int tk_insert(void *session, const void *key, size_t key_len, const void *value, size_t len,
                     uint64_t count)
{
        static _Thread_local char buf[PACKED_MAX];

        len = pack_count(buf, value, len, count);
        return tkrzw_dbm_set(session, key, (int32_t)key_len, buf, (int32_t)len, true) ? 0 : -1;
}

struct shown {
        look_fn look;
        void *ctx;
        int found;
};

static const char *tk_show(void *arg, const char *key, int32_t key_len, const char *value,
                           int32_t len, int32_t *new_len)
{
        struct shown *shown = arg;

        if (value) {
                look_packed(shown->look, shown->ctx, value, (size_t)len);
                shown->found = 1;
        }
        return TKRZW_REC_PROC_NOOP;
}

static int tk_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct shown shown = {.look = look, .ctx = ctx};

        if (!tkrzw_dbm_process(session, key, (int32_t)key_len, tk_show, &shown, false))
                return -1;
        return shown.found;
}

struct counted {
        char buf[PACKED_MAX];
        bool found;
};

static const char *tk_count(void *arg, const char *key, int32_t key_len, const char *value,
                            int32_t len, int32_t *new_len)
{
        struct counted *counted = arg;

        counted->found = value;
        if (!value)
                return TKRZW_REC_PROC_NOOP;
        memcpy(counted->buf, value, (size_t)len);
        packed_ref(counted->buf);
        *new_len = len;
        return counted->buf;
}

static int tk_ref(void *session, const void *key, size_t key_len)
{
        static _Thread_local struct counted counted;

        if (!tkrzw_dbm_process(session, key, (int32_t)key_len, tk_count, &counted, true))
                return -1;
        return counted.found ? 0 : -1;
}

static int tk_del(void *session, const void *key, size_t key_len)
{
        return tkrzw_dbm_remove(session, key, (int32_t)key_len) ? 1 : 0;
}

static int tk_scan(void *session, look_fn look, void *ctx)
{
        struct shown shown = {.look = look, .ctx = ctx};

        return tkrzw_dbm_process_each(session, tk_show, &shown, false) ? 0 : -1;
}

static int tk_sync(void *session)
{
        return tkrzw_dbm_synchronize(session, true, NULL, NULL, "") ? 0 : -1;
}

const struct peer peer_tkrzw = {
        .name = "tkrzw",
        .settings = "HashDBM in place, a bucket a key, align_pow 3, MemoryMapParallelFile",
        .threads = true,
        .open = tk_open,
        .close = tk_close,
        .attach = tk_attach,
        .detach = tk_detach,
        .insert = tk_insert,
        .get = tk_get,
        .ref = tk_ref,
        .del = tk_del,
        .scan = tk_scan,
        .sync = tk_sync,
};
