/* SPDX-License-Identifier: MIT */
/* Step 2 of a recovery: which manifest counts, and what it names. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "error.h"
#include "recover_start.h"
#include "store.h"
#include "tables.h"

int bm_manifests_read(struct bm_store *store, struct bm_manifests_read *mr)
{
        uint8_t bytes[BM_MANIFEST_ROOT];
        for (unsigned i = 0; i < 2; i++) {
                struct bm_manifest *m = &mr->list[mr->n];
                int r = bm_io_call(store->io, pread, store->manifests.fd, bytes, sizeof(bytes),
                                   (uint64_t)i * BM_MANIFEST_ROOT);
                if (r == 0)
                        r = bm_manifest_decode(m, bytes);
                if (r == -EIO) /* shorter than it must be */
                        r = BM_E_DAMAGED;
                if (r < 0)
                        return r;
                if (r != BM_E_NOT_FOUND)
                        mr->any_bytes = true;
                if (r == 0 &&
                    memcmp(m->store_uuid, store->drives.superblock.store_uuid, BM_UUID) == 0)
                        mr->n++;
                else if (r != BM_E_NOT_FOUND)
                        mr->any_bad = true;
        }
        if (mr->n == 2 && mr->list[1].generation > mr->list[0].generation) {
                struct bm_manifest older = mr->list[0];
                mr->list[0] = mr->list[1];
                mr->list[1] = older;
        }
        return 0;
}

static int clear_segment(void *ctx, struct bm_segment *s)
{
        bm_segment_from_row(s, &(struct bm_segment_row){.used = BM_SEGMENT_HEADER,
                                                        .lowest_version = UINT64_MAX});
        return 0;
}

/* What a failed load left behind. */
static void clear(struct bm_store *store)
{
        bm_maps_deinit(&store->maps);
        bm_maps_init(&store->maps, store);
        bm_counts_deinit(&store->counts);
        bm_counts_init(&store->counts);
        for (int sum = 0; sum < BM_SUMS; sum++)
                bm_sum_clear(store, (enum bm_sum)sum);
        bm_drives_each(&store->drives, clear_segment, NULL);
        if (store->salvage)
                bm_salvage_free(store->salvage);
}

int bm_manifests_load(struct bm_store *store, struct bm_manifests_read *mr)
{
        int r = BM_E_DAMAGED;
        for (unsigned i = 0; i < mr->n && r == BM_E_DAMAGED; i++) {
                r = bm_tables_load(store, &mr->list[i]);
                if (r == 0 && store->salvage)
                        r = bm_salvage_index(store);
                if (r == 0) {
                        store->manifests.newest = mr->list[i];
                        mr->followed = i > 0 || mr->any_bad;
                        return 0;
                }
                bm_store_log(store, BM_LOG_WARNING, "checkpoint %" PRIu64 " cannot be used: %s",
                             mr->list[i].generation, bm_last_problem());
                clear(store);
        }
        if (mr->n == 0)
                bm_problem_set("no valid manifest");
        return r;
}
