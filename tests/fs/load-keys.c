/* SPDX-License-Identifier: MIT */
/*
 * usage: load-keys STORE N VALUE-BYTES
 * Makes a store through the library and fills its root map with keys
 * key-0000000 ... in write batches. For tests of what the mount then shows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucketmap.h"

static void must(int result, const char *what)
{
        if (result == 0)
                return;
        fprintf(stderr, "load-keys: %s: %s (%s)\n", what, bm_strerror(result), bm_last_problem());
        exit(1);
}

int main(int argc, char **argv)
{
        struct bm_config config = BM_CONFIG_INIT;
        struct bm_write_batch *batch;
        struct bm_store *store;
        unsigned long n, value_len;
        char value[4096];

        if (argc != 4 || (value_len = strtoul(argv[3], NULL, 10)) > sizeof(value)) {
                fprintf(stderr, "usage: load-keys STORE N VALUE-BYTES\n");
                return 2;
        }
        n = strtoul(argv[2], NULL, 10);
        config.expected_keys = n;
        must(bm_create(argv[1], &config), "create");
        must(bm_open(argv[1], &config, &store), "open");
        must(bm_write_batch_new(store, &batch), "batch");
        for (unsigned long i = 0; i < n; i++) {
                char key[32];
                int len = snprintf(key, sizeof(key), "key-%07lu", i);

                memset(value, 'a' + (int)(i % 26), value_len);
                must(bm_write_batch_insert(batch, bm_root(store), key, (size_t)len, value,
                                           value_len, i % 5 + 1),
                     key);
                if (i % 500 == 499)
                        must(bm_write_batch_commit(batch), key);
        }
        must(bm_write_batch_commit(batch), "the last batch");
        bm_write_batch_free(batch);
        must(bm_close(store), "close");
        return 0;
}
