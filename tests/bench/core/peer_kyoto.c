/* SPDX-License-Identifier: MIT */
#include <kclangc.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"

static void *kc_open(const struct setup *setup)
{
        KCDB *db = kcdbnew();
        char path[4096];

        /* twice as many buckets as keys, room in steps of 8 bytes, mapped as far as it is likely to
         * grow */
        snprintf(path, sizeof(path), "%s/store.kch#bnum=%llu#apow=3#opts=l#msiz=%llu#dfunit=8",
                 setup->dir, (unsigned long long)setup->n_keys * 2,
                 (unsigned long long)setup->n_keys * (setup->value_max + 128));
        if (!kcdbopen(db, path, KCOWRITER | KCOREADER | KCOCREATE)) {
                kcdbdel(db);
                return NULL;
        }
        return db;
}

static int kc_close(void *db)
{
        int good = kcdbclose(db);

        kcdbdel(db);
        return good ? 0 : -1;
}

static void *kc_attach(void *db)
{
        return db;
}

static int kc_detach(void *session)
{
        return 0;
}

static int kc_insert(void *session, const void *key, size_t key_len, const void *value, size_t len,
                     uint64_t count)
{
        static _Thread_local char buf[PACKED_MAX];

        len = pack_count(buf, value, len, count);
        return kcdbset(session, key, key_len, buf, len) ? 0 : -1;
}

struct shown {
        look_fn look;
        void *ctx;
        int found;
};

static const char *kc_show(const char *key, size_t key_len, const char *value, size_t len,
                           size_t *new_len, void *opaque)
{
        struct shown *shown = opaque;

        look_packed(shown->look, shown->ctx, value, len);
        shown->found = 1;
        return KCVISNOP;
}

static const char *kc_nothing(const char *key, size_t key_len, size_t *new_len, void *opaque)
{
        return KCVISNOP;
}

static int kc_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct shown shown = {.look = look, .ctx = ctx};

        return kcdbaccept(session, key, key_len, kc_show, kc_nothing, &shown, 0) ? shown.found : -1;
}

struct counted {
        char buf[PACKED_MAX];
        bool found;
};

static const char *kc_count(const char *key, size_t key_len, const char *value, size_t len,
                            size_t *new_len, void *opaque)
{
        struct counted *counted = opaque;

        counted->found = true;
        memcpy(counted->buf, value, len);
        packed_ref(counted->buf);
        *new_len = len;
        return counted->buf;
}

static int kc_ref(void *session, const void *key, size_t key_len)
{
        static _Thread_local struct counted counted;

        counted.found = false;
        return kcdbaccept(session, key, key_len, kc_count, kc_nothing, &counted, 1) && counted.found
                       ? 0
                       : -1;
}

static int kc_del(void *session, const void *key, size_t key_len)
{
        return kcdbremove(session, key, key_len) ? 1 : 0;
}

static int kc_scan(void *session, look_fn look, void *ctx)
{
        struct shown shown = {.look = look, .ctx = ctx};

        return kcdbiterate(session, kc_show, &shown, 0) ? 0 : -1;
}

static int kc_sync(void *session)
{
        return kcdbsync(session, 1, NULL, NULL) ? 0 : -1;
}

const struct peer peer_kyoto = {
        .name = "kyotocabinet",
        .settings = "HashDB, two buckets a key, apow 3, linear, whole file mapped, dfunit 8",
        .threads = true,
        .open = kc_open,
        .close = kc_close,
        .attach = kc_attach,
        .detach = kc_detach,
        .insert = kc_insert,
        .get = kc_get,
        .ref = kc_ref,
        .del = kc_del,
        .scan = kc_scan,
        .sync = kc_sync,
};
