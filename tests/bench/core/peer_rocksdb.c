/* SPDX-License-Identifier: MIT */
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct rocks {
        rocksdb_t *db;
        rocksdb_column_family_handle_t
                *family; /* the default one, which calls for many want named */
        rocksdb_options_t *options;
        rocksdb_readoptions_t *read;
        rocksdb_writeoptions_t *write;
};

static int failed(char *error)
{
        if (!error)
                return 0;
        fprintf(stderr, "rocksdb: %s\n", error);
        free(error);
        return -1;
}

static void *rocks_open(const struct setup *setup)
{
        struct rocks *r = calloc(1, sizeof(*r));
        rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
        char path[4096], *error = NULL;

        snprintf(path, sizeof(path), "%s/store", setup->dir);
        r->options = rocksdb_options_create();
        rocksdb_options_set_create_if_missing(r->options, 1);
        rocksdb_options_increase_parallelism(r->options, 2);
        rocksdb_options_set_write_buffer_size(r->options, 64 << 20);
        rocksdb_options_set_allow_mmap_reads(r->options, 1);
        rocksdb_options_set_compression(r->options, rocksdb_no_compression);
        rocksdb_block_based_options_set_filter_policy(table,
                                                      rocksdb_filterpolicy_create_bloom_full(10));
        rocksdb_block_based_options_set_data_block_index_type(table,
                                                              1); /* and a hash in each block */
        rocksdb_options_set_block_based_table_factory(r->options, table);
        r->read = rocksdb_readoptions_create();
        r->write = rocksdb_writeoptions_create();
        rocksdb_writeoptions_set_sync(r->write, setup->durability == EACH);
        r->db = rocksdb_open_column_families(r->options, path, 1, (const char *const[]){"default"},
                                             (const rocksdb_options_t *const[]){r->options},
                                             &r->family, &error);
        return failed(error) == 0 ? r : NULL;
}

static int rocks_close(void *db)
{
        struct rocks *r = db;

        rocksdb_column_family_handle_destroy(r->family);
        rocksdb_close(r->db);
        rocksdb_readoptions_destroy(r->read);
        rocksdb_writeoptions_destroy(r->write);
        rocksdb_options_destroy(r->options);
        free(r);
        return 0;
}

static void *rocks_attach(void *db)
{
        return db;
}

static int rocks_detach(void *session)
{
        return 0;
}

static int rocks_insert(void *session, const void *key, size_t key_len, const void *value,
                        size_t len, uint64_t count)
{
        static _Thread_local char buf[PACKED_MAX];
        struct rocks *r = session;
        char *error = NULL;

        len = pack_count(buf, value, len, count);
        rocksdb_put(r->db, r->write, key, key_len, buf, len, &error);
        return failed(error);
}

static int rocks_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct rocks *r = session;
        char *error = NULL;
        rocksdb_pinnableslice_t *slice = rocksdb_get_pinned(r->db, r->read, key, key_len, &error);
        const char *value;
        size_t len;

        if (failed(error) != 0)
                return -1;
        if (!slice)
                return 0;
        value = rocksdb_pinnableslice_value(slice, &len);
        look_packed(look, ctx, value, len);
        rocksdb_pinnableslice_destroy(slice);
        return 1;
}

static int rocks_get_many(void *session, const struct peer_key *keys, size_t n, look_fn look,
                          void *const *ctxs)
{
        struct rocks *r = session;
        rocksdb_pinnableslice_t *slices[MANY] = {NULL};
        const char *names[MANY] = {NULL};
        char *errors[MANY] = {NULL};
        size_t lens[MANY] = {0};
        int result = 0;

        for (size_t i = 0; i < n; i++) {
                names[i] = keys[i].key;
                lens[i] = keys[i].len;
        }
        rocksdb_batched_multi_get_cf(r->db, r->read, r->family, n, names, lens, slices, errors, 0);
        for (size_t i = 0; i < n; i++) {
                size_t len;

                if (failed(errors[i]) != 0 || !slices[i]) {
                        result = -1;
                        continue;
                }
                const char *value = rocksdb_pinnableslice_value(slices[i], &len);
                look_packed(look, ctxs[i], value, len);
                rocksdb_pinnableslice_destroy(slices[i]);
        }
        return result;
}

static int rocks_ref(void *session, const void *key, size_t key_len)
{
        struct rocks *r = session;
        char *error = NULL, *value;
        size_t len;

        value = rocksdb_get(r->db, r->read, key, key_len, &len, &error);
        if (failed(error) != 0 || !value)
                return -1;
        packed_ref(value);
        rocksdb_put(r->db, r->write, key, key_len, value, len, &error);
        free(value);
        return failed(error);
}

struct rocks_change {
        rocksdb_writebatch_t *batch;
        const struct peer_key *key;
};

/* Called with what was read for the key of CTX. */
static void rocks_put_changed(void *ctx, const void *value, size_t len, uint64_t count)
{
        static _Thread_local char buf[PACKED_MAX];
        const struct rocks_change *change = ctx;

        len = pack_count(buf, value, len, count + 1);
        rocksdb_writebatch_put(change->batch, change->key->key, change->key->len, buf, len);
}

/* What its documentation has for it: read together, write together. */
static int rocks_ref_many(void *session, const struct peer_key *keys, size_t n)
{
        struct rocks *r = session;
        struct rocks_change changes[MANY];
        rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
        void *ctxs[MANY];
        char *error = NULL;
        int result;

        for (size_t i = 0; i < n; i++) {
                changes[i] = (struct rocks_change){batch, &keys[i]};
                ctxs[i] = &changes[i];
        }
        result = rocks_get_many(session, keys, n, rocks_put_changed, ctxs);
        if (result == 0)
                rocksdb_write(r->db, r->write, batch, &error);
        rocksdb_writebatch_destroy(batch);
        return failed(error) == 0 ? result : -1;
}

/* RocksDB does not say whether there was something to delete. */
static int rocks_del(void *session, const void *key, size_t key_len)
{
        struct rocks *r = session;
        char *error = NULL;

        rocksdb_delete(r->db, r->write, key, key_len, &error);
        return failed(error) == 0 ? 1 : -1;
}

static int rocks_scan(void *session, look_fn look, void *ctx)
{
        struct rocks *r = session;
        rocksdb_iterator_t *it = rocksdb_create_iterator(r->db, r->read);
        char *error = NULL;

        for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
                size_t len;
                const char *value = rocksdb_iter_value(it, &len);

                look_packed(look, ctx, value, len);
        }
        rocksdb_iter_get_error(it, &error);
        rocksdb_iter_destroy(it);
        return failed(error);
}

static int rocks_sync(void *session)
{
        struct rocks *r = session;
        char *error = NULL;

        rocksdb_flush_wal(r->db, 1, &error);
        return failed(error);
}

const struct peer peer_rocksdb = {
        .name = "rocksdb",
        .settings =
                "bloom filter 10 bits, hash index in blocks, mapped reads, no compression, log on, "
                "64 MiB write buffer, 2 background threads",
        .threads = true,
        .open = rocks_open,
        .close = rocks_close,
        .attach = rocks_attach,
        .detach = rocks_detach,
        .insert = rocks_insert,
        .get = rocks_get,
        .ref = rocks_ref,
        .get_many = rocks_get_many,
        .ref_many = rocks_ref_many,
        .del = rocks_del,
        .scan = rocks_scan,
        .sync = rocks_sync,
};
